"""What masks and decisions find, against scikit-learn and plain loops over regions."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from zsad.evaluation.decisions import decision_counts, decision_metrics
from zsad.evaluation.mask_counts import mask_counts, mask_metrics
from zsad.evaluation.measured import Measured
from zsad.names import MASK_METRICS

EIGHT = np.ones((3, 3))


def blobs(rng, shape, share):
    field = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return field > np.quantile(field, 1 - share)


def category(seed):
    """Truths and masks of several sizes: blobs, single pixels that touch at a corner, good images, an empty mask."""
    rng = np.random.default_rng(seed)
    truths = [blobs(rng, (20, 24), 0.1), np.zeros((16, 16), bool), np.zeros((18, 15), bool), blobs(rng, (30, 30), 0.05)]
    truths[2][4, 4] = truths[2][5, 5] = truths[2][10, 2] = True
    masks = [blobs(rng, truth.shape, 0.15) for truth in truths]
    masks[3] = np.zeros((30, 30), bool)
    return masks, truths


def regions_by_hand(masks, truths):
    """Regions, those hit, components, those that touch a region: one by one."""
    found = np.zeros(4, int)
    for mask, truth in zip(masks, truths, strict=True):
        for one, other, places in ((truth, mask, (0, 1)), (mask, truth, (2, 3))):
            labels, count = ndimage.label(one, structure=EIGHT)
            for label in range(1, count + 1):
                found[places[0]] += 1
                found[places[1]] += bool(np.any(other[labels == label]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_of_masks_are_those_of_scikit_learn_and_of_regions_one_by_one(seed):
    masks, truths = category(seed)
    counts = sum(mask_counts(mask, truth if truth.any() else None) for mask, truth in zip(masks, truths, strict=True))
    called, labels = np.concatenate(masks, axis=None), np.concatenate(truths, axis=None)
    regions, hit, components, right = regions_by_hand(masks, truths)
    assert mask_metrics(counts) == pytest.approx(
        {
            "mask_precision": reference.precision_score(labels, called),
            "mask_recall": reference.recall_score(labels, called),
            "mask_f1": reference.f1_score(labels, called),
            "mask_iou": reference.jaccard_score(labels, called),
            "region_recall": hit / regions,
            "region_precision": right / components,
        },
        abs=1e-12,
    )


def test_regions_that_touch_at_a_corner_are_hit_together():
    truth = np.zeros((6, 6), bool)
    truth[1, 1] = truth[2, 2] = truth[5, 5] = True
    mask = np.zeros((6, 6), bool)
    mask[1, 1] = mask[0, 5] = True
    assert mask_counts(mask, truth).tolist() == [1, 1, 2, 2, 1, 2, 1]


def test_a_mask_that_marks_nothing_has_zeros_and_a_category_without_defects_has_nothing():
    truth = np.ones((4, 4), bool)
    assert set(map(float, mask_metrics(mask_counts(~truth, truth)).values())) == {0.0}
    assert np.isnan(list(mask_metrics(mask_counts(truth, None)).values())).all()
    assert tuple(mask_metrics(np.zeros(7))) == MASK_METRICS


def test_metrics_of_many_sums_at_once_are_those_of_each():
    sums = np.random.default_rng(0).integers(0, 5, (30, 7))
    together = mask_metrics(sums)
    for index, counts in enumerate(sums):
        for name, value in mask_metrics(counts).items():
            assert together[name][index] == pytest.approx(float(value), nan_ok=True)


def test_decisions_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    decided, defective = rng.random(50) < 0.4, rng.random(50) < 0.6
    found = decision_metrics(decision_counts(decided, defective).sum(axis=0))
    assert found["decision_precision"] == pytest.approx(reference.precision_score(defective, decided))
    assert found["decision_recall"] == pytest.approx(reference.recall_score(defective, decided))
    assert found["decision_f1"] == pytest.approx(reference.f1_score(defective, decided))
    assert found["decision_accuracy"] == pytest.approx(reference.accuracy_score(defective, decided))
    # The share of normal images called defective is what is lost of the recall of normal ones.
    assert found["decision_fpr"] == pytest.approx(1 - reference.recall_score(~defective, ~decided))


def test_decisions_of_many_sums_at_once_are_those_of_each():
    sums = np.random.default_rng(2).integers(0, 4, (30, 4))
    together = decision_metrics(sums)
    for index, counts in enumerate(sums):
        for name, value in decision_metrics(counts).items():
            assert together[name][index] == pytest.approx(float(value), nan_ok=True)


def test_decisions_that_find_nothing_have_precision_zero_and_none_without_defects():
    nothing = decision_metrics(decision_counts(np.zeros(4, bool), np.array([True, True, False, False])).sum(axis=0))
    assert {name: float(value) for name, value in nothing.items()} == {
        **dict.fromkeys(("decision_precision", "decision_recall", "decision_f1", "decision_fpr"), 0.0),
        "decision_accuracy": 0.5,
    }
    good = decision_metrics(decision_counts(np.array([True, False]), np.zeros(2, bool)).sum(axis=0))
    assert np.isnan([good["decision_precision"], good["decision_recall"], good["decision_f1"]]).all()
    assert (good["decision_accuracy"], good["decision_fpr"]) == (0.5, 0.5)
    defective = decision_metrics(decision_counts(np.array([True, False]), np.ones(2, bool)).sum(axis=0))
    assert np.isnan(defective["decision_fpr"])
    assert (defective["decision_precision"], defective["decision_recall"]) == (1.0, 0.5)
    assert np.isnan([float(value) for value in decision_metrics(np.zeros(4)).values()]).all()
    one_each = decision_metrics(decision_counts(np.array([True, False]), np.array([True, False])).sum(axis=0))
    assert [float(value) for value in one_each.values()] == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_ratio_is_that_of_the_values_and_of_each_draw_and_nothing_over_nothing():
    draws = {"part": np.array([0.2, 0.3, np.nan, 0.0]), "whole": np.array([0.4, 0.0, 0.5, 0.5])}
    measured = Measured({"part": 0.25, "whole": 0.5}, draws).with_ratio("ratio", "part", "whole")
    assert measured.values == {"part": 0.25, "whole": 0.5, "ratio": 0.5}
    np.testing.assert_array_equal(measured.replicates["ratio"], [0.5, np.nan, np.nan, 0.0])
    for part, whole in ((np.nan, 0.5), (0.5, np.nan), (0.5, 0.0), (0.0, 0.0)):
        assert np.isnan(Measured({"part": part, "whole": whole}, {}).with_ratio("r", "part", "whole").values["r"])
    without = Measured({"part": 0.25}, {"part": draws["part"]}).with_ratio("ratio", "part", "whole")
    assert np.isnan(without.values["ratio"])
    assert set(without.replicates) == {"part"}
