"""The folder for the configuration and results of an inspection, and its lock."""

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
_LONGEST = 120  # bytes of a generated name
_WRITTEN = "# Written by `zsad inspect` of "
_DIGEST = "; it writes this file anew as long as nobody has changed it: "


def with_header(text: str, subject: Sequence[str]) -> str:
    """A configuration with a first line that names the inspected photographs and has a digest, to detect changes."""
    return f"{_first_line(text, subject)}\n{text}"


def holds_inspection(folder: Path, files: Collection[str]) -> bool:
    """Whether a folder with these file names belongs to an inspection."""
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
        """Refuse a folder with other content, or with a configuration that was changed.

        Raises:
            DataError: it is such a folder, is not writable, or has an unusable name.
        """
        if not self.folder.as_posix().isprintable():
            raise DataError(
                f"results cannot be in {str(self.folder)!r}, whose name has an unprintable character; rename "
                "it, or give another --out"
            )
        if not os.path.lexists(self.folder):
            return
        if not self.folder.is_dir():
            raise DataError(f"{self.folder} is not a folder; give --out another name")
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise DataError(f"you cannot write to {self.folder}; give --out another folder")
        if not self.configuration.is_file():
            if not (self.is_free or (self.folder / LOCK).is_file()):
                raise DataError(
                    f"{self.folder} contains other files than those of an inspection; give --out a new folder"
                )
            return
        text = self._text()
        first, _, rest = text.partition("\n")
        if not first.startswith(_WRITTEN):
            raise DataError(
                f"{self.configuration} was not written by `zsad inspect` and is not overwritten; give --out a new "
                "folder"
            )
        if first.rpartition(_DIGEST)[2] != _digest(rest):
            raise DataError(
                f"{self.configuration} was changed by hand and is not overwritten; run it with the command "
                "that is written in it, or give --out a new folder"
            )

    @property
    def is_free(self) -> bool:
        """Whether it is empty, or contains only the remains of an inspection that was killed at its start."""
        return not os.path.lexists(self.folder) or (
            self.folder.is_dir() and {path.name for path in self.folder.iterdir()} <= {LOCK, TABLE}
        )

    def is_of(self, subject: Sequence[str]) -> bool:
        """Whether it contains an inspection of the same photographs."""
        if not self.configuration.is_file():
            return False
        return self._text().startswith(f"{_WRITTEN}{_in_comment(subject)}{_DIGEST}")

    @contextmanager
    def reserved(self) -> Iterator[int]:
        """Lock the folder against other inspections; yields the descriptor of the lock, for a child process.

        Locks of a killed Snakemake are removed.

        Raises:
            DataError: another process uses the folder, or it cannot be made.
        """
        try:
            lock = locked(self.folder)
        except BlockingIOError:
            raise DataError(
                f"another inspection is running in {self.folder}; wait until it ends, or give --out another folder"
            ) from None
        except OSError as error:
            raise DataError(
                f"results cannot be written to {self.folder} ({error.strerror}); give --out a writable folder"
            ) from None
        try:
            self._unlock()
            yield lock
        finally:
            os.close(lock)

    def _unlock(self) -> None:
        """Remove the locks of a killed Snakemake; the locks of a running one in this folder are kept."""
        locks = self.folder / SNAKEMAKE_LOCKS
        if not locks.is_dir() or not any(locks.iterdir()):
            return
        if number := _snakemake_in(self.folder):
            raise DataError(
                f"Snakemake is running in {self.folder} (process {number}); wait until it ends, or give --out another "
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

    Without ``out`` it is in the current folder, or beside the photographs if they are in the current folder. It is that
    of an earlier inspection of the same photographs, or a new one.

    Args:
        title: common name of the photographs.
        subject: the inspected photographs, as text that distinguishes inspections.
        folders: the folders of the photographs.
        searched: those of them in which all images are inspected, or used as references.

    Raises:
        DataError: the results would be among the photographs, or `Place.check` refuses the folder.
    """
    if out is not None:
        place = Place(_absolute(out))
        _check_outside(place.folder, searched)
        place.check()
        return place
    around = Path.cwd()
    while any(around.resolve().is_relative_to(folder.resolve()) for folder in {*folders, *searched}):
        if around == around.parent:
            raise DataError("the photographs are in the root of the file system; give --out a folder for the results")
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
                f"--out {out} is in {folder}, among the photographs, and its pictures would be inspected next time; "
                "give another folder"
            )


def _snakemake_in(folder: Path) -> int | None:
    """The number of a Snakemake process that runs in a folder; None if none is visible."""
    real = str(folder.resolve())
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == real and any("snakemake" in word for word in words):
            return int(process.pid)
    return None


def _first_line(text: str, subject: Sequence[str]) -> str:
    return f"{_WRITTEN}{_in_comment(subject)}{_DIGEST}{_digest(text)}"


def _in_comment(subject: Sequence[str]) -> str:
    """The subject in one line of ASCII characters, for any names."""
    return json.dumps(list(subject))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
