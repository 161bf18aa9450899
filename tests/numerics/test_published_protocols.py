"""Smoothing, resizing, AUPRO and AUPIMO as published code has them, against their definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from zsad import metrics
from zsad.errors import ArrayError
from zsad.evaluation.aupimo import FEWEST, THRESHOLDS
from zsad.evaluation.bootstrap import Sampler, histogram_metrics, pixel_replicates
from zsad.evaluation.grids import with_corners_on_corners
from zsad.evaluation.linear_thresholds import linear_thresholds
from zsad.evaluation.mask_resizing import MASK_RESIZINGS
from zsad.evaluation.pixels import PixelStatistics, pixel_statistics
from zsad.smoothing import smooth

LIMIT = 0.3
MapAndMask = tuple[np.ndarray, np.ndarray | None]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 11.5])
@pytest.mark.parametrize("shape", [(1, 3), (7, 40), (64, 33)])
def test_maps_are_smoothed_as_by_scipy(shape: tuple[int, int], sigma: float) -> None:
    anomaly_map = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = smooth(anomaly_map, sigma)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ndimage.gaussian_filter(anomaly_map, sigma), rtol=0, atol=1e-6)


def test_without_smoothing_a_map_is_left_alone() -> None:
    anomaly_map = np.ones((3, 4), np.float32)
    assert smooth(anomaly_map, 0.0) is anomaly_map
    assert smooth(anomaly_map, 0.12) is anomaly_map  # its kernel ends before the next pixel, as scipy's does


@pytest.mark.parametrize(("grid", "size"), [((5, 6), (40, 31)), ((1, 4), (3, 9)), ((3, 3), (1, 1)), ((6, 5), (3, 4))])
def test_corners_of_a_grid_are_corners_of_the_image(grid: tuple[int, int], size: tuple[int, int]) -> None:
    anomaly_map = np.random.default_rng(1).normal(size=grid).astype(np.float32)
    rows, columns = (np.linspace(0, cells - 1, pixels) for cells, pixels in zip(grid, size, strict=True))
    along = np.array([np.interp(rows, np.arange(grid[0]), column) for column in anomaly_map.T]).T
    expected = np.array([np.interp(columns, np.arange(grid[1]), row) for row in along])
    found = with_corners_on_corners(anomaly_map, *size)
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def shades(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow's bilinear filter: a triangle over the pixels that a new one covers and as many beyond; columns first."""
    values = mask * 255.0
    for axis, pixels in ((1, width), (0, height)):
        scale = values.shape[axis] / pixels
        centres = (np.arange(pixels) + 0.5) * scale
        old = np.arange(values.shape[axis]) + 0.5
        weights = np.clip(1 - np.abs(old - centres[:, None]) / max(scale, 1.0), 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        values = np.floor(np.moveaxis(np.tensordot(weights, np.moveaxis(values, axis, 0), 1), 0, axis) + 0.5)
    return values


@pytest.mark.parametrize("shape", [(90, 70), (32, 33), (20, 200)])
def test_ground_truth_is_read_from_the_shades_of_a_resized_mask(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[5:14, 8:20], mask[15:18, :3], mask[2, 10] = True, True, True
    expected = shades(mask, 32, 32)
    settled = np.abs(expected - 127.5) > 2  # beside these, Pillow's whole-number weights may round otherwise
    found = {name: reading.read(mask, 32, 32) for name, reading in MASK_RESIZINGS.items()}
    np.testing.assert_array_equal(found["half"][settled], (expected > 127.5)[settled])
    np.testing.assert_array_equal(found["whole"], expected == 255)
    np.testing.assert_array_equal(found["any"], expected > 0)
    assert (found["whole"] <= found["half"]).all()
    assert (found["half"] <= found["any"]).all()
    assert found["whole"].sum() < found["nearest"].sum() < found["any"].sum()
    assert all(reading.read(mask, *shape) is mask for reading in MASK_RESIZINGS.values())


def images(seed: int, side: int = 40, good: int = 4) -> list[MapAndMask]:
    """Good maps and six with one or two regions each, two of these tied with normal pixels."""
    rng = np.random.default_rng(seed)
    made: list[MapAndMask] = []
    for number in range(good + 6):
        anomaly_map = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2).astype(np.float32)
        mask = np.zeros((side, side), bool)
        if number >= good:
            mask[5:15, 5 : 10 + number] = True
            mask[30:33, 30:35] = number % 2 == 0
            anomaly_map[mask] += np.float32(0.2)
        if number % 3 == 0:
            anomaly_map = np.round(anomaly_map, 1)
        made.append((anomaly_map, mask if mask.any() else None))
    return made


def regions(pairs: list[MapAndMask]) -> list[np.ndarray]:
    """Scores of each 8-connected region."""
    found = []
    for anomaly_map, mask in pairs:
        labelled, number = ndimage.label(np.zeros_like(anomaly_map) if mask is None else mask, np.ones((3, 3)))
        found += [anomaly_map[labelled == region + 1] for region in range(number)]
    return found


def normal_scores(pairs: list[MapAndMask]) -> np.ndarray:
    return np.concatenate([scores.ravel() if mask is None else scores[~mask] for scores, mask in pairs])


def aupro_of_musc(pairs: list[MapAndMask], limit: float, ends: tuple[float, float] | None = None) -> float:
    """At 200 thresholds, one by one, what exceeds them; points below the limit, their rates stretched to 0..1."""
    low, high = ends or (min(scores.min() for scores, _ in pairs), max(scores.max() for scores, _ in pairs))
    normal, of_regions = normal_scores(pairs).astype(np.float64), regions(pairs)
    rates, overlaps = [], []
    for threshold in np.arange(float(low), float(high), (float(high) - float(low)) / 200):
        rates.append((normal > threshold).mean())
        overlaps.append(np.mean([(scores.astype(np.float64) > threshold).mean() for scores in of_regions]))
    inside = np.array(rates) < limit
    x, y = np.array(rates)[inside][::-1], np.array(overlaps)[inside][::-1]
    x = (x - x.min()) / (x.max() - x.min())
    return float(np.trapezoid(y, x))


def aupro_of_subspacead(pairs: list[MapAndMask], limit: float) -> float:
    """At 300 normal scores above which even shares lie, one by one, what is at or above; cut at the limit."""
    normal, of_regions = np.sort(normal_scores(pairs)), regions(pairs)
    points = [(0.0, 0.0)]
    for wanted in np.linspace(0, limit, 301)[1:]:
        threshold = normal[int(np.floor((1 - wanted) * (normal.size - 1)))]
        points.append(((normal >= threshold).mean(), np.mean([(scores >= threshold).mean() for scores in of_regions])))
    x, y = np.array(sorted(points)).T
    inside = x <= limit
    at_limit = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], at_limit), np.append(x[inside], limit)) / limit)


