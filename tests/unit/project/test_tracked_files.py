"""Files whose names Snakemake would misread are followed all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zsad.cli import main
from zsad.errors import ConfigError
from zsad.files.tracked import (
    check_folder_of_downloads,
    check_workflow_folder,
    has_syntax,
    is_literal,
    literal,
    local_files,
    stamp,
)
from zsad.workflow import settings as config

MISREAD = ("a{1}.png", "{3F2504E0-4F89}.png", "{category}/x.png", "<b>/x.png", "x<results>.png", "{x", "y}", "<", ">")
WARNED_OF = (" a.png", "a.png ", "a\nb.png")  # by Snakemake, for each job
TAKEN_LITERALLY = ("a.png", "Ä 1 (2).JPG", "50%.png", "a[1]*?.png", "$HOME.png", "a,b;c.png", "ro'\"t/x.png")


@pytest.mark.parametrize("name", [*MISREAD, *WARNED_OF])
def test_a_name_with_syntax_of_snakemake_has_a_stamp_in_place_of_being_an_input(name: str) -> None:
    assert not is_literal(name)
    assert literal([name, "a.png"]) == ["a.png"]
    assert stamp([name, "a.png"]) == stamp([name]) != stamp([f"{name}{name}"])


@pytest.mark.parametrize("name", TAKEN_LITERALLY)
def test_any_other_name_is_an_input(name: str) -> None:
    assert is_literal(name)
    assert literal([Path(name)]) == [name]
    assert stamp([name]) == ""


def test_a_stamp_changes_with_size_time_and_presence(tmp_path: Path) -> None:
    path = tmp_path / "{1}.png"
    seen = [stamp([path])]
    for content, time in ((b"a", 1), (b"a", 2), (b"ab", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        seen.append(stamp([path]))
    assert all(one != other for index, one in enumerate(seen) for other in seen[:index])


def test_names_that_go_into_patterns_may_have_spaces_but_no_syntax() -> None:
    assert all(map(has_syntax, MISREAD))
    assert not any(map(has_syntax, (*TAKEN_LITERALLY, *WARNED_OF)))


@pytest.mark.parametrize("name", ["{published}", "a{", "<logs>", "a>b"])
def test_a_folder_of_downloads_that_snakemake_would_misread_is_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=r"folder of downloads .* set dataset\.download_to to another folder"):
        check_folder_of_downloads(Path("/data") / name)
    check_folder_of_downloads(Path("/da ta/50%*"))


@pytest.mark.parametrize("name", ["my {clone}", "}", "a{1}b", "zsad:2"])
def test_a_folder_of_the_workflow_that_cannot_be_is_the_same_sentence_in_a_run_and_in_the_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(config, "REPOSITORY", folder)
        with pytest.raises(ConfigError, match=r"has '.' in its path, .*move or rename it"):
            config.load()
    (folder / "Snakefile").touch()
    monkeypatch.chdir(folder)
    assert main(["check"]) == 1
    assert f"the folder of the workflow, {folder}, has '" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["<my> clone", "50%", "a'b\"c", "$HOME", "a\\b", "~x"])
def test_a_folder_of_the_workflow_may_be_called_anything_else(name: str) -> None:
    check_workflow_folder(Path("/home") / name)


def test_the_files_of_a_local_model_are_those_directly_in_its_folder_or_itself(tmp_path: Path) -> None:
    (tmp_path / "{m}/inner").mkdir(parents=True)
    for name in ("b.safetensors", "a.json"):
        (tmp_path / "{m}" / name).touch()
    assert local_files(f"{tmp_path}/{{m}}") == [f"{tmp_path}/{{m}}/a.json", f"{tmp_path}/{{m}}/b.safetensors"]
    assert local_files(f"{tmp_path}/{{m}}/a.json") == [f"{tmp_path}/{{m}}/a.json"]
    assert local_files("facebook/nothing-here") == local_files(None) == []
