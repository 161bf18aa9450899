"""Batch neighbours against plain loops, and what they must do by their definition."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, stored
from zsad.errors import DataError
from zsad.scoring.batch_neighbours import BatchNeighbours
from zsad.scoring.compute import Compute

GRIDS = [(5, 4), (3, 6), (4, 4), (5, 3)]


def reference(tokens, quantile):
    layers = tokens[0].shape[0]
    found = [np.zeros(image.shape[1:3]) for image in tokens]
    for layer in range(layers):
        flat = [stored(image)[layer].reshape(-1, image.shape[-1]) for image in tokens]
        for i, anomaly_map in enumerate(found):
            others = np.concatenate([other for j, other in enumerate(flat) if j != i])
            count = max(1, int(quantile * len(others)) - 1)
            for place, vector in enumerate(flat[i]):
                distances = sorted(1 - vector @ other for other in others)
                anomaly_map.ravel()[place] += np.mean(distances[:count]) / layers
    return found


@pytest.mark.parametrize("images", [2, 4])
@pytest.mark.parametrize("quantile", [0.001, 0.2, 1.0])
@pytest.mark.parametrize("memory", [1, 5 * 4 * 8 * 4 * 11, 1 << 30])
def test_maps_equal_plain_loops_whatever_the_memory(tmp_path, images, quantile, memory):
    tokens = random_tokens(0, *GRIDS[:images])
    found = maps(BatchNeighbours(quantile=quantile), tmp_path, Compute(memory=memory), test=tokens)
    for anomaly_map, expected in zip(found, reference(tokens, quantile), strict=True):
        assert_close(anomaly_map, expected)


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    found = maps(BatchNeighbours(quantile=0.05), tmp_path, test=tile_tokens[:3])
    for anomaly_map, expected in zip(found, reference(tile_tokens[:3], 0.05), strict=True):
        assert_close(anomaly_map, expected)


def test_maps_are_those_of_the_authors_quantile(tmp_path):
    """AnomalyDINO's code: the mean of the distances strictly below the k-th, k a share of all patches of the others."""
    tokens = random_tokens(4, *GRIDS, layers=1)
    units = [torch.from_numpy(stored(image)[0].reshape(-1, image.shape[-1])) for image in tokens]
    for index, anomaly_map in enumerate(maps(BatchNeighbours(quantile=0.15), tmp_path, test=tokens)):
        distances = 1 - units[index] @ torch.cat([unit for other, unit in enumerate(units) if other != index]).T
        bound = distances.kthvalue(int(0.15 * distances.shape[1]), dim=1, keepdim=True).values
        expected = distances.where(distances < bound, torch.nan).nanmean(dim=1)
        assert_close(anomaly_map.ravel(), expected.numpy())


def test_permuting_the_batch_permutes_the_scores(tmp_path):
    tokens, order = random_tokens(1, *GRIDS), [2, 0, 3, 1]
    straight = maps(BatchNeighbours(quantile=0.1), tmp_path, test=tokens)
    permuted = maps(BatchNeighbours(quantile=0.1), tmp_path, test=[tokens[index] for index in order])
    for anomaly_map, index in zip(permuted, order, strict=True):
        assert_close(anomaly_map, straight[index])


def test_an_image_that_occurs_twice_scores_zero_and_constant_images_do_too(tmp_path):
    tokens = random_tokens(2, (4, 5), (3, 3))
    found = maps(BatchNeighbours(), tmp_path, test=[*tokens, tokens[0]])
    assert_close(found[0], 0, size=1)
    assert found[1].min() > 0.01
    for constant in maps(BatchNeighbours(), tmp_path, test=[np.full((1, 3, 4, 2), value) for value in (0.0, 2.0)]):
        assert_close(constant, 0, size=1)


def test_one_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 2 test images"):
        maps(BatchNeighbours(), tmp_path, test=random_tokens(3, (3, 3)))


def test_the_background_scores_zero(tmp_path):
    part = np.zeros((1, 9, 9, 4))
    part[..., 0] = 1
    part[:, 3:6, 3:6] = [0.0, 1.0, 0.3, 0.0]
    images = [part + 0.05 * np.random.default_rng(seed).normal(size=part.shape) for seed in range(2)]
    found = maps(BatchNeighbours(foreground="otsu"), tmp_path, test=images)
    assert not found[0][:2].any()
    assert found[0][3:6, 3:6].all()
