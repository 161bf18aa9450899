"""Confidence limits against a bootstrap that draws the images one by one."""

import math

import numpy as np
import pytest
from scipy import ndimage

from zsad.evaluation.aupro import aupro
from zsad.evaluation.bootstrap import histogram_metrics, image_confidence, mean_confidence, pixel_confidence
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.ranking import IMAGE_METRICS, PIXEL_METRICS, auroc, average_precision, f1_max, rank_scores

LIMIT = 0.3


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
        images.append((field.astype(np.float32), mask))
    return images


def draws_one_by_one(strata, resamples, seed):
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.concatenate([rng.choice(stratum, size=len(stratum)) for stratum in strata])


def image_metrics(scores, labels):
    ranking = rank_scores(scores[labels == 1], scores[labels == 0])
    return [float(auroc(ranking)), float(average_precision(ranking)), float(f1_max(ranking))]


def pixel_metrics(images):
    found = pixel_statistics(images, 0.0, with_histograms=False)
    return [
        float(auroc(found.ranking)),
        float(average_precision(found.ranking)),
        float(f1_max(found.ranking)),
        float(aupro(found.ranking, found.overlap, LIMIT)),
    ]


def test_image_limits_are_those_of_drawing_one_by_one():
    scores, labels = scored_images()
    strata = [np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)]
    slow = np.array([image_metrics(scores[drawn], labels[drawn]) for drawn in draws_one_by_one(strata, 3000, seed=7)])
    found = image_confidence(scores, labels, 4000, seed=0)
    for metric, values in zip(IMAGE_METRICS, slow.T, strict=True):
        assert found[metric].standard_error == pytest.approx(values.std(ddof=1), rel=0.08)
        assert found[metric].low == pytest.approx(np.percentile(values, 2.5), abs=0.02)
        assert found[metric].high == pytest.approx(np.percentile(values, 97.5), abs=0.02)


def test_a_draw_measured_by_histograms_is_nearly_the_drawn_images_measured_anew():
    images = images_with_truth()
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    histograms = pixel_statistics(images, 0.0, with_histograms=True).histograms
    for drawn in draws_one_by_one(strata, 20, seed=7):
        weights = np.bincount(drawn, minlength=len(images))[None].astype(float)
        binned = histogram_metrics(histograms, weights, LIMIT)
        anew = pixel_metrics([images[index] for index in drawn])
        for metric, value in zip(PIXEL_METRICS, anew, strict=True):
            # Average precision takes a bin's last precision for all of it: at most 1/500 too low.
            tolerance = 1e-4 if metric in ("pixel_auroc", "aupro") else 2e-3
            assert binned[metric][0] == pytest.approx(value, abs=tolerance), metric


def test_pixel_limits_are_the_percentiles_of_draws_within_each_kind_of_image():
    images = images_with_truth()
    strata = [np.arange(1, len(images), 2), np.arange(0, len(images), 2)]
    histograms = pixel_statistics(images, 0.0, with_histograms=True).histograms
    drawn = [np.bincount(images, minlength=16) for images in draws_one_by_one(strata, 2000, seed=7)]
    slow = histogram_metrics(histograms, np.array(drawn, dtype=float), LIMIT)
    found = pixel_confidence(histograms, LIMIT, 2000, seed=0)
    for metric, limits in found.items():
        assert limits.standard_error == pytest.approx(slow[metric].std(ddof=1), rel=0.08), metric
        assert limits.low == pytest.approx(np.percentile(slow[metric], 2.5), abs=0.03), metric
        assert limits.high == pytest.approx(np.percentile(slow[metric], 97.5), abs=0.03), metric


def test_limits_are_the_same_for_the_same_seed_and_differ_for_another():
    scores, labels = scored_images()
    assert image_confidence(scores, labels, 200, seed=1) == image_confidence(scores, labels, 200, seed=1)
    assert image_confidence(scores, labels, 200, seed=1) != image_confidence(scores, labels, 200, seed=2)


def test_limits_hold_the_true_auroc_about_95_times_in_100():
    """Scores N(0, 1) and N(1.2, 1): the true AUROC is Phi(1.2 / sqrt 2)."""
    truth = 0.5 * (1 + math.erf(1.2 / 2))
    limits = [image_confidence(*scored_images(seed, count=80), 300, seed=0)["image_auroc"] for seed in range(200)]
    assert 0.90 <= np.mean([limit.low <= truth <= limit.high for limit in limits]) <= 0.99


def test_perfect_scores_have_limits_of_one():
    labels = np.repeat([0, 1], 10)
    for limits in image_confidence(labels.astype(float), labels, 100, seed=0).values():
        assert limits == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_limits(label):
    found = image_confidence(np.arange(5.0), np.full(5, label), 100, seed=0)
    assert set(found) == set(IMAGE_METRICS)
    assert np.isnan([*found.values()]).all()


def test_tied_images_are_drawn_and_ranked_as_ties():
    labels = np.repeat([0, 1], 10)
    assert image_confidence(np.zeros(20), labels, 100, seed=0)["image_auroc"] == (0.5, 0.5, 0.0)


def test_limits_of_a_mean_combine_as_independent_errors():
    found = mean_confidence(0.9, [0.03, 0.04])
    assert found.standard_error == pytest.approx(0.025)
    assert found.low == pytest.approx(0.9 - 1.96 * 0.025)
    assert found.high == pytest.approx(0.9 + 1.96 * 0.025)
    assert mean_confidence(0.99, [0.1]).high == 1.0
    assert np.isnan(mean_confidence(np.nan, [])).all()
