"""Methods that ask in words: what texts depend on, which backbones share them, and what is refused before a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.cli.command import main
from zsad.data.catalogue import datasets
from zsad.errors import ConfigError, ModelError
from zsad.features.registry import BACKBONES, completed
from zsad.resources.jobs import ESTIMATES, estimated, threads_of
from zsad.resources.run import Run
from zsad.workflow.entries import BackboneEntry
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.submissions import folder_names

WINDOWS = {"family": "worded", "params": {"path": "windows"}}
CONFIG = merged(
    yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8")),
    dataset__name="t",
    backbone="embedded",
    backbones={
        "embedded": {"family": "embedded", "params": {}},
        "seen": WINDOWS,
        "coarse": {"family": "worded", "params": {"cells": 4}},
        "other": {"family": "worded", "params": {"words": "another"}},
    },
    methods={
        "alone": {"scorer": "mutual", "backbone": "coarse"},
        "windows": {"scorer": "winclip", "backbone": "seen"},
        "dense": {"scorer": "text_similarity", "backbone": "coarse"},
        "few": {"scorer": "winclip_plus", "backbone": "seen", "params": {"shots": 2, "text_prompts": "winclip_21"}},
    },
)
LEARNED = {"text_prompts": "learned.pth", "trained_on": "visa"}
WORDS = {"normal": ["{}"], "anomalous": ["torn {}", "bent {}"], "templates": ["a photo of a {}.", "the {}."]}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, a backbone with texts in the registry, and files of prompts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BACKBONES._entries, "worded", "toy_texts:Worded")
    Path("learned.pth").write_bytes(b"tokens")
    Path("mine.yaml").write_text(yaml.safe_dump(WORDS), encoding="utf-8")


def settings(**changes: Any) -> Settings:
    return Settings(merged(CONFIG, **changes))


def refusal(**changes: Any) -> str:
    """The one sentence of a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        settings(**changes).check_models()
    said = str(caught.value)
    assert "\n" not in said
    return said


def folder_set(root: Path, categories: list[str], write_png: Callable[..., Path]) -> dict[str, Any]:
    for category in categories:
        for name in ("train/good/0", "test/good/0", "test/bad/0"):
            write_png(root / category / f"{name}.png")
    return {"layout": "mvtec", "root": str(root), "name": None}


def test_methods_with_one_model_share_the_texts_that_they_ask_about() -> None:
    found = settings()
    assert {name: found.text_backbone(name) for name in ("windows", "dense", "few")} == dict.fromkeys(
        ("windows", "dense", "few"), "seen"
    )
    assert {asked: texts.prompts for asked, texts in found.asked_texts.items()} == {
        ("seen", "winclip"): "winclip",
        ("seen", "winclip_21"): "winclip_21",
    }
    apart = settings(methods__dense__backbone="other")
    assert set(apart.asked_texts) == {("seen", "winclip"), ("seen", "winclip_21"), ("other", "winclip")}


def test_texts_depend_on_no_parameter_that_concerns_images_alone() -> None:
    known = settings().backbones["seen"].text_config()
    assert settings(backbones__seen__params__cells=9).backbones["seen"].text_config() == known
    assert settings(backbones__seen__params__words="x").backbones["seen"].text_config() != known


def test_features_depend_on_no_parameter_that_concerns_texts_alone(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "merges.txt", "tokenizer.model"):
        (folder / name).write_bytes(b"")
    params = completed("image_text", {"model": str(folder)})
    plain, told = (
        BackboneEntry("clip", "image_text", {**params, "tokenizer": tokenizer}) for tokenizer in (None, "owner/another")
    )
    assert told.stage_config() == plain.stage_config()
    assert told.text_config() != plain.text_config()
    assert told.shown() != plain.shown()
    assert [Path(path).name for path in plain.local_files()] == ["config.json", "model.safetensors"]
    assert [Path(path).name for path in plain.text_files()] == sorted(path.name for path in folder.iterdir())


def test_a_tokenizer_that_is_nowhere_is_refused_before_the_run() -> None:
    with pytest.raises(ModelError, match=r"^tokenizer '\./gone' is neither an existing folder nor a hub id"):
        BACKBONES.build("image_text", {"model": "owner/clip", "tokenizer": "./gone"}).check_model()


def test_a_model_that_is_made_of_texts_reads_them_itself() -> None:
    methods = settings().methods
    assert {name: entry.fits_texts for name, entry in methods.items()} == {
        "alone": False,
        "windows": False,
        "dense": False,
        "few": True,
    }
    assert methods["alone"].texts is None


def test_a_part_is_called_what_the_configuration_says() -> None:
    default = settings()
    assert default.part_name("brick") == "brick"
    assert settings(dataset__part_names="object").part_name("brick") == "object"
    some = settings(dataset__part_names={"ring": "sealing ring"})
    assert [some.part_name(category) for category in ("ring", "brick")] == ["sealing ring", "brick"]
    assert some.resolved()["part_names"]["ring"] == "sealing ring"
    # Images and features know nothing of it.
    assert some.data.stage_config() == default.data.stage_config()
    assert "part_names" not in settings(methods={"alone": CONFIG["methods"]["alone"]}).resolved()


