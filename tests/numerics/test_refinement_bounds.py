"""Refiners work at a bounded size: as much as the image has pixels, whatever the map is like, and nearly as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from zsad.refinement import grabcut, guided, regional
from zsad.refinement.base import Refiner
from zsad.refinement.grabcut import GrabCut
from zsad.refinement.guided import Guided, filtered_above, guided_filter, tiles
from zsad.refinement.regions import bounded_shape, regions_above, resized_mask

REFINERS = [GrabCut(), Guided()]
THRESHOLD = 0.5


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photograph with a dark ellipse on a grained ground, its blurred map, and the ellipse."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((height, width), np.uint8)
    cv2.ellipse(truth, (width // 2, height // 2), (max(1, width // 8), max(1, height // 9)), 20, 0, 360, 1, -1)
    image = np.where(truth[..., None] > 0, 60, 150) + rng.normal(0, 6, (height, width, 1))
    blurred = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), max(1.0, min(height, width) / 32))
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8), 3, axis=2), blurred, truth > 0


def iou(mask: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(mask & other) / np.count_nonzero(mask | other)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Pixels that are cut, fitted and judged within the block."""
    pixels = {"cut": 0, "fitted": 0, "judged": 0}
    cut, fits, ratio = cv2.grabCut, guided.mean_fits, regional.edge_ratio

    def counted_cut(image: np.ndarray, *rest: object) -> object:
        pixels["cut"] += image.shape[0] * image.shape[1]
        return cut(image, *rest)

    def counted_fits(guide: np.ndarray, *rest: object) -> np.ndarray:
        pixels["fitted"] += guide.shape[0] * guide.shape[1]
        return fits(guide, *rest)

    def counted_ratio(image: np.ndarray, mask: np.ndarray) -> float:
        pixels["judged"] += mask.size
        return ratio(image, mask)

    with monkeypatch.context() as patched:
        patched.setattr(grabcut.cv2, "grabCut", counted_cut)
        patched.setattr(guided, "mean_fits", counted_fits)
        patched.setattr(regional, "edge_ratio", counted_ratio)
        yield pixels


@pytest.mark.parametrize("shape", [(700, 1500), (1700, 300), (40, 2600), (1, 2000), (1500, 3)])
@pytest.mark.parametrize("radius", [1, 9, 31])
def test_tiles_of_the_guided_filter_are_the_filter_of_the_whole_image(shape: tuple[int, int], radius: int) -> None:
    image, anomaly_map, _ = scene(*shape)
    whole = guided_filter(image / 255.0, anomaly_map, radius, 1e-4)
    level = float(np.quantile(whole, 0.9)) + 1e-3
    above = filtered_above(image, anomaly_map, radius, 1e-4, level)
    unsure = np.abs(whole - level) < 1e-9  # sums begin elsewhere, and so round differently
    np.testing.assert_array_equal(above[~unsure], (whole > level)[~unsure])


def test_tiles_cover_an_image_once() -> None:
    for shape in [(1, 1), (640, 640), (959, 961), (3000, 17)]:
        times = np.zeros(shape, int)
        for left, top, right, bottom in tiles(*shape):
            assert max(right - left, bottom - top) <= 1.5 * guided.TILE
            times[top:bottom, left:right] += 1
        assert (times == 1).all()


def test_a_wide_guided_filter_hardly_differs_from_the_one_at_full_size() -> None:
    image, anomaly_map, truth = scene(1300, 1700)
    radius = 81  # a sixteenth of the shorter side: made smaller by two
    whole = guided_filter(image / 255.0, anomaly_map, radius, 1e-4) > THRESHOLD
    fast = filtered_above(image, anomaly_map, radius, 1e-4, THRESHOLD)
    assert iou(fast, whole) > 0.97
    assert iou(fast, truth) > iou(anomaly_map > THRESHOLD, truth)


