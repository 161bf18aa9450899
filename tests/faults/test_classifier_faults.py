"""Classifiers from labelled examples to tables: what each reads, and what a change or an accident makes anew."""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from chain import Chain, Outcome
from harness import merged
from zsad.classification.splits import read_split
from zsad.files.json_files import read_json
from zsad.workflow.settings import DEFAULT_PATH

KINDS = ("dent", "good", "hole")
CONFIG: dict[str, Any] = merged(
    yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8")),
    dataset__name="t",
    dataset__layout="csv",
    dataset__root="photographs",
    backbone="embedded",
    backbones={"embedded": {"family": "embedded", "params": {"resolution": 64}}},
    methods={"single": {"scorer": "self_similarity"}},
    refiners={"guided": {"refiner": "guided"}},
    evaluation={"bootstrap": 40},
    supports={"known": {"folder": "known"}},
    classifiers={
        "image": {"classifier": "nearest_exemplar", "shots": [1, 2], "calibration": 1, "seeds": [0, 1]},
        "masked": {
            **{"classifier": "prototype", "embedding": "region", "method": "single", "masks": "guided"},
            **{"shots": 2, "calibration": 1, "seeds": [0], "leave_out": ["hole"], "conformal": {"by": "score"}},
        },
        "outlined": {
            **{"classifier": "ridge", "embedding": "both", "masks": "ground_truth", "good": False},
            **{"shots": [2], "calibration": 0, "seeds": [0], "conformal": {"sets": "cross"}},
        },
        "beside": {
            **{"classifier": "cache", "support": "known", "embedding": "region", "method": "single"},
            **{"shots": "all", "calibration": 1, "seeds": [0]},
        },
    },
)
MADE = Path("results/t/lid")
FINISHED = Outcome(status=0, said=[], failed=[])


def draw(path: Path, kind: str, seed: int) -> Image.Image:
    """A grey plate, with a dark square or a bright bar somewhere; its mask is returned."""
    pixels = np.random.default_rng(seed).integers(110, 140, (48, 64, 3), dtype=np.uint8)
    top, left = 8 + 3 * (seed % 7), 10 + 5 * (seed % 8)
    marked = {"hole": (slice(top, top + 10), slice(left, left + 10)), "dent": (slice(top, top + 4), slice(6, 58))}
    if kind in marked:
        pixels[marked[kind]] = 0 if kind == "hole" else 255
    mask = np.zeros((48, 64), np.uint8)
    mask[marked.get(kind, 0)] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return Image.fromarray(mask)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Chain]:
    """A finished run of four classifiers on plates with holes and dents."""
    folder = tmp_path_factory.mktemp("kinds")
    lines = ["path,category,split,label,defect_type,mask_path"]
    for number, kind in enumerate(KINDS):
        for index in range(5):
            name = f"{kind}{index}"
            mask = draw(folder / f"photographs/{name}.png", kind, 20 * number + index)
            mask.save(folder / f"photographs/{name}_mask.png")
            label = "good,," if kind == "good" else f"defective,{kind},{name}_mask.png"
            lines.append(f"{name}.png,lid,test,{label}")
        for index in range(3):
            draw(folder / "known" / kind / f"{index}.png", kind, 20 * number + 10 + index)
    (folder / "photographs/manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    chain = Chain()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = chain.run(CONFIG)
        assert outcome == FINISHED, outcome.said
    return folder, chain


@dataclass(frozen=True)
class Copy:
    """A copy of that run in the working directory, which goes on."""

    chain: Chain

    def again(self, config: dict[str, Any] = CONFIG) -> tuple[Outcome, set[str]]:
        """Run again; how it ended, and the results that were made anew."""
        before = self._times()
        outcome = self.chain.run(config)
        return outcome, {name for name, time in self._times().items() if before.get(name) != time}

    def made(self, config: dict[str, Any] = CONFIG) -> set[str]:
        """The results that a run makes anew which goes well and says nothing."""
        outcome, made = self.again(config)
        assert outcome == FINISHED, outcome.said
        return made

    def _times(self) -> dict[str, int]:
        there = [path for path in self.chain.made if path.exists()]
        return {path.relative_to("results/t").as_posix(): path.stat().st_mtime_ns for path in there}


@pytest.fixture
def copy(finished: tuple[Path, Chain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    folder, chain = finished
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    return Copy(Chain(chain.made))


def follows(*classifiers: str, draws: bool = False) -> set[str]:
    """What follows from other answers of classifiers, or from other draws."""
    tables = {"", "_metrics", "_confusion"}
    made = {f"tables/classification{name}.csv" for name in tables}
    made |= {f"tables/classification.{end}" for end in ("md", "tex", "sha256")}
    for name in classifiers:
        made |= {f"lid/classification/{name}.h5", f"lid/metrics/classification/{name}.json"}
        made |= {f"lid/splits/{name}.csv"} if draws else set()
    return made


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_classifier_answers_for_the_queries_of_its_draw_alone(copy: Copy) -> None:
    answers = rows(Path("results/t/tables/classification.csv"))
    assert {row["classifier"] for row in answers} == set(CONFIG["classifiers"])
    for name in CONFIG["classifiers"]:
        first = [row for row in read_split(MADE / f"splits/{name}.csv") if row.seed == 0]
        queries = {row.image_id for row in first if row.role == "query"}
        assert {row["image_id"] for row in answers if row["classifier"] == name} == queries
        assert all(row.kind == "" for row in first if row.role == "query")
    regions = {row["classifier"]: row["regions"] for row in answers}
    assert regions == {"image": "image", "masked": "predicted", "outlined": "ground truth", "beside": "predicted"}
    assert {row["support"] for row in answers if row["classifier"] == "beside"} == {"known"}
    settings = {row["setting"] for row in rows(Path("results/t/tables/classification_metrics.csv"))}
    assert settings == {"few-shot-defects-1", "few-shot-defects-2", "few-shot-defects-all"}
    held_out = read_json(MADE / "metrics/classification/masked.json")
    assert (held_out["kinds"], held_out["unknown_kinds"]) == (["dent", "good"], ["hole"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"classifiers__image__conformal": {"alpha": 0.3}}, follows("image")),
        (
            {"classifiers__beside__params": {"beta": 3}, "classifiers__masked__probabilities": {"temperature": 0.1}},
            follows("masked", "beside"),
        ),
        ({"classifiers__outlined__seeds": [4]}, follows("outlined", draws=True)),
        ({"classifiers__image__shots": [1]}, follows("image", draws=True)),
        ({"classifiers__masked__masks": "none"}, follows("masked")),
    ],
    ids=["nothing", "alpha", "parameters", "seed", "shots", "masks"],
)
def test_a_change_runs_classification_and_what_follows_alone(
    copy: Copy, changes: dict[str, Any], expected: set[str]
) -> None:
    assert copy.made(merged(CONFIG, **changes)) == expected


def test_a_corrected_label_is_drawn_anew_where_labels_are_drawn_from_and_measured_by_all(copy: Copy) -> None:
    table = Path("photographs/manifest.csv")
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("hole4.png,lid,test,defective,hole,", "hole4.png,lid,test,defective,dent,"), "utf-8")
    drawn = follows("image", "masked", "outlined", draws=True) | {"lid/masks/truth.h5"}
    made = copy.made()
    assert {path for path in made if "classif" in path or "splits" in path or "truth" in path} == drawn | {
        "lid/metrics/classification/beside.json"
    }
    upstream = ("lid/features", "lid/scores", "lid/labelled", "lid/images.csv")
    assert not [path for path in made if path.startswith(upstream)]