def test_learned_prompts_say_the_same_of_every_part() -> None:
    found = settings(dataset__part_names={"ring": "sealing ring"}, methods__dense__params=LEARNED)
    (texts,) = [texts for texts in found.asked_texts.values() if texts.is_learned]
    assert found.part_name("ring", texts) == "object"
    assert texts.trained_on == "visa"
    assert found.methods["dense"].description["setting"] == "zero-shot-auxiliary(visa)"


def test_a_fusion_of_words_and_images_stands_among_methods_of_words() -> None:
    both = {"scorer": "fusion", "params": {"methods": ["alone", "windows"]}}
    assert settings(methods__both=both).methods["both"].description["setting"] == "zero-shot-text"


@pytest.mark.parametrize("part_names", [{"rng": "ring"}, {"ring": ""}, {"ring": "a {} ring"}, "", {"ring": None}])
def test_a_name_for_no_part_is_refused(part_names: Any) -> None:
    said = refusal(dataset__part_names=part_names)
    assert "part_names" in said
    if part_names == {"rng": "ring"}:
        assert "'rng'" in said
        assert "did you mean 'ring'" in said


@pytest.mark.parametrize("backbone", ["embedded", ["coarse", "embedded"]])
def test_a_backbone_without_texts_is_refused(backbone: Any) -> None:
    said = refusal(methods__dense__backbone=backbone)
    assert said.startswith("methods.dense: scorer 'text_similarity' uses text prompts")
    assert "family: image_text" in said


def test_tokens_that_do_not_lie_among_texts_are_refused() -> None:
    said = refusal(methods__dense__backbone="seen")
    assert said.startswith("methods.dense: scorer 'text_similarity' cannot read backbone 'seen'")
    assert "path: values" in said


@pytest.mark.parametrize("method", ["windows", "few"])
def test_a_path_without_windows_is_refused_where_they_are_looked_at(method: str) -> None:
    said = refusal(**{f"methods__{method}__backbone": "coarse"})
    assert said.startswith(f"methods.{method}: scorer 'winclip")
    assert "cannot read backbone 'coarse': it has no windows" in said
    assert "path: windows" in said


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"text_prompts": "winclap"}, r"methods\.dense\.params.*'winclap'.*did you mean 'winclip'"),
        ({"text_prompts": "gone.yaml"}, r"methods\.dense\.params.*gone\.yaml does not exist"),
        ({"text_prompts": "gone.pth", "trained_on": "visa"}, r"methods\.dense\.params.*gone\.pth does not exist"),
        ({"text_prompts": "learned.pth"}, r"trained_on"),
        ({"text_prompts": "LEARNED.PTH"}, r"LEARNED\.PTH holds published trained weights"),
        ({"trained_on": "visa"}, r"trained_on"),
    ],
)
def test_prompts_and_weights_that_are_not_there_are_refused(params: dict[str, Any], said: str) -> None:
    assert re.search(said, refusal(methods__dense__params=params))


def test_weights_that_are_not_there_are_refused() -> None:
    raw = {"family": "image_text", "params": {"model": "owner/clip", "projected": False, "normed": False}}
    dense = {"backbone": "raw", "params": {"linear_layers": "gone.pth", "trained_on": "visa"}}
    said = refusal(backbones__raw=raw, methods__dense=merged(CONFIG["methods"]["dense"], **dense))
    assert said.startswith("methods.dense.params.linear_layers: gone.pth does not exist")


def test_a_set_of_prompts_that_is_none_is_refused_before_the_run() -> None:
    Path("mine.yaml").write_text(yaml.safe_dump({**WORDS, "templates": []}), encoding="utf-8")
    assert "mine.yaml" in refusal(methods__dense__params={"text_prompts": "mine.yaml"})


def test_one_file_cannot_have_been_trained_on_two_data_sets() -> None:
    said = refusal(methods__dense__params=LEARNED, methods__windows__params={**LEARNED, "trained_on": "mvtec_ad"})
    assert "methods.windows and methods.dense read the same text_prompts learned.pth" in said
    assert "'mvtec_ad' and 'visa'" in said


