"""Pixel metrics and AUPRO against scikit-learn and against the definition, threshold by threshold."""

import itertools

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from zsad.data.saturation import Region
from zsad.errors import DataError
from zsad.evaluation import normals
from zsad.evaluation.aupro import aupro
from zsad.evaluation.bootstrap import histogram_metrics
from zsad.evaluation.buckets import Buckets
from zsad.evaluation.curves import pro_curve
from zsad.evaluation.defects import BYTES_A_DEFECT, PixelImage, gather_defects, region_areas
from zsad.evaluation.image_bins import _quantiles
from zsad.evaluation.normals import NormalPixels
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.ranking import auroc, average_precision, f1_max, iou_max
from zsad.names import PIXEL_METRICS

LIMIT = 0.3
BINNED = [metric for metric in PIXEL_METRICS if metric != "auspro_005"]


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
    return area_up_to(points, limit)


def area_up_to(points, limit):
    """Trapezoids below straight lines between the points, the last one cut at the limit, divided by the limit."""
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= limit or x1 == x0:
            continue
        end = min(x1, limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / limit


def statistics(images, **options):
    """Of images without a defective pixel the ground truth is left out, as for normal images."""
    images = [(scores, mask if mask.any() else None) for scores, mask in images]
    return pixel_statistics(images, **{"with_histograms": False, **options})


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


def test_iou_max_is_the_greatest_iou_over_every_score(images):
    scores, labels = pooled(images)
    expected = max(reference.jaccard_score(labels, scores >= threshold) for threshold in np.unique(scores))
    assert iou_max(statistics(images).ranking) == pytest.approx(expected, abs=1e-9)


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
    assert found.metrics() == pytest.approx(
        dict.fromkeys(PIXEL_METRICS, 1.0) | {"auspro_005": np.nan}, nan_ok=True, abs=1e-12
    )


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
    assert np.isnan(list(found.metrics().values())).all()
    assert pro_curve(found.ranking, found.overlap, LIMIT) is None


def test_one_defective_and_one_normal_pixel_have_every_metric():
    found = statistics([(np.array([[0.0, 1.0]], np.float32), np.array([[False, True]]))])
    assert found.metrics() == pytest.approx(
        dict.fromkeys(PIXEL_METRICS, 1.0) | {"auspro_005": np.nan, "aupimo": np.nan}, nan_ok=True, abs=1e-12
    )


def test_no_image_has_no_metric():
    assert np.isnan(list(statistics([], with_histograms=True).metrics().values())).all()


@pytest.mark.parametrize("place", [(2, (4, 5)), (2, (0, 0)), (0, (3, 3))], ids=["defective", "normal", "good image"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_without_a_rank_is_an_error(place, value):
    images = category(smooth, 0)
    index, pixel = place
    images[index][0][pixel] = value
    with pytest.raises(DataError, match="NaN or an infinite value"):
        statistics(images)


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
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))))
    for metric in BINNED:
        assert binned[metric][0] == pytest.approx(found.metrics()[metric], abs=1e-3), metric


def test_histograms_are_exact_where_defective_pixels_are_few(images):
    """Fewer distinct scores than quantiles: every defective score has a bin of its own."""
    found = statistics(images, with_histograms=True)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))))
    for metric in BINNED:
        assert binned[metric][0] == pytest.approx(found.metrics()[metric], abs=1e-9), metric


def test_histograms_count_every_pixel_and_region_once():
    images = category(tied, 0)
    histograms = statistics(images, with_histograms=True).histograms
    np.testing.assert_array_equal(histograms.positives.sum(axis=1), [mask.sum() for _, mask in images])
    np.testing.assert_array_equal(histograms.negatives.sum(axis=1), [(~mask).sum() for _, mask in images])
    np.testing.assert_allclose(histograms.overlap.sum(axis=1), histograms.regions)
    np.testing.assert_array_equal(histograms.regions, [0, 0, 1, 2, 1, 2])


