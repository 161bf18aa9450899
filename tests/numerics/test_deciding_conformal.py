"""Conformal decisions: rates that hold exactly, over a batch too, against plain counting and by simulation."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, stats

from zsad.deciding.base import Evidence
from zsad.deciding.conformal import Conformal, fewest_references, ranks_among
from zsad.errors import DataError
from zsad.maps import standing_out

REFERENCES = (4, 8, 19, 99)
ERRORS = 4.5  # standard errors that a simulation may be off: 1 in 100 000


def images_alone(peaks: Any, references: Any) -> Evidence:
    """Evidence of a method without maps."""
    return Evidence([], np.asarray(peaks, dtype=np.float64), [], np.asarray(references, dtype=np.float64))


def allowed_rank(alpha: str, references: int) -> int:
    """floor(alpha (K + 1)) in whole numbers, of a decimal fraction."""
    return int(Fraction(alpha) * (references + 1))


@pytest.mark.parametrize("alpha", ["0.01", "0.05", "0.07", "0.1", "0.29", "0.3", "0.5", "0.57", "0.9", "0.999"])
@pytest.mark.parametrize("references", [*REFERENCES, 2, 9, 49, 199])
def test_of_all_equally_likely_ranks_of_a_good_image_exactly_the_share_is_called(references: int, alpha: str) -> None:
    """A normal image among K references has each of K + 1 ranks with the same probability: here is one of each."""
    peaks = np.arange(references + 1) + 0.5
    verdicts = Conformal(alpha=float(alpha), too_few="none").decide(images_alone(peaks, np.arange(1, references + 1)))
    called = allowed_rank(alpha, references)
    assert np.count_nonzero(verdicts.decided) == called
    assert verdicts.nominal == called / (references + 1)
    np.testing.assert_array_equal(verdicts.decided, verdicts.significance <= float(alpha))
    np.testing.assert_array_equal(np.sort(verdicts.significance), np.arange(1, references + 2) / (references + 1))


@pytest.mark.parametrize("references", REFERENCES)
def test_simulated_good_images_are_called_at_the_rate_that_is_named(references: int) -> None:
    rng, trials = np.random.default_rng(references), 1500
    rule = Conformal()
    called, nominal = 0, set()
    for scores in rng.gamma(1.5, size=(trials, references + 1)):
        verdicts = rule.decide(images_alone(scores[:1], scores[1:]))
        called += int(verdicts.decided[0])
        nominal.add(verdicts.nominal)
    (rate,) = nominal
    assert rate == max(allowed_rank("0.1", references), 1) / (references + 1)
    assert abs(called / trials - rate) < ERRORS * np.sqrt(rate * (1 - rate) / trials)


@pytest.mark.parametrize("references", [4, 10, 19])
def test_the_rate_is_held_where_references_are_scored_by_their_nearest_neighbours_among_the_others(
    references: int,
) -> None:
    """As a memory bank has it: leave-one-out for references, and all of them for an image."""
    rng, trials, rule = np.random.default_rng(references), 1500, Conformal()
    called = 0
    for points in rng.normal(size=(trials, references + 1, 5)):
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
        np.fill_diagonal(distances, np.inf)
        of_references = distances[1:, 1:].min(axis=1)
        verdicts = rule.decide(images_alone([distances[0, 1:].min()], of_references))
        called += int(verdicts.decided[0])
    rate = max(allowed_rank("0.1", references), 1) / (references + 1)
    assert called / trials < rate + ERRORS * np.sqrt(rate * (1 - rate) / trials)
    assert called / trials > rate / 3  # it is not idle for all that


def test_ties_make_fewer_false_alarms_never_more() -> None:
    rng, trials, rule = np.random.default_rng(1), 1500, Conformal()
    scores = rng.integers(0, 6, size=(trials, 20)).astype(np.float64)
    called = [rule.decide(images_alone(row[:1], row[1:])).decided[0] for row in scores]
    assert np.mean(called) < 0.1
    verdicts = rule.decide(images_alone([1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]))
    assert verdicts.significance.tolist() == [1.0, 0.9, 0.1]
    assert verdicts.decided.tolist() == [False, False, True]


def test_p_values_are_those_of_plain_counting() -> None:
    rng = np.random.default_rng(2)
    references, peaks = rng.integers(0, 30, 25) / 8, rng.integers(0, 40, 50) / 8
    ranks = ranks_among(peaks, np.sort(references))
    assert ranks.tolist() == [1 + sum(reference >= peak for reference in references) for peak in peaks]
    verdicts = Conformal().decide(images_alone(peaks, references))
    assert verdicts.measure == "p_value"
    np.testing.assert_array_equal(verdicts.significance, ranks / 26)


# What K references do that are too few for alpha


@pytest.mark.parametrize(
    ("references", "alpha", "remark"),
    [
        (8, 0.1, "8 references allow a false-alarm rate of 11.1 % at the least; give 9 or more for 10 %."),
        (2, 0.05, "2 references allow a false-alarm rate of 33.3 % at the least; give 19 or more for 5 %."),
        (98, 0.01, "98 references allow a false-alarm rate of 1.01 % at the least; give 99 or more for 1 %."),
    ],
)
def test_too_few_references_hold_the_smallest_rate_that_they_can_and_say_so(
    references: int, alpha: float, remark: str
) -> None:
    peaks, scores = np.arange(references + 1) + 0.5, np.arange(1, references + 1)
    verdicts = Conformal(alpha=alpha).decide(images_alone(peaks, scores))
    assert verdicts.remarks == (remark,)
    assert verdicts.nominal == 1 / (references + 1)
    assert verdicts.decided.tolist() == [False] * references + [True]
    none = Conformal(alpha=alpha, too_few="none").decide(images_alone(peaks, scores))
    assert (none.nominal, none.decided.any()) == (0, False)
    assert none.remarks == (remark.replace("least;", "least, so that no image is called defective;"),)
    assert np.isfinite(none.region).all()


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.07, 0.3, 1 / 3, 1 / 49, 0.001])
def test_the_number_of_references_that_is_asked_for_is_the_fewest_that_will_do(alpha: float) -> None:
    needed = fewest_references(alpha)
    assert Conformal(alpha=alpha).decide(images_alone([0.0], np.arange(max(needed, 2)))).remarks == ()
    if needed > 2:
        assert len(Conformal(alpha=alpha).decide(images_alone([0.0], np.arange(needed - 1))).remarks) == 1


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("over_batch", ["none", "benjamini_hochberg"])
def test_fewer_than_two_references_are_refused(count: int, over_batch: str) -> None:
    with pytest.raises(DataError, match=f"at least 2, and there (is|are) {count}"):
        Conformal.build({"over_batch": over_batch}, where="x").decide(images_alone([1.0], np.zeros(count)))


def test_references_that_are_copies_of_one_photograph_are_reported() -> None:
    verdicts = Conformal().decide(images_alone([0.0, 1.0], np.zeros(12)))
    assert verdicts.decided.tolist() == [False, True]
    assert verdicts.remarks == (
        "All 12 references score the same, as copies of one photograph do; p-values need different photographs.",
    )


# Regions


def blobs(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Good maps with several regions each, of different sizes."""
    return [
        ndimage.gaussian_filter(rng.normal(size=(int(rows), 14)), 0.8).astype(np.float32)
        for rows in rng.integers(10, 16, size=count)
    ]


