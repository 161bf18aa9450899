"""Which layers a scorer reads, and how its parameters name them."""

import numpy as np
import pytest
import torch

from feature_files import random_tokens, stored, write_features
from zsad.errors import ConfigError
from zsad.files.features import FeatureReader
from zsad.scoring.registry import SCORERS
from zsad.scoring.tokens import layer_indices, normalise, unit_tokens


@pytest.fixture
def reader(tmp_path):
    with FeatureReader(write_features(tmp_path / "features.h5", random_tokens(0, (3, 4), (2, 5), layers=3))) as opened:
        yield opened


def test_all_layers_unless_some_are_named(reader):
    assert layer_indices(reader, None) == [0, 1, 2]
    assert layer_indices(reader, ("2", "0")) == [2, 0]


def test_a_layer_that_was_not_extracted_is_refused_with_those_that_were(reader):
    with pytest.raises(ConfigError, match="no layer 'last'; choose from: 0, 1, 2"):
        layer_indices(reader, ("last",))


def test_unit_tokens_are_the_stored_ones_of_the_image_and_layers_scaled_to_length_one(reader):
    expected = stored(random_tokens(0, (3, 4), (2, 5), layers=3)[1])[[2, 1]]
    np.testing.assert_allclose(unit_tokens(reader, 1, [2, 1], "cpu").numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", SCORERS.names())
def test_every_scorer_takes_layers_by_number_or_name_and_gives_json(name):
    assert SCORERS.build(name).parameters()["layers"] is None
    assert SCORERS.build(name, {"layers": [8, "11"]}).parameters()["layers"] == ["8", "11"]


@pytest.mark.parametrize("layers", [[], [True], [1.5], "8"])
def test_layers_that_are_no_list_of_names_are_refused(layers):
    with pytest.raises(ConfigError, match="layers"):
        SCORERS.build("mutual", {"layers": layers})


def test_a_vector_without_a_direction_is_like_the_one_of_ones():
    vectors = torch.tensor([[[3.0, 0.0, -4.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    assert normalise(vectors).tolist() == [[pytest.approx([0.6, 0, -0.8, 0]), [0.5, 0.5, 0.5, 0.5]]]
    assert normalise(vectors[:, :1]).tolist() == [[pytest.approx([0.6, 0, -0.8, 0])]]
