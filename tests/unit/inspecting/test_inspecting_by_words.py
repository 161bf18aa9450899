"""`zsad inspect --part`: photographs compared with sentences, by whoever has a photograph and a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from zsad.cli import main
from zsad.errors import ConfigError
from zsad.inspecting import by_workflow
from zsad.inspecting.selection import select
from zsad.inspecting.written_configuration import understood

WritePng = Callable[..., Path]


@pytest.fixture
def photograph(tmp_path: Path, write_png: WritePng, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photograph beside a folder of good ones and an empty one to work in."""
    for seed in range(2):
        write_png(tmp_path / "good" / f"{seed}.png", seed=100 + seed)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return write_png(tmp_path / "IMG_2031.png", seed=0)


def configured(photograph: Path, *references: Path, **asked: Any) -> dict[str, Any]:
    """The configuration that is written, as YAML reads it."""
    selection = select([photograph], references)
    found = understood(selection, **{"threshold": None, "method": None, "backbone": None, **asked})
    text = by_workflow._configuration(found, selection, Path("out"), Path("out/photographs.csv"))
    read: dict[str, Any] = yaml.safe_load(text)
    return read


@pytest.mark.parametrize(
    ("given", "method", "params"),
    [
        ({}, "text_similarity", {"model": "clip-vitl14-336", "path": "values", "resolution": 518}),
        ({"method": "winclip"}, "winclip", {"model": "clip-vitb16-plus-240", "path": "windows"}),
        (
            {"backbone": "clip-vitb16"},
            "text_similarity",
            {"model": "clip-vitb16", "path": "values"},
        ),
        (
            {"backbone": "siglip2-vitb16-256"},
            "text_similarity",
            {"model": "siglip2-vitb16-256", "path": "plain"},
        ),
    ],
)
def test_a_photograph_and_a_word_are_enough(
    photograph: Path, given: dict[str, str], method: str, params: dict[str, str]
) -> None:
    written = configured(photograph, part='a 3" tin: lid', **given)
    assert written["dataset"]["part_names"] == 'a 3" tin: lid'
    assert written["backbone"] == "words"
    assert written["backbones"] == {"words": {"family": "image_text", "params": params}}
    assert written["methods"][method] == {"scorer": method}


def test_with_good_photographs_a_part_with_a_name_is_compared_with_both(photograph: Path) -> None:
    written = configured(photograph, photograph.parent / "good", part="lid")
    assert written["methods"]["winclip_plus"] == {"scorer": "winclip_plus", "params": {"shots": "all"}}
    assert written["backbones"]["words"]["params"]["path"] == "windows"


def test_what_is_written_is_a_configuration_that_the_workflow_takes(photograph: Path) -> None:
    selection = select([photograph])
    asked = understood(selection, threshold=None, method=None, backbone=None, part="tin lid")
    settings = by_workflow._checked(asked, selection)
    (category,) = settings.categories
    assert settings.part_name(category) == "tin lid"
    assert settings.methods["text_similarity"].backbone == "words"


def test_a_part_without_a_name_is_an_object_and_that_is_said(photograph: Path) -> None:
    found = understood(select([photograph]), threshold=None, method="winclip", backbone=None)
    assert "the object is called 'object'; give its name, e.g. --part" in found.remark
    assert configured(photograph, method="winclip")["dataset"]["part_names"] == "object"


def test_references_that_words_alone_do_not_look_at_are_told_of_too(photograph: Path) -> None:
    selection = select([photograph], [photograph.parent / "good"])
    remark = understood(selection, threshold=None, method="winclip", backbone=None).remark
    assert "'object'" in remark
    assert "winclip uses no references" in remark


def test_without_words_nothing_of_them_is_written(photograph: Path) -> None:
    written = configured(photograph, method="self_similarity")
    assert "part_names" not in written["dataset"]
    assert "backbones" not in written


@pytest.mark.parametrize(
    ("part", "method", "sentence"),
    [
        (
            "lid",
            "self_similarity",
            r"--part is for methods with text prompts \(.*winclip.*\), and 'self_similarity'",
        ),
        (" ", "text_similarity", "--part ' ' is not valid: "),
        ("{}", "winclip", "--part '{}' is not valid: "),
    ],
)
def test_a_part_that_makes_no_sense_is_one_sentence(photograph: Path, part: str, method: str, sentence: str) -> None:
    selection = select([photograph])
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        by_workflow._checked(understood(selection, threshold=None, method=method, backbone=None, part=part), selection)
    assert list(Path().iterdir()) == []


def test_a_backbone_without_texts_is_refused_before_anything_is_written(photograph: Path) -> None:
    selection = select([photograph])
    with pytest.raises(ConfigError, match="text"):
        by_workflow._checked(
            understood(selection, threshold=None, method=None, backbone="dinov2-small", part="lid"), selection
        )


def test_a_model_has_its_words_already(photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(photograph), "--model", "m.h5", "--part", "lid"]) == 1
    assert (
        "--part cannot be combined with --model: the name of the object is stored in the model"
        in capsys.readouterr().err
    )
