"""Find the named photographs: files, folders with their subfolders, or paths on lines of standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from zsad.data.images import IMAGE_SUFFIXES
from zsad.data.layouts.base import InvalidNames, Take, checked_name
from zsad.data.layouts.folder import images_below
from zsad.errors import ConfigError, DataError
from zsad.inspecting.inspection import Failure


def photographs_of(words: Sequence[str], out: Path | None = None) -> list[Path | Failure]:
    """The named photographs, each once: all in a folder, sorted, as the layout ``folder`` finds them.

    Args:
        words: files and folders.
        out: folder of results; it is skipped in a folder that contains it.

    Raises:
        ConfigError: the results would be among the photographs.
        DataError: a folder cannot be read, or contains no photograph.
    """
    found: dict[Path, Path | Failure] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            unnamed = InvalidNames()
            inside = photographs_below(path, out, unnamed.take)
            found.update((photograph, Failure(photograph, error)) for photograph, error in unnamed.errors.items())
            if not inside and not unnamed.errors:
                raise DataError(
                    f"the folder {path} and its subfolders contain no photograph ({', '.join(IMAGE_SUFFIXES)}); "
                    "give another folder"
                )
            found.update((photograph, photograph) for photograph in inside)
        elif not os.path.lexists(path):
            found[path] = Failure(path, DataError(f"{path} does not exist; correct the path"))
        else:
            found[path] = path
    return list(found.values())


def photographs_below(folder: Path, out: Path | None = None, take: Take = checked_name) -> list[Path]:
    """The photographs in a folder and its subfolders, sorted; see `photographs_of` and `images_below`."""
    found = images_below(folder, left_out(folder, out), take)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def paths_on(stream: BinaryIO) -> Iterator[Path]:
    """Yield the paths on a stream, one per line, each as soon as its line arrives; empty lines are skipped."""
    for line in iter(stream.readline, b""):
        if name := line.removesuffix(b"\n").removesuffix(b"\r"):
            yield Path(os.fsdecode(name))


def left_out(folder: Path, out: Path | None) -> Path | None:
    """The folder of results, if it is inside the folder of photographs.

    Raises:
        ConfigError: it is the folder of photographs itself.
    """
    if out is None:
        return None
    real, place = folder.resolve(), out.resolve()
    if real == place:
        raise ConfigError(f"--out {out} is the folder of the photographs; give another folder for the results")
    return out if place.is_relative_to(real) else None
