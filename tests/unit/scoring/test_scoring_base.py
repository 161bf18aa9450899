"""What a scorer says of images before any of their features is read, and what memory lets it take at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_files import random_tokens, write_features
from zsad.errors import ConfigError
from zsad.files.features import FeatureReader
from zsad.scoring.base import Needs, Shown
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute, compute_of
from zsad.scoring.flip_consistency import FlipConsistency
from zsad.scoring.mahalanobis import Mahalanobis
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mutual import Mutual
from zsad.scoring.self_similarity import SelfSimilarity

SHOWN = Shown(["a", "b"], [(2, 3), (4, 5)], layers=["0", "1"], channels=4)


def test_the_patches_of_images_are_those_of_all_grids() -> None:
    assert SHOWN.patches == 2 * 3 + 4 * 5
    assert SHOWN.only([1]).patches == 4 * 5


def test_a_layer_that_the_features_lack_is_reported_with_those_that_there_are() -> None:
    assert FlipConsistency().refusal({"test": SHOWN}) == ""
    assert FlipConsistency(layers=("1", "0")).refusal({"test": SHOWN}) == ""
    assert "no layer '2'" in FlipConsistency(layers=("1", "2")).refusal({"test": SHOWN})
    assert FlipConsistency(layers=("2",)).refusal({"test": SHOWN._replace(layers=None)}) == ""


@pytest.mark.parametrize(("layers", "channels", "refused"), [(None, 8, False), (None, 9, True), (("0",), 5, True)])
def test_more_channels_than_there_are_are_reported(
    layers: tuple[str, ...] | None, channels: int, refused: bool
) -> None:
    scorer = Mahalanobis(channels=channels, layers=layers)
    assert ("fewer than" in scorer.fit_refusal(SHOWN, SHOWN)) == refused
    assert scorer.fit_refusal(SHOWN._replace(layers=None), SHOWN) == ""


def test_as_many_are_taken_at_a_time_as_fit_into_a_share_of_the_memory_and_at_least_one() -> None:
    compute = Compute(memory=1000)
    assert [compute.count(size) for size in (0, 1, 300, 1000, 1001)] == [1000, 1000, 3, 1, 1]
    assert [compute.count(100, share) for share in (0.0, 0.25, 0.5, 1.0)] == [1, 2, 5, 10]
    assert compute_of(device="cpu", memory_mb="32", precision="auto") == ("cpu", 32_000_000, "auto")


@pytest.mark.parametrize(
    ("params", "fewest", "with_folds"),
    [
        ({}, 1, 2),
        ({"k": 3}, 3, 4),
        ({"k": 5}, 5, 7),  # of seven a fifth, rounded up, is left out of a fit
        ({"k": 8, "rotations": True}, 1, 2),  # eight views of one
        ({"k": 9, "rotations": True}, 2, 3),
    ],
)
def test_references_are_as_many_as_have_the_neighbours_in_every_fit(
    params: dict[str, int], fewest: int, with_folds: int
) -> None:
    scorer = ClassTokenKnn(**params)
    assert scorer.needs() == Needs(train=fewest, least_train=fewest)
    assert scorer.needs(scores_references=True) == Needs(train=with_folds, least_train=with_folds)
    assert ClassTokenKnn(**params, shots=20).needs() == Needs(train=20, least_train=fewest)
    assert ClassTokenKnn(**params, shots="all").needs() == Needs(train=fewest, least_train=fewest)


@pytest.mark.parametrize("shots", [1, "1", 7, "all"])
def test_shots_are_a_number_or_all(shots: int | str) -> None:
    assert str(ClassTokenKnn.build({"shots": shots}, where="here").shots) == str(shots)


@pytest.mark.parametrize("shots", [0, "0", -1, 1.5, "some", None])
def test_shots_that_are_no_number_of_images_are_refused(shots: object) -> None:
    with pytest.raises(ConfigError, match="number of at least 1, or 'all'"):
        ClassTokenKnn.build({"shots": shots}, where="here")


def test_one_patch_beyond_the_radius_is_enough_for_one_neighbour_and_none_is_not() -> None:
    def refusal(grid: tuple[int, int], **params: int) -> str:
        shown = SHOWN._replace(image_ids=["a"], grids=[grid])
        return SelfSimilarity(exclusion_radius=1, **params).refusal({"test": shown})

    assert "has only 3 x 3 patches" in refusal((3, 3))
    assert refusal((1, 4)) == refusal((1, 4), k=1) == ""
    assert "has 1 patches beyond" in refusal((1, 4), k=2)


def test_the_work_of_mutual_scoring_is_all_pairs_of_patches_of_each_batch_at_each_stage(tmp_path: Path) -> None:
    scorer = Mutual(batch=2, seed=1)
    grids = [(2, 3), (4, 4), (1, 5), (3, 3)]
    with FeatureReader(write_features(tmp_path / "test.h5", random_tokens(0, *grids))) as reader:
        meter, work = scorer.meter(reader, 6)
    assert work == [sum(grids[i][0] * grids[i][1] for i in batch) ** 2 for batch in scorer.batches(4)]
    assert meter._work == 6 * sum(work)


def test_one_reference_is_enough_unless_references_are_scored_too() -> None:
    assert MemoryBank().needs() == Needs(train=1, least_train=1)
    assert MemoryBank(shots="all").needs() == Needs(train=1, least_train=1)
    images = {"test": SHOWN, "references": SHOWN.only([0])}
    assert MemoryBank().refusal(images) == MemoryBank().refusal(images, scores_references=False) == ""
    assert MemoryBank().refusal(images, scores_references=True)


def test_a_scorer_that_says_nothing_of_it_needs_no_memory_beside_what_it_reads() -> None:
    assert FlipConsistency().working_bytes({}) == 0
