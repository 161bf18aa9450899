"""The metrics on arrays, against scikit-learn and slow definitions, and what they refuse."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from zsad import metrics
from zsad.errors import ArrayError, ZsadError
from zsad.maps import at_image_size

SIZES = [(18, 24), (24, 18), (20, 20), (18, 24), (16, 16), (30, 12)]
GRIDS = [(6, 8), (8, 6), (5, 5), (6, 8), (16, 16), (7, 3)]  # the fifth has the size of its image


def pictures(seed: int, *, decimals: int = 1) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps on grids of several sizes, rounded so that many values are equal, and masks: three normal images of six."""
    rng = np.random.default_rng(seed)
    masks = [np.zeros(size, bool) for size in SIZES]
    masks[1][2:9, 3:8] = True
    masks[3][0, 0] = masks[3][10:12, 4:20] = True
    masks[4][2:4, 2:4] = masks[4][4:6, 4:6] = True  # they touch at a corner
    maps = [rng.normal(size=grid).round(decimals) for grid in GRIDS]
    maps[1][0:3, 1:3] += 1.0
    maps[3][3:4, 1:7] += 1.0
    return maps, masks


def enlarged(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [at_image_size(each, *mask.shape) for each, mask in zip(maps, masks, strict=True)]


def pooled(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays, axis=None)


def f1_at(scores: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    return reference.f1_score(labels, scores >= threshold)


def aupro_by_definition(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], limit: float) -> float:
    """Overlap and false-positive rate at every score, straight lines in between, cut at the limit."""
    scores, labels = pooled(maps), pooled(masks)
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        overlaps: list[float] = []
        for anomaly_map, mask in zip(maps, masks, strict=True):
            regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [np.mean(anomaly_map[regions == region] >= threshold) for region in range(1, count + 1)]
        points.append((float(np.mean(scores[~labels] >= threshold)), float(np.mean(overlaps))))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        end = min(x1, limit)
        if end > x0:
            area += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return area / limit


def aupimo_by_definition(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> list[float]:
    """Of each defective image: recall over rate, a step at every score, integrated over the logarithm of the rate."""
    good = [each for each, mask in zip(maps, masks, strict=True) if not mask.any()]
    levels = np.unique(pooled(good))[:-200:-1]  # the highest: below them more than 1e-4 of the pixels lie above
    areas = []
    for anomaly_map, mask in zip(maps, masks, strict=True):
        if mask.any():
            area = 0.0
            rates = [0.0, *(float(np.mean([np.mean(each >= level) for each in good])) for level in levels)]
            for rate, following, level in zip(rates, [*rates[1:], 1.0], [*levels, -np.inf], strict=True):
                low, high = np.clip([rate, following], 1e-5, 1e-4)
                area += np.log(high / low) * np.mean(anomaly_map[mask] > level)
            areas.append(area / np.log(10))
    return areas


# --- images ---


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, int])
@pytest.mark.parametrize("seed", [0, 1])
def test_image_metrics_are_those_of_scikit_learn(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 40)
    scores = (5 * rng.normal(size=40) + 3 * labels).round(0 if dtype is int else 1).astype(dtype)
    assert metrics.image_auroc(scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.image_ap(scores, labels) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )
    greatest = max(f1_at(scores, labels, threshold) for threshold in scores)
    assert metrics.image_f1_max(scores, labels) == pytest.approx(greatest, abs=1e-12)
    assert metrics.image_metrics(scores, labels) == {
        "image_auroc": metrics.image_auroc(scores, labels),
        "image_ap": metrics.image_ap(scores, labels),
        "image_f1max": metrics.image_f1_max(scores, labels),
    }
    best = metrics.best_threshold(scores, labels)
    assert metrics.decision_metrics(scores > best, labels)["decision_f1"] == pytest.approx(greatest, abs=1e-12)
    curve = metrics.image_curves(scores, labels)["image_roc"]
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(metrics.image_auroc(scores, labels))


def test_scores_that_differ_in_the_last_digit_of_their_type_are_different() -> None:
    close = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert metrics.image_auroc(close, [0, 1]) == 1.0
    assert metrics.image_auroc(close.astype(np.float32), [0, 1]) == 0.5
    assert metrics.decision_metrics(close > metrics.best_threshold(close, [0, 1]), [0, 1])["decision_f1"] == 1.0


