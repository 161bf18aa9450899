"""The preset of words as detectors from images to the page, by a tiny CLIP; and what a change of words makes anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import Project, merged
from paths import REPOSITORY
from tiny_texts import write_tiny_clip
from zsad.files.hdf5 import read_provenance

pytestmark = pytest.mark.slow

PRESET = yaml.safe_load((REPOSITORY / "config/text.yaml").read_text(encoding="utf-8"))
TINY = {"model": "clip", "resolution": 32}
SMALL = merged(
    PRESET,
    dataset__name="t",
    dataset__categories=["ring"],
    dataset__demo={"size": 64, "train": 4, "good": 2, "defective": 2},
    backbones__clip_windows__params={**PRESET["backbones"]["clip_windows"]["params"], **TINY},
    backbones__clip_values__params={**PRESET["backbones"]["clip_values"]["params"], **TINY, "first_value_block": -2},
    methods__winclip__params={"text_prompts": "own.yaml"},
    methods__winclip_plus__params={"text_prompts": "own.yaml", "shots": 2},
    methods__text_similarity__params={"text_prompts": "own.yaml"},
    methods__memory_bank__params__shots=2,
    refiners=dict.fromkeys(("guided", "grabcut")),
    evaluation={"bootstrap": 0},
    report={"refiner": "none", "gallery": 1, "panel": 64, "dpi": 50},
)
BY_WORDS = ("winclip", "text_similarity", "winclip_plus")
WORDS = {"normal": ["{}"], "anomalous": ["torn {}"], "templates": ["a {}"]}


def write_words(project: Project, **changes: Any) -> None:
    (project.folder / "own.yaml").write_text(yaml.safe_dump({**WORDS, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the preset; what tests change of it, they put back."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("words") / "project")
    write_tiny_clip(project.folder / "clip")
    write_words(project)
    run = project.run(SMALL)
    assert run.status == 0, run.output
    return project


def texts(project: Project) -> str:
    """The one file of texts, of all methods: their models and prompts are one."""
    (path,) = project.result("t/ring/texts").iterdir()
    return path.relative_to(project.folder / "results").as_posix()


def of_scores(paths: set[str]) -> set[str]:
    """Those of some results that are features, texts, models or scores."""
    kinds = {"features", "texts", "models", "scores"}
    return {path for path in paths if kinds & {*path.split("/")}}


def scores(*methods: str) -> set[str]:
    return {f"t/ring/scores/{name}.h5" for name in methods}


def asked_anew(project: Project) -> set[str]:
    return {texts(project), "t/ring/models/winclip_plus.h5"} | scores(*BY_WORDS, "words_and_batch")


def test_the_preset_goes_from_images_and_words_to_the_page(asking: Project) -> None:
    assert asking.broken_results() == []
    assert Path(texts(asking)).name.startswith("clip_windows.own-")
    features = {path.parent.name for path in asking.result("t/ring/features").glob("*/*.h5")}
    assert features == {"clip_windows", "clip_values"}
    metrics = asking.result("t/tables/metrics.csv").read_text(encoding="utf-8")
    for setting in ("zero-shot-text", "zero-shot-single", "zero-shot-batch", "few-shot-2"):
        assert f",{setting}," in metrics
    page = asking.result("t/report.html").read_text(encoding="utf-8")
    for said in ("torn ring", *BY_WORDS, "words_and_batch"):
        assert said in page
    provenance = read_provenance(asking.result("t/ring/scores/winclip.h5"))
    assert provenance["texts"]["part_name"] == "ring"
    assert provenance["texts"]["sentences"] == 2


def test_what_another_set_of_words_makes_anew(asking: Project) -> None:
    named = merged(SMALL, dataset__part_names={"ring": "sealing ring"})
    assert of_scores(asking.would_make(named)) == asked_anew(asking)
    changed = merged(
        SMALL,
        dataset__part_names={"board": "printed circuit board"},  # of a category that is not wanted
        methods__winclip__params__averaging="normalised",
        backbones__clip_values__params__first_value_block=-1,
    )
    features = "t/ring/features/clip_values/test.original.h5"
    followed = {features} | scores("text_similarity", "winclip", "words_and_batch")
    assert of_scores(asking.would_make(changed)) == followed


def test_another_template_is_encoded_and_scored_by_and_nothing_is_extracted(asking: Project) -> None:
    write_words(asking, templates=["one {}", "the {}"])
    try:
        assert of_scores(asking.would_make(SMALL)) == asked_anew(asking)
        (target,) = scores("winclip")
        run = asking.run(SMALL, f"results/{target}")
        assert run.status == 0, run.output
        assert of_scores(run.made) == {target, texts(asking)}
        assert read_provenance(asking.result(target))["texts"]["sentences"] == 4
    finally:
        write_words(asking)
