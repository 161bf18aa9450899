"""Confidence limits against a bootstrap that draws the images one by one."""

import math

import numpy as np
import pytest
from scipy import ndimage

from zsad.evaluation.bands import image_bands, pixel_bands, precision_heights
from zsad.evaluation.bootstrap import (
    Sampler,
    binned_ranking,
    count_replicates,
    histogram_metrics,
    image_replicates,
    interval,
    mask_replicates,
    mean_replicates,
    pixel_replicates,
)
from zsad.evaluation.curves import precision_recall_curve, pro_curve, roc_curve
from zsad.evaluation.decisions import decision_counts, decision_metrics
from zsad.evaluation.mask_counts import mask_counts, mask_metrics
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.ranking import auroc, average_precision, f1_max, rank_scores
from zsad.names import IMAGE_METRICS

DRAWN = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax", "aupro", "aupro_005")


def scored_images(seed=0, count=40, effect=1.2):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [count // 2, count - count // 2])
    return rng.normal(size=count) + effect * labels, labels


def images_with_truth(seed=0, count=16, side=96):
    """Every second image has a defect, from barely to plainly visible."""
    rng = np.random.default_rng(seed)
    images = []
    for index in range(count):
        mask = np.zeros((side, side), bool)
        if index % 2:
            row, column = rng.integers(0, side - 40, 2)
            mask[row : row + 40, column : column + 30] = True
        field = ndimage.gaussian_filter(rng.normal(size=mask.shape), 3) + rng.uniform(0, 0.25) * mask
        images.append((field.astype(np.float32), mask if index % 2 else None))
    return images


def draws_one_by_one(strata, resamples, seed):
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.concatenate([rng.choice(stratum, size=len(stratum)) for stratum in strata])


def image_metrics(scores, labels):
    ranking = rank_scores(scores[labels == 1], scores[labels == 0])
    return [float(auroc(ranking)), float(average_precision(ranking)), float(f1_max(ranking))]


def assert_limits_agree(drawn, slow, tolerance):
    """Of the same distribution, drawn in two ways."""
    (low, high), (slow_low, slow_high) = interval(drawn), interval(slow)
    assert drawn.std(ddof=1) == pytest.approx(slow.std(ddof=1), rel=0.08)
    assert low == pytest.approx(slow_low, abs=tolerance)
    assert high == pytest.approx(slow_high, abs=tolerance)


def test_image_limits_are_those_of_drawing_one_by_one():
    scores, labels = scored_images()
    strata = [np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)]
    slow = np.array([image_metrics(scores[drawn], labels[drawn]) for drawn in draws_one_by_one(strata, 3000, seed=7)])
    found = image_replicates(scores, labels, Sampler(4000, 0))
    for metric, values in zip(IMAGE_METRICS, slow.T, strict=True):
        assert_limits_agree(found[metric], values, 0.02)


def test_a_draw_measured_by_histograms_is_nearly_the_drawn_images_measured_anew():
    images = images_with_truth()
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    histograms = pixel_statistics(images, with_histograms=True).histograms
    for drawn in draws_one_by_one(strata, 20, seed=7):
        weights = np.bincount(drawn, minlength=len(images))[None].astype(float)
        binned = histogram_metrics(histograms, weights)
        anew = pixel_statistics([images[index] for index in drawn], with_histograms=False).metrics()
        for metric in DRAWN:
            # Average precision takes a bin's last precision for all of it: at most 1/500 too low.
            tolerance = 1e-4 if metric in ("pixel_auroc", "aupro") else 2e-3
            assert binned[metric][0] == pytest.approx(anew[metric], abs=tolerance), metric


def test_pixel_limits_are_the_percentiles_of_draws_within_each_kind_of_image():
    images = images_with_truth()
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    histograms = pixel_statistics(images, with_histograms=True).histograms
    drawn = [np.bincount(images, minlength=16) for images in draws_one_by_one(strata, 2000, seed=7)]
    slow = histogram_metrics(histograms, np.array(drawn, dtype=float))
    found = pixel_replicates(histograms, Sampler(2000, 0))
    for metric in DRAWN:
        assert_limits_agree(found[metric], slow[metric], 0.03)


