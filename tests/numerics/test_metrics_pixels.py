"""Pixel metrics and AUPRO against scikit-learn and against the definition, threshold by threshold."""

import itertools

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from zsad.errors import DataError
from zsad.evaluation.aupro import aupro, region_areas
from zsad.evaluation.bootstrap import histogram_metrics
from zsad.evaluation.confusion import Confusion
from zsad.evaluation.curves import pro_curve
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.ranking import auroc, average_precision, f1_max

LIMIT = 0.3


def smooth(rng, shape):
    return ndimage.gaussian_filter(rng.normal(size=shape), 1.5).astype(np.float32)


def tied(rng, shape):
    return rng.integers(0, 5, shape).astype(np.float32)


def constant(rng, shape):
    return np.full(shape, 0.5, np.float32)


def heavy_tailed(rng, shape):
    return rng.standard_cauchy(shape).astype(np.float32)


def category(make_map, seed, *, shift=1.0):
    """Six images of mixed sizes: two good, one with a region of one pixel, one with regions touching at a corner."""
    rng = np.random.default_rng(seed)
    shapes = [(12, 15), (16, 9), (12, 12), (10, 10), (9, 14), (12, 12)]
    masks = [np.zeros(shape, bool) for shape in shapes]
    masks[2][3:7, 4:9] = True
    masks[3][5, 5] = True
    masks[3][0:2, 0:3] = True
    masks[4][2:4, 2:4] = True
    masks[4][4:6, 4:6] = True
    masks[5][8:, :] = True
    masks[5][0, 0:2] = True
    maps = [make_map(rng, shape) for shape in shapes]
    if make_map is not constant:
        maps = [scores + np.float32(shift) * mask for scores, mask in zip(maps, masks, strict=True)]
    return list(zip(maps, masks, strict=True))


def pooled(images):
    scores, labels = zip(*images, strict=True)
    return np.concatenate(scores, axis=None), np.concatenate(labels, axis=None)


def aupro_by_definition(images, limit):
    """Overlap and false-positive rate at every distinct score; trapezoids; interpolated at the limit."""
    scores, labels = pooled(images)
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        overlaps = []
        for anomaly_map, mask in images:
            regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [np.mean(anomaly_map[regions == region] >= threshold) for region in range(1, count + 1)]
        points.append((np.mean(scores[~labels] >= threshold), np.mean(overlaps)))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= limit or x1 == x0:
            continue
        end = min(x1, limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / limit


def statistics(images, **options):
    return pixel_statistics(images, 0.5, **{"with_histograms": False, **options})


def exact_metrics(found):
    return {
        "pixel_auroc": auroc(found.ranking),
        "pixel_ap": average_precision(found.ranking),
        "pixel_f1max": f1_max(found.ranking),
        "aupro": aupro(found.ranking, found.overlap, LIMIT),
    }


@pytest.fixture(
    params=[(make, seed) for make in (smooth, tied, constant, heavy_tailed) for seed in (0, 1)],
    ids=lambda p: f"{p[0].__name__}-{p[1]}",
)
def images(request):
    return category(*request.param)


def test_auroc_and_average_precision_are_those_of_scikit_learn(images):
    scores, labels = pooled(images)
    ranking = statistics(images).ranking
    assert auroc(ranking) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-9)
    assert average_precision(ranking) == pytest.approx(reference.average_precision_score(labels, scores), abs=1e-9)


def test_f1_max_is_the_greatest_f1_over_every_score(images):
    scores, labels = pooled(images)
    expected = max(
        2 * np.sum(labels & (scores >= threshold)) / (np.sum(labels) + np.sum(scores >= threshold))
        for threshold in np.unique(scores)
    )
    assert f1_max(statistics(images).ranking) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("limit", [0.05, LIMIT, 1.0])
def test_aupro_is_that_of_the_definition(images, limit):
    found = statistics(images)
    assert aupro(found.ranking, found.overlap, limit) == pytest.approx(aupro_by_definition(images, limit), abs=1e-9)


@pytest.mark.parametrize("limit", [0.05, LIMIT, 1.0])
def test_the_area_under_the_pro_curve_is_aupro(images, limit):
    found = statistics(images)
    curve = pro_curve(found.ranking, found.overlap, limit)
    assert curve.x[-1] == limit
    expected = aupro(found.ranking, found.overlap, limit)
    assert np.trapezoid(curve.y, curve.x) / limit == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("block_pixels", [1, 7, 64, 10_000])
def test_the_size_of_the_blocks_changes_nothing(block_pixels):
    images = category(smooth, 2)
    whole, blocked = statistics(images), statistics(images, block_pixels=block_pixels)
    for name in ("true_positives", "false_positives", "false_positives_above", "positives", "negatives"):
        np.testing.assert_array_equal(getattr(blocked.ranking, name), getattr(whole.ranking, name))


