"""Jobs side by side take one GPU each; `nvidia-smi` is a script here that lists what a machine would have."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paths import REPOSITORY
from zsad.workflow import gpus
from zsad.workflow.gpus import VISIBLE, own_gpus, visible_gpus

HOLD = """
import sys
from pathlib import Path
from zsad.workflow import gpus
gpus.LOCKS = Path(sys.argv[1])
with gpus.own_gpus(int(sys.argv[2])) as held:
    print(",".join(held), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with three GPUs, and a folder of its own for locks."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\nfor i in 0 1 2; do echo $i, GPU-$i; done\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(gpus, "LOCKS", tmp_path)
    monkeypatch.setattr(gpus, "WAIT_SECONDS", 0.02)


def holder(folder: Path, count: int = 1) -> tuple[subprocess.Popen[str], str]:
    """Another process that holds GPUs until its input ends, and which."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_job_sees_the_gpu_that_it_took_alone_and_leaves_the_environment_as_it_was() -> None:
    with own_gpus(1) as held:
        assert held == ["GPU-0"]
        assert os.environ[VISIBLE] == "GPU-0"
        with own_gpus(1) as other:
            assert other == []  # one is visible and one is wanted: nothing is left to choose
    assert VISIBLE not in os.environ


def test_jobs_side_by_side_have_one_each_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    first, its = holder(tmp_path)
    second, other = holder(tmp_path)
    assert (its, other) == ("GPU-0", "GPU-1")
    with own_gpus(1) as held:
        assert held == ["GPU-2"]
    first.kill()
    first.wait()
    with own_gpus(1) as held:
        assert held == ["GPU-0"]
    second.communicate("")


def test_a_job_waits_for_a_gpu_until_one_is_free(tmp_path: Path) -> None:
    holders = [holder(tmp_path)[0] for _ in range(3)]
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    time.sleep(0.5)
    assert waiting.poll() is None
    holders[1].communicate("")
    assert waiting.communicate("", timeout=20)[0].strip() == "GPU-1"
    for process in (holders[0], holders[2]):
        process.communicate("")


def test_several_are_taken_at_once_or_not_at_all(tmp_path: Path) -> None:
    process, held = holder(tmp_path, count=2)
    assert held == "GPU-0,GPU-1"
    with own_gpus(1) as rest:
        assert rest == ["GPU-2"]
    process.communicate("")


@pytest.mark.parametrize(
    ("given", "visible"),
    [("1,2", ["GPU-1", "GPU-2"]), ("GPU-2", ["GPU-2"]), ("MIG-7,MIG-8", ["MIG-7", "MIG-8"]), ("", [])],
    ids=["numbers", "one by its UUID", "parts of one", "none"],
)
def test_what_a_scheduler_gave_is_all_that_there_is(
    monkeypatch: pytest.MonkeyPatch, given: str, visible: list[str]
) -> None:
    monkeypatch.setenv(VISIBLE, given)
    assert visible_gpus() == visible
    with own_gpus(1) as held:
        assert held == (visible[:1] if len(visible) > 1 else [])
    assert os.environ[VISIBLE] == given


def test_a_job_without_a_gpu_and_a_machine_without_one_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_gpus(0) as held:
        assert held == []
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    with own_gpus(1) as held:
        assert held == []
    assert VISIBLE not in os.environ


def test_locks_of_another_user_can_be_held(tmp_path: Path) -> None:
    lock = tmp_path / "zsad-GPU-0.lock"
    lock.touch(mode=0o444)
    with own_gpus(1) as held:
        assert held == ["GPU-0"]
    assert lock.exists()
