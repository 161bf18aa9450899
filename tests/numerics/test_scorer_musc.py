"""MuSc's own aggregation and re-scoring against its steps, written out as plain loops."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from closeness import assert_close
from feature_files import maps, random_tokens, write_features
from zsad.files.features import FeatureReader
from zsad.scoring.mutual import Mutual
from zsad.scoring.mutual_base import products, rescored_by_neighbours
from zsad.scoring.mutual_consistent import MutualConsistent

GRIDS = [(5, 4), (3, 6), (4, 4), (5, 3), (2, 7), (6, 6)]
SIDES = (1, 3, 5)


def lengthy(seed: int, *grids: tuple[int, int], layers: int = 2) -> list[np.ndarray]:
    """Tokens of very different lengths, whose values are not 0 on average."""
    rng = np.random.default_rng(seed)
    tokens = random_tokens(seed, *grids, layers=layers)
    return [(image + 1.5) * np.exp(rng.normal(size=(*image.shape[:3], 1))) for image in tokens]


def layer_normed(feature_map: np.ndarray) -> np.ndarray:
    """Over channels and places ``[row, column, channel]`` together, without weights."""
    return (feature_map - feature_map.mean()) / np.sqrt(feature_map.var() + 1e-5)


def aggregated(tokens: np.ndarray, side: int) -> np.ndarray:
    """Unit features ``[patch, channel]``: the mean over a neighbourhood, with zeros beyond the border."""
    normed, half = layer_normed(tokens.astype(np.float16).astype(np.float64)), side // 2
    padded = np.pad(normed, ((half, half), (half, half), (0, 0)))
    rows, columns, channels = normed.shape
    pooled = np.zeros((rows, columns, channels))
    for row, column, channel in np.ndindex(rows, columns, channels):
        pooled[row, column, channel] = padded[row : row + side, column : column + side, channel].sum() / side**2
    unit = pooled / np.linalg.norm(pooled, axis=-1, keepdims=True)
    return unit.reshape(-1, channels)


def scored(tokens: list[np.ndarray], sides: tuple[int, ...] = SIDES) -> list[np.ndarray]:
    """The maps; of few images at least one neighbour is averaged, where the authors' code takes none."""
    found = [np.zeros(image.shape[1:3]) for image in tokens]
    stages = list(product(range(len(tokens[0])), sides))
    for layer, side in stages:
        features = [aggregated(image[layer], side) for image in tokens]
        for image, own in enumerate(features):
            for place, feature in enumerate(own):
                others = [other for number, other in enumerate(features) if number != image]
                nearest = sorted(np.linalg.norm(other - feature, axis=1).min() for other in others)
                found[image].flat[place] += np.mean(nearest[: max(1, int(0.3 * len(others)))]) / len(stages)
    return found


