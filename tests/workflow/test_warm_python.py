"""What most tests of the workflow run by is like `python` itself."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness import SMALL, Project
from paths import REPOSITORY
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


def places(project: Project) -> dict[str, str]:
    """Where a warm Python takes the package from, by what names the place."""
    (project.folder / "module.py").write_text(
        "import json, zsad, zsad.data, zsad.workflow.settings as settings, zsad.errors.boundary\n"
        "named = {'file': zsad.__file__, 'spec': zsad.__spec__.origin, 'cached': settings.__cached__,\n"
        "         'package': zsad.data.__path__[0], 'loader': settings.__loader__.path,\n"
        "         'constant': str(settings.REPOSITORY), 'compiled': settings.Settings.__init__.__code__.co_filename}\n"
        "print(json.dumps(named))\n"
    )
    done = subprocess.run(
        [warm_python(), "-m", "module"], cwd=project.folder, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_a_copy_of_the_package_is_imported_with_its_own_paths(project: Project) -> None:
    found = places(project)
    assert found.pop("compiled") == str(REPOSITORY / "zsad/workflow/settings.py")  # it was there already
    assert found == {
        "file": str(project.folder / "zsad/__init__.py"),
        "spec": str(project.folder / "zsad/__init__.py"),
        "cached": importlib.util.cache_from_source(str(project.folder / "zsad/workflow/settings.py")),
        "package": str(project.folder / "zsad/data"),
        "loader": str(project.folder / "zsad/workflow/settings.py"),
        "constant": str(project.folder),
    }


@pytest.mark.parametrize("place", ["errors/boundary.py", "tables/published.csv"])
def test_a_package_with_an_edited_file_is_imported_from_its_files(project: Project, place: str) -> None:
    with (project.folder / "zsad" / place).open("a") as file:
        file.write("\n")
    assert places(project)["compiled"] == str(project.folder / "zsad/workflow/settings.py")


def test_an_edited_rule_file_is_parsed_anew(project: Project) -> None:
    assert project.run(SMALL, "--list").status == 0
    with (project.folder / "rules/exports.smk").open("a") as file:
        file.write('\n\nrule quite_new:\n    output: "new"\n    shell: "touch {output}"\n')
    listed = project.run(SMALL, "--list")
    assert listed.status == 0
    assert "quite_new" in listed.output
    with (project.folder / "rules/exports.smk").open("a") as file:
        file.write("\n\nrule quite wrong\n")
    failed = project.run(SMALL, "--list")
    assert failed.status != 0
    assert f"{project.folder}/rules/exports.smk" in failed.output