def test_limits_of_masks_and_decisions_are_those_of_the_drawn_images_counted_anew():
    rng = np.random.default_rng(0)
    images = images_with_truth()
    masks = [anomaly_map > 0.1 for anomaly_map, _ in images]
    truths = [np.zeros(scores.shape, bool) if truth is None else truth for scores, truth in images]
    counts = np.array([mask_counts(mask, truth) for mask, truth in zip(masks, truths, strict=True)])
    found = mask_replicates(counts, Sampler(3000, 0))
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    slow = []
    for drawn in draws_one_by_one(strata, 3000, seed=7):
        both = sum(np.sum(masks[index] & truths[index]) for index in drawn)
        slow.append(2 * both / sum(np.sum(masks[index]) + np.sum(truths[index]) for index in drawn))
    assert_limits_agree(found["mask_f1"], np.array(slow), 0.02)
    decided, defective = rng.random(40) < 0.5, np.arange(40) % 2 == 1
    decisions = decision_counts(decided, defective)
    drawn = count_replicates(decision_metrics, decisions, defective, Sampler(3000, 0))["decision_f1"]
    assert drawn.mean() == pytest.approx(float(decision_metrics(decisions.sum(axis=0))["decision_f1"]), abs=0.02)


def test_masks_are_drawn_from_images_with_a_defect_and_from_those_without_whatever_is_found():
    """A defect found whole, one missed, one found in part; a normal image with a false alarm, and two without."""
    truth = np.zeros((6, 6), bool)
    truth[1:3, 1:3] = True
    alarm, part = np.zeros((2, 6, 6), bool)
    alarm[5, 5] = part[1, 1] = True
    nothing = np.zeros((6, 6), bool)
    images = [(truth, truth), (nothing, truth), (part, truth), (alarm, None), (nothing, None), (nothing, None)]
    counts = np.array([mask_counts(mask, of_image) for mask, of_image in images])
    defective = np.array([of_image is not None for _, of_image in images])
    found = mask_replicates(counts, Sampler(50, 3))
    expected = count_replicates(mask_metrics, counts, defective, Sampler(50, 3))
    for metric, values in expected.items():
        np.testing.assert_array_equal(found[metric], values)


def test_draws_are_the_same_for_the_same_seed_and_category_and_differ_for_others():
    scores, labels = scored_images()
    drawn = [image_replicates(scores, labels, Sampler(200, seed, name))["image_auroc"] for seed, name in SEEDS]
    assert (drawn[0] == drawn[1]).all()
    assert all((drawn[0] != other).any() for other in drawn[2:])


SEEDS = [(1, "tile"), (1, "tile"), (2, "tile"), (1, "wood")]


def test_draws_of_two_categories_are_independent_and_those_of_two_methods_are_not():
    scores, labels = scored_images()
    tile, wood = (image_replicates(scores, labels, Sampler(2000, 0, name))["image_auroc"] for name in ("tile", "wood"))
    other = image_replicates(scores + 0.1 * np.sin(np.arange(40)), labels, Sampler(2000, 0, "tile"))["image_auroc"]
    assert abs(np.corrcoef(tile, wood)[0, 1]) < 0.08
    assert np.corrcoef(tile, other)[0, 1] > 0.9


def test_limits_hold_the_true_auroc_about_95_times_in_100():
    """Scores N(0, 1) and N(1.2, 1): the true AUROC is Phi(1.2 / sqrt 2)."""
    truth = 0.5 * (1 + math.erf(1.2 / 2))
    drawn = [image_replicates(*scored_images(seed, count=80), Sampler(300, 0))["image_auroc"] for seed in range(200)]
    limits = [interval(values) for values in drawn]
    assert 0.90 <= np.mean([limit.low <= truth <= limit.high for limit in limits]) <= 0.99


