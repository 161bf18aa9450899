"""The preset of words as detectors from images to the page, by tiny models; what new words make anew.

tests/unit/texts/test_text_stages.py has models of every family, without Snakemake.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness import Project, merged
from paths import REPOSITORY
from tiny_dinotxt import saved as write_dinotxt
from tiny_open_clip import save_folder as write_open_clip
from tiny_texts import write_learned_tokens, write_tiny_clip
from zsad.files.hdf5 import read_provenance

pytestmark = pytest.mark.slow

PRESET = yaml.safe_load((REPOSITORY / "config/text.yaml").read_text(encoding="utf-8"))
TINY = {"model": "clip", "resolution": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "open_clip": {"model": "open_clip", "path": "values", "first_value_block": -1},
    "dinotxt": {"model": "dinotxt/dinov3", "head": "dinotxt/dinotxt.pth", "tokenizer": "dinotxt/tokenizer"},
}
OWN = {"text_prompts": "own.yaml"}
SMALL = merged(
    PRESET,
    **{
        f"backbones__{name}": {"family": "image_text", "params": {"resolution": 32, **params}}
        for name, params in FAMILIES.items()
    },
    **{f"methods__by_{name}": {"scorer": "text_similarity", "backbone": name, "params": OWN} for name in FAMILIES},
    methods__by_others={
        "scorer": "text_similarity",
        "backbone": "clip_values",
        "params": {"text_prompts": "learned.pth", "trained_on": "visa"},
    },
    dataset__name="t",
    dataset__categories=["ring"],
    dataset__demo={"size": 64, "train": 4, "good": 2, "defective": 2},
    backbones__clip_windows__params={**PRESET["backbones"]["clip_windows"]["params"], **TINY},
    backbones__clip_values__params={**PRESET["backbones"]["clip_values"]["params"], **TINY, "first_value_block": -2},
    methods__winclip__params=OWN,
    methods__winclip_plus__params={**OWN, "shots": 2},
    methods__text_similarity__params=OWN,
    methods__memory_bank__params__shots=2,
    refiners=dict.fromkeys(("guided", "grabcut")),
    evaluation={"bootstrap": 0},
    report={"refiner": "none", "gallery": 1, "panel": 64, "dpi": 50},
)
BY_WORDS = ("winclip", "text_similarity", "winclip_plus", *(f"by_{name}" for name in FAMILIES))
WORDS = {"normal": ["{}"], "anomalous": ["torn {}"], "templates": ["a {}"]}


def write_words(project: Project, **changes: Any) -> None:
    (project.folder / "own.yaml").write_text(yaml.safe_dump({**WORDS, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the preset; what tests change of it, they put back."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("words") / "project")
    write_tiny_clip(project.folder / "clip")
    write_open_clip(project.folder / "open_clip")
    write_dinotxt(project.folder / "dinotxt", longest=40)
    write_learned_tokens(project.folder / "learned.pth")
    write_words(project)
    run = project.run(SMALL)
    assert run.status == 0, run.output
    return project


def texts(project: Project, *backbones: str) -> set[str]:
    """The files of texts of own words, one for each model: what two backbones of one model ask is the same."""
    folder = project.result("t/ring/texts")
    paths = {path for name in backbones for path in folder.glob(f"{name}.own-*.h5")}
    assert len(paths) == len(backbones)
    return {path.relative_to(project.folder / "results").as_posix() for path in paths}


def of_scores(paths: set[str]) -> set[str]:
    """Those of some results that are features, texts, models or scores."""
    kinds = {"features", "texts", "models", "scores"}
    return {path for path in paths if kinds & {*path.split("/")}}


def scores(*methods: str) -> set[str]:
    return {f"t/ring/scores/{name}.h5" for name in methods}


def asked_anew(project: Project) -> set[str]:
    fused = {"t/ring/models/winclip_plus.h5"} | scores(*BY_WORDS, "words_and_batch")
    return texts(project, "clip_windows", *FAMILIES) | fused


def test_the_preset_goes_from_images_and_words_to_the_page(asking: Project) -> None:
    assert asking.broken_results() == []
    asked = {path.name.split("-")[0] for path in asking.result("t/ring/texts").iterdir()}
    assert asked == {f"{name}.own" for name in ("clip_windows", *FAMILIES)} | {"clip_windows.learned"}
    features = {path.parent.name for path in asking.result("t/ring/features").glob("*/*.h5")}
    assert features == {"clip_windows", "clip_values", *FAMILIES}
    metrics = asking.result("t/tables/metrics.csv").read_text(encoding="utf-8")
    settings = ("zero-shot-text", "zero-shot-auxiliary(visa)", "zero-shot-single", "zero-shot-batch", "few-shot-2")
    for setting in settings:
        assert f",{setting}," in metrics
    page = asking.result("t/report.html").read_text(encoding="utf-8")
    for said in ("torn ring", *BY_WORDS, "words_and_batch", "by_others", "zero-shot-auxiliary(visa)"):
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
    followed = {features} | scores("text_similarity", "by_others", "winclip", "words_and_batch")
    assert of_scores(asking.would_make(changed)) == followed


def test_another_template_is_encoded_and_scored_by_and_nothing_is_extracted(asking: Project) -> None:
    write_words(asking, templates=["one {}", "the {}"])
    try:
        assert of_scores(asking.would_make(SMALL)) == asked_anew(asking)
        (target,) = scores("winclip")
        run = asking.run(SMALL, f"results/{target}")
        assert run.status == 0, run.output
        assert of_scores(run.made) == {target} | texts(asking, "clip_windows")
        assert read_provenance(asking.result(target))["texts"]["sentences"] == 4
    finally:
        write_words(asking)
