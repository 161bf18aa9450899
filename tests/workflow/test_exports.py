"""Exports are made when they are asked for, whole, and made anew when what they show has changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import SMALL, Project, merged
from zsad.files.csv_files import read_table

pytestmark = pytest.mark.slow

FOLDER = "t/ring/exports/memory_bank"


def exporting(**section: Any) -> dict[str, Any]:
    return merged(SMALL, exports={"methods": ["memory_bank"], "formats": ["csv", "labelme"], **section})


def test_exports_follow_what_they_show_and_nothing_else(project: Project) -> None:
    run = project.run(exporting(), "exports")
    assert run.status == 0, run.output
    assert {path.removeprefix(f"{FOLDER}/").split("/")[0] for path in run.made} == {
        *("defects.csv", "images.csv", "export.json", "labelme"),
    }
    images = read_table(project.result(f"{FOLDER}/images.csv"))
    assert len(images) == 7
    for image in images:
        annotation = project.result(f"{FOLDER}/labelme") / image["image"].replace(".png", ".json")
        photograph = annotation.parent / json.loads(annotation.read_text())["imagePath"]
        assert photograph.resolve() == project.result(f"data/t/ring/{image['image']}").resolve()

    assert project.would_make(exporting(), "exports") == set()
    others = merged(exporting(), evaluation__bootstrap=60, methods__memory_bank_k2={"scorer": "memory_bank"})
    assert project.would_make(others, "exports") == set()
    for changed in (exporting(formats=["csv"]), exporting(refiner="none")):
        assert project.would_make(changed, "exports") == {FOLDER}
    rescored = merged(exporting(), methods__memory_bank__threshold={"rule": "mebin"})
    made = project.would_make(rescored, "exports")
    assert {path for path in made if "/exports/" in path} == {FOLDER}
