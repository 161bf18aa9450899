"""PaDiM against its formula with a plain inverse, and what it must do by its definition."""

import random

import numpy as np
import pytest

from feature_files import maps, random_tokens
from zsad.errors import ConfigError, DataError
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.padim import Padim

SHOWN = Shown(["a", "b"], [(2, 3), (2, 3)], layers=["0", "1"], channels=4)


def vectors(image, drawn=None):
    """Patches with the layers side by side, as a file keeps them, in float64."""
    rounded = image.astype(np.float16).astype(np.float64)
    joined = np.concatenate(list(rounded), axis=2)
    return joined if drawn is None else joined[:, :, drawn]


def plain(image, references, epsilon=0.01, drawn=None):
    """Mean, covariance and inverse at each place."""
    tested, known = vectors(image, drawn), [vectors(other, drawn) for other in references]
    channels = tested.shape[2]
    found = np.zeros(tested.shape[:2])
    for r, c in np.ndindex(found.shape):
        samples = np.stack([other[r, c] for other in known])
        covariance = np.cov(samples, rowvar=False) if len(samples) > 1 else np.zeros((channels, channels))
        difference = tested[r, c] - samples.mean(axis=0)
        found[r, c] = np.sqrt(difference @ np.linalg.inv(covariance + epsilon * np.eye(channels)) @ difference)
    return found


@pytest.mark.parametrize("memory", [3001, 10**8])
@pytest.mark.parametrize(("count", "epsilon", "scale"), [(1, 0.01, 1), (4, 0.01, 1), (20, 0.01, 8), (5, 1.0, 0.1)])
def test_maps_equal_the_formula_with_fewer_references_than_channels_and_with_more(
    tmp_path, count, epsilon, scale, memory
):
    images = [scale * image for image in random_tokens(count, *[(3, 4)] * (count + 2))]
    scorer = Padim(regularisation=epsilon)
    found = maps(scorer, tmp_path, Compute(memory=memory), test=images[:2], references=images[2:])
    for anomaly_map, image in zip(found, images[:2], strict=True):
        np.testing.assert_allclose(anomaly_map, plain(image, images[2:], epsilon), rtol=1e-5)


@pytest.mark.parametrize(("seed", "params"), [(1024, {}), (3, {"channel_seed": 3})])
def test_channels_are_drawn_as_by_the_implementation_in_use(tmp_path, seed, params):
    image, *references = random_tokens(1, *[(3, 3)] * 4)
    (found,) = maps(Padim(channels=5, **params), tmp_path, test=[image], references=references)
    random.seed(seed)
    drawn = random.sample(range(12), 5)
    np.testing.assert_allclose(found, plain(image, references, drawn=drawn), rtol=1e-5)


def test_the_unit_of_the_tokens_counts(tmp_path):
    images = random_tokens(2, *[(3, 3)] * 4)
    longer = [4 * image for image in images]
    (plainly,) = maps(Padim(), tmp_path, test=images[:1], references=images[1:])
    (found,) = maps(Padim(), tmp_path, test=longer[:1], references=longer[1:])
    assert (found > 1.2 * plainly).all()
    (same,) = maps(Padim(regularisation=0.16), tmp_path, test=longer[:1], references=longer[1:])
    np.testing.assert_allclose(same, plainly, rtol=1e-5)


def test_only_the_layers_that_are_named_count(tmp_path):
    image, *references = random_tokens(3, *[(3, 3)] * 3, layers=3)
    (found,) = maps(Padim(layers=["2", "0"]), tmp_path, test=[image], references=references)
    np.testing.assert_allclose(found, plain(image[[2, 0]], [other[[2, 0]] for other in references]), rtol=1e-5)


def test_what_cannot_be_fitted_is_reported_before_and_while_it_is(tmp_path):
    assert Padim(channels=8).fit_refusal(SHOWN, SHOWN) == ""
    assert "there are 8 channels, fewer than the 9" in Padim(channels=9).fit_refusal(SHOWN, SHOWN)
    assert "no common positions" in Padim().fit_refusal(SHOWN, SHOWN._replace(grids=[(2, 3), (3, 2)]))
    tokens, other = random_tokens(4, (3, 4)), random_tokens(5, (4, 3))
    with pytest.raises(DataError, match=r"use images of one size, or 'mahalanobis'"):
        maps(Padim(), tmp_path, test=other, references=tokens)
    with pytest.raises(ConfigError, match="fewer than the 13 wanted"):
        maps(Padim(channels=13), tmp_path, test=tokens, references=tokens)


def test_it_sees_all_good_images_upright_by_default():
    assert Padim().setting == "full-shot"
    assert Padim().feature_sets()["references"] == ("train", "original")
    assert not Padim().own_image_scores