def by_type(images):
    """The defective images are of two types in turn."""
    count = itertools.count()
    return [f"type {next(count) % 2}" if mask.any() else None for _, mask in images]


def test_a_type_of_defect_is_measured_as_its_images_and_the_good_ones_alone(images):
    types = by_type(images)
    found = statistics(images, types=types)
    assert list(found.by_type) == ["type 0", "type 1"]
    for name, of_type in found.by_type.items():
        alone = statistics([image for image, other in zip(images, types, strict=True) if other in (None, name)])
        assert of_type.metrics() == pytest.approx(alone.metrics(), abs=1e-12, nan_ok=True)


def test_the_types_together_are_the_whole(images):
    together = statistics(images, types=by_type(images))
    assert together.metrics() == pytest.approx(statistics(images).metrics(), abs=1e-12, nan_ok=True)


def test_an_image_of_a_type_whose_mask_is_empty_has_normal_pixels_only():
    images = category(smooth, 0)
    images[0] = (images[0][0], np.zeros_like(images[0][1]))
    found = pixel_statistics(images, with_histograms=False, types=["odd", None, *["spot"] * 4])
    scores, labels = pooled(images)
    assert found.metrics()["pixel_auroc"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-9)
    assert np.isnan(found.by_type["odd"].metrics()["pixel_auroc"])
    assert np.isnan(found.image_aupimo[0])


def many_defects(make_map, seed=0):
    """Half of all pixels are defective, with about as many distinct scores as ``make_map`` gives."""
    rng = np.random.default_rng(seed)
    images = [(make_map(rng, (64, 64)), np.zeros((64, 64), bool))]
    for _ in range(4):
        mask = np.zeros((64, 64), bool)
        mask[: rng.integers(20, 60), : rng.integers(20, 60)] = True
        images.append((make_map(rng, (64, 64)) + np.float32(0.7) * mask, mask))
    return images


@pytest.mark.parametrize("make_map", [smooth, tied, heavy_tailed])
@pytest.mark.parametrize("most", [3, 50, 1000])
def test_with_little_memory_scores_are_rounded_within_the_stated_error(make_map, most):
    images = many_defects(make_map)
    types = by_type(images)
    exact = statistics(images, types=types)
    rounded = statistics(images, types=types, memory_bytes=most * BYTES_A_DEFECT, block_pixels=500)
    errors = rounded.errors()
    assert exact.exact
    assert exact.errors() == {}
    assert not rounded.exact
    assert rounded.ranking.true_positives.size <= most
    assert set(errors) == set(BINNED) - {"aupimo"}
    for metric, error in errors.items():
        assert abs(rounded.metrics()[metric] - exact.metrics()[metric]) <= error + 1e-12, metric
        assert 0 <= error <= 1
    assert rounded.metrics()["aupimo"] == pytest.approx(exact.metrics()["aupimo"], abs=1e-12)
    if most == 1000 and make_map is smooth:
        assert max(errors.values()) < 0.02


def test_a_bucket_never_falls_as_the_score_rises():
    rng = np.random.default_rng(0)
    for thresholds in (rng.normal(size=500), rng.standard_cauchy(500) * 1e30, np.full(3, 0.5), [-3e38, 3e38]):
        buckets = Buckets(np.unique(np.asarray(thresholds, np.float32)))
        scores = np.sort(np.concatenate([thresholds, rng.normal(size=500), [-3e38, 3e38]]).astype(np.float32))
        found = buckets.of(scores)
        assert (np.diff(found) >= 0).all()
        assert 0 <= found[0] <= found[-1] < buckets.count


def thresholds_in_one_bucket():
    """Float32 values: twenty are neighbours, eight steps apart, and share a few buckets; three lie alone."""
    near = np.float32(0.5) + np.float32(2**-21) * np.arange(20, dtype=np.float32)
    return np.concatenate([np.float32([0, 0.25]), near, np.float32([1])])


