"""Embeddings of images and regions against slow loops over patches, pixels and layers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from feature_files import random_tokens, write_features
from zsad.classification.embeddings import EmbeddingOptions, embed_images
from zsad.classification.regions import Regions, region_of
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.scores import ScoreReader, ScoreWriter

GRIDS = [(4, 5), (3, 3), (1, 1), (12, 10)]
SIZES = [(40, 50), (31, 29), (7, 5), (25, 23)]
TOLERANCE = {"rtol": 0, "atol": 1e-12}


# --- plain references ---


def slow_shares(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Each pixel is cut into parts so small that each lies in one patch."""
    height, width = mask.shape
    shares = np.zeros((rows, columns))
    for y in range(height * rows):
        for x in range(width * columns):
            shares[y // height, x // width] += mask[y // rows, x // columns]
    return shares / (height * width)


def slow_resampled(anomaly_map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Bilinear between the centres of patches, constant beyond the outermost."""

    def places(count: int, given: int) -> list[tuple[int, int, float]]:
        found = []
        for index in range(count):
            place = min(max((index + 0.5) * given / count - 0.5, 0), given - 1)
            low = min(int(place), max(given - 2, 0))
            found.append((low, min(low + 1, given - 1), place - low))
        return found

    result = np.zeros((rows, columns))
    for row, (top, bottom, down) in enumerate(places(rows, anomaly_map.shape[0])):
        for column, (left, right, across) in enumerate(places(columns, anomaly_map.shape[1])):
            upper = anomaly_map[top, left] * (1 - across) + anomaly_map[top, right] * across
            lower = anomaly_map[bottom, left] * (1 - across) + anomaly_map[bottom, right] * across
            result[row, column] = upper * (1 - down) + lower * down
    return result


def slow_weights(anomaly_map: np.ndarray | None, mask: np.ndarray | None, rows: int, columns: int) -> np.ndarray:
    patches = [(row, column) for row in range(rows) for column in range(columns)]
    values = None
    if anomaly_map is not None:
        values = anomaly_map.astype(float)
        if values.shape != (rows, columns):
            values = slow_resampled(values, rows, columns)
    if mask is not None and mask.any():
        shares = slow_shares(mask, rows, columns)
    elif values is None:
        return np.ones((rows, columns))
    else:
        ranked = sorted((values[patch] for patch in patches), reverse=True)
        lowest = ranked[max(1, math.ceil(len(patches) / 100)) - 1]
        shares = np.array([[float(values[row, column] >= lowest) for column in range(columns)] for row in range(rows)])
    if values is None:
        return shares
    ranked = sorted(values[patch] for patch in patches)
    middle = len(ranked) // 2
    median = ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
    weights = np.zeros((rows, columns))
    for patch in patches:
        weights[patch] = shares[patch] * max(0.0, values[patch] - median)
    return weights if weights.sum() > 0 else shares


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / math.sqrt(sum(float(value) ** 2 for value in vector))


def slow_embedding(layers: list[np.ndarray]) -> np.ndarray:
    """From a token of each layer."""
    return unit(np.concatenate([unit(token.astype(float)) for token in layers]))


def slow_mean(tokens: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``[channel]`` from ``[row, column, channel]``."""
    total = np.zeros(tokens.shape[-1])
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            total += weights[row, column] * tokens[row, column].astype(float)
    return total / weights.sum()


# --- files ---


def smooth_maps(seed: int, grids: list[tuple[int, int]], shift: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=grid) + shift).astype(np.float32) for grid in grids]


