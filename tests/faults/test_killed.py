"""A run that is killed leaves nothing that looks finished, and the next run ends where an undisturbed one does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import SMALL, Project
from zsad.workflow.warm import SWITCH

pytestmark = pytest.mark.slow


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.02)


MOMENTS = (
    "results/t/*/features/**/.*.tmp",
    "results/t/*/metrics/*",
)  # features are written; the first metrics are there


def test_a_run_that_is_killed_twice_is_finished_by_the_next_with_the_same_bytes(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run starts a Python for each job up to the metrics of a method: the bytes do not depend on that either.

    The last one ends at the tables, which are compared; test_resources.py has plots and the page of jobs that start so.
    """
    project = Project.copy_of_repository(tmp_path / "project")
    for moment in MOMENTS:
        process = subprocess.Popen(
            project.command(SMALL),
            cwd=project.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(moment, project.folder, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert project.broken_results() == []
        assert not project.result("t/tables/metrics.csv").exists()
        assert project.run(SMALL, "--unlock").status == 0

    with monkeypatch.context() as patch:
        patch.setenv(SWITCH, "0")
        run = project.run(SMALL, "results/t/ring/metrics/memory_bank.guided.json")
    assert run.status == 0, run.output
    run = project.run(SMALL, "tables")
    assert run.status == 0, run.output
    assert project.broken_results() == []
    assert not list(project.folder.glob("results/**/.*.tmp"))
    first, second = (each.result("t/tables/metrics.csv").read_bytes() for each in (finished, project))
    assert first == second
