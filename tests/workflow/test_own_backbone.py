"""The backbone of the documentation, added to the project by one file and one line, is run to the page."""

from __future__ import annotations

import re

import pytest

from harness import SMALL, Project, merged
from paths import REPOSITORY

pytestmark = pytest.mark.slow

DOCUMENTED = (REPOSITORY / "docs/backbones.md").read_text(encoding="utf-8")


def test_one_file_and_one_line_are_run_to_the_page(project: Project) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENTED, re.S | re.M)
    (project.folder / "zsad/features/my_backbone.py").write_text(code)
    line = re.search(r'`("my_backbone": "[\w.:]+")`', DOCUMENTED)[1]
    registry = project.folder / "zsad/features/registry.py"
    registry.write_text(registry.read_text().replace('        "embedded":', f'        {line},\n        "embedded":'))
    assert line in registry.read_text()
    config = merged(
        SMALL,
        backbone="mine",
        backbones__mine={"family": "my_backbone", "params": {"cells": 12}},
        methods={
            **dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual", "memory_bank")),
            "self_similarity": {"params": {"exclusion_radius": 1}},
        },
        refiners=dict.fromkeys(("guided", "grabcut")),
        report__refiner="none",
    )
    run = project.run(config)
    assert run.status == 0, run.output
    assert "t/report.html" in run.made
    assert run.made_by("/features/", "/scores/") == {
        "t/ring/features/mine/test.original.h5",
        "t/ring/scores/self_similarity.h5",
    }
    assert "my_backbone" in project.result("t/report.html").read_text()