def test_a_region_is_marked_exactly_if_its_p_value_is_at_most_the_rate_and_the_least_one_is_the_images() -> None:
    rng = np.random.default_rng(3)
    evidence = Evidence(blobs(rng, 30), np.zeros(30), blobs(rng, 19), np.zeros(19))
    verdicts = Conformal(alpha=0.3).decide(evidence)
    ordered = np.sort(evidence.reference_peaks)
    marked_beside_others = 0
    for index, anomaly_map in enumerate(evidence.maps):
        pixel = np.float32(verdicts.pixel[index])
        labels, count = ndimage.label(anomaly_map > pixel, np.ones((3, 3)))
        peaks = ndimage.maximum(anomaly_map, labels, np.arange(1, count + 1))
        p_values = ranks_among(np.asarray(peaks, np.float64), ordered) / 20
        if count:
            assert p_values.min() == verdicts.significance[index]
        # At the size of the grid, pixels are patches.
        marked = standing_out(anomaly_map, verdicts.thresholds(index), *anomaly_map.shape) > pixel
        found = [bool(marked[labels == label].all()) for label in range(1, count + 1)]
        assert found == (p_values <= 0.3).tolist()
        assert np.count_nonzero(marked) == sum(
            np.count_nonzero(labels == 1 + i) for i, is_in in enumerate(found) if is_in
        )
        marked_beside_others += 0 < sum(found) < count
    assert marked_beside_others > 3


def test_the_threshold_of_pixels_lies_between_the_median_patch_of_the_references_and_that_of_regions() -> None:
    rng = np.random.default_rng(4)
    references = blobs(rng, 19)
    evidence = Evidence(blobs(rng, 5), np.zeros(5), references, np.zeros(19))
    median = np.median(np.concatenate([reference.ravel() for reference in references]))
    for extent in (0.0, 0.25, 1.0):
        verdicts = Conformal(extent=extent).decide(evidence)
        expected = median + extent * (verdicts.region - median)
        np.testing.assert_allclose(verdicts.pixel, expected, atol=1e-6)