def test_decisions_are_measured_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(3)
    labels, decisions = rng.integers(0, 2, (2, 30)).astype(bool)
    found = metrics.decision_metrics(decisions, labels)
    assert found["decision_precision"] == pytest.approx(reference.precision_score(labels, decisions))
    assert found["decision_recall"] == pytest.approx(reference.recall_score(labels, decisions))
    assert found["decision_f1"] == pytest.approx(reference.f1_score(labels, decisions))
    assert found["decision_accuracy"] == pytest.approx(reference.accuracy_score(labels, decisions))
    assert found["decision_fpr"] == pytest.approx(1 - reference.recall_score(~labels, ~decisions))
    for name, (low, high) in metrics.decision_limits(decisions, labels, draws=200).items():
        assert low < found[name] < high


def test_limits_hold_the_metric_and_depend_on_seed_and_category() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    scores = rng.normal(size=60) + labels
    limits = metrics.image_limits(scores, labels, draws=200)
    for name, value in metrics.image_metrics(scores, labels).items():
        assert limits[name].low < value < limits[name].high + 1e-9
    assert metrics.image_limits(scores, labels, draws=200) == limits
    assert metrics.image_limits(scores, labels, draws=200, seed=1) != limits
    assert metrics.image_limits(scores, labels, draws=200, category="ring") != limits


# --- pixels ---


@pytest.mark.parametrize("seed", [0, 1])
def test_pixel_metrics_are_those_of_scikit_learn_and_of_their_definitions(seed: int) -> None:
    maps, masks = pictures(seed)
    large = enlarged(maps, masks)
    scores, labels = pooled(large), pooled(masks)
    expected = {
        "pixel_auroc": reference.roc_auc_score(labels, scores),
        "pixel_ap": reference.average_precision_score(labels, scores),
        "pixel_f1max": max(f1_at(scores, labels, threshold) for threshold in np.unique(scores[labels])),
        "pixel_ioumax": max(
            reference.jaccard_score(labels, scores >= threshold) for threshold in np.unique(scores[labels])
        ),
        "aupro": aupro_by_definition(large, masks, 0.3),
        "aupro_005": aupro_by_definition(large, masks, 0.05),
        "aupimo": np.mean(aupimo_by_definition(large, masks)),
        "auspro_005": np.nan,
    }
    assert metrics.pixel_metrics(maps, masks) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    single = {
        "pixel_auroc": metrics.pixel_auroc,
        "pixel_ap": metrics.pixel_ap,
        "pixel_f1max": metrics.pixel_f1_max,
        "pixel_ioumax": metrics.pixel_iou_max,
        "aupro": metrics.aupro,
        "aupimo": metrics.aupimo,
    }
    for name, metric in single.items():
        assert metric(maps, masks) == metric(large, masks) == pytest.approx(expected[name], abs=1e-9), name
    assert metrics.aupro(maps, masks, limit=0.7) == pytest.approx(aupro_by_definition(large, masks, 0.7), abs=1e-9)
    curves = metrics.pixel_curves(maps, masks, limit=0.7)
    assert np.trapezoid(curves["pixel_roc"].y, curves["pixel_roc"].x) == pytest.approx(expected["pixel_auroc"])
    assert np.trapezoid(curves["pro"].y, curves["pro"].x) / 0.7 == pytest.approx(metrics.aupro(maps, masks, limit=0.7))


def test_aupimo_of_each_image_is_that_of_its_definition_and_unknown_of_good_ones() -> None:
    rng = np.random.default_rng(5)
    masks = [np.zeros((300, 300), bool) for _ in range(4)]
    masks[2][50:90, 20:70] = masks[3][200:210, 200:290] = True
    maps = [rng.normal(size=mask.shape).astype(np.float32) + 4 * mask for mask in masks]
    found = metrics.image_aupimo(maps, masks)
    assert np.isnan(found).tolist() == [True, True, False, False]
    expected = aupimo_by_definition([*maps[:1], *maps[1:]], masks)
    assert 0.1 < min(expected) < 0.9
    assert found[2:] == pytest.approx(expected, abs=1e-9)
    assert metrics.aupimo(maps, masks) == pytest.approx(np.mean(expected), abs=1e-9)