@pytest.mark.parametrize("most_counted", [normals.MOST_COUNTED, 150])
@pytest.mark.parametrize("block_pixels", [7, 1, 10_000])
def test_normal_pixels_of_buckets_with_several_thresholds_are_counted_once(monkeypatch, block_pixels, most_counted):
    monkeypatch.setattr(normals, "MOST_COUNTED", most_counted)
    thresholds = thresholds_in_one_bucket()
    pixels = NormalPixels(thresholds, block_pixels)
    assert np.unique(pixels.buckets.of(thresholds)).size < thresholds.size - 10
    rng = np.random.default_rng(0)
    for size in (40, 100, 0):  # each time from nothing
        kept = []
        for order in (None, "ascending"):
            near = np.float32(0.5) + np.float32(2**-24) * rng.integers(-20, 180, size).astype(np.float32)
            anywhere = rng.choice(np.concatenate([thresholds, np.float32([-1, 0.1, 0.7, 2])]), size)
            scores = np.where(rng.random(size) < 0.7, near, anywhere).astype(np.float32)
            scores = scores if order is None else np.sort(scores)
            pixels.add(scores, pixels.buckets.of(scores))
            assert pixels._counts.sum(axis=1).max() <= max(most_counted, size)  # what its small integers can hold
            kept.append(scores)
        normal = np.concatenate(kept)
        counts = pixels.pop_counts()
        assert counts.above.tolist() == [int(np.sum(normal > threshold)) for threshold in thresholds]
        assert counts.from_threshold.tolist() == [int(np.sum(normal >= threshold)) for threshold in thresholds]
        assert counts.total == normal.size


def levels_one_by_one(images, types, most):
    """Of too many scores every second, fourth ... one; of their distinct values as few as the types leave room for."""
    stride, held = 1, []
    for scores, mask in images:
        if mask is not None:
            held += scores[mask].tolist()[::stride]
        while len(held) > most:
            stride, held = 2 * stride, held[::2]
    edges = sorted(set(held))
    columns = len({name for name in types if name is not None}) + 2
    step = 1
    while len(edges) * columns > step * 3 * most:
        step += 1
    return sorted({*edges[::step], min(scores[mask].min() for scores, mask in images if mask is not None)})


@pytest.mark.parametrize("kinds", [1, 2, 4])
@pytest.mark.parametrize("most", [3, 50, 1000])
@pytest.mark.parametrize("make_map", [smooth, tied])
def test_levels_are_the_scores_that_are_left_where_there_is_room_for_fewer(make_map, most, kinds):
    images = [(scores, mask if mask.any() else None) for scores, mask in many_defects(make_map)]
    types = [None if mask is None else f"type {index % kinds}" for index, (_, mask) in enumerate(images)]
    found = gather_defects([PixelImage(*image) for image in images], types, most)
    assert not found.exact
    assert found.thresholds.tolist() == levels_one_by_one(images, types, most)
    assert found.highest == max(scores[mask].max() for scores, mask in images if mask is not None)
    assert sum(counts.tied.sum() for counts in found.by_type.values()) == sum(
        mask.sum() for _, mask in images if mask is not None
    )


@pytest.mark.parametrize("count", [2, 500, 100_000, 2_000_000])
def test_evenly_spread_thresholds_have_buckets_to_themselves(count):
    """From the second bucket to the last, the first being of what lies below; four for each where memory allows."""
    thresholds = np.linspace(-3, 5, count, dtype=np.float32)
    buckets = Buckets(thresholds)
    assert min(4 * count, 1 << 22) <= buckets.count <= max(8 * count, 1 << 18)
    places = buckets.of(thresholds)
    assert (places[0], places[-1]) == (1, buckets.count - 1)
    assert np.diff(places).min() >= 1
    assert buckets.of(np.float32([-3.1, 5.1])).tolist() == [0, buckets.count - 1]


