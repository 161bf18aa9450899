"""A category that fails does not stop the others, and the tables then say that it is missing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cases.sound import draw_tile
from harness import Project

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "dataset": {"name": "t", "layout": "mvtec", "root": "images"},
    "backbone": "embedded",
    "backbones": {"embedded": {"params": {"resolution": 32}}},
    "methods": dict.fromkeys(("self_similarity", "mirror_symmetry", "flip_consistency", "memory_bank")),
    "refiners": dict.fromkeys(("guided", "grabcut")),
    "evaluation": {"bootstrap": 50},
    "report": {"refiner": "none"},
}
TABLES = ("metrics.csv", "metrics.md", "metrics.tex", "defect_types.csv", "refinement.csv", "comparisons.csv")
SENTENCE = "zsad: missing: cable ("


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def test_a_category_that_fails_is_missing_from_the_tables_until_it_is_repaired(tmp_path: Path) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    for name in ("cable", "tile"):
        draw_tile(project.folder / "images" / name)
    run = project.run(CONFIG, "tables")
    assert run.status == 0, run.output
    tables, partial = project.result("t/tables"), project.result("t/partial")
    sound = contents(tables)
    assert not partial.exists()

    image = project.folder / "images/cable/test/crack/1.png"
    intact = image.read_bytes()
    image.write_bytes(intact[:-200])
    run = project.run(CONFIG, "tables")
    assert run.status != 0
    assert "cannot be read as an image" in run.output
    assert "Traceback" not in run.output
    (said,) = [line for line in run.output.splitlines() if line.startswith(SENTENCE)]
    assert "are in results/t/partial. Those in results/t/tables are from an earlier run." in said
    assert "the same command again" in said
    assert contents(tables) == sound
    found, before = rows(partial / "metrics.csv"), rows(tables / "metrics.csv")
    assert [row["category"] for row in found] == ["cable", "tile", "mean"]
    assert [row["method"] for row in found] == ["mutual"] * 3
    assert found[1] == before[1]
    assert {row[name] for row in (found[0], found[2]) for name in row if name[-5:] in ("auroc", "aupro", "k_iou")} == {
        ""
    }
    assert "- missing: cable (" in (partial / "metrics.md").read_text()

    image.write_bytes(intact)
    run = project.run(CONFIG, "tables")
    assert run.status == 0, run.output
    assert SENTENCE not in run.output
    assert contents(tables) == sound
    assert not partial.exists()

    partial.mkdir()
    (partial / "metrics.csv").touch()
    run = project.run(CONFIG, "tables")
    assert "Nothing to be done" in run.output
    assert not partial.exists()