def blobs(seed: int, sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = []
    for height, width in sizes:
        mask = np.zeros((height, width), bool)
        top, left = rng.integers(0, height - 2), rng.integers(0, width - 2)
        mask[top : top + 1 + height // 3, left : left + 1 + width // 4] = True
        mask[rng.integers(0, height), rng.integers(0, width)] = True
        masks.append(mask)
    return masks


def opened(
    folder: Path, maps: list[np.ndarray] | None, masks: list[np.ndarray] | None, **changes: object
) -> tuple[FeatureReader, Regions]:
    folder.mkdir(exist_ok=True)
    features = FeatureReader(write_features(folder / "features.h5", random_tokens(1, *GRIDS)))
    scores = outlines = None
    if maps is not None:
        sizes = np.array([each.shape for each in maps])
        with ScoreWriter(
            folder / "scores.h5", features.image_ids, {}, grid_sizes=sizes, setting="zero-shot-single"
        ) as writer:
            for index, each in enumerate(maps):
                writer.write(index, each, float(each.max()))
        scores = ScoreReader(folder / "scores.h5")
    if masks is not None:
        with MaskWriter(folder / "masks.h5", features.image_ids, {}) as writer:
            for each in masks:
                writer.append(each, 0.0, [])
        outlines = MaskReader(folder / "masks.h5")
    return features, Regions(features, scores, outlines)


OTHER_GRIDS = [(7, 6), (2, 5), (3, 2), (5, 4)]
EMPTY = [np.zeros(size, bool) for size in SIZES]
CASES = {
    "a map on the same grid": (smooth_maps(2, GRIDS), None),
    "a map on other grids": (smooth_maps(3, OTHER_GRIDS), None),
    "a map of negative values": (smooth_maps(4, GRIDS, shift=-100.0), None),
    "a constant map": ([np.full(grid, -2.5, np.float32) for grid in GRIDS], None),
    "a map that is highest in most patches": ([np.minimum(each, -0.5) for each in smooth_maps(5, GRIDS)], None),
    "a map and masks": (smooth_maps(6, GRIDS), blobs(6, SIZES)),
    "a map on other grids and masks": (smooth_maps(7, OTHER_GRIDS), blobs(7, SIZES)),
    "a constant map and masks": ([np.zeros(grid, np.float32) for grid in GRIDS], blobs(8, SIZES)),
    "a map and masks of nothing": (smooth_maps(9, GRIDS), EMPTY),
    "masks alone": (None, blobs(10, SIZES)),
    "masks of everything": (None, [~mask for mask in EMPTY]),
    "masks of nothing alone": (None, EMPTY),
}


@pytest.mark.parametrize(("maps", "masks"), CASES.values(), ids=CASES)
def test_embeddings_are_those_of_a_slow_loop(
    tmp_path: Path, maps: list[np.ndarray] | None, masks: list[np.ndarray] | None
) -> None:
    features, regions = opened(tmp_path, maps, masks)
    tokens = [features.patch_tokens(index) for index in range(len(features))]
    order = [3, 0, 2, 1]
    expected_weights = [
        slow_weights(maps and maps[index], masks and masks[index], *grid) for index, grid in enumerate(GRIDS)
    ]
    for layers in (None, ["1"], ["1", "0"]):
        found = {
            kind: embed_images(features, order, EmbeddingOptions(kind=kind, layers=layers), regions).vectors
            for kind in ("image", "region", "both")
        }
        numbers = [0, 1] if layers is None else [int(layer) for layer in layers]
        for place, index in enumerate(order):
            rows, columns = GRIDS[index]
            weights = expected_weights[index]
            image = slow_embedding([features.cls_tokens_of(index)[layer] for layer in numbers])
            region = slow_embedding([slow_mean(tokens[index][layer], weights) for layer in numbers])
            # a map on another grid is resampled in float32
            tolerance = {"rtol": 0, "atol": 1e-5} if maps and maps[index].shape != (rows, columns) else TOLERANCE
            np.testing.assert_allclose(found["image"][place], image, **TOLERANCE)
            np.testing.assert_allclose(found["region"][place], region, **tolerance)
            np.testing.assert_allclose(found["both"][place], unit(np.concatenate([image, region])), **tolerance)
            np.testing.assert_allclose(np.linalg.norm(found["both"][place]), 1, **TOLERANCE)


def test_without_a_region_no_patch_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = opened(tmp_path, None, None)
    read: list[int] = []
    monkeypatch.setattr(FeatureReader, "half_tokens", lambda self, index: read.append(index))
    embed_images(features, range(4), EmbeddingOptions())
    assert read == []


def test_each_image_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, regions = opened(tmp_path, CASES["a map and masks"][0], CASES["a map and masks"][1])
    read: list[tuple[str, int]] = []
    for kind, name in ((FeatureReader, "half_tokens"), (ScoreReader, "anomaly_map"), (MaskReader, "mask")):
        whole = getattr(kind, name)

        def counted(self: object, index: int, name: str = name, whole: object = whole) -> np.ndarray:
            read.append((name, index))
            return whole(self, index)

        monkeypatch.setattr(kind, name, counted)
    embed_images(features, [0, 2, 3], EmbeddingOptions(kind="both"), regions)
    assert sorted(read) == sorted(
        (name, index) for name in ("half_tokens", "anomaly_map", "mask") for index in (0, 2, 3)
    )


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 4), (13, 64), (3, 1)])
def test_shares_are_exact_where_patches_are_smaller_than_pixels_too(height: int, width: int) -> None:
    mask = np.random.default_rng(height).random((height, width)) > 0.5
    mask[0, 0] = True
    for rows, columns in GRIDS[:3]:
        found = region_of(None, mask, rows, columns)
        np.testing.assert_allclose(found.weights, slow_shares(mask, rows, columns), **TOLERANCE)
        assert found.place == "mask"


