"""Which layers a scorer reads, and how its parameters name them."""

import numpy as np
import pytest
import torch

from feature_files import random_tokens, stored, write_features
from fitted_files import fitted_file
from zsad.errors import ConfigError
from zsad.files.features import FeatureReader
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.fitted import load_fitted
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.tokens import layer_indices, normalise, patch_layers, unit_tokens

OF_PATCHES = [name for name in SCORERS.names() if not SCORERS.load(name).reads_windows]


@pytest.fixture
def reader(tmp_path):
    with FeatureReader(write_features(tmp_path / "features.h5", random_tokens(0, (3, 4), (2, 5), layers=3))) as opened:
        yield opened


def test_all_layers_unless_some_are_named(reader):
    assert layer_indices(reader, None) == [0, 1, 2]
    assert layer_indices(reader, ("2", "0")) == [2, 0]


def test_windows_of_an_image_are_no_layers_of_patches(tmp_path):
    tokens = MemoryTokens(random_tokens(0, (3, 4), layers=3), layers=["window2", "patches", "window3"])
    assert layer_indices(tokens, None) == [1]
    assert layer_indices(tokens, ("patches",)) == [1]
    with pytest.raises(ConfigError, match="layer 'window3' holds windows of the image, not patches; name others"):
        layer_indices(tokens, ("patches", "window3"))
    with pytest.raises(ConfigError, match="no layer 'window4'; choose from: patches"):
        layer_indices(tokens, ("window4",))
    assert patch_layers(["4", "window2", "windows"]) == ["4"]


@pytest.mark.parametrize("name", OF_PATCHES)
def test_every_scorer_of_patches_refuses_windows_before_features_are_made(name):
    layers = ["window2", "patches"]
    shown = Shown(["a", "b", "c"], [(12, 12)] * 3, layers, 6)
    scorer = SCORERS.build(name, {"layers": ["window2"]})
    assert scorer.refusal(dict.fromkeys(scorer.feature_sets(), shown)).startswith("layer 'window2' holds windows")


def test_a_model_keeps_the_layers_of_patches_alone(tmp_path):
    references = MemoryTokens(random_tokens(0, (3, 4), (4, 3), layers=3), layers=["window2", "patches", "window3"])
    patches = MemoryTokens([references.half_tokens(index)[1:2] for index in range(2)], layers=["patches"])
    found = []
    for number, source in enumerate((references, patches)):
        scorer = MemoryBank(rotations=False, k=2)
        path = fitted_file(tmp_path / f"{number}.h5", source, scorer, Compute())
        with load_fitted(path, Compute()) as fitted:
            found.append([score.anomaly_map for score in fitted.score(source)])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_a_layer_that_was_not_extracted_is_refused_with_those_that_were(reader):
    with pytest.raises(ConfigError, match="no layer 'last'; choose from: 0, 1, 2"):
        layer_indices(reader, ("last",))


def test_unit_tokens_are_the_stored_ones_of_the_image_and_layers_scaled_to_length_one(reader):
    expected = stored(random_tokens(0, (3, 4), (2, 5), layers=3)[1])[[2, 1]]
    np.testing.assert_allclose(unit_tokens(reader, 1, [2, 1], "cpu").numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", OF_PATCHES)
def test_every_scorer_of_patches_takes_layers_by_number_or_name_and_gives_json(name):
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