def test_a_far_off_threshold_does_not_crowd_the_others():
    thresholds = np.append(np.linspace(0, 1, 2000, dtype=np.float32), np.float32(1e6))
    places = Buckets(thresholds).of(thresholds)
    assert np.unique(places).size >= 1990


@pytest.mark.parametrize(("memory", "fewest"), [(200_000, 100), (400_000, 250), (4_000_000, 1900)])
def test_the_tables_of_the_bins_take_a_quarter_of_the_memory_if_that_is_enough(memory, fewest):
    """Two bins for each quantile of the pixels and of the regions, of four tables of eight bytes."""
    images = [(scores, mask if mask.any() else None) for scores, mask in many_defects(smooth)] * 2
    found = pixel_statistics(images, with_histograms=True, memory_bytes=memory)
    bins = found.histograms.positives.shape[1]
    assert fewest <= bins <= 4 * 500 + 5
    assert 4 * bins * len(images) * 8 <= memory / 4 + 4 * 5 * len(images) * 8


@pytest.mark.parametrize("with_good", [True, False])
def test_scores_that_crowd_into_a_bucket_are_binned_by_themselves(with_good):
    rng = np.random.default_rng(6)
    mask = np.zeros((50, 80), bool)
    mask[:, :40] = True
    scores = rng.normal(size=mask.shape) + mask
    scores[rng.random(mask.shape) < 0.05] += 1e5  # so that all the others lie within a few buckets
    images = [(scores.astype(np.float32), mask)]
    if with_good:
        images.append((rng.normal(size=(30, 30)).astype(np.float32), np.zeros((30, 30), bool)))
    found = statistics(images, with_histograms=True)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))))
    for metric in ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"):
        assert binned[metric][0] == pytest.approx(found.metrics()[metric], abs=2e-3), metric


# --- AUPIMO ---------------------------------------------------------------------------------------------------------


def aupimo_by_definition(images, least=1e-5, greatest=1e-4):
    """For each anomalous image the recall at the lowest threshold of every admissible rate, over its logarithm."""
    good = [scores for scores, mask in images if not mask.any()]
    thresholds = np.unique(np.concatenate(good, axis=None))[::-1][:60]
    rates = [np.mean([np.mean(scores >= threshold) for scores in good]) for threshold in thresholds]
    assert rates[-1] > greatest
    edges = np.clip([0.0, *rates], least, greatest)
    areas = []
    for scores, mask in images:
        if mask.any():
            recalls = [np.mean(scores[mask] > threshold) for threshold in thresholds]
            widths = np.diff(np.log(edges))
            areas.append((widths * recalls).sum() / np.log(greatest / least))
    return np.array(areas)


def pimo_images(make_map, seed, good=5, side=150):
    """Normal images of several sizes, so large that the range of rates holds several of their pixels."""
    rng = np.random.default_rng(seed)
    images = []
    for index in range(good):
        shape = (side, side + 10 * index)
        images.append((make_map(rng, shape), np.zeros(shape, bool)))
    for _ in range(3):
        mask = np.zeros((60, 60), bool)
        mask[20:40, 20:40] = True
        spread = 3 * make_map(rng, (60, 60))
        images.append((make_map(rng, (60, 60)) + mask * np.abs(spread), mask))
    return [images[index] for index in rng.permutation(len(images))]


@pytest.mark.parametrize("make_map", [smooth, tied, constant, heavy_tailed])
@pytest.mark.parametrize("good", [1, 5])
def test_aupimo_is_that_of_the_definition(make_map, good):
    images = pimo_images(make_map, 1, good)
    found = statistics(images, with_histograms=True)
    expected = aupimo_by_definition(images)
    of_images = found.image_aupimo[[mask.any() for _, mask in images]]
    np.testing.assert_allclose(of_images, expected, atol=1e-9)
    assert found.metrics()["aupimo"] == pytest.approx(expected.mean(), abs=1e-9)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))))["aupimo"][0]
    assert binned == pytest.approx(expected.mean(), abs=0.01)


