"""What a scorer says of images before any of their features is read, and what memory lets it take at a time."""

from __future__ import annotations

import pytest

from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute, compute_of
from zsad.scoring.flip_consistency import FlipConsistency
from zsad.scoring.mahalanobis import Mahalanobis

SHOWN = Shown(["a", "b"], [(2, 3), (4, 5)], layers=["0", "1"], channels=4)


def test_the_patches_of_images_are_those_of_all_grids() -> None:
    assert SHOWN.patches == 2 * 3 + 4 * 5
    assert SHOWN.only([1]).patches == 4 * 5


def test_a_layer_that_the_features_lack_is_told_with_those_that_there_are() -> None:
    assert FlipConsistency().refusal({"test": SHOWN}) == ""
    assert FlipConsistency(layers=("1", "0")).refusal({"test": SHOWN}) == ""
    assert "no layer '2'" in FlipConsistency(layers=("1", "2")).refusal({"test": SHOWN})
    assert FlipConsistency(layers=("2",)).refusal({"test": SHOWN._replace(layers=None)}) == ""


@pytest.mark.parametrize(("layers", "channels", "refused"), [(None, 8, False), (None, 9, True), (("0",), 5, True)])
def test_more_channels_than_there_are_are_told(layers: tuple[str, ...] | None, channels: int, refused: bool) -> None:
    scorer = Mahalanobis(channels=channels, layers=layers)
    assert ("fewer than" in scorer.fit_refusal(SHOWN, SHOWN)) == refused
    assert scorer.fit_refusal(SHOWN._replace(layers=None), SHOWN) == ""


def test_as_many_are_taken_at_a_time_as_fit_into_a_share_of_the_memory_and_at_least_one() -> None:
    compute = Compute(memory=1000)
    assert [compute.count(size) for size in (0, 1, 300, 1000, 1001)] == [1000, 1000, 3, 1, 1]
    assert [compute.count(100, share) for share in (0.0, 0.25, 0.5, 1.0)] == [1, 2, 5, 10]
    assert compute_of(device="cpu", memory_mb="32", precision="auto") == ("cpu", 32_000_000, "auto")
