"""One run after any edit makes anew what depends on it and nothing else, and leaves nothing for the next to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from harness import Project, merged

pytestmark = pytest.mark.slow

SIZE = (32, 40)
COLUMNS = "path,category,split,label,defect_type,mask_path"
CONFIG = {
    "dataset": {"name": "t", "layout": "csv", "root": "photographs"},
    "backbone": "embedded",
    "backbones": {"embedded": {"params": {"resolution": 64}}},
    "methods": {
        "self_similarity": {"params": {"k": 1}},
        "memory_bank": {"params": {"shots": 2, "rotations": False}},
        **dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual")),
    },
    "evaluation": {"bootstrap": 40},
}
MEASURED = {"metrics/self_similarity.json", "draws/self_similarity.h5"}
TRUTH = {"manifest.csv", *MEASURED}
SCORED = {"scores/self_similarity.h5", "decisions/self_similarity.h5", *MEASURED}
ALL = {"images.csv", "unreadable.csv", "features/embedded/test.original.h5", *SCORED, *TRUTH}
FITTED = {"training.csv", "features/embedded/references-k2-seed0.original.h5", "models/memory_bank.h5"}
BY_MODEL = {"scores/memory_bank.h5"}
CHECK = "check.json"

Edit = Callable[[Project, str], object]


def photograph(project: Project, path: str) -> Path:
    return project.folder / "photographs" / path


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)


def draw_mask(path: Path, corner: int) -> None:
    """A mask with a square of 64 px."""
    mask = np.zeros(SIZE, np.uint8)
    mask[corner : corner + 8, corner : corner + 8] = 255
    Image.fromarray(mask).save(path)


def in_table(old: str, new: str) -> Edit:
    def edit(project: Project, category: str) -> None:
        table = photograph(project, "manifest.csv")
        text = table.read_text()
        assert text.count(old.format(category)) == 1
        table.write_text(text.replace(old.format(category), new.format(category)))

    return edit


def in_result(name: str, old: str, new: str) -> Edit:
    def edit(project: Project, category: str) -> None:
        path = project.result(f"t/{category}/{name}")
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


def touch(project: Project, category: str) -> None:
    for path in photograph(project, category).iterdir():
        os.utime(path)


def move_mask(project: Project, category: str) -> None:
    draw_mask(photograph(project, f"{category}/0_mask.png"), corner=20)


# By the name of a category: what is done to it, and which of its results are made anew.
EDITS: Mapping[str, tuple[Edit, set[str]]] = MappingProxyType(
    {
        "label": (in_table("{0}/1.png,{0},test,good,,", "{0}/1.png,{0},test,defective,hole,"), TRUTH),
        "mask": (move_mask, TRUTH),
        "touched": (touch, set()),
        "image": (lambda project, category: draw(photograph(project, f"{category}/1.png"), 99), ALL | BY_MODEL),
        "image taken out": (in_table("{0}/2.png,{0},test,good,,\n", ""), ALL | BY_MODEL),
        "reference": (
            lambda project, category: draw(photograph(project, f"{category}/good1.png"), 99),
            ALL | FITTED | BY_MODEL,
        ),
        "edited manifest": (in_result("manifest.csv", ",test,0,good,", ",test,1,hole,"), TRUTH),
        "edited list": (in_result("images.csv", ",test,", ",train,"), ALL),
    }
)
TARGETS = [
    f"results/t/{category}/{name}"
    for category in EDITS
    for name in ("images.csv", "manifest.csv", "metrics/self_similarity.json")
]
# Those whose images change, and one that is fitted and scored where none does.
OF_MODELS = ("image", "image taken out", "reference", "touched")
TARGETS += [f"results/t/{category}/scores/memory_bank.h5" for category in OF_MODELS]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run on a table of tiny categories, one for each edit."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("edits") / "project")
    rows = [COLUMNS]
    for seed, category in enumerate(EDITS):
        for index in range(3):
            draw(photograph(project, f"{category}/{index}.png"), 10 * seed + index)
        for index in range(2):
            draw(photograph(project, f"{category}/good{index}.png"), 10 * seed + 5 + index)
            rows.append(f"{category}/good{index}.png,{category},train,good,,")
        draw_mask(photograph(project, f"{category}/0_mask.png"), corner=8)
        rows.append(f"{category}/0.png,{category},test,defective,hole,{category}/0_mask.png")
        rows += [f"{category}/{index}.png,{category},test,good,," for index in (1, 2)]
    photograph(project, "manifest.csv").write_text("\n".join(rows) + "\n")
    run = project.run(CONFIG, *TARGETS, f"results/t/touched/{CHECK}")
    assert run.status == 0, run.output
    return project


def test_one_run_converges_after_any_edit(edited: Project, edit: Callable[[Path], None]) -> None:
    for category, (change, _) in EDITS.items():
        change(edited, category)
    run = edited.run(CONFIG, *TARGETS)
    assert run.status == 0, run.output
    kept = {"t/edited manifest/manifest.changed.csv", "t/edited list/images.changed.csv"}
    expected = {f"t/{category}/{name}" for category, (_, names) in EDITS.items() for name in names}
    assert run.made == expected | kept
    assert run.output.count(" were changed after they were made, and are put aside") == 1

    # Several edits at once hide none of each other; what the last run had left would be seen here.
    in_table("{0}/1.png,{0},test,good,,", "{0}/1.png,{0},test,defective,hole,")(edited, "touched")
    edit(edited.folder / "zsad/data/inspection.py")
    changed = merged(
        CONFIG, methods__self_similarity__params={"k": 2}, methods__memory_bank__image_score={"fraction": 0.2}
    )
    assert edited.would_make(changed, *TARGETS, f"results/t/touched/{CHECK}") == {
        f"t/touched/{CHECK}",
        "t/touched/manifest.csv",
        *(f"t/{category}/{name}" for category in EDITS for name in SCORED),
        *(f"t/{category}/{name}" for category in OF_MODELS for name in {"models/memory_bank.h5", *BY_MODEL}),
    }


def test_a_model_depends_on_training_images_alone_and_on_how_they_are_read(edited: Project) -> None:
    table = photograph(edited, "manifest.csv")
    before = table.read_text()
    target = "results/t/touched/models/memory_bank.h5"
    draw(photograph(edited, "touched/new.png"), 98)
    fitted = {f"t/touched/{name}" for name in FITTED}
    for split, made in {"test": set(), "train": fitted}.items():
        table.write_text(f"{before}touched/new.png,touched,{split},good,,\n")
        assert edited.would_make(CONFIG, target) == made, split
    table.write_text(before)
    assert edited.would_make(CONFIG, target) == set()
    assert edited.would_make(merged(CONFIG, dataset__params={"white": 4095}), target) == fitted


def test_the_next_run_makes_what_a_failed_one_was_to_make(edited: Project) -> None:
    """Snakemake removes the output of the job that fails, and with it what it knows of its parameters."""
    changed = merged(CONFIG, methods__self_similarity__params={"k": 3})
    target = "results/t/touched/metrics/self_similarity.json"
    features = edited.result("t/touched/features/embedded/test.original.h5")
    os.truncate(features, features.stat().st_size // 2)
    run = edited.run(changed, target)
    assert run.status != 0
    assert f"{features.relative_to(edited.folder)} is not a readable HDF5 file" in run.output
    assert not features.exists()
    run = edited.run(changed, target)
    assert run.status == 0, run.output
    assert {f"t/touched/{name}" for name in SCORED} <= run.made
    assert features.exists()
