"""Images that are made for training, where runs are planned, checked and estimated."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning_toys import toys  # noqa: F401
from zsad.data.image_list import ListedImage
from zsad.data.made_images import check_made
from zsad.data.subsets import SizedImage
from zsad.errors import DamagedFileError
from zsad.files.provenance import file_sha256
from zsad.grids import GridRule, TokenLayout
from zsad.scoring.base import Shown
from zsad.scoring.registry import SCORERS
from zsad.workflow.settings import load
from zsad.workflow.submissions import folder_names
from zsad.workflow.suitability import Asked, Suitability

LAYOUT = TokenLayout(GridRule(8), ("a",), 5)


def suitability(shots: int) -> Suitability:
    asked = Asked("drift", {"shots": shots, "by_synthetic": True}, "embedded", scores_references=False)
    return Suitability({"drift": asked}, {"embedded": LAYOUT})


def images(split: str, count: int) -> list[SizedImage]:
    return [SizedImage(f"{split}/{place}.png", split, 64, 64 + 8 * place) for place in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("tests", [3, 0])
@pytest.mark.usefixtures("toys")
def test_a_method_is_asked_of_them_as_they_will_be(tests: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Shown] = {}

    def refusal(self: object, shown: dict[str, Shown], **kwargs: object) -> str:
        seen.update(shown)
        return "it does not like them"

    monkeypatch.setattr(SCORERS.load("drift"), "refusal", refusal)
    refusals = suitability(4).refusals("lid")(images("train", 6) + images("test", tests))
    assert refusals == ["method 'drift': it does not like them"]
    assert seen.keys() == {"test", "references", "synthetic"}
    assert [name.split(".")[1] for name in seen["synthetic"].image_ids] == ["cutpaste"] * 4
    assert seen["synthetic"].grids == seen["references"].grids


@pytest.mark.usefixtures("toys")
def test_too_few_references_are_told_of_before_any_is_made() -> None:
    (reason,) = suitability(4).refusals("lid")(images("train", 3) + images("test", 3))
    assert "3 training images, fewer than the 4" in reason
    assert suitability(4).refusals("lid", "synthetic-k4-seed0-n4-c")(images("test", 4)) == ()


@pytest.mark.usefixtures("toys")
def test_a_submission_of_its_own_is_called_after_them(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(
        "dataset: {name: t, categories: [ring]}\n"
        "methods: {drift: {scorer: drift, backbone: embedded, params: {shots: 4, by_synthetic: true}}}\n"
    )
    expected = {"dataset": "t", "category": "ring", "subset": "synthetic-k4-seed0-n4-c"}
    name = "..".join(f"make_synthetic__{key}={value}" for key, value in expected.items())
    assert name in set(folder_names(load(config)))


@pytest.mark.parametrize("what", ["is missing", "has changed"])
def test_one_that_is_not_as_it_was_made_has_all_made_anew(tmp_path: Path, what: str) -> None:
    path = tmp_path / "0.png"
    path.write_bytes(b"pixels")
    listed = [ListedImage("0.png", path.as_posix(), "test", 8, 9, file_sha256(path))]
    check_made(tmp_path / "images.csv", listed)
    path.unlink()
    if what == "has changed":
        path.write_bytes(b"others")
    with pytest.raises(DamagedFileError, match=f"0.png, which {what}") as told:
        check_made(tmp_path / "images.csv", listed)
    assert told.value.path == tmp_path / "images.csv"