def test_a_map_may_be_shifted_and_stretched() -> None:
    anomaly_map = smooth_maps(11, [(12, 10)])[0].astype(np.float64)
    one = region_of(anomaly_map, None, 12, 10).weights
    other = region_of(anomaly_map * 4 - 64, None, 12, 10).weights
    np.testing.assert_allclose(other / other.sum(), one / one.sum(), **TOLERANCE)
    assert np.count_nonzero(one) == 2  # of 120 patches


def test_of_a_map_without_a_peak_all_patches_count_alike() -> None:
    assert region_of(np.zeros((3, 4)), None, 3, 4).place == "everywhere"
    assert (region_of(np.zeros((5, 5)), None, 3, 4).weights == 1).all()
    assert region_of(np.array([[-7.0]]), None, 1, 1).weights.tolist() == [[1]]


# --- what is refused ---


@pytest.mark.parametrize("value", [0.0, np.inf, np.nan])
@pytest.mark.parametrize("kind", ["image", "region", "both"])
def test_a_vector_without_a_direction_is_refused_by_image_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, value: float
) -> None:
    features, regions = opened(tmp_path, CASES["a map on the same grid"][0], None)
    tokens, patches = features.cls_tokens().copy(), features.half_tokens(2).copy()
    if kind == "image":
        tokens[2, 1] = value
    else:
        patches[1] = value
    monkeypatch.setattr(features, "cls_tokens", lambda: tokens)
    original = features.half_tokens
    monkeypatch.setattr(features, "half_tokens", lambda index: patches if index == 2 else original(index))
    fault = "zero" if value == 0 else "not finite"
    sentence = rf"^the embedding of test/2\.png from {tmp_path}/features\.h5 is {fault}, .*; leave the image out, or"
    with pytest.raises(DataError, match=sentence):
        embed_images(features, range(4), EmbeddingOptions(kind=kind), regions)
    embed_images(features, [0, 1, 3], EmbeddingOptions(kind=kind), regions)
    embed_images(features, [2], EmbeddingOptions(kind=kind, layers=["0"]), regions)


def test_a_layer_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    features, _ = opened(tmp_path, None, None)
    with pytest.raises(ConfigError, match=r"^the features have no layer '11'; did you mean '1'\?$"):
        embed_images(features, [0], EmbeddingOptions(layers=[11]))


def test_a_region_of_unknown_position_is_a_programming_error(tmp_path: Path) -> None:
    features, _ = opened(tmp_path, None, None)
    with pytest.raises(ValueError, match="needs the defect regions"):
        embed_images(features, [0], EmbeddingOptions(kind="region"))


def test_a_map_that_is_not_finite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, regions = opened(tmp_path, CASES["a map on the same grid"][0], None)
    monkeypatch.setattr(ScoreReader, "anomaly_map", lambda self, index: np.array([[1.0, np.nan]]))
    with pytest.raises(DataError, match=rf"the map of test/1\.png in {tmp_path}/scores\.h5 is not finite; delete"):
        regions.region(1)