def test_a_bounded_cut_is_nearly_the_cut_at_full_size() -> None:
    image, anomaly_map, truth = scene(420, 520)
    full = GrabCut(max_pixels=1 << 22).refine(image, anomaly_map, THRESHOLD)
    bounded = GrabCut(max_pixels=4096).refine(image, anomaly_map, THRESHOLD)
    assert full.regions[0]["accepted"]
    assert bounded.regions[0]["accepted"]
    assert bounded.mask.shape == truth.shape
    assert iou(bounded.mask, full.mask) > 0.93
    assert iou(bounded.mask, truth) > 0.93


@pytest.mark.parametrize("refiner", REFINERS, ids=lambda refiner: type(refiner).__name__)
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1200, 1600), "noise"),
        ((1200, 1600), "all"),
        ((1200, 1600), "rings"),
        ((200, 8000), "noise"),
        ((1, 9000), "noise"),
        ((9000, 1), "half"),
        ((3, 3), "half"),
    ],
)
def test_the_work_on_an_image_is_bounded_by_its_pixels(
    refiner: Refiner, shape: tuple[int, int], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = shape
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    maps = {
        "noise": lambda: cv2.resize(rng.random((height // 8 + 1, width // 8 + 1)).astype(np.float32), (width, height)),
        "all": lambda: 0.6 + 0.1 * rng.random(shape),
        "rings": lambda: (np.hypot(rows - height / 2, columns - width / 2) % 16) / 16,
        "half": lambda: (rows + columns) / (height + width),
    }
    anomaly_map = maps[kind]().astype(np.float32)
    with counted(monkeypatch) as pixels:
        refinement = refiner.refine(image, anomaly_map, THRESHOLD)
    assert refinement.mask.shape == shape
    assert pixels["cut"] <= max(1 << 17, image.size / 3 / 16)
    assert pixels["fitted"] <= 4 * height * width + (1 << 16)
    assert pixels["judged"] <= max(1 << 22, 8 * height * width)
    regions = regions_above(anomaly_map, THRESHOLD, min_pixels=max(1, int(np.ceil(1e-4 * height * width))))
    assert len(refinement.regions) == len(regions)
    beyond = [region for region in refinement.regions if region["cause"] == "beyond the bound of work"]
    for found in beyond:  # they stay as they are
        assert not found["accepted"]
        assert found["area"] == found["component_area"]
        assert refinement.mask[found["peak"][1], found["peak"][0]]
    scores = [found["score"] for found in refinement.regions if found not in beyond]
    assert not beyond or min(scores) >= max(found["score"] for found in beyond)
    if kind == "rings":  # their boxes overlap, so that the sum of all has many times the pixels of the image
        assert beyond


def test_regions_have_the_first_of_their_greatest_values_as_their_peak() -> None:
    anomaly_map = np.random.default_rng(0).integers(0, 6, (90, 110)).astype(np.float32)
    for region in regions_above(anomaly_map, 3):
        left, top, right, bottom = region.box
        values = np.where(region.mask, anomaly_map[top:bottom, left:right], -1)
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert (region.score, region.peak) == (values.max(), (left + column, top + row))
        assert region.area == region.mask.sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 10**6), (10**6, 1), (7, 90001), (3000, 4000)])
def test_a_bounded_shape_is_bounded_and_keeps_its_proportions(shape: tuple[int, int]) -> None:
    rows, columns = bounded_shape(*shape, 65536)
    assert 1 <= rows <= shape[0]
    assert 1 <= columns <= shape[1]
    assert rows * columns <= (65536 if 1 in (rows, columns) else 65536 * 1.01)
    if min(shape) > 100:
        assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.02)


def test_a_thin_mask_does_not_vanish_when_it_is_made_smaller() -> None:
    mask = np.zeros((400, 400), bool)
    mask[200, 10:390] = True
    assert resized_mask(mask, (40, 40)).any()
    assert not resized_mask(np.zeros_like(mask), (40, 40)).any()
