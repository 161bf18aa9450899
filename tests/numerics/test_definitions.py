"""The benchmark of definitions: what it calls others' definitions, against their loops written out."""

import importlib.util
import sys

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from paths import REPOSITORY

LIMIT = 0.3


@pytest.fixture(scope="module")
def definitions():
    spec = importlib.util.spec_from_file_location("definitions", REPOSITORY / "benchmarks" / "definitions.py")
    module = sys.modules["definitions"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["definitions"]


@pytest.fixture(scope="module")
def category(definitions):
    """Three defective images and a normal one; one with two regions that touch at a corner."""
    rng = np.random.default_rng(0)
    truths = [np.zeros((24, 30), bool) for _ in range(4)]
    truths[0][4:12, 5:15] = True
    truths[1][2:6, 2:6] = truths[1][6:9, 6:12] = True
    truths[2][20:, 8:20] = truths[2][3, 4] = True
    maps = [ndimage.gaussian_filter(rng.normal(size=(24, 30)), 1) + 0.4 * truth for truth in truths]
    return definitions.Category(
        scored=[(scores.astype(np.float32), truth) for scores, truth in zip(maps, truths, strict=True)],
        scores=np.array([2, 0.4, 3, 1], np.float32),
    )


def curve_at(thresholds, images, *, connectivity=8):
    """Rates and overlaps of ``map > threshold``, region by region."""
    structure = np.ones((3, 3)) if connectivity == 8 else None
    points = []
    for threshold in thresholds:
        overlaps, false, normal = [], 0, 0
        for anomaly_map, truth in images:
            found = anomaly_map > threshold
            regions, count = ndimage.label(truth, structure)
            overlaps += [found[regions == region].mean() for region in range(1, count + 1)]
            false, normal = false + np.sum(found & ~truth), normal + np.sum(~truth)
        points.append((false / normal, np.mean(overlaps)))
    return np.array(points)


def steps(images):
    scores = np.concatenate([anomaly_map for anomaly_map, _ in images], axis=None)
    return scores.min() + (scores.max() - scores.min()) / 200 * np.arange(200)


def below_limit(points):
    """In the order of falling thresholds, so of rising rates."""
    return points[points[:, 0] < LIMIT][::-1]


def test_a_point_at_every_score_is_our_aupro(definitions, category):
    assert definitions.every_score()(category) == pytest.approx(category.ours["aupro"], abs=1e-9)


def test_two_hundred_steps_stretched(definitions, category):
    rates, overlaps = below_limit(curve_at(steps(category.images), category.images)).T
    rates = (rates - rates.min()) / (rates.max() - rates.min())
    assert definitions.steps_stretched(category) == pytest.approx(reference.auc(rates, overlaps), abs=1e-6)


def test_two_hundred_steps_of_each_image(definitions, category):
    areas = []
    for image in category.images[:3]:
        rates, overlaps = below_limit(curve_at(steps([image]), [image])).T
        areas.append(reference.auc(rates / rates.max(), overlaps))
    assert definitions.steps_of_an_image(category) == pytest.approx(np.mean(areas), abs=1e-6)


@pytest.mark.parametrize(("connectivity", "regions"), [(8, 4), (4, 5)])
def test_regions_that_touch_at_a_corner_are_one_or_two(definitions, category, connectivity, regions):
    structure = {8: definitions.EIGHT, 4: definitions.FOUR}[connectivity]
    assert sum(ndimage.label(truth, structure)[1] for _, truth in category.images) == regions
    scores = np.unique([anomaly_map for anomaly_map, _ in category.images])[::-1]
    points = curve_at(np.nextafter(scores, np.float32(-np.inf)), category.images, connectivity=connectivity)
    rates, overlaps = np.vstack([[0, 0], points]).T
    grid = np.append(rates[rates < LIMIT], LIMIT)
    heights = np.append(overlaps[rates < LIMIT], np.interp(LIMIT, rates, overlaps))
    expected = np.trapezoid(heights, grid) / LIMIT
    assert definitions.every_score(structure)(category) == pytest.approx(expected, abs=1e-9)


def test_thresholds_even_in_rate_come_close_to_every_score(definitions, category):
    assert definitions.rates_evenly_spaced(category) == pytest.approx(category.ours["aupro"], abs=2e-3)


def test_the_rate_among_good_images_alone_leaves_out_the_others(definitions, category):
    good = category.images[3][0]
    scores = np.unique([anomaly_map for anomaly_map, _ in category.images])[::-1]
    overlaps = curve_at(np.nextafter(scores, np.float32(-np.inf)), category.images)[:, 1]
    rates = np.array([np.mean(good >= score) for score in scores])
    last = np.searchsorted(rates, LIMIT)
    expected = np.trapezoid(np.append(0, overlaps[:last]), np.append(0, rates[:last])) / LIMIT
    assert definitions.every_score(good_alone=True)(category) == pytest.approx(expected, abs=5e-3)


def test_two_hundred_thresholds_for_precision_and_recall(definitions, category):
    truth, scores = category.pixels
    found = [scores >= threshold for threshold in np.linspace(scores.min(), scores.max(), 200)]
    f1s = [reference.f1_score(truth, called) for called in found]
    assert definitions.binned_f1(category) == pytest.approx(max(f1s), abs=1e-9)
    bins = np.sum(found, axis=0)  # scores of one bin are tied
    assert definitions.binned_ap(category) == pytest.approx(reference.average_precision_score(truth, bins), abs=1e-9)


def test_means_over_images_leave_out_the_good_one(definitions, category):
    expected = np.mean([reference.roc_auc_score(t.ravel(), m.ravel()) for m, t in category.images[:3]])
    assert definitions.mean_over_images(reference.roc_auc_score)(category) == pytest.approx(expected)


def test_heavy_tails_change_no_metric_of_ours_and_every_one_of_linear_steps(definitions, category):
    heavy = definitions.with_heavy_tails(category)
    assert heavy.ours == pytest.approx(category.ours, abs=1e-9, nan_ok=True)
    assert definitions.steps_plain(heavy) != pytest.approx(definitions.steps_plain(category), abs=1e-3)


def test_the_table_has_a_line_for_every_definition(definitions, category):
    lines = list(definitions.table({"one category": [category]}))
    assert len(lines) == 2 + 7 + len(definitions.DEFINITIONS)
    assert lines[2] == "| `image_auroc` | **ours** | | **66.67** |"
    assert lines[3].endswith("| – |")  # nothing to pool