def test_a_perfect_map_has_every_metric_one():
    found = statistics([(mask.astype(np.float32), mask) for _, mask in category(smooth, 0)])
    values = [auroc(found.ranking), average_precision(found.ranking), f1_max(found.ranking)]
    assert values == [1.0, 1.0, 1.0]
    assert aupro(found.ranking, found.overlap, LIMIT) == pytest.approx(1.0, abs=1e-12)


def test_regions_that_touch_at_a_corner_are_one_region():
    mask = np.zeros((6, 6), bool)
    mask[0:2, 0:2] = mask[2:4, 2:4] = True
    mask[5, 0] = True
    region, areas = region_areas(mask)
    assert areas.tolist() == [8, 1]
    assert region.tolist() == [0] * 8 + [1]


def test_a_small_region_weighs_as_much_as_a_large_one():
    """Half of the regions found before any false positive: overlap 1/2 although 1 of 17 pixels is found."""
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = mask[4:8, 4:8] = True
    anomaly_map = np.ones((10, 10), np.float32)
    anomaly_map[0, 0], anomaly_map[4:8, 4:8] = 2, 0
    found = statistics([(anomaly_map, mask)])
    assert aupro(found.ranking, found.overlap, LIMIT) == pytest.approx(0.5)


def test_one_image_is_enough():
    images = category(smooth, 0)[2:3]
    found = statistics(images)
    assert aupro(found.ranking, found.overlap, LIMIT) == pytest.approx(aupro_by_definition(images, LIMIT), abs=1e-9)


@pytest.mark.parametrize("fill", [True, False], ids=["no normal pixel", "no defective pixel"])
def test_one_kind_of_pixels_has_no_metric(fill):
    found = statistics([(np.ones((4, 4), np.float32), np.full((4, 4), fill))], with_histograms=True)
    values = [auroc(found.ranking), average_precision(found.ranking), f1_max(found.ranking)]
    assert np.isnan([*values, aupro(found.ranking, found.overlap, LIMIT)]).all()
    assert pro_curve(found.ranking, found.overlap, LIMIT) is None


def test_no_image_has_no_metric():
    found = statistics([], with_histograms=True)
    assert np.isnan([auroc(found.ranking), aupro(found.ranking, found.overlap, LIMIT)]).all()


@pytest.mark.parametrize("place", [(4, 5), (0, 0)], ids=["defective pixel", "normal pixel"])
def test_a_nan_in_a_map_is_an_error(place):
    images = category(smooth, 0)
    images[2][0][place] = np.nan
    with pytest.raises(DataError, match="NaN"):
        statistics(images)


def test_the_thresholded_map_is_counted_against_the_truth():
    images = category(smooth, 0)
    scores, labels = pooled(images)
    confusion = statistics(images).confusion
    (true_negatives, false_positives), (false_negatives, true_positives) = reference.confusion_matrix(
        labels, scores > 0.5
    )
    assert confusion == Confusion(true_positives, false_positives, false_negatives, true_negatives)
    assert confusion.f1 == pytest.approx(reference.f1_score(labels, scores > 0.5))
    assert confusion.iou == pytest.approx(reference.jaccard_score(labels, scores > 0.5))


def test_histograms_of_all_images_give_nearly_the_exact_metrics():
    rng = np.random.default_rng(5)
    images = []
    for index in range(12):
        mask = np.zeros((128, 128), bool)
        if index % 2:
            row, column = rng.integers(0, 100, 2)
            mask[row : row + rng.integers(2, 28), column : column + rng.integers(2, 28)] = True
        field = ndimage.gaussian_filter(rng.normal(size=mask.shape), 3) + 0.1 * mask
        images.append((field.astype(np.float32), mask))
    found = statistics(images, with_histograms=True)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))), LIMIT)
    exact = exact_metrics(found)
    for metric, value in exact.items():
        assert binned[metric][0] == pytest.approx(value, abs=1e-3), metric


def test_histograms_are_exact_where_defective_pixels_are_few(images):
    """Fewer distinct scores than quantiles: every defective score has a bin of its own."""
    found = statistics(images, with_histograms=True)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))), LIMIT)
    for metric, value in exact_metrics(found).items():
        assert binned[metric][0] == pytest.approx(value, abs=1e-9), metric


def test_histograms_count_every_pixel_and_region_once():
    images = category(tied, 0)
    histograms = statistics(images, with_histograms=True).histograms
    np.testing.assert_array_equal(histograms.positives.sum(axis=1), [mask.sum() for _, mask in images])
    np.testing.assert_array_equal(histograms.negatives.sum(axis=1), [(~mask).sum() for _, mask in images])
    np.testing.assert_allclose(histograms.overlap.sum(axis=1), histograms.regions)
    np.testing.assert_array_equal(histograms.regions, [0, 0, 1, 2, 1, 2])
