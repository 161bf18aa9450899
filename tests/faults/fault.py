"""What a fault is: a sound data set, what befalls it, what is to be said then, and how it is mended."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from file_server import FileServer
from harness import merged
from zsad.workflow.settings import DEFAULT_PATH

RESULTS = "results"
DOWNLOADS = "data"
CATALOGUE = Path("catalogue.yaml")  # takes the place of the library's where it exists
TEMPORARY = (".*.tmp", "*.part", "*.part.version", "*.lock", ".*partial*")
CONTINUED = ("*.part", "*.part.version", "*.lock")  # what a download that broke off leaves
PIECE = 100  # bytes that are received at a time; of a piece that does not come whole nothing is kept
RUNS_OWN = (*TEMPORARY, f"{DOWNLOADS}/*.json")
CHECK, LISTED, MANIFEST = ("check.json",), ("images.csv",), ("manifest.csv",)  # what a fault may alter
EVALUATION = ("tables/*",)
ALL = ("*",)

BASE: dict[str, Any] = {
    **yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8")),
    "backbone": "embedded",
    "backbones": {"embedded": {"family": "embedded", "params": {"resolution": 32}}},
    "methods": {
        "mutual": {"scorer": "mutual"},
        "memory_bank": {"scorer": "memory_bank", "params": {"shots": 2}},
    },
    "refiners": {"grabcut": {"refiner": "grabcut"}},
    "evaluation": {"bootstrap": 40},
    "report": {"refiner": "none"},
}


@dataclass(frozen=True)
class Sound:
    """A data set that nothing is wrong with.

    Attributes:
        draw: writes it into the working directory, or what describes it where it is downloaded from a server.
        dataset: the section of the configuration.
        serve: has the server offer what is downloaded.
        changes: to the rest of `BASE`; ``a__b=1`` stands for ``{"a": {"b": 1}}``.
    """

    name: str
    draw: Callable[[FileServer], None]
    dataset: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    serve: Callable[[FileServer], None] = lambda server: None

    def config(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A complete configuration, with ``changes`` to it."""
        dataset = {**BASE["dataset"], "name": "t", **self.dataset}
        return merged(BASE, **{"dataset": dataset, **self.changes, **(changes or {})})


@dataclass
class Place:
    """Where a case happens: the working directory with a data set, and what is around it.

    Attributes:
        sound: the data set.
        undisturbed: the folder of an undisturbed run on it.
        around: what is entered here lasts until the world around is well again, e.g. a disk that is full.
    """

    sound: Sound
    undisturbed: Path
    server: FileServer
    around: ExitStack

    def patched(self) -> pytest.MonkeyPatch:
        """What replaces parts of the world around until it is well again."""
        return self.around.enter_context(pytest.MonkeyPatch.context())


Damage = Callable[[Place], None]


def recover(place: Place) -> None:
    """Have the world around be well again: disk, server."""
    place.around.close()
    place.server.files.clear()
    place.server.requests.clear()
    place.sound.serve(place.server)


def restore(place: Place) -> None:
    """Put back what is not as in the undisturbed run, and remove what was not there; what runs made is left alone."""
    recover(place)
    sound, found = (_entries(folder) for folder in (place.undisturbed, Path()))
    for path in sorted(set(found) - set(sound), reverse=True):
        _remove(path)
    for path in sorted(sound):
        if path in found and _is_equal(path, place.undisturbed / path):
            continue
        _remove(path)
        if (place.undisturbed / path).is_dir():
            path.mkdir()
        else:
            shutil.copy(place.undisturbed / path, path)


@dataclass(frozen=True)
class Fault:
    """A bad input, and what comes of it.

    Attributes:
        name: what it is, in words.
        sound: the data set that it befalls.
        damage: brings it about.
        said: pattern of the one sentence that ends the run; empty if the run goes on.
        tells: pattern of the one sentence with which it goes on; empty if it says nothing.
        loses: the images that it goes on without; usually none.
        gains: the images that it goes on with besides.
        alters: the results that may differ where it goes on, as patterns of paths.
        fix: as the sentence asks; puts back what was damaged if nothing else is given.
        changes: to the configuration, until it is mended.
        before: script just before which it happens, in the middle of a run.
        finished: whether it befalls a finished run.
        then: what else is true after the run, as assertions.
    """

    name: str
    sound: Sound
    damage: Damage
    said: str = ""
    tells: str = ""
    loses: frozenset[str] = frozenset()
    gains: frozenset[str] = frozenset()
    alters: Sequence[str] = ()
    fix: Damage = restore
    changes: Mapping[str, Any] = field(default_factory=dict)
    before: str = ""
    finished: bool = False
    then: Callable[[Place], None] | None = None


def users_files() -> dict[Path, Any]:
    """Everything in the working directory that a run must not touch: kind and content by path."""
    return {path: _content(path) for path in _entries(Path(), [RESULTS]) if not _matches(path, RUNS_OWN)}


def but(results: Mapping[str, str], altered: Sequence[str]) -> dict[str, str]:
    """The results that none of the patterns is of."""
    return {path: text for path, text in results.items() if not any(Path(path).match(pattern) for pattern in altered)}


def leftovers() -> list[Path]:
    """Temporary files that nobody needs any more; what a download can be continued from is no such thing."""
    return [
        path
        for path in _entries(Path(), [])
        if _matches(path, TEMPORARY) and not (path.parts[0] == DOWNLOADS and _matches(path, CONTINUED))
    ]


def _entries(folder: Path, made: Sequence[str] = (RESULTS, DOWNLOADS)) -> list[Path]:
    """All files and folders below a folder but what runs make, relative to it; links are not followed."""
    return [
        path
        for place, folders, names in os.walk(folder)
        for path in (Path(place, name).relative_to(folder) for name in (*folders, *names))
        if path.parts[0] not in made
    ]


def _content(path: Path) -> Any:
    if path.is_symlink():
        return path.readlink()
    mode = path.stat().st_mode
    return path.read_bytes() if stat.S_ISREG(mode) else stat.S_IFMT(mode)


def _is_equal(path: Path, other: Path) -> bool:
    if path.is_symlink() or path.is_dir() or not path.is_file():
        return path.is_dir() and not path.is_symlink() and other.is_dir()
    return other.is_file() and filecmp.cmp(path, other, shallow=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@cache
def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    """Whether a path, or a folder that it is in, is so called."""
    return any(place.match(pattern) for place in (path, *path.parents) for pattern in patterns)