def rescored(scores: np.ndarray, cls_tokens: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """After a min-max scaling, as in the authors' code: ``W = C C^T``, all but its k greatest 0, rows that sum to 1."""
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    similar = cls_tokens @ cls_tokens.T
    means = np.zeros((len(numbers), len(scores)))
    for (place, number), image in product(enumerate(numbers), range(len(scores))):
        row = similar[image].copy()
        row[np.argsort(row)[: len(scores) - number]] = 0
        means[place, image] = row @ scaled / row.sum()
    return means.mean(axis=0)


@pytest.mark.parametrize(("images", "sides"), [(2, SIDES), (4, (1,)), (5, SIDES)])
def test_maps_are_those_of_the_authors_steps(tmp_path: Path, images: int, sides: tuple[int, ...]) -> None:
    tokens = lengthy(0, *GRIDS[:images])
    found = maps(Mutual(aggregation="musc", neighbourhoods=sides), tmp_path, test=tokens)
    for anomaly_map, expected in zip(found, scored(tokens, sides), strict=True):
        assert_close(anomaly_map, expected)


def test_maps_of_square_grids_of_one_size_are_too_and_differ_from_those_of_directions(tmp_path: Path) -> None:
    tokens = lengthy(1, *[(4, 4)] * 8, layers=1)
    found, unit = (maps(Mutual(aggregation=name), tmp_path, test=tokens) for name in ("musc", "unit"))
    for anomaly_map, other, expected in zip(found, unit, scored(tokens), strict=True):
        assert_close(anomaly_map, expected)
        assert np.abs(anomaly_map - other).max() > 0.01


def test_tokens_of_one_length_and_mean_0_score_as_by_their_directions(tmp_path: Path) -> None:
    tokens = random_tokens(2, *GRIDS[:4], channels=8)
    for image in tokens:
        image -= image.mean(axis=-1, keepdims=True)
        image /= np.linalg.norm(image, axis=-1, keepdims=True)
    found, unit = (maps(Mutual(aggregation=name), tmp_path, test=tokens) for name in ("musc", "unit"))
    for anomaly_map, other in zip(found, unit, strict=True):
        np.testing.assert_allclose(anomaly_map, other, atol=1e-4)  # float16 in the file leaves a mean of 1e-5


def test_mutual_consistent_aggregates_alike(tmp_path: Path) -> None:
    tokens = lengthy(3, *GRIDS[:4])  # of fewer than five images, each keeps the score of `Mutual`
    found = maps(MutualConsistent(aggregation="musc"), tmp_path, test=tokens)
    for anomaly_map, expected in zip(found, scored(tokens), strict=True):
        assert_close(anomaly_map, expected)


def test_flat_maps_are_alike_and_finite(tmp_path: Path) -> None:
    flat = [np.full((1, 3, 3, 4), value) for value in (0.0, 2.0, 2.0)]
    for anomaly_map in maps(Mutual(aggregation="musc"), tmp_path, test=flat):
        np.testing.assert_array_equal(anomaly_map, 0)


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3), (4, 7)])
def test_image_scores_are_those_of_the_authors_steps_but_for_their_min_max_scaling(
    tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(4)
    tokens = lengthy(4, *GRIDS, (3, 3))
    # Some products are negative, and the longest image is others' nearest.
    cls_tokens = (rng.normal(size=(7, 2, 6)) + 0.4) * np.exp(rng.normal(size=(7, 1, 1)))
    cls_tokens = cls_tokens.astype(np.float32)
    before = rng.uniform(2, 9, size=7)
    path = write_features(tmp_path / "test.h5", tokens, cls_tokens=cls_tokens)
    with FeatureReader(path) as reader:
        found = Mutual(class_tokens="raw", rescoring=numbers).rescored(before, {"test": reader})
        unit = Mutual(rescoring=numbers).rescored(before, {"test": reader})
    last = cls_tokens[:, -1].astype(np.float64)
    expected = rescored(before, last, numbers) * (before.max() - before.min()) + before.min()
    assert_close(found, expected)
    assert np.abs(found - unit).max() > 0.1


def test_unit_class_tokens_give_the_same_either_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cls_tokens = rng.uniform(0, 1, size=(4, 1, 6))
    cls_tokens /= np.linalg.norm(cls_tokens, axis=-1, keepdims=True)
    path = write_features(tmp_path / "test.h5", random_tokens(5, *GRIDS[:4], layers=1), cls_tokens=cls_tokens)
    before = rng.uniform(size=4)
    with FeatureReader(path) as reader:
        raw, unit = (Mutual(class_tokens=kind).rescored(before, {"test": reader}) for kind in ("raw", "unit"))
    assert_close(raw, unit)


def test_raw_products_pass_over_images_that_may_not_be_seen_and_zeros_keep_their_scores() -> None:
    tokens, scores = np.array([[1.0], [-2.0], [5.0], [0.0]]), np.array([1.0, 2.0, 7.0, 9.0])
    online = np.tri(4, dtype=bool)
    found = rescored_by_neighbours(scores, products(tokens), (2,), online)
    # Image 1 sees image 0, with a product of -2, and itself, with 4; image 2 itself and image 0; image 3 nothing.
    np.testing.assert_allclose(found, [1, (-2 * 1 + 4 * 2) / 2, (25 * 7 + 5 * 1) / 30, 9])