@pytest.mark.parametrize(
    ("dataset", "trained_on"),
    [
        ({"layout": "visa"}, "visa"),
        ({"layout": "visa"}, "VisA"),
        ({"layout": "mvtec_ad"}, "mvtec"),
        ({"layout": "mvtec_ad"}, "MVTec-AD"),
        ({"layout": "mvtec_ad"}, "mvtec_add"),  # a slip of the pen
        ({"layout": "mvtec_ad_2"}, "mvtec_ad_2"),
        ({"layout": "demo", "name": "weld_seams"}, "Weld-Seams"),
        ({"layout": "demo", "name": None}, "demo"),
    ],
)
def test_what_was_trained_on_the_data_set_under_test_is_refused(dataset: dict[str, Any], trained_on: str) -> None:
    changes = {f"dataset__{key}": value for key, value in {"name": None, **dataset}.items()}
    said = refusal(methods__dense__params={**LEARNED, "trained_on": trained_on}, **changes)
    assert said.startswith(f"methods.dense: its weights were trained on '{trained_on}', wh")
    assert "use a file that was trained on another data set" in said


@pytest.mark.parametrize(
    ("dataset", "trained_on"),
    [
        ({"layout": "visa"}, "mvtec_ad"),
        ({"layout": "mvtec_ad_2"}, "mvtec_ad"),
        ({"layout": "mvtec_ad"}, "mvtec_ad_2"),
        ({"layout": "mvtec_ad"}, "our_welds"),
        ({"layout": "demo", "name": "visa_like"}, "visa"),
    ],
)
def test_other_data_sets_may_be_learned_from(dataset: dict[str, Any], trained_on: str) -> None:
    changes = {f"dataset__{key}": value for key, value in {"name": None, **dataset}.items()}
    found = settings(methods__dense__params={**LEARNED, "trained_on": trained_on}, **changes)
    assert found.methods["dense"].texts.trained_on == trained_on


def test_categories_tell_a_published_data_set_by_whatever_name(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    params = {**LEARNED, "trained_on": "visa"}
    published = list(datasets()["visa"].categories)[:2]
    same = folder_set(tmp_path / "same", published, write_png)
    said = refusal(dataset=merged(CONFIG["dataset"], **same), methods__dense__params=params)
    assert "have the names of those of VisA" in said
    for name, categories in {"one": published[:1], "more": [*published, "weld"]}.items():
        section = merged(CONFIG["dataset"], **folder_set(tmp_path / name, categories, write_png))
        assert settings(dataset=section, methods__dense__params=params).methods
    section = merged(section, categories=published)
    assert "have the names of those of VisA" in refusal(dataset=section, methods__dense__params=params)


def test_a_category_that_is_no_name_in_words_asks_for_one(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    own = merged(CONFIG["dataset"], **folder_set(tmp_path / "own", ["__"], write_png))
    assert re.search(
        r"'__' is not usable as the name of an object .*; give one in "
        r"dataset\.part_names",
        refusal(dataset=own),
    )
    settings(dataset=merged(own, part_names={"__": "seam"})).check_models()
    alone = {"alone": CONFIG["methods"]["alone"]}
    settings(dataset=own, methods=alone).check_models()


def test_a_layout_is_the_name_of_no_data_set(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    own = merged(CONFIG["dataset"], **folder_set(tmp_path / "own", ["weld"], write_png))
    assert settings(dataset=own, methods__dense__params={**LEARNED, "trained_on": "mvtec_ad"}).methods


def test_what_texts_take_and_how_their_jobs_are_called() -> None:
    found = settings()
    names = {"category": "ring", "backbone": "seen", "prompts": "winclip"}
    few = settings(methods__windows__params={"text_prompts": "mine.yaml"})
    (short,) = [name for _, name in few.asked_texts if name.startswith("mine-")]
    assert "encode_texts" in ESTIMATES
    assert threads_of(Run(found), "encode_texts", names) == 1  # it is no network
    of_all, of_few = (
        estimated(Run(each), "encode_texts", {**names, "prompts": name})
        for each, name in ((found, "winclip"), (few, short))
    )
    assert 0 < of_few.seconds <= of_all.seconds
    assert (
        "encode_texts__dataset=t..encode_texts__category=ring..encode_texts__backbone=seen..encode_texts__prompts=winclip"
        in {*folder_names(found)}
    )


@pytest.mark.parametrize("words", [False, True])
def test_the_check_says_what_is_asked(words: bool, capsys: pytest.CaptureFixture[str]) -> None:
    only = {**dict.fromkeys(yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))["methods"])}
    asked = {
        "dataset": {"name": "t", "categories": ["ring", "brick"], "part_names": {"ring": "sealing ring"}},
        "backbones": CONFIG["backbones"],
        "methods": {
            **only,
            "dense": {"scorer": "text_similarity", "backbone": "coarse", "params": {"text_prompts": "mine.yaml"}},
        },
    }
    Path("check.yaml").write_text(yaml.safe_dump(asked), encoding="utf-8")
    assert main(["check", "--configfile", "check.yaml", *(["--words"] if words else [])]) == 0
    said = capsys.readouterr().out
    assert "mine.yaml, by coarse (for dense)" in said
    assert re.search(r"ring +'sealing ring', 6 sentences, 2 of them for a normal object", said)
    assert ("a photo of a torn sealing ring." in said) is words
