"""Jobs run in the software that ``--sdm`` asks for: shown with emulations of conda and apptainer that record their use.

Both emulations run what they are given with the Python of the tests, from which the package itself is hidden: it must
come from the workflow's folder.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import SMALL, merged
from paths import REPOSITORY
from warm import warm_python

PACKAGES = site.getsitepackages()[0]

# -S: without the links of editable installs, one of which leads to the package.
PYTHON = f'#!/bin/sh\nPYTHONPATH="{PACKAGES}:$PYTHONPATH" exec "{sys.executable}" -S "$@"\n'

APPTAINER = f"""#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
if arguments == ["--version"]:
    sys.exit(print("apptainer version 1.3.6"))
verb, *arguments = arguments
options = []
while arguments[0].startswith("--"):
    options += [(arguments.pop(0), arguments.pop(0))]
image, *command = arguments
assert verb == "exec" and os.path.isfile(image), sys.argv
seen = {{name: os.environ.get(name, "") for name in ("APPTAINER_BIND", "PYTHONPATH", "XDG_CACHE_HOME")}}
with open("RECORD", "a") as record:
    print(json.dumps({{"options": options, "image": image, "command": command, "environment": seen}}), file=record)
os.environ["PATH"] = "PYTHONS" + os.pathsep + os.environ["PATH"]
os.execvp(command[0], command)
"""

CONDA = f"""#!{sys.executable}
import json, os, pathlib, shutil, sys
known = {{
    "info --json": json.dumps({{"conda_prefix": "BASE", "platform": "linux-64"}}),
    "--version": "conda 25.5.1",
    "clean -y --tarballs": "",
    "config --get channel_priority --json": json.dumps({{"get": {{"channel_priority": "strict"}}}}),
}}
line = " ".join(sys.argv[1:])
if line in known:
    sys.exit(print(known[line]))
*verb, file, flag, prefix = sys.argv[1:]
assert verb == ["env", "create", "--quiet", "--no-default-packages", "--file"] and flag == "--prefix", line
with open("RECORD", "a") as record:
    print(json.dumps({{"created": pathlib.Path(file).read_text()}}), file=record)
shutil.copytree("PYTHONS", pathlib.Path(prefix) / "bin")
"""


@dataclass(frozen=True)
class Machine:
    """A working folder, apart from the workflow's, on a machine with emulated commands."""

    root: Path

    @classmethod
    def with_commands(cls, root: Path) -> Machine:
        """Write the commands."""
        for folder in ("bin", "pythons", "conda/bin", "work"):
            (root / folder).mkdir(parents=True)
        executables = {"pythons/python": PYTHON, "bin/apptainer": APPTAINER, "bin/conda": CONDA}
        for path, text in executables.items():
            for name, place in {"RECORD": "record", "PYTHONS": "pythons", "BASE": "conda"}.items():
                text = text.replace(name, str(root / place))
            (root / path).write_text(text)
            (root / path).chmod(0o755)
        (root / "conda" / "bin" / "activate").write_text('export PATH="$1/bin:$PATH"; touch "$1/activated"\n')
        return cls(root)

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.root / "work"

    def records(self) -> list[dict[str, Any]]:
        """What the commands have recorded, in order."""
        path = self.root / "record"
        return [yaml.safe_load(line) for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Run Snakemake with the repository's workflow in the working folder; its jobs start the software's Python."""
        (self.root / "config.yaml").write_text(yaml.safe_dump(merged(SMALL, **changes)))
        command = [warm_python(), "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
        command += ["--directory", str(self.work), "--configfile", str(self.root / "config.yaml"), *arguments]
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        hidden = ("APPTAINER_BIND", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        return subprocess.run(
            command, env=environment | {"PATH": path}, capture_output=True, text=True, timeout=200, check=False
        )


MANIFEST = "results/t/ring/manifest.csv"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with both commands."""
    return Machine.with_commands(tmp_path)


def test_jobs_run_in_the_image_which_sees_the_working_folder_and_the_workflow(machine: Machine) -> None:
    image = machine.root / "zsad.sif"
    image.touch()
    done = machine.run("--sdm", "apptainer", "--apptainer-args", "--bind /", "--", MANIFEST, container=str(image))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (machine.work / MANIFEST).exists()
    scripts = ["make_demo.py", "read_images.py", "build_manifest.py"]
    assert len(machine.records()) == len(scripts)
    for record, script in zip(machine.records(), scripts, strict=True):
        assert record["image"] == str(image)
        assert ["--home", str(machine.work)] in record["options"]
        assert ["--bind", "/"] in record["options"], "the user's own"
        assert any(source.startswith(f"{REPOSITORY}:/mnt/") for _, source in record["options"])
        assert str(REPOSITORY) in record["environment"]["APPTAINER_BIND"].split(",")
        assert record["environment"]["PYTHONPATH"] == str(REPOSITORY)
        assert record["environment"]["XDG_CACHE_HOME"] == os.environ.get(
            "XDG_CACHE_HOME", str(Path("~/.cache").expanduser())
        )
        assert record["command"][-1].endswith(script)


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (["apptainer"], "zsad.sif' does not exist; build it with `apptainer build envs/zsad.sif envs/zsad.def`"),
        (["conda", "apptainer"], "--sdm conda and --sdm apptainer exclude each other"),
    ],
)
def test_an_image_that_cannot_be_used_is_one_sentence_before_anything_runs(
    machine: Machine, methods: list[str], sentence: str
) -> None:
    done = machine.run("--sdm", *methods, "--", MANIFEST, container=str(machine.root / "zsad.sif"))
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert machine.records() == []
    assert not (machine.work / "results").exists()


def test_jobs_run_in_the_conda_environment_and_a_change_of_the_device_runs_nothing_that_has_none(
    machine: Machine,
) -> None:
    done = machine.run("--sdm", "conda", "--", MANIFEST, device="cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (machine.work / MANIFEST).exists()
    assert machine.records() == [{"created": (REPOSITORY / "envs" / "zsad.yaml").read_text()}]
    assert len(list((machine.work / ".snakemake" / "conda").glob("*/activated"))) == 1
    again = machine.run("--sdm", "conda", "--dry-run", "--", MANIFEST, device="cuda")
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("device", "environments"), [("auto", {"zsad.yaml"}), ("cuda", {"zsad.yaml", "zsad-cuda.yaml"})]
)
def test_the_device_of_the_configuration_decides_which_environments_are_made(
    machine: Machine, device: str, environments: set[str]
) -> None:
    done = machine.run("--sdm", "conda", "--conda-create-envs-only", device=device)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {record["created"] for record in machine.records()}
    assert made == {(REPOSITORY / "envs" / name).read_text() for name in environments}
    assert not (machine.work / "results").exists()