def test_the_margin_is_half_of_what_lies_between_the_limits():
    low, high = interval(np.arange(1001.0))
    assert (low, high) == (25, 975)
    assert interval(np.arange(1001.0)).margin == 475


def test_perfect_scores_have_limits_of_one():
    labels = np.repeat([0, 1], 10)
    for values in image_replicates(labels.astype(float), labels, Sampler(100, 0)).values():
        assert interval(values) == (1.0, 1.0)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_limits(label):
    found = image_replicates(np.arange(5.0), np.full(5, label), Sampler(100, 0))
    assert set(found) == set(IMAGE_METRICS)
    assert np.isnan([interval(values) for values in found.values()]).all()


def test_tied_images_are_drawn_and_ranked_as_ties():
    labels = np.repeat([0, 1], 10)
    assert interval(image_replicates(np.zeros(20), labels, Sampler(100, 0))["image_auroc"]) == (0.5, 0.5)


def test_the_draws_of_a_mean_are_the_means_of_the_draws():
    draws = [{"aupro": np.array([0.2, 0.4])}, {"aupro": np.array([0.6, 0.6])}]
    assert mean_replicates(draws, "aupro").tolist() == pytest.approx([0.4, 0.5])
    assert mean_replicates([*draws, {}], "aupro").size == 0
    assert mean_replicates(draws, "pixel_ap").size == 0
    assert mean_replicates([], "aupro").size == 0


def test_bands_hold_the_curves_and_are_those_of_the_drawn_images():
    scores, labels = scored_images(count=80)
    bands = image_bands(scores, labels, Sampler(400, 0))
    ranking = rank_scores(scores[labels == 1], scores[labels == 0])
    assert_band_holds(bands["image_roc"], roc_curve(ranking))
    assert_band_holds(bands["image_pr"], precision_recall_curve(ranking))
    images = images_with_truth()
    found = pixel_statistics(images, with_histograms=True)
    bands = pixel_bands(found.histograms, Sampler(400, 0))
    assert set(bands) == {"pixel_roc", "pixel_pr", "pro"}
    assert_band_holds(bands["pro"], pro_curve(found.ranking, found.overlap, 0.3))
    assert_band_holds(bands["pixel_roc"], roc_curve(found.ranking))
    place = 20
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    heights = []
    for drawn in draws_one_by_one(strata, 60, seed=7):
        anew = pixel_statistics([images[index] for index in drawn], with_histograms=False)
        heights.append(np.interp(bands["pro"]["x"][place], *pro_curve(anew.ranking, anew.overlap, 0.3)))
    low, high = np.percentile(heights, [2.5, 97.5])
    assert bands["pro"]["low"][place] == pytest.approx(low, abs=0.06)
    assert bands["pro"]["high"][place] == pytest.approx(high, abs=0.06)


def test_the_precision_at_a_recall_is_that_of_the_first_threshold_that_reaches_it_and_finds_anything():
    rng = np.random.default_rng(4)
    positives, negatives = rng.integers(0, 3, (2, 20, 8))
    positives[:, 4] = 1
    positives[:10, 0], negatives[:10, 0] = 0, 2  # false alarms alone above all that is found
    places = np.linspace(0, 1, 11)
    heights = precision_heights(binned_ranking(positives, negatives), places)
    for draw, (right, wrong) in enumerate(zip(positives.cumsum(axis=1), negatives.cumsum(axis=1), strict=True)):
        for place, recall in enumerate(places):
            reached = next(i for i in range(8) if right[i] > 0 and right[i] / right[-1] >= recall - 1e-9)
            assert heights[draw, place] == pytest.approx(right[reached] / (right[reached] + wrong[reached]))


def assert_band_holds(band, curve):
    """Nearly everywhere: where a curve jumps, a band may jump a little earlier or later."""
    inside = np.interp(band["x"], *curve)
    held = (band["low"] - 1e-9 <= inside) & (inside <= band["high"] + 1e-9)
    assert held.mean() > 0.9
    assert (band["low"] <= band["high"]).all()