@pytest.mark.parametrize("limit", [LIMIT, 0.05])
@pytest.mark.parametrize("seed", [0, 1])
def test_aupro_by_the_definitions_of_others(seed: int, limit: float) -> None:
    pairs = images(seed)
    name = "aupro" if limit == LIMIT else "aupro_005"
    for definition, reference in (("thresholds200", aupro_of_musc), ("fpr300", aupro_of_subspacead)):
        found = pixel_statistics(pairs, with_histograms=False, aupro=definition).metrics()
        assert found[name] == pytest.approx(reference(pairs, limit), abs=1e-5), definition
        exact = pixel_statistics(pairs, with_histograms=False).metrics()
        assert found[name] != pytest.approx(exact[name], abs=1e-6)
        assert {key: found[key] for key in found if "aupro" not in key} == pytest.approx(
            {key: exact[key] for key in found if "aupro" not in key}, nan_ok=True
        )


def test_normal_ties_move_the_even_rates_by_little() -> None:
    pairs = [(np.round(scores, 2), mask) for scores, mask in images(2)]
    found = pixel_statistics(pairs, with_histograms=False, aupro="fpr300").metrics()["aupro"]
    assert found == pytest.approx(aupro_of_subspacead(pairs, LIMIT), abs=2e-3)


def test_draws_and_types_at_the_thresholds_of_the_category() -> None:
    pairs = images(3)
    types = [None if mask is None else "ab"[index % 2] for index, (_, mask) in enumerate(pairs)]
    found = pixel_statistics(pairs, with_histograms=True, types=types, aupro="thresholds200")
    ends = (min(scores.min() for scores, _ in pairs), max(scores.max() for scores, _ in pairs))
    of_type = [pair for pair, name in zip(pairs, types, strict=True) if name in (None, "a")]
    assert found.by_type["a"].aupro_to(LIMIT) == pytest.approx(aupro_of_musc(of_type, LIMIT, ends), abs=1e-5)
    assert found.histograms is not None
    weights = np.random.default_rng(0).integers(0, 3, (1, len(pairs))).astype(float)
    drawn = [pair for pair, weight in zip(pairs, weights[0], strict=True) for _ in range(int(weight))]
    values = histogram_metrics(found.histograms, weights)
    assert values["aupro"] == pytest.approx([aupro_of_musc(drawn, LIMIT, ends)], abs=1e-5)
    chosen = np.array([name in (None, "a") for name in types])
    once = histogram_metrics(found.histograms.of_images(chosen), np.ones((1, len(of_type))))
    assert once["aupro"] == pytest.approx([found.by_type["a"].aupro_to(LIMIT)], abs=1e-12)


