"""A sweep in a finished project: a column and a plot are added, and a further value runs alone."""

from __future__ import annotations

import csv

import pytest

from harness import SMALL, Project, merged
from test_incremental import OVERALL, scored

pytestmark = pytest.mark.slow

SWEPT = merged(SMALL, sweep={"methods": {"memory_bank": {"params": {"shots": [1, 2]}}}})
PLOT = "t/plots/sweep_memory_bank.png"


def of_entry(shots: int) -> set[str]:
    name = f"memory_bank-shots{shots}"
    return scored(name) | {f"t/ring/models/{name}.h5"}


def features(shots: int) -> set[str]:
    return {f"t/ring/features/embedded/references-k{shots}-seed0.rotations.h5"}


def test_a_sweep_uses_what_is_there_and_a_further_value_runs_alone(project: Project) -> None:
    run = project.run(SWEPT)
    assert run.status == 0, run.output
    assert run.made >= of_entry(1) | of_entry(2) | features(1) | OVERALL | {PLOT}
    assert run.made_by("/features/") == features(1)
    assert run.made_by("/scores/") == {f"t/ring/scores/memory_bank-shots{shots}.h5" for shots in (1, 2)}
    rows = list(csv.DictReader(project.result("t/tables/metrics.csv").open()))
    assert list(rows[0])[-1] == "memory_bank.shots"
    assert {row["method"]: row["memory_bank.shots"] for row in rows} == {
        "self_similarity": "",
        "mirror_symmetry": "",
        "memory_bank-shots1": "1",
        "memory_bank-shots2": "2",
    }
    assert '<h2 id="sweeps">' in project.result("t/report.html").read_text()
    assert project.would_make(SWEPT) == set()
    more = merged(SMALL, sweep={"methods": {"memory_bank": {"params": {"shots": [1, 3, 2]}}}})
    assert project.would_make(more) == of_entry(3) | features(3) | OVERALL | {PLOT}
