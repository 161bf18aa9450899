"""Ranking metrics against scikit-learn, on all the shapes of data that break such code."""

import numpy as np
import pytest
from sklearn import metrics as reference

from zsad.errors import DataError
from zsad.evaluation.curves import precision_recall_curve, roc_curve, thin_out
from zsad.evaluation.ranking import auroc, average_precision, f1_max, rank_scores


def random_scores(rng, size):
    return rng.normal(size=size).astype(np.float32)


def tied_scores(rng, size):
    return rng.integers(0, 6, size).astype(np.float32)


def constant_scores(rng, size):
    return np.full(size, 0.25, np.float32)


def heavy_tailed_scores(rng, size):
    return rng.standard_cauchy(size).astype(np.float32)


SHAPES = [random_scores, tied_scores, constant_scores, heavy_tailed_scores]


@pytest.fixture(params=[(make, seed) for make in SHAPES for seed in (0, 1)], ids=lambda p: f"{p[0].__name__}-{p[1]}")
def scores_and_labels(request):
    make, seed = request.param
    rng = np.random.default_rng(seed)
    scores = make(rng, 400)
    labels = rng.random(400) < (0.1 if seed else 0.6)
    return scores, labels


def ranking_of(scores, labels):
    return rank_scores(scores[labels], scores[~labels])


def f1_at_every_score(scores, labels):
    return max(reference.f1_score(labels, scores >= threshold) for threshold in np.unique(scores))


def test_auroc_is_that_of_scikit_learn(scores_and_labels):
    scores, labels = scores_and_labels
    assert auroc(ranking_of(scores, labels)) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-9)


def test_average_precision_is_that_of_scikit_learn(scores_and_labels):
    scores, labels = scores_and_labels
    expected = reference.average_precision_score(labels, scores)
    assert average_precision(ranking_of(scores, labels)) == pytest.approx(expected, abs=1e-9)


def test_f1_max_is_the_greatest_f1_over_every_score(scores_and_labels):
    scores, labels = scores_and_labels
    assert f1_max(ranking_of(scores, labels)) == pytest.approx(f1_at_every_score(scores, labels), abs=1e-9)


def test_roc_curve_is_that_of_scikit_learn(scores_and_labels):
    scores, labels = scores_and_labels
    curve = roc_curve(ranking_of(scores, labels))
    x, y, _ = reference.roc_curve(labels, scores)
    # Where a step is vertical, interpolation is ambiguous: compare between the points.
    between = (x[1:] + x[:-1])[np.diff(x) > 0] / 2
    np.testing.assert_allclose(np.interp(between, *curve), np.interp(between, x, y), atol=1e-9)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(reference.auc(x, y), abs=1e-9)


def test_precision_recall_curve_has_scikit_learns_point_at_every_positive_score(scores_and_labels):
    scores, labels = scores_and_labels
    curve = precision_recall_curve(ranking_of(scores, labels))
    precision, recall, thresholds = reference.precision_recall_curve(labels, scores)
    kept = np.isin(thresholds, scores[labels])
    np.testing.assert_allclose(curve.x[:0:-1], recall[:-1][kept], atol=1e-9)
    np.testing.assert_allclose(curve.y[:0:-1], precision[:-1][kept], atol=1e-9)


def test_a_tie_counts_one_half():
    assert auroc(rank_scores(np.array([1.0]), np.array([1.0]))) == 0.5
    assert auroc(rank_scores(np.array([2.0, 1.0]), np.array([1.0]))) == 0.75


@pytest.mark.parametrize("labels", [np.ones(5, bool), np.zeros(5, bool), np.zeros(0, bool)])
def test_one_class_has_no_ranking_metric_and_no_curve(labels):
    ranking = ranking_of(np.arange(len(labels), dtype=np.float32), labels)
    assert np.isnan([auroc(ranking), average_precision(ranking), f1_max(ranking)]).all()
    assert roc_curve(ranking) is None
    assert precision_recall_curve(ranking) is None


@pytest.mark.parametrize("labels", [[True, False, False], [False, True, False]])
def test_a_nan_score_is_an_error(labels):
    with pytest.raises(DataError, match="NaN"):
        ranking_of(np.array([np.nan, 0.5, 1.0]), np.array(labels))


@pytest.mark.parametrize("make_curve", [roc_curve, precision_recall_curve])
def test_a_thinned_curve_keeps_its_ends_its_shape_and_only_its_own_points(make_curve):
    rng = np.random.default_rng(3)
    labels = rng.random(200_000) < 0.03
    scores = (rng.normal(size=labels.size) + 2 * labels).astype(np.float32)
    full = make_curve(ranking_of(scores, labels))
    thin = thin_out(full)
    assert len(thin.x) <= 400 < len(full.x)
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (full.x[0], full.y[0], full.x[-1], full.y[-1])
    assert set(zip(*thin, strict=True)) <= set(zip(*full, strict=True))
    assert np.trapezoid(thin.y, thin.x) == pytest.approx(np.trapezoid(full.y, full.x), abs=2e-3)


def test_a_short_curve_is_not_thinned():
    curve = roc_curve(rank_scores(np.array([1.0, 3.0]), np.array([0.0, 2.0])))
    assert thin_out(curve) is curve
    np.testing.assert_array_equal(curve.x, [0, 0, 0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(curve.y, [0, 0, 0.5, 0.5, 1, 1])
