"""Whatever is wrong with images, tables, downloads or results: one sentence and nothing lost, or the run goes on.

After each fault is mended, the next run ends where an undisturbed one does, bit for bit.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, NamedTuple

import pytest

import chain
from cases import FAULTS
from cases.sound import DOWNLOADED, URL, archive, archived_files
from chain import Chain, Outcome, Step
from fault import ALL, CATALOGUE, DOWNLOADS, PIECE, RESULTS, Fault, Place, Sound, but, leftovers, recover, users_files
from file_server import FileServer, ServedFile, running_file_server
from paths import REPOSITORY
from zsad.data import catalogue
from zsad.data.catalogue import read_catalogue
from zsad.files.provenance import library_versions
from zsad.workflow.job import _limit_threads

ARCHIVES = Path(DOWNLOADS, "archives")
LOGS = Path(RESULTS, "log")
DOWNLOAD = """
import sys
from pathlib import Path
from zsad.cli.command import main
from zsad.data import catalogue
catalogue.CATALOGUE_PATH = Path("catalogue.yaml")
sys.exit(main(["download", "mpdd"]))
"""
FINISHED = Outcome(status=0, said=[], failed=[])
versions, published, limit_threads = cache(library_versions), cache(read_catalogue), cache(_limit_threads)


class Undisturbed(NamedTuple):
    """A run that nothing happened to: its folder, the files before it, what it remembers, its results, their images."""

    folder: Path
    files: Mapping[Path, Any]
    chain: Chain
    results: Mapping[str, str]
    images: set[str]


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with running_file_server() as server:
        yield server


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the working directory has a catalogue of data sets, it is read in place of that of the library."""
    monkeypatch.setattr(
        catalogue, "read_catalogue", lambda path: read_catalogue(CATALOGUE) if CATALOGUE.exists() else published(path)
    )
    yield
    catalogue.datasets.cache_clear()


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server on this machine may be asked, and is asked itself."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small downloads come in pieces and are tried again at once; what is the same for all runs is done once."""
    monkeypatch.setattr("zsad.files.provenance.library_versions", versions)
    monkeypatch.setattr("zsad.workflow.job._limit_threads", limit_threads)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr("zsad.files.download.CHUNK", PIECE)
    monkeypatch.setattr("zsad.files.download.PAUSE_SECONDS", 0.001)


@pytest.fixture(scope="module")
def runs() -> dict[str, Undisturbed]:
    return {}


@pytest.fixture
def undisturbed(
    runs: dict[str, Undisturbed],
    server: FileServer,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Sound], Undisturbed]:
    """The undisturbed run on a data set, made once."""

    def run(sound: Sound) -> Undisturbed:
        if sound.name not in runs:
            folder = tmp_path_factory.mktemp(sound.name)
            monkeypatch.chdir(folder)
            sound.draw(server)
            sound.serve(server)
            files = users_files()
            made = Chain()
            outcome = made.run(sound.config())
            assert outcome == FINISHED, outcome.said
            runs[sound.name] = Undisturbed(folder, files, made, chain.results(), chain.scored_images())
        return runs[sound.name]

    return run


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_costs_one_sentence_at_most(
    fault: Fault,
    undisturbed: Callable[[Sound], Undisturbed],
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = undisturbed(fault.sound)
    monkeypatch.chdir(tmp_path)
    begun = fault.before and not (expected.folder / DOWNLOADS).exists()
    copy(expected.folder, with_results=fault.finished or begun)
    if begun:
        remove_results_from(fault.before, expected.chain.ran)
    with ExitStack() as around:
        place = Place(fault.sound, expected.folder, server, around)
        recover(place)
        run = Chain(expected.chain.made if fault.finished or begun else {})

        outcome, files = run_with(fault, place, run)
        assert {path: content for path, content in users_files().items() if path in files} == files
        assert leftovers() == []
        new = users_files().keys() - files.keys()
        if fault.said:
            assert outcome.status != 0
            assert len(outcome.said) == 1, "\n".join(outcome.said)
            assert re.search(fault.said, outcome.said[0]), outcome.said[0]
            assert not [path for path in outcome.failed if path.exists()]
            assert {path for path in new if not path.is_relative_to(ARCHIVES)} <= {Path(DOWNLOADS)}
        else:
            assert outcome._replace(said=[]) == FINISHED, outcome.said
            assert len(outcome.said) == bool(fault.tells), outcome.said
            assert re.search(fault.tells, "".join(outcome.said)), outcome.said
            assert {path.parts[0] for path in new} <= {DOWNLOADS}
            assert chain.scored_images() == (expected.images - fault.loses) | fault.gains
            altered = ALL if fault.loses or fault.gains else fault.alters
            assert but(chain.results(), altered) == but(expected.results, altered)
        if fault.then:
            fault.then(place)

        fault.fix(place)
        if is_where_the_undisturbed_run_was(expected):
            return  # the next run does what that one did
        outcome = run.run(fault.sound.config())
        assert outcome == FINISHED, outcome.said
        assert chain.results() == expected.results
        assert leftovers() == []


def is_where_the_undisturbed_run_was(expected: Undisturbed) -> bool:
    """Whether all that a run reads is as it was for the undisturbed one, in its beginning: before features are made."""
    results = [path for path in Path(RESULTS).rglob("*") if not path.is_dir() and path.parent != LOGS]
    return (
        not Path(DOWNLOADS).exists()
        and users_files() == expected.files
        and all(path.suffix in (".csv", ".json") and is_as_made(path, expected.folder / path) for path in results)
    )


def is_as_made(path: Path, undisturbed: Path) -> bool:
    """Whether a list or check of images is that of the undisturbed run, which goes on from it."""
    if not undisturbed.exists():
        return False
    if path.suffix == ".csv":
        return path.read_bytes() == undisturbed.read_bytes()
    return chain.without_provenance(path) == chain.without_provenance(undisturbed)


def copy(folder: Path, *, with_results: bool) -> None:
    """Copy an undisturbed run to the working directory."""
    made = () if with_results else (RESULTS, DOWNLOADS)
    for path in folder.iterdir():
        if path.name not in made:
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, path.name)


def remove_results_from(script: str, ran: Sequence[Step]) -> None:
    """Leave of a finished run what was there just before the first step of a script; each such run would repeat it."""
    first = next(index for index, step in enumerate(ran) if step.script == script)
    for step in ran[first:]:
        for path in step.outputs.values():
            path.unlink()


def run_with(fault: Fault, place: Place, run: Chain) -> tuple[Outcome, dict[Path, Any]]:
    """How a run ends that a fault befalls, and the files of the user that were there when it did."""
    files: dict[Path, Any] = {}

    def befall() -> None:
        fault.damage(place)
        files.update(users_files())

    config = fault.sound.config(fault.changes)
    if fault.before:
        return run.run(config, before={fault.before: befall}), files
    befall()
    return run.run(config), files


def test_of_two_downloads_at_once_one_waits_for_the_other(server: FileServer, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        DOWNLOADED.draw(server)
    server.files[URL] = ServedFile(archive(), stalls=[1.0])
    server.requests.clear()
    command = [sys.executable, "-c", DOWNLOAD]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    both = [Popen(command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert ended == [("mpdd: data/mpdd/MPDD\n", "")] * 2
    assert server.parts() == [""]
    folder = tmp_path / "data/mpdd"
    assert {name: (folder / name).read_bytes() for name in archived_files()} == archived_files()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["archives", "mpdd", "mpdd.json"]