def test_draws_at_even_rates_are_near_the_value() -> None:
    pairs = images(4)
    found = pixel_statistics(pairs, with_histograms=True, aupro="fpr300")
    assert found.histograms is not None
    once = histogram_metrics(found.histograms, np.ones((1, len(pairs))))
    assert once["aupro"] == pytest.approx([found.metrics()["aupro"]], abs=2e-3)
    assert np.ptp(pixel_replicates(found.histograms, Sampler(40, seed=0))["aupro"]) > 0


def test_equal_scores_leave_linear_thresholds_nothing_to_separate() -> None:
    assert linear_thresholds(1.0, 1.0).size == 0
    pairs = [(np.ones_like(scores), mask) for scores, mask in images(0)]
    for definition, value in (("thresholds200", np.nan), ("fpr300", LIMIT / 2), ("exact", LIMIT / 2)):
        found = pixel_statistics(pairs, with_histograms=False, aupro=definition).metrics()
        assert found["aupro"] == pytest.approx(value, nan_ok=True)


def aupimo_of_its_authors(pairs: list[MapAndMask]) -> list[float]:
    """Of each anomalous image: trapezoids over the logarithm of the rates, between the thresholds nearest to both."""
    good = [np.sort(scores, axis=None) for scores, mask in pairs if mask is None]
    low, high = min(scores[0] for scores in good), max(scores[-1] for scores in good)
    thresholds = np.linspace(float(low), float(high), THRESHOLDS, dtype=np.float32)
    shares = [1 - np.searchsorted(scores, thresholds, side="left") / scores.size for scores in good]
    rates = np.mean(shares, axis=0)
    first, last = (int(np.argmin(np.abs(rates - bound))) for bound in (1e-4, 1e-5))
    x = np.log(rates[first : last + 1])[::-1]
    areas = []
    for scores, mask in pairs:
        if mask is not None:
            found = np.sort(scores[mask])
            recall = 1 - np.searchsorted(found, thresholds[first : last + 1], side="left") / found.size
            areas.append(float(np.clip(np.trapezoid(recall[::-1], x) / np.log(10), 0, 1)))
    return areas


@pytest.fixture(scope="module")
def large() -> list[MapAndMask]:
    return [(scores + np.float32(0.15) * (mask is not None), mask) for scores, mask in images(5, side=260, good=3)]


@pytest.fixture(scope="module")
def interpolated(large: list[MapAndMask]) -> PixelStatistics:
    return pixel_statistics(large, with_histograms=True, aupimo="interpolated")


def test_aupimo_as_by_its_authors(large: list[MapAndMask], interpolated: PixelStatistics) -> None:
    of_images = interpolated.image_aupimo[~np.isnan(interpolated.image_aupimo)]
    expected = aupimo_of_its_authors(large)
    assert 0.02 < np.mean(expected) < 0.98
    np.testing.assert_allclose(of_images, expected, rtol=0, atol=1e-5)
    assert interpolated.aupimo == pytest.approx(np.mean(expected), abs=1e-5)
    steps = pixel_statistics(large, with_histograms=False)
    assert steps.aupimo == pytest.approx(interpolated.aupimo, abs=0.03)
    assert abs(steps.aupimo - interpolated.aupimo) > 1e-5
    assert interpolated.remark == ""


