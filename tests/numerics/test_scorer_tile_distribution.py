"""Tile distribution against plain loops, and what it must do by its definition."""

import numpy as np
import pytest
from scipy.stats import rankdata

from closeness import assert_close
from feature_files import maps, random_tokens, stored
from zsad.errors import ConfigError, DataError
from zsad.scoring.compute import Compute
from zsad.scoring.tile_distribution import TileDistribution

STARTS_OF_TILES_OF_3 = {3: [0], 4: [0, 1], 5: [0, 2], 6: [0, 3], 7: [0, 2, 4], 8: [0, 2, 3, 5], 9: [0, 3, 6]}


def gaussian(positions, sigma):
    weights = np.exp(-(positions**2) / (2 * sigma**2)) if sigma else (positions == 0).astype(float)
    return weights / weights.sum()


def blurred(tile, sigma):
    radius = int(2 * sigma + 0.5)
    kernel = gaussian(np.arange(-radius, radius + 1), sigma)
    padded = np.pad(tile, radius, mode="reflect")
    result = np.empty_like(tile)
    for i, j in np.ndindex(tile.shape):
        result[i, j] = (np.outer(kernel, kernel) * padded[i : i + len(kernel), j : j + len(kernel)]).sum()
    return result


def reference(tokens, starts, t=3, sigma_s=1.0, sigma_p=3.0):
    layers, rows, columns, channels = tokens.shape
    half = t // 2
    weights = np.outer(*[gaussian(np.arange(t) - half, sigma_p)] * 2)
    total = np.zeros((rows + 2 * half, columns + 2 * half))
    for features in stored(tokens):
        tiles = [features[r : r + t, c : c + t] for r in starts[rows] for c in starts[columns]]
        typical = [np.median([np.sort(tile[:, :, k].ravel()) for tile in tiles], axis=0) for k in range(channels)]
        padded = np.pad(features, ((half, half), (half, half), (0, 0)), mode="reflect")
        for r, c in np.ndindex(rows, columns):
            residual = np.zeros((t, t))
            for k in range(channels):
                tile = padded[r : r + t, c : c + t, k]
                matched = np.interp(rankdata(tile) - 1, np.arange(t * t), typical[k])
                residual += np.abs(tile - matched.reshape(t, t)) / channels
            total[r : r + t, c : c + t] += weights * blurred(residual, sigma_s) / layers
    return total[half : half + rows, half : half + columns]


@pytest.mark.parametrize(("sigma_s", "sigma_p"), [(1.0, 3.0), (0.0, 1.0), (0.6, 0.8)])
def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path, sigma_s, sigma_p):
    tokens = random_tokens(0, (7, 6), (9, 8), (3, 5), channels=3)
    found = maps(TileDistribution(tile=3, sigma_s=sigma_s, sigma_p=sigma_p), tmp_path, test=tokens)
    for anomaly_map, image in zip(found, tokens, strict=True):
        expected = reference(image, STARTS_OF_TILES_OF_3, sigma_s=sigma_s, sigma_p=sigma_p)
        assert_close(anomaly_map, expected)


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    tokens = [image[:, :6, :6, :7] for image in tile_tokens[2:4]]
    for anomaly_map, image in zip(maps(TileDistribution(tile=3), tmp_path, test=tokens), tokens, strict=True):
        assert_close(anomaly_map, reference(image, STARTS_OF_TILES_OF_3))


@pytest.mark.parametrize(
    ("tile", "grid", "starts"), [(9, (9, 11), {9: [0], 11: [0, 2]}), (13, (14, 13), {14: [0, 1], 13: [0]})]
)
def test_maps_equal_plain_loops_for_large_tiles(tmp_path, tile, grid, starts):
    tokens = random_tokens(1, grid, layers=1, channels=2)
    (found,) = maps(TileDistribution(tile=tile), tmp_path, test=tokens)
    assert_close(found, reference(tokens[0], starts, tile))


def test_a_tile_of_one_patch_measures_the_distance_to_the_median_of_each_channel(tmp_path):
    tokens = random_tokens(2, (4, 6))
    (found,) = maps(TileDistribution(tile=1), tmp_path, test=tokens)
    unit = stored(tokens[0])
    expected = np.abs(unit - np.median(unit, axis=(1, 2), keepdims=True)).mean(axis=(0, 3))
    assert_close(found, expected)


@pytest.mark.parametrize("memory", [1, 20_011, 10**12])
def test_the_memory_does_not_matter(tmp_path, memory):
    tokens = random_tokens(3, (8, 7), channels=5)
    (expected,) = maps(TileDistribution(tile=3), tmp_path, test=tokens)
    (found,) = maps(TileDistribution(tile=3), tmp_path, Compute(memory=memory), test=tokens)
    assert_close(found, expected)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_scores_zero(tmp_path, value):
    (found,) = maps(TileDistribution(tile=3), tmp_path, test=[np.full((2, 5, 4, 3), value)])
    assert_close(found, 0, size=1)


def test_a_texture_that_repeats_with_the_tile_scores_zero_where_no_tile_leaves_the_image(tmp_path):
    (cell,) = random_tokens(4, (3, 3))
    (found,) = maps(TileDistribution(tile=3), tmp_path, test=[np.tile(cell, (1, 4, 3, 1))])
    assert_close(found[2:-2, 2:-2], 0, size=1)


def test_an_anomalous_block_in_a_stationary_texture_scores_highest(tmp_path):
    rng = np.random.default_rng(5)
    texture = np.array([1.0, 0.0, 0.0, 0.0]) + 0.1 * rng.normal(size=(1, 20, 24, 4))
    texture[0, 8:11, 13:16] += [0.0, 0.5, 0.0, 0.0]
    (found,) = maps(TileDistribution(tile=5), tmp_path, test=[texture])
    block = np.zeros(found.shape, dtype=bool)
    block[8:11, 13:16] = True
    far = np.ones(found.shape, dtype=bool)
    far[6:13, 11:18] = False
    assert block[np.unravel_index(found.argmax(), found.shape)]
    assert found[block].min() > found[far].max()


@pytest.mark.parametrize("grid", [(9, 6), (8, 7), (5, 10)])
def test_a_mirrored_or_turned_grid_gives_the_mirrored_or_turned_map(tmp_path, grid):
    tokens = random_tokens(6, grid)
    views = [tokens[0][:, :, ::-1], tokens[0][:, ::-1], np.rot90(tokens[0], axes=(1, 2))]
    straight, left, down, turned = maps(TileDistribution(tile=3), tmp_path, test=[*tokens, *views])
    assert_close(left, straight[:, ::-1])
    assert_close(down, straight[::-1])
    assert_close(turned, np.rot90(straight))


def test_a_grid_smaller_than_a_tile_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"test/1\.png has only 9 x 8 patches, fewer than a tile of 9 x 9; lower"):
        maps(TileDistribution(), tmp_path, test=random_tokens(7, (9, 9), (9, 8)))


def test_a_tile_without_a_middle_is_refused():
    with pytest.raises(ConfigError, match=r"methods\.tile_distribution: tile = 4 is not valid: it must be odd"):
        TileDistribution.build({"tile": 4}, where="methods.tile_distribution")