# Over a batch


def plain_benjamini_hochberg(p_values: list[Fraction], alpha: Fraction) -> list[bool]:
    """The largest k with at least k p-values of at most k alpha / n."""
    count = len(p_values)
    passed = [k for k in range(1, count + 1) if sum(p <= k * alpha / count for p in p_values) >= k]
    return [p <= max(passed, default=0) * alpha / count for p in p_values]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Peaks, references and alpha: few and many, with ties, all good to all defective."""
    rng = np.random.default_rng(5)
    for index in range(300):
        references = rng.integers(0, 200, size=rng.integers(2, 120)) / 8
        peaks = rng.integers(0, 200, size=rng.integers(1, 30)) / 8
        peaks[: index % (len(peaks) + 1)] += 30
        yield peaks, references, ("0.05", "0.1", "0.2", "0.3", "0.07")[index % 5]


def test_over_a_batch_those_are_called_that_benjamini_and_hochberg_call() -> None:
    rates = []
    for peaks, references, alpha in batches():
        verdicts = Conformal(alpha=float(alpha), over_batch="benjamini_hochberg").decide(
            images_alone(peaks, references)
        )
        p_values = [Fraction(int(1 + np.sum(references >= peak)), len(references) + 1) for peak in peaks]
        assert verdicts.decided.tolist() == plain_benjamini_hochberg(p_values, Fraction(alpha))
        np.testing.assert_array_equal(verdicts.significance, [float(p_value) for p_value in p_values])
        if verdicts.decided.any():
            assert verdicts.region[0] in references
        rates.append(verdicts.decided.mean())
        adjusted = stats.false_discovery_control(verdicts.significance)
        clear = np.abs(adjusted - float(alpha)) > 1e-9
        np.testing.assert_array_equal(verdicts.decided[clear], adjusted[clear] <= float(alpha))
    assert np.mean(np.equal(rates, 0)) > 0.1
    assert np.mean(np.greater(rates, 0)) > 0.3


@pytest.mark.parametrize(("defective", "strength"), [(0, 0.0), (2, 3.0), (10, 3.0), (10, 5.0), (20, 2.0)])
def test_of_the_images_called_over_a_batch_at_most_the_share_is_good_on_average(
    defective: int, strength: float
) -> None:
    rng, rule = np.random.default_rng(6), Conformal(alpha=0.2, over_batch="benjamini_hochberg")
    images, references, trials = 25, 99, 400
    shares, found = [], 0
    for scores in rng.normal(size=(trials, images + references)):
        scores[:defective] += strength
        decided = rule.decide(images_alone(scores[:images], scores[images:])).decided
        shares.append(decided[defective:].sum() / max(decided.sum(), 1))
        found += decided[:defective].sum()
    bound = 0.2 * (images - defective) / images
    assert np.mean(shares) < bound + ERRORS * np.std(shares) / np.sqrt(trials) + 1e-9
    if defective >= 10:
        assert found > 0.4 * trials * defective


@pytest.mark.parametrize(
    ("images", "references", "remark"),
    [
        (20, 8, "8 references allow no image to be called defective; give 9 or more to call any, 199 or more to call a "
         "single one."),
        (1, 8, "8 references allow no image to be called defective; give 9 or more to call a single one."),
        (20, 9, "9 references allow either none or at least 20 of 20 images to be called defective; give 199 or more to"
         " call a single one."),
        (20, 99, "99 references allow either none or at least 2 of 20 images to be called defective; give 199 or more "
         "to call a single one."),
        (20, 199, None),
    ],
)  # fmt: skip
def test_over_a_batch_it_is_said_how_many_must_be_called_together(
    images: int, references: int, remark: str | None
) -> None:
    rule, scores = Conformal(over_batch="benjamini_hochberg"), np.arange(references) / references
    verdicts = rule.decide(images_alone(np.full(images, 0.5), scores))
    assert verdicts.remarks[0] == "On average at most 10 % of the images that are called defective are normal ones."
    assert list(verdicts.remarks[1:]) == ([] if remark is None else [remark])
    assert np.isnan(verdicts.nominal)
    fewest = next(
        (
            count
            for count in range(1, images + 1)
            if rule.decide(images_alone([2.0] * count + [-1.0] * (images - count), scores)).decided.any()
        ),
        None,
    )
    said = {8: None, 9: 20, 99: 2, 199: 1}[references]
    assert fewest == said