def test_draws_of_aupimo_are_near_the_value(large: list[MapAndMask], interpolated: PixelStatistics) -> None:
    assert interpolated.histograms is not None
    once = histogram_metrics(interpolated.histograms, np.ones((1, len(large))))["aupimo"]
    assert once == pytest.approx([interpolated.aupimo], abs=0.01)
    weights = np.ones((1, len(large)))
    weights[0, 3:6], weights[0, 6:] = 2, 0
    twice = [pair for pair, weight in zip(large, weights[0], strict=True) for _ in range(int(weight))]
    drawn = histogram_metrics(interpolated.histograms, weights)["aupimo"]
    assert drawn == pytest.approx([np.mean(aupimo_of_its_authors(twice))], abs=0.01)


def test_aupimo_is_not_known_where_its_authors_refuse() -> None:
    few = images(6)  # 6400 good pixels, so that no threshold marks as few as 1e-5 of them
    found = pixel_statistics(few, with_histograms=True, aupimo="interpolated")
    assert np.isnan(found.aupimo)
    assert "their highest score marks" in found.remark
    with pytest.raises(ArrayError, match="normal images are marked"):
        metrics.aupimo(
            [scores for scores, _ in few],
            [np.zeros_like(scores, bool) if mask is None else mask for scores, mask in few],
            protocol="native + aupimo interpolated",
        )
    coarse = images(6, side=260, good=3)
    coarse[0][0][0, 0] = 1e6  # all but one of the thresholds lie beyond the other scores
    found = pixel_statistics(coarse, with_histograms=False, aupimo="interpolated")
    assert np.isnan(found.aupimo)
    assert f"{FEWEST + 1} are needed" in found.remark
    coarse[0][0][0, 0] = 700
    found = pixel_statistics(coarse, with_histograms=False, aupimo="interpolated")
    assert found.aupimo == pytest.approx(np.mean(aupimo_of_its_authors(coarse)), abs=1e-5)
    assert "may be inaccurate" in found.remark


def test_metrics_of_arrays_take_a_protocol_by_the_words_of_the_tables() -> None:
    pairs = images(7)
    maps = [scores for scores, _ in pairs]
    masks = [np.zeros_like(scores, bool) if mask is None else mask for scores, mask in pairs]
    blurred = [ndimage.gaussian_filter(scores, 4) for scores in maps]
    found = metrics.pixel_metrics(maps, masks, protocol="native + smoothing 4 + aupro fpr300")
    assert found["pixel_ap"] == pytest.approx(metrics.pixel_ap(blurred, masks), abs=1e-4)
    assert found["aupro"] == pytest.approx(
        aupro_of_subspacead(
            [(scores, mask if mask.any() else None) for scores, mask in zip(blurred, masks, strict=True)], LIMIT
        ),
        abs=1e-4,
    )
    assert found["aupro"] == metrics.aupro(maps, masks, protocol="native + smoothing 4 + aupro fpr300")
    whole = metrics.mask_metrics(masks, masks, protocol="resize33 + truth whole")
    assert whole["mask_recall"] == 1.0 > whole["mask_precision"]
    for wrong, reason in (
        ("resize12", "side N of 32 to 4096"),
        ("native + smoothing much", "number of pixels"),
        ("native + truth wide", "truth whole"),
        ("native + crop 224", "'crop 224' is not a protocol setting"),
    ):
        with pytest.raises(ArrayError, match=reason):
            metrics.pixel_auroc(maps, masks, protocol=wrong)


@pytest.mark.parametrize("aupro", ["exact", "thresholds200", "fpr300"])
@pytest.mark.parametrize("aupimo", ["steps", "interpolated"])
def test_without_a_defective_or_a_good_pixel_nothing_is_known(aupro: str, aupimo: str) -> None:
    anomaly_map = np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)
    full = np.ones((20, 20), bool)
    for pairs in (
        [(anomaly_map, None)],
        [(anomaly_map, full)],
        [(anomaly_map, ~full)],
        [(0 * anomaly_map, full), (0 * anomaly_map, None)],
    ):
        found = pixel_statistics(pairs, with_histograms=True, aupro=aupro, aupimo=aupimo).metrics()
        is_known = len(pairs) == 2 and aupro != "thresholds200"  # equal scores have no thresholds between them
        assert np.isnan(found["aupro"]) == (not is_known)
        assert found["aupimo"] == 0.0 if len(pairs) == 2 and aupimo == "steps" else np.isnan(found["aupimo"])
