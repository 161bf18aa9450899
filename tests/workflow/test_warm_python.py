"""What most tests of the workflow run by is like `python` itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from warm import warm_python

TELLING = """
import os, sys, mine
print(mine.__file__, sys.argv, sys.path[0], __name__, os.environ["TOLD"], os.getcwd(), sys.stdin.read())
print("said aside", file=sys.stderr)
"""


def both(folder: Path, *arguments: str, told: str = "é", given: str = "") -> list[tuple[int, str, str]]:
    """Exit status, output and complaints of a cold and a warm Python."""
    environment = {**os.environ, "TOLD": told, "PYTHONPATH": str(folder / "library")}
    found = []
    for python in (sys.executable, warm_python()):
        done = subprocess.run(
            [python, *arguments],
            cwd=folder,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found.append((done.returncode, done.stdout, done.stderr))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a script elsewhere, a module, and a library."""
    for place, text in {"library/mine.py": "", "there/script.py": TELLING, "module.py": TELLING}.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    return tmp_path


def test_a_script_has_its_arguments_folder_environment_and_streams(folder: Path) -> None:
    cold, warm = both(folder, str(folder / "there/script.py"), "an argument", given="asked")
    assert warm == cold
    assert warm[0] == 0
    assert str(folder / "there") in warm[1]


def test_a_module_is_that_of_the_working_folder(folder: Path) -> None:
    cold, warm = both(folder, "-m", "module", "an argument")
    assert warm[0] == cold[0] == 0
    assert str(folder / "module.py") in warm[1]
    assert warm[1:] == cold[1:]


@pytest.mark.parametrize("end", ["sys.exit(3)", "sys.exit('why')", "sys.exit()", "os.kill(os.getpid(), 9)"])
def test_its_status_is_that_of_its_end(folder: Path, end: str) -> None:
    (folder / "module.py").write_text(f"import os, sys\n{end}\n")
    (cold, *said), (warm, *told) = both(folder, "-m", "module")
    assert warm == (cold if cold >= 0 else 128 - cold)
    assert told == said


def test_an_error_is_told_of(folder: Path) -> None:
    (folder / "module.py").write_text("raise ValueError('why')\n")
    cold, warm = both(folder, "-m", "module")
    assert warm[0] == cold[0] == 1
    assert warm[2].splitlines()[-1] == cold[2].splitlines()[-1] == "ValueError: why"


def test_what_is_run_ends_with_who_asked_for_it(folder: Path) -> None:
    (folder / "module.py").write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen([warm_python(), "-m", "module"], cwd=folder, stdout=subprocess.PIPE, text=True) as asked:
        run = psutil.Process(int(asked.stdout.readline()))
        asked.kill()
    deadline = time.monotonic() + 30
    while run.is_running() and run.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
