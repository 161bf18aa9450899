"""The folder that an inspection keeps its configuration and results in, and who may use it when."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psutil

from zsad.errors import DataError
from zsad.files.user_paths import expanded
from zsad.inspecting.lock import LOCK, locked

CONFIGURATION = "config.yaml"
TABLE = "photographs.csv"
SNAKEMAKE_LOCKS = Path(".snakemake", "locks")
ENDING = "-inspection"
_LONGEST = 120  # bytes of a name that is made up here
_WRITTEN = "# Written by `zsad inspect` of "
_DIGEST = "; it writes this file anew as long as nobody has changed it: "


def sealed(text: str, subject: Sequence[str]) -> str:
    """A configuration with a first line that tells what was inspected, and later whether somebody has changed it."""
    return f"{_first_line(text, subject)}\n{text}"


def holds_inspection(folder: Path, files: Collection[str]) -> bool:
    """Whether a folder, of which the names of its files are given, is that of an inspection."""
    return CONFIGURATION in files and LOCK in files


class Place:
    """A folder for an inspection.

    Args:
        folder: absolute; need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / CONFIGURATION
        self.table = folder / TABLE

    def check(self) -> None:
        """Refuse a folder that holds something else, or a configuration that somebody has changed.

        Raises:
            DataError: it does, cannot be written to, or has a name that cannot be used.
        """
        if not self.folder.as_posix().isprintable():
            raise DataError(
                f"results cannot lie in {str(self.folder)!r}, whose name has a sign that cannot be shown; rename "
                "it, or give another --out"
            )
        if not os.path.lexists(self.folder):
            return
        if not self.folder.is_dir():
            raise DataError(f"{self.folder} is no folder; give --out another name")
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise DataError(f"you cannot write to {self.folder}; give --out another folder")
        if not self.configuration.is_file():
            if not (self.is_free or (self.folder / LOCK).is_file()):
                raise DataError(
                    f"{self.folder} holds other things than an inspection, and no results are mixed with them; give "
                    "--out a new folder"
                )
            return
        text = self._text()
        first, _, rest = text.partition("\n")
        if not first.startswith(_WRITTEN):
            raise DataError(
                f"{self.configuration} is not of `zsad inspect`, and is not overwritten; give --out a new folder"
            )
        if first.rpartition(_DIGEST)[2] != _digest(rest):
            raise DataError(
                f"{self.configuration} has been changed by hand, and is not overwritten; run it by the command that "
                "stands in it, or give --out a new folder"
            )

    @property
    def is_free(self) -> bool:
        """Whether there is nothing, or only what an inspection has left that was killed at its very beginning."""
        return not os.path.lexists(self.folder) or (
            self.folder.is_dir() and {path.name for path in self.folder.iterdir()} <= {LOCK, TABLE}
        )

    def is_of(self, subject: Sequence[str]) -> bool:
        """Whether there is an inspection of the same photographs."""
        if not self.configuration.is_file():
            return False
        return self._text().startswith(f"{_WRITTEN}{_in_comment(subject)}{_DIGEST}")

    @contextmanager
    def reserved(self) -> Iterator[int]:
        """Keep others from inspecting into the same folder; yields what keeps them off, for a process to inherit.

        Locks of a Snakemake that was killed are removed.

        Raises:
            DataError: another process is at it, or the folder cannot be made.
        """
        try:
            lock = locked(self.folder)
        except BlockingIOError:
            raise DataError(
                f"another inspection is at work in {self.folder}; wait for its end, or give --out another folder"
            ) from None
        except OSError as error:
            raise DataError(
                f"no results can be written to {self.folder} ({error.strerror}); give --out a folder that you "
                "can write to"
            ) from None
        try:
            self._unlock()
            yield lock
        finally:
            os.close(lock)

    def _unlock(self) -> None:
        """Remove locks that a killed Snakemake has left; whoever runs one by hand in this folder keeps theirs."""
        locks = self.folder / SNAKEMAKE_LOCKS
        if not locks.is_dir() or not any(locks.iterdir()):
            return
        if number := _snakemake_in(self.folder):
            raise DataError(
                f"Snakemake is at work in {self.folder} (process {number}); wait for its end, or give --out another "
                "folder"
            )
        shutil.rmtree(locks)

    def _text(self) -> str:
        try:
            return self.configuration.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""


def place_for(
    out: str | Path | None, title: str, subject: Sequence[str], folders: Sequence[Path], searched: Sequence[Path]
) -> Place:
    """The folder for results.

    Without ``out`` it lies in the current folder, or beside the photographs where that is theirs. It is that of an
    earlier inspection of the same photographs, or a new one.

    Args:
        title: what the photographs are called together.
        subject: what is inspected, as text that tells inspections apart.
        folders: where the photographs lie.
        searched: those of them in which all images are inspected, or taken for references.

    Raises:
        DataError: results would lie among the photographs, or `Place.check` refuses the folder.
    """
    if out is not None:
        place = Place(_absolute(out))
        _check_outside(place.folder, searched)
        place.check()
        return place
    around = Path.cwd()
    while any(around.resolve().is_relative_to(folder.resolve()) for folder in {*folders, *searched}):
        if around == around.parent:
            raise DataError("the photographs lie in the root of the file system; give --out a folder for the results")
        around = around.parent
    short = os.fsencode(title)[:_LONGEST].decode(errors="ignore").strip(". ") or "photographs"
    short = "".join(sign if sign.isprintable() and sign != "/" else "_" for sign in short)
    number = 1
    while True:
        place = Place(around / f"{short.lstrip('-')}{ENDING}{f'-{number}' if number > 1 else ''}")
        if place.is_free or place.is_of(subject):
            place.check()
            return place
        number += 1


def _absolute(out: str | Path) -> Path:
    try:
        return Path(os.path.normpath(Path.cwd() / expanded(str(out))))
    except ValueError as error:
        raise DataError(f"--out {out}: {error}") from None


def _check_outside(out: Path, searched: Sequence[Path]) -> None:
    for folder in searched:
        if out.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"--out {out} lies in {folder}, among the photographs, and its pictures would be inspected next time; "
                "give a folder elsewhere"
            )


def _snakemake_in(folder: Path) -> int | None:
    """A process of Snakemake that works in a folder; None if there is none that can be seen."""
    real = str(folder.resolve())
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == real and any("snakemake" in word for word in words):
            return int(process.pid)
    return None


def _first_line(text: str, subject: Sequence[str]) -> str:
    return f"{_WRITTEN}{_in_comment(subject)}{_DIGEST}{_digest(text)}"


def _in_comment(subject: Sequence[str]) -> str:
    """The subject in one line of plain characters, whatever the names."""
    return json.dumps(list(subject))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