def test_a_defective_image_with_an_empty_mask_is_no_good_image_where_labels_say_so() -> None:
    rng = np.random.default_rng(5)
    masks = [np.zeros((64, 64), bool) for _ in range(3)]
    masks[2][5:20, 5:20] = True
    maps = [rng.normal(size=(64, 64)) + mask for mask in masks]
    maps[1] += 9.0
    assert metrics.aupimo(maps, masks) == 0.0
    told = metrics.aupimo(maps, masks, labels=[0, 1, 1])
    assert told == metrics.aupimo([maps[0], maps[2]], [masks[0], masks[2]]) > 0
    assert metrics.pixel_metrics(maps, masks, labels=[0, 1, 1])["aupimo"] == told


def test_saturated_overlap_is_that_of_its_definition() -> None:
    maps, masks = pictures(2)
    large = enlarged(maps, masks)
    defects: list[list[tuple[np.ndarray, int]]] = [[] for _ in masks]
    defects[1], defects[4] = [(masks[1], 10)], [(masks[4], 3)]
    upper = np.zeros_like(masks[3])
    upper[0, 0] = True
    defects[3] = [(upper, 1), (masks[3] & ~upper, 20)]
    normal = np.concatenate([each[~mask] for each, mask in zip(large, masks, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in np.unique(pooled(large))[::-1]:
        shares = [
            min(np.count_nonzero(each[pixels] >= threshold) / area, 1.0)
            for each, of_image in zip(large, defects, strict=True)
            for pixels, area in of_image
        ]
        points.append((float(np.mean(normal >= threshold)), float(np.mean(shares))))
    x, y = np.array(points).T
    inside = x <= 0.05
    x, y = np.append(x[inside], 0.05), np.append(y[inside], np.interp(0.05, x, y))
    found = metrics.auspro(maps, masks, defects)
    assert found == pytest.approx(np.trapezoid(y, x) / 0.05, abs=1e-9)
    assert metrics.pixel_metrics(maps, masks, defects=defects)["auspro_005"] == found


def test_resize256_compares_at_256_pixels() -> None:
    maps, masks = pictures(1)
    rows = np.arange(256)
    squares = [mask[np.ix_(rows * mask.shape[0] // 256, rows * mask.shape[1] // 256)] for mask in masks]
    centres = [
        mask[np.ix_(((rows + 0.5) * mask.shape[0] / 256).astype(int), ((rows + 0.5) * mask.shape[1] / 256).astype(int))]
        for mask in masks
    ]
    assert any((square != centre).any() for square, centre in zip(squares, centres, strict=True))
    scores = pooled([at_image_size(each, 256, 256) for each in maps])
    expected = reference.roc_auc_score(pooled(centres), scores)
    assert metrics.pixel_auroc(maps, masks, protocol="resize256") == pytest.approx(expected, abs=1e-9)


def test_pixel_limits_hold_the_metric() -> None:
    rng = np.random.default_rng(0)
    masks = [np.zeros((24, 24), bool) for _ in range(12)]
    for mask in masks[::2]:
        mask[4:12, 4:12] = True
    maps = [rng.normal(size=(24, 24)) + 2 * mask for mask in masks]
    values = metrics.pixel_metrics(maps, masks)
    limits = metrics.pixel_limits(maps, masks, draws=200)
    assert set(limits) == {name for name, value in values.items() if not np.isnan(value)}
    for name, (low, high) in limits.items():
        assert low - 2e-3 <= values[name] <= high + 2e-3, name
        assert high > low, name


def test_masks_are_measured_pixel_by_pixel_and_defect_by_defect() -> None:
    maps, masks = pictures(0)
    predictions = [each > 0.8 for each in enlarged(maps, masks)]
    found = metrics.mask_metrics(predictions, masks)
    marked, truth = pooled(predictions), pooled(masks)
    assert found["mask_precision"] == pytest.approx(reference.precision_score(truth, marked))
    assert found["mask_recall"] == pytest.approx(reference.recall_score(truth, marked))
    assert found["mask_f1"] == pytest.approx(reference.f1_score(truth, marked))
    assert found["mask_iou"] == pytest.approx(reference.jaccard_score(truth, marked))
    hit, regions, right, components = 0, 0, 0, 0
    for prediction, mask in zip(predictions, masks, strict=True):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        hit += sum(prediction[labels == label].any() for label in range(1, count + 1))
        regions += count
        labels, count = ndimage.label(prediction, structure=np.ones((3, 3)))
        right += sum(mask[labels == label].any() for label in range(1, count + 1))
        components += count
    assert (found["region_recall"], found["region_precision"]) == (hit / regions, right / components)
    assert metrics.threshold_metrics(maps, masks, 0.8) == found
    overlaps = metrics.image_overlaps(predictions, masks)
    for index, (prediction, mask) in enumerate(zip(predictions, masks, strict=True)):
        assert overlaps["area"][index] == prediction.mean()
        if mask.any():
            assert overlaps["iou"][index] == pytest.approx(reference.jaccard_score(mask.ravel(), prediction.ravel()))
            assert overlaps["dice"][index] == pytest.approx(reference.f1_score(mask.ravel(), prediction.ravel()))
        else:
            assert np.isnan([overlaps["iou"][index], overlaps["dice"][index]]).all()
    limits = metrics.mask_limits(predictions, masks, draws=100)
    assert metrics.threshold_limits(maps, masks, 0.8, draws=100) == limits
    assert set(limits) == set(found)
    assert limits["mask_iou"].low < found["mask_iou"] < limits["mask_iou"].high


def test_a_pair_of_thresholds_marks_the_regions_that_stand_out_of_each_image_by_its_own() -> None:
    rng = np.random.default_rng(5)
    maps = [cv2.GaussianBlur(rng.normal(size=(12, 15)), (3, 3), 0) for _ in range(6)]
    masks = [anomaly_map > np.quantile(anomaly_map, 0.93) for anomaly_map in maps]
    pixels = np.array([np.quantile(anomaly_map, 0.8) for anomaly_map in maps])
    regions = np.array([np.quantile(anomaly_map, rng.uniform(0.9, 1)) for anomaly_map in maps])
    predictions = []
    for anomaly_map, pixel, region in zip(maps, np.float32(pixels), np.float32(regions), strict=True):
        labels, count = ndimage.label(np.float32(anomaly_map) > pixel, structure=np.ones((3, 3)))
        kept = [label for label in range(1, count + 1) if np.float32(anomaly_map)[labels == label].max() > region]
        predictions.append(np.isin(labels, kept))
    found = metrics.threshold_metrics(maps, masks, pixels, region=regions)
    assert found == metrics.mask_metrics(predictions, masks)
    assert found != metrics.threshold_metrics(maps, masks, pixels)
    limits = metrics.threshold_limits(maps, masks, pixels, region=regions, draws=60)
    assert limits == metrics.mask_limits(predictions, masks, draws=60)
    one = metrics.threshold_metrics(maps, masks, 0.5, region=0.5)
    assert one == metrics.threshold_metrics(maps, masks, [0.5] * 6) == metrics.threshold_metrics(maps, masks, 0.5)


def test_ratios_compare_with_the_best_that_labels_could_choose() -> None:
    rng = np.random.default_rng(6)
    labels = rng.random(40) < 0.4
    scores = rng.normal(size=40) + 1.5 * labels
    decisions = scores > 1.5
    expected = reference.f1_score(labels, decisions) / max(f1_at(scores, labels, threshold) for threshold in scores)
    assert metrics.decision_metrics(decisions, labels, scores=scores)["decision_ratio"] == pytest.approx(expected)
    low, high = metrics.decision_limits(decisions, labels, scores=scores, draws=200)["decision_ratio"]
    assert low < expected < high <= 1
    better = metrics.decision_metrics(labels, labels, scores=scores)
    assert better["decision_ratio"] == 1 / metrics.image_f1_max(scores, labels) > 1
    maps, masks = [rng.normal(size=(8, 8)) for _ in range(9)], rng.random((9, 8, 8)) < 0.1
    for anomaly_map, mask in zip(maps, masks, strict=True):
        anomaly_map += 2 * mask
    f1 = metrics.threshold_metrics(maps, masks, 1.5, region=2)["mask_f1"]
    ratio = metrics.threshold_ratio(maps, masks, 1.5, region=2)
    assert ratio == f1 / metrics.pixel_f1_max(maps, masks)
    low, high = metrics.threshold_ratio_limits(maps, masks, 1.5, region=2, draws=100)
    assert low < ratio < high


# --- forms of arrays ---


def test_arrays_stacks_lists_and_whole_numbers_are_the_same() -> None:
    rng = np.random.default_rng(0)
    maps, masks = rng.integers(0, 9, (3, 4, 5)), rng.integers(0, 2, (3, 4, 5))
    expected = metrics.pixel_metrics(maps, masks)
    assert metrics.pixel_metrics(list(maps.astype(np.float16)), list(masks.astype(bool))) == expected
    assert metrics.pixel_metrics(maps.tolist(), masks.tolist()) == expected
    assert metrics.pixel_metrics(tuple(np.asfortranarray(each) for each in maps), masks.astype(float)) == expected
    assert metrics.pixel_metrics(maps[:, ::-1], masks[:, ::-1]) == pytest.approx(expected, nan_ok=True)


class Made:
    """Arrays that are made when they are asked for."""

    def __init__(self, count: int, make: Callable[[int], np.ndarray]) -> None:
        self.count, self.make = count, make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> np.ndarray:
        return self.make(position)


def test_images_that_are_made_when_asked_for_are_never_all_in_memory() -> None:
    side, count = 400, 60

    def make_mask(position: int) -> np.ndarray:
        mask = np.zeros((side, side), bool)
        mask[:20, :20] = position % 3 == 0
        return mask

    def make_map(position: int) -> np.ndarray:
        rng = np.random.default_rng(position)
        return rng.random((side, side), np.float32) + np.float32(0.5) * make_mask(position)

    masks, maps = Made(count, make_mask), Made(count, make_map)
    metrics.aupro(Made(6, make_map), Made(6, make_mask), memory_mb=2)
    tracemalloc.start()
    metrics.aupro(Made(6, make_map), Made(6, make_mask), memory_mb=2)
    _, few = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    metrics.aupro(maps, masks, memory_mb=2)
    _, many = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert many - few < 0.25 * 4 * side * side * count


def test_with_too_little_memory_a_warning_bounds_the_error() -> None:
    rng = np.random.default_rng(0)
    masks = [np.ones((300, 300), bool), np.zeros((300, 300), bool)]
    maps = [rng.normal(size=mask.shape) + 0.5 * mask for mask in masks]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = metrics.pixel_auroc(maps, masks)
    with pytest.warns(UserWarning, match="memory_mb = 1 allows, so scores were rounded.* at most [0-9.e-]+;") as told:
        rounded = metrics.pixel_auroc(maps, masks, memory_mb=1)
    bound = float(str(told[0].message).split("at most ")[1].split(";")[0])
    assert 0 < abs(rounded - exact) <= bound
    assert told[0].filename == __file__


# --- what is refused ---

MAP, MASK = np.eye(4), np.eye(4, dtype=bool)
PIXEL_METRICS = [
    metrics.pixel_auroc,
    metrics.pixel_ap,
    metrics.pixel_f1_max,
    metrics.pixel_iou_max,
    metrics.aupro,
    metrics.aupimo,
    metrics.image_aupimo,
    metrics.pixel_metrics,
    metrics.pixel_limits,
    metrics.pixel_curves,
    lambda maps, masks: metrics.auspro(maps, masks, [[(MASK, 1)]] * (len(masks) or 1)),
    lambda maps, masks: metrics.threshold_metrics(maps, masks, 0.5),
    lambda maps, masks: metrics.threshold_limits(maps, masks, 0.5),
]
PIXEL_FAULTS = {
    "different numbers": (([MAP, MAP], [MASK]), "there are 2 maps and 1 masks; give one of each for every image"),
    "none": (([], []), "there are no maps and no masks"),
    "a generator": (((each for each in [MAP]), [MASK]), "the maps are a generator, which cannot be indexed"),
    "by name": (({"a": MAP}, [MASK]), "the maps are a mapping; give a list in the order"),
    "NaN": (([np.where(MASK, np.nan, 0)], [MASK]), "map 0 has a NaN"),
    "infinite": (([np.where(MASK, np.inf, 0)], [MASK]), "map 0 has a NaN, or a value that is infinite"),
    "masked": (([np.ma.masked_array(MAP, MASK)], [MASK]), "masked values in map 0"),
    "beyond float32": (([1e300 * MAP], [MASK]), "too large for float32"),
    "one map alone": ((MAP, MASK), r"mask 0 has the shape \(4,\), but must be \[height, width\]"),
    "three dimensions": (([MAP[None]], [MASK]), r"map 0 has the shape \(1, 4, 4\), but must be \[row, column\]"),
    "no pixel": (([MAP], [np.zeros((0, 4))]), "mask 0 has the shape .* without a pixel"),
    "no patch": (([np.zeros((0, 4))], [MASK]), "map 0 has the shape .* without a pixel"),
    "grey mask": (([MAP], [255 * MASK.astype(np.uint8)]), "mask 0 has the value 255, .* give e.g. mask > 0"),
    "soft mask": (([MAP], [0.5 * MASK]), "mask 0 has the value 0.5"),
    "NaN in a mask": (([MAP], [np.where(MASK, np.nan, 0)]), "mask 0 has the value nan"),
    "None for a mask": (([MAP], [None]), r"mask 0 is None, .* np.zeros\(\(height, width\), bool\)"),
    "text": (([MAP.astype(str)], [MASK]), "map 0 must be numbers"),
    "ragged": (([[[1.0], [1.0, 2.0]]], [MASK]), "map 0 cannot be read as one array"),
    "complex": (([MAP.astype(complex)], [MASK]), "map 0 must be numbers, not complex128"),
    "nothing defective": (([MAP], [0 * MAP]), "none of the 1 masks marks a pixel"),
}


@pytest.mark.parametrize("fault", PIXEL_FAULTS)
@pytest.mark.parametrize("metric", PIXEL_METRICS)
def test_maps_and_masks_that_make_no_sense_are_named_in_a_sentence(metric: Callable, fault: str) -> None:
    (maps, masks), message = PIXEL_FAULTS[fault]
    with pytest.raises(ArrayError, match=message) as raised:
        metric(maps, masks)
    assert isinstance(raised.value, ZsadError)
    assert isinstance(raised.value, ValueError)
    assert "\n" not in str(raised.value)


IMAGE_FAULTS = {
    "different numbers": (([1.0, 2.0], [0]), "there are 2 scores and 1 labels"),
    "none": (([], []), "there are no scores and no labels"),
    "NaN": (([1.0, np.nan], [0, 1]), "score 1 is nan, which has no rank"),
    "infinite": (([np.inf, 2.0], [0, 1]), "score 0 is inf"),
    "masked": ((np.ma.masked_array([1.0, 2.0], [0, 1]), [0, 1]), "masked values in the scores"),
    "two axes": (([[1.0, 2.0]], [0, 1]), r"the scores have the shape \(1, 2\), but must be \[image\]"),
    "a number": ((1.0, 1), r"the scores have the shape \(\)"),
    "unknown label": (([1.0, 2.0], [0, -1]), "label 1 is -1, but it must be 1 for defective or 0 for normal"),
    "missing label": (([1.0, 2.0], [0, None]), "the labels must be numbers"),
    "words": (([1.0, 2.0], ["good", "scratch"]), "the labels must be numbers"),
    "all good": (([1.0, 2.0], [0, 0]), "none of the 2 images is defective, so nothing can be ranked"),
    "all defective": (([1.0, 2.0], [1, 1]), "none of the 2 images is normal, so nothing can be ranked"),
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
@pytest.mark.parametrize(
    "metric",
    [
        metrics.image_auroc,
        metrics.image_ap,
        metrics.image_f1_max,
        metrics.image_metrics,
        metrics.image_limits,
        metrics.image_curves,
        metrics.best_threshold,
    ],
)
def test_scores_and_labels_that_make_no_sense_are_named_in_a_sentence(metric: Callable, fault: str) -> None:
    (scores, labels), message = IMAGE_FAULTS[fault]
    with pytest.raises(ArrayError, match=message):
        metric(scores, labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.aupro([MAP], [MASK], limit=0), "limit of the false-positive rate is 0"),
        (lambda: metrics.aupro([MAP], [MASK], limit=float("nan")), "is nan"),
        (lambda: metrics.pixel_curves([MAP], [MASK], limit=1.5), "above 0 and at most 1"),
        (lambda: metrics.auspro([MAP], [MASK], [[(MASK, 1)]], limit=-1), "is -1"),
        (
            lambda: metrics.pixel_ap([MAP], [MASK], protocol="resize8"),
            "32 to 4096 pixels",
        ),
        (lambda: metrics.pixel_ap([MAP], [MASK], memory_mb=0), "memory_mb is 0"),
        (lambda: metrics.pixel_ap([MAP], [np.ones((4, 4))]), "mark every pixel, so no pixel is normal"),
        (lambda: metrics.aupimo([MAP], [MASK]), "no image is normal, but AUPIMO"),
        (lambda: metrics.image_aupimo([MAP], [MASK]), "no image is normal, but AUPIMO"),
        (lambda: metrics.aupimo([MAP], [MASK], labels=[0]), "image 0 is labelled good, but its mask marks a defect"),
        (lambda: metrics.aupimo([MAP], [MASK], labels=[1, 0]), "there are 2 labels and 1 masks"),
        (lambda: metrics.auspro([MAP], [MASK], []), "there are 0 lists of defects and 1 masks"),
        (lambda: metrics.auspro([MAP], [MASK], [[]]), "no image has a defect with a saturation area"),
        (lambda: metrics.auspro([MAP], [MASK], [[MASK]]), "defect 0 of image 0 must be a pair"),
        (
            lambda: metrics.auspro([MAP], [MASK], [[(MASK, 5)]]),
            "saturation area of defect 0 of image 0 is 5, .* 1 to 4",
        ),
        (lambda: metrics.auspro([MAP], [MASK], [[(MASK, 0)]]), "is 0, but it must be .* 1 to 4"),
        (lambda: metrics.auspro([MAP], [MASK], [[(~MASK, 1)]]), "pixels that its mask does not mark"),
        (lambda: metrics.auspro([MAP], [MASK], [[(MASK[:2], 1)]]), r"has the shape \(2, 4\) and its mask \(4, 4\)"),
        (lambda: metrics.threshold_metrics([MAP], [MASK], float("nan")), "the threshold is NaN"),
        (lambda: metrics.threshold_metrics([MAP], [MASK], 0, region=float("nan")), "the region is NaN"),
        (lambda: metrics.threshold_metrics([MAP], [MASK], "high"), "threshold is not a number"),
        (lambda: metrics.threshold_limits([MAP], [MASK], [0, 1]), r"threshold has the shape \(2,\); .* the 1 images"),
        (lambda: metrics.threshold_ratio([MAP], [MASK], 0, region=[[1]]), r"region has the shape \(1, 1\)"),
        (lambda: metrics.threshold_metrics([MAP], [MASK], 2, region=1), "region is 1.0 and threshold is 2.0, but"),
        (lambda: metrics.decision_metrics([1, 0], [1, 0], scores=[1]), "there are 1 scores and 2 labels"),
        (lambda: metrics.decision_limits([1, 0], [1, 1], scores=[1, 2]), "normal"),
        (
            lambda: metrics.mask_metrics([MASK[:2]], [MASK]),
            r"prediction 0 has the shape \(2, 4\) and its mask \(4, 4\)",
        ),
        (lambda: metrics.mask_metrics([2 * MAP], [MASK]), "prediction 0 has the value 2.0"),
        (lambda: metrics.mask_metrics([MASK], [~MASK & MASK]), "none of the 1 masks marks a pixel"),
        (lambda: metrics.mask_metrics([MASK, MASK], [MASK]), "there are 2 predictions and 1 masks"),
        (lambda: metrics.mask_limits([MASK], [MASK], draws=10), "at least 40 replicates"),
        (lambda: metrics.image_limits([1, 2], [0, 1], seed=-1), "a seed of at least 0"),
        (lambda: metrics.image_overlaps([MASK[:2]], [MASK]), "prediction 0 has the shape"),
        (lambda: metrics.decision_limits([1, 0], [0, 0]), "none of the 2 images is defective"),
        (lambda: metrics.decision_metrics([1, 0], [0, 0]), "none of the 2 images is defective"),
        (lambda: metrics.decision_metrics([0.7, 0], [0, 1]), "decision 0 is 0.7"),
        (lambda: metrics.decision_metrics([1], [0, 1]), "there are 1 decisions and 2 labels"),
    ],
)
def test_other_arguments_that_make_no_sense_are_named_in_a_sentence(call: Callable, message: str) -> None:
    with pytest.raises(ArrayError, match=message):
        call()
