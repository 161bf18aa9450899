"""Mutual scoring against plain loops, and what it must do by its definition."""

import numpy as np
import pytest

from feature_files import maps, random_tokens, stored
from zsad.errors import ConfigError, DataError
from zsad.scoring import mutual, similarity
from zsad.scoring.mutual import Mutual

GRIDS = [(5, 4), (3, 6), (4, 4), (5, 3), (2, 7)]


def aggregated(unit, side):
    rows, columns, _ = unit.shape
    half = side // 2
    pooled = np.empty_like(unit)
    for r in range(rows):
        for c in range(columns):
            near = unit[max(0, r - half) : r + half + 1, max(0, c - half) : c + half + 1]
            mean = near.mean(axis=(0, 1))
            pooled[r, c] = mean / np.linalg.norm(mean)
    return pooled


def reference(tokens, fraction, sides, squared):
    layers = tokens[0].shape[0]
    scores = [np.zeros(image.shape[1:3]) for image in tokens]
    for layer in range(layers):
        for side in sides:
            units = [aggregated(stored(image)[layer], side) for image in tokens]
            for i, own in enumerate(units):
                for r, c in np.ndindex(own.shape[:2]):
                    nearest = []
                    for j, other in enumerate(units):
                        if j != i:
                            distance = np.linalg.norm(other - own[r, c], axis=2).min()
                            nearest.append(distance**2 / 2 if squared else distance)
                    lowest = sorted(nearest)[: max(1, int(fraction * len(nearest)))]
                    scores[i][r, c] += np.mean(lowest) / (layers * len(sides))
    return scores


@pytest.mark.parametrize("images", [2, 3, 5])
@pytest.mark.parametrize(("fraction", "sides", "distance"), [(0.3, (1, 3, 5), "euclidean"), (0.8, (3,), "cosine")])
def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path, images, fraction, sides, distance):
    tokens = random_tokens(0, *GRIDS[:images])
    found = maps(Mutual(lowest_fraction=fraction, neighbourhoods=sides, distance=distance), tmp_path, test=tokens)
    for anomaly_map, expected in zip(found, reference(tokens, fraction, sides, distance == "cosine"), strict=True):
        np.testing.assert_allclose(anomaly_map, expected, atol=1e-5)


@pytest.mark.parametrize("block_bytes", [1, 2 * 20 * 6 * 4])
def test_the_size_of_the_blocks_does_not_matter(tmp_path, monkeypatch, block_bytes):
    tokens = random_tokens(1, *GRIDS)
    expected = maps(Mutual(), tmp_path, test=tokens)
    monkeypatch.setattr(mutual, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(similarity, "BLOCK_SIMILARITIES", 9)
    for anomaly_map, whole in zip(maps(Mutual(), tmp_path, test=tokens), expected, strict=True):
        np.testing.assert_allclose(anomaly_map, whole, atol=1e-5)


def test_permuting_the_batch_permutes_the_scores(tmp_path):
    tokens, order = random_tokens(2, *GRIDS), [3, 0, 4, 1, 2]
    straight = maps(Mutual(), tmp_path, test=tokens)
    permuted = maps(Mutual(), tmp_path, test=[tokens[index] for index in order])
    for anomaly_map, index in zip(permuted, order, strict=True):
        np.testing.assert_allclose(anomaly_map, straight[index], atol=1e-5)


def test_an_image_that_occurs_twice_scores_zero(tmp_path):
    tokens = random_tokens(3, (4, 5), (3, 3), (4, 4))
    found = maps(Mutual(distance="cosine"), tmp_path, test=[*tokens, tokens[0]])
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    np.testing.assert_allclose(found[3], 0, atol=1e-6)
    assert found[1].min() > 0.01


def test_zero_and_constant_tokens_are_far_from_nothing_like_them(tmp_path):
    zeros, ones, other = (np.full((1, 3, 3, 4), value) for value in (0.0, 1.0, [1.0, -1.0, 1.0, -1.0]))
    found = maps(Mutual(distance="cosine"), tmp_path, test=[zeros, ones, other])
    np.testing.assert_allclose(found[2], 1, atol=1e-6)
    assert all(np.isfinite(anomaly_map).all() for anomaly_map in found)


def test_one_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 2 test images"):
        maps(Mutual(), tmp_path, test=random_tokens(4, (3, 3)))


@pytest.mark.parametrize("sides", [[2], [1, 4], [-1], []])
def test_neighbourhoods_without_a_middle_are_refused(sides):
    with pytest.raises(ConfigError, match=r"methods\.mutual: neighbourhoods"):
        Mutual.build({"neighbourhoods": sides}, where="methods.mutual")
