"""A copy of the project with a finished run, and the means to run it again and see which results were made anew."""

from __future__ import annotations

import copy
import csv
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from paths import REPOSITORY
from warm import warm_python
from zsad.classification.splits import read_split
from zsad.errors import DataError
from zsad.files.classified import ClassifiedReader
from zsad.files.decisions import DecisionReader
from zsad.files.draws import read_draws
from zsad.files.embeddings import EmbeddingReader
from zsad.files.features import FeatureReader
from zsad.files.fitted import FittedReader
from zsad.files.json_files import read_json
from zsad.files.learned import read_learned
from zsad.files.masks import MaskReader
from zsad.files.pictures import LayerReader, ThumbnailReader
from zsad.files.scores import ScoreReader
from zsad.files.texts import TextReader

PARTS = ("Snakefile", "config.yaml", "config", "envs", "profiles", "rules", "schemas", "workflow_scripts", "zsad")
NOT_RESULTS = ("logs", "benchmarks")
READERS = {
    "features": FeatureReader,
    "texts": TextReader,
    "embeddings": EmbeddingReader,
    "models": FittedReader,
    "scores": ScoreReader,
    "decisions": DecisionReader,
    "masks": MaskReader,
    "foregrounds": MaskReader,
    "layers": LayerReader,
    "thumbnails.h5": ThumbnailReader,
    "classification": ClassifiedReader,
    "labelled": ScoreReader,
}

# Scorers that `test_learned_workflow.py` runs, and no test of all others.
LEARNING = ("flow", "coupling_flow", "residual_prompts", "visual_prompts", "prompt_memory")

# One category and few, small images: the shape of the default.
SMALL = {
    "dataset": {"name": "t", "categories": ["ring"], "demo": {"size": 64, "train": 4, "good": 3, "defective": 4}},
    "backbone": "embedded",
    "backbones": {"embedded": {"params": {"resolution": 64}}},
    "methods": {
        "mirror_symmetry": {"params": {"symmetries": ["horizontal"]}},
        "flip_consistency": None,
        "mutual": None,
        "memory_bank": {"params": {"shots": 2}},
    },
    "refiners": {"grabcut": None},
    "evaluation": {"bootstrap": 50},
    "report": {"gallery": 1, "panel": 64, "dpi": 50},
}


@dataclass(frozen=True)
class Run:
    """A finished Snakemake: its exit status, what it printed, and the results that it wrote, relative to results/."""

    status: int
    output: str
    made: set[str]

    def made_by(self, *fragments: str) -> set[str]:
        """The results whose path has one of the fragments in it."""
        return {path for path in self.made if any(fragment in path for fragment in fragments)}


class Project:
    """A working copy of the project with its own results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def copy_of_repository(cls, folder: Path) -> Project:
        """Copy what a run needs, without results."""
        folder.mkdir(parents=True)
        for name in PARTS:
            source = REPOSITORY / name
            if source.is_dir():
                # With what Python has compiled, but for what it is compiling.
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
            else:
                shutil.copy2(source, folder / name)
        return cls(folder)

    def copy(self, folder: Path) -> Project:
        """Copy everything, with modification times."""
        folder.mkdir(parents=True)
        subprocess.run(["cp", "-a", f"{self.folder}/.", str(folder)], check=True)  # in half of Python's time
        return Project(folder)

    def result(self, path: str) -> Path:
        """A path under results/."""
        return self.folder / "results" / path

    def command(self, config: dict[str, Any] | None, *arguments: str, python: str | Path = sys.executable) -> list[str]:
        """The command line of a run with ``config`` merged into config.yaml."""
        command = [str(python), "-m", "snakemake", "--cores", "2", *arguments]
        if config is not None:
            (self.folder / "override.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
            command += ["--configfile", "override.yaml"]
        return command

    def run(self, config: dict[str, Any] | None = SMALL, *arguments: str, offline: bool = True) -> Run:
        """Run Snakemake to its end; nothing may be downloaded unless ``offline`` is False."""
        before = self._times()
        done = subprocess.run(
            self.command(config, *arguments, python=warm_python()),
            cwd=self.folder,
            env={**os.environ, "HF_HUB_OFFLINE": str(int(offline))},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        after = self._times()
        made = {path for path, time in after.items() if before.get(path) != time}
        return Run(done.returncode, done.stdout + done.stderr, made)

    def would_make(self, config: dict[str, Any] | None = SMALL, *targets: str) -> set[str]:
        """The files that a run would make or make anew, relative to results/; by ``snakemake --summary``."""
        done = subprocess.run(
            self.command(config, *targets, "--summary", python=warm_python()),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        table = csv.DictReader(done.stdout.splitlines(), delimiter="\t")
        planned = {row["output_file"].removeprefix("results/") for row in table if row["plan"] == "update pending"}
        return {path for path in planned if not path.endswith("/report")}  # the folder beside the page goes with it

    def broken_results(self) -> list[str]:
        """What is wrong with results of categories that are there but not whole."""
        broken = []
        for path in (*self.result("t").glob("*/*/**/*"), *self.result("t").glob("*/thumbnails.h5")):
            try:
                _read_whole(path, path.relative_to(self.result("t")).parts[1])
            except DataError as error:
                broken.append(str(error))
        return broken

    def _times(self) -> dict[str, int]:
        root = self.folder / "results"
        return {
            path.relative_to(root).as_posix(): path.stat().st_mtime_ns
            for path in root.rglob("*")
            if path.is_file()
            and not any(part in NOT_RESULTS for part in path.relative_to(root).parts)
            and path.name != ".snakemake_timestamp"
        }


def _read_whole(path: Path, kind: str) -> None:
    if path.suffix == ".json":
        read_json(path)
    elif path.suffix == ".h5" and kind == "draws":
        read_draws(path)
    elif path.suffix == ".h5":
        reader = ThumbnailReader if path.name.endswith("thumbnails.h5") else READERS[kind]
        reader(path).close()
    elif path.suffix == ".safetensors":
        read_learned(path)
    elif path.suffix == ".csv" and kind == "splits":
        read_split(path)


def merged(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A deep copy of a configuration with ``changes`` merged in; ``a__b=1`` stands for ``{"a": {"b": 1}}``."""
    result = copy.deepcopy(base)
    for name, value in changes.items():
        *path, last = name.split("__")
        place = result
        for step in path:
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
        place[last] = copy.deepcopy(value)  # what is changed next may lie in it
    return result
