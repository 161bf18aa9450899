"""A slip in a configuration file is one sentence that names the place; names are checked before any download."""

from __future__ import annotations

from pathlib import Path

import pytest

from zsad.cli.command import main
from zsad.errors import ConfigError
from zsad.workflow.configfiles import read_configuration
from zsad.workflow.settings import load


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(content: str | bytes, name: str = "mine.yaml") -> Path:
    path = Path(name)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dataset: {name: t}\n".encode("utf-16"), r"mine\.yaml is text in UTF-16, not UTF-8; save it as UTF-8"),
        ("dataset: {name: t}\n".encode("utf-16-le"), r"is text in UTF-16"),
        ("a: 1\ndataset: {name: für}\n".encode("latin-1"), r"is not text in UTF-8 \(line 2\); save it as UTF-8"),
        ("dataset:\n\tname: t\n", r"not valid YAML: line 2: it is indented by a tab; use spaces"),
        ("dataset: {}\nmethods: {}\ndataset: {}\n", r"line 3: the key 'dataset' is already in line 1; remove one"),
        ("methods:\n  a: {}\n  b: {}\n  a: {}\n", r"line 4: the key 'a' is already in line 2"),
        ("dataset: {name: t, name: u}\n", r"line 1: the key 'name' is already in line 1"),
        ("dataset: [a\n", r"not valid YAML: line 2: expected ',' or '\]'"),
        ("dataset: {name: 2024-13-45}\n", r"not valid YAML: month must be in 1\.\.12"),
        ("name: !!timestamp soon\n", r"not valid YAML: .*; correct it"),
        ("name: !!bool maybe\n", r"not valid YAML: 'maybe'; correct it"),
        ("name: !!int {a: b}\n", r"not valid YAML: .*; correct it"),
        ("name: \x07\n", r"not valid YAML: .*; correct it"),
        ("- a\n", r"must contain keys and values"),
        ("", r"must contain keys and values"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    content: str | bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_configuration(path)
    assert "\n" not in str(caught.value)
    assert main(["check", "--configfile", str(path)]) == 1
    assert capsys.readouterr().err == f"zsad: {caught.value}\n"


def test_marks_anchors_and_json_are_fine() -> None:
    assert read_configuration(written(b"\xef\xbb\xbfdataset: {name: t}\n")) == {"dataset": {"name": "t"}}
    merged = read_configuration(written("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n"))
    assert merged["b"] == {"x": 3, "y": 2}
    assert read_configuration(written('{\n\t"dataset": {}\n}\n', "mine.json")) == {"dataset": {}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("methods: {memory_bnk: null}", r"'methods\.memory_bnk' is null, .*; did you mean 'memory_bank'\?"),
        ("refiners: {gided: null}", r"'refiners\.gided' is null, .*; did you mean 'guided'\?"),
        ("backbones: {embeded: null}", r"'backbones\.embeded' is null, .*; did you mean 'embedded'\?"),
        ("segmenters: {sam: null}", r"'segmenters\.sam' is null, .*; remove the line"),
        ("dataset: {layout: mvtec_ad, categories: [botle]}", r"has no category 'botle', .* did you mean 'bottle'\?"),
        ("dataset: {layout: visa, categories: [candle, pcb5]}", r"VisA has no category 'pcb5'"),
        ("dataset: {layout: mpdd, categories: [x]}", r"choose from: .*bracket_black"),
        ("dataset: {categories: [01, 02]}", r"name 1 in 'dataset\.categories' .* the number 1; put it in quotes"),
        ("dataset: {categories: [ring, 2]}", r"name 2 in 'dataset\.categories' .* the number 2; put it in quotes"),
        ("dataset: {categories: [on, off]}", r"reads it as the truth value true; put it in quotes"),
        ("dataset: {categories: [2024-01-01]}", r"reads it as the date 2024-01-01; put it in quotes"),
        ("dataset: {categories: [1.0e+3]}", r"reads it as the number 1000\.0; put it in quotes"),
        ("dataset: {name: 007}", r"'dataset\.name' must be text, but YAML reads it as the number 7; put it in quotes"),
        ("dataset: {root: 2024-01-01}", r"'dataset\.root' must be text, .* the date 2024-01-01; put it in quotes"),
        ("backbone: off", r"'backbone' must be text, .* false; put it in quotes"),
        ("methods: {on: {scorer: mutual}}", r"a key in 'methods' must be text, .* true; put it in quotes"),
        ("methods: {1: null}", r"a key in 'methods' must be text, .* the number 1; put it in quotes"),
        ("1: 2", r"a key must be text"),
    ],
)
def test_names_are_checked_before_anything_is_fetched(content: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(content + "\n"))


def test_what_one_file_defines_another_may_switch_off() -> None:
    mine = written("methods: {mine: {scorer: mutual}}\nrefiners: {grabcut: null}\n")
    assert "mine" in load(mine).methods
    assert "mine" not in load(mine, written("methods: {mine: null}\n", "off.yaml")).methods


def test_1e3_is_a_name_as_it_stands() -> None:
    with pytest.raises(ConfigError, match="category '1e3' does not exist"):
        load(written("dataset: {categories: [1e3]}\n"))


def test_a_local_addition_to_a_published_data_set_is_a_category(tmp_path: Path) -> None:
    for folder in ("train/good", "test/good"):
        (tmp_path / "data/mvtec_ad/extra" / folder).mkdir(parents=True)
    assert load(written("dataset: {layout: mvtec_ad, categories: [extra]}\n")).categories == ["extra"]