def test_an_example_that_changes_reaches_its_classifier_and_no_other(copy: Copy) -> None:
    draw(Path("known/dent/0.png"), "dent", 77)
    of_support = {f"lid/labelled/known.{end}" for end in ("csv", "kinds.csv", "single.h5")}
    features = {"lid/features/embedded/support-known.original.h5"}
    assert copy.made() == of_support | features | follows("beside", draws=True)


@pytest.mark.parametrize("name", ["splits/image.csv", "labelled/known.kinds.csv", "labelled/known.csv"])
def test_a_table_that_somebody_edits_is_put_aside_and_made_anew(copy: Copy, name: str) -> None:
    path = MADE / name
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("dent", "hole"), encoding="utf-8")
    outcome, made = copy.again()
    assert (outcome.status, len(outcome.said)) == (0, 1)
    assert outcome.said[0].startswith(f"{path} was changed after it was made, and is put aside (*.changed.csv)")
    assert f"lid/{name}" in made
    assert path.read_text(encoding="utf-8") == whole
    assert "hole" in path.with_stem(f"{path.stem}.changed").read_text(encoding="utf-8")
    assert copy.made() == set()


@pytest.mark.parametrize(
    ("damaged", "wanted", "step"),
    [
        ("classification/image.h5", "metrics/classification/image.json", "evaluate_classes"),
        ("labelled/known.single.h5", "classification/beside.h5", "classify_images"),
        ("masks/truth.h5", "classification/outlined.h5", "classify_images"),
    ],
)
def test_a_damaged_result_is_removed_in_one_sentence_and_made_anew(
    copy: Copy, damaged: str, wanted: str, step: str
) -> None:
    path = MADE / damaged
    state = path.stat()
    os.truncate(path, state.st_size // 2)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    (MADE / wanted).unlink()
    outcome, _ = copy.again()
    assert (outcome.status, len(outcome.said)) == (1, 1)
    assert outcome.said[0].startswith(f"zsad: {step}: {path} ")
    assert outcome.said[0].endswith("it was removed, and the next run makes it again")
    assert not path.exists()
    assert {f"lid/{damaged}", f"lid/{wanted}"} <= copy.made()