def test_a_draw_of_aupimo_is_the_drawn_images_measured_anew():
    images = pimo_images(smooth, 3)
    histograms = statistics(images, with_histograms=True).histograms
    rng = np.random.default_rng(0)
    is_good = np.array([not mask.any() for _, mask in images])
    for _ in range(10):
        drawn = np.concatenate([rng.choice(np.flatnonzero(kind), kind.sum()) for kind in (is_good, ~is_good)])
        weights = np.bincount(drawn, minlength=len(images))[None].astype(float)
        anew = statistics([images[index] for index in drawn]).metrics()["aupimo"]
        assert histogram_metrics(histograms, weights)["aupimo"][0] == pytest.approx(anew, abs=0.01)


def test_without_good_images_there_is_no_aupimo():
    images = [image for image in category(smooth, 0) if image[1].any()]
    assert np.isnan(statistics(images, with_histograms=True).metrics()["aupimo"])


# --- saturated overlap ----------------------------------------------------------------------------------------------


def saturated_category(make_map, seed):
    """Defects that overlap, with saturation areas of one pixel, of some, and of all."""
    rng = np.random.default_rng(seed)
    images = [(make_map(rng, (20, 20)), None, ())]
    for areas in ((1, 12), (25,), (30, 7)):
        defects = []
        for number, area in enumerate(areas):
            pixels = np.zeros((20, 20), bool)
            pixels[3 + 2 * number : 9 + 2 * number, 4:9] = True
            defects.append(Region("dent", pixels, area))
        truth = np.any([defect.pixels for defect in defects], axis=0)
        images.append((make_map(rng, (20, 20)) + np.float32(0.8) * truth, truth, defects))
    return images


def auspro_by_definition(images, limit):
    scores = np.concatenate([anomaly_map.ravel() for anomaly_map, *_ in images])
    labels = np.concatenate([np.zeros(400, bool) if truth is None else truth.ravel() for _, truth, _ in images])
    points = [(0.0, 0.0)]
    for threshold in np.unique(scores)[::-1]:
        overlaps = [
            min(1.0, np.sum(anomaly_map[defect.pixels] >= threshold) / defect.saturation_area)
            for anomaly_map, _, defects in images
            for defect in defects
        ]
        points.append((np.mean(scores[~labels] >= threshold), np.mean(overlaps)))
    return area_up_to(points, limit)


@pytest.mark.parametrize("make_map", [smooth, tied, heavy_tailed])
def test_auspro_is_that_of_the_definition(make_map):
    images = saturated_category(make_map, 0)
    found = pixel_statistics(images, with_histograms=True)
    assert found.metrics()["auspro_005"] == pytest.approx(auspro_by_definition(images, 0.05), abs=1e-9)
    binned = histogram_metrics(found.histograms, np.ones((1, len(images))))
    assert binned["auspro_005"][0] == pytest.approx(found.metrics()["auspro_005"], abs=1e-9)


def test_defects_that_are_saturated_by_all_of_their_pixels_have_the_plain_overlap():
    images = category(smooth, 0)
    with_areas = []
    for scores, mask in images:
        regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
        defects = [Region("any", regions == number, int((regions == number).sum())) for number in range(1, count + 1)]
        with_areas.append((scores, mask if count else None, defects))
    metrics = pixel_statistics(with_areas, with_histograms=False).metrics()
    assert metrics["auspro_005"] == pytest.approx(metrics["aupro_005"], abs=1e-9)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_quantiles_of_weights_are_where_their_sum_passes_equal_shares(number):
    weights = np.array([2.0, 0.0, 1.0, 5.0, 0.0, 4.0, 0.0])
    shares = [weights.sum() * step / number for step in range(number + 1)]
    expected = [next(place for place in range(7) if weights[: place + 1].sum() >= share) for share in shares]
    assert _quantiles(weights, number).tolist() == expected
