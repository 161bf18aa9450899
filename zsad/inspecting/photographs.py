"""Which photographs are meant: files, folders with their sub-folders, or paths that come line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from zsad.data.images import IMAGE_SUFFIXES
from zsad.data.layouts.base import Take, Unnamed, named
from zsad.data.layouts.folder import images_below
from zsad.errors import ConfigError, DataError
from zsad.inspecting.inspection import Failure


def photographs_of(words: Sequence[str], out: Path | None = None) -> list[Path | Failure]:
    """The photographs that are named, each once: of a folder all, sorted, as the layout ``folder`` finds them.

    Args:
        words: files and folders.
        out: where results go; it is left out of a folder that holds it.

    Raises:
        ConfigError: results would go among the photographs.
        DataError: a folder cannot be read, or has no photograph.
    """
    found: dict[Path, Path | Failure] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            unnamed = Unnamed()
            inside = photographs_below(path, out, unnamed.take)
            found.update((photograph, Failure(photograph, error)) for photograph, error in unnamed.errors.items())
            if not inside and not unnamed.errors:
                raise DataError(
                    f"the folder {path} and its sub-folders have no photograph ({', '.join(IMAGE_SUFFIXES)}); "
                    "give another folder"
                )
            found.update((photograph, photograph) for photograph in inside)
        elif not os.path.lexists(path):
            found[path] = Failure(path, DataError(f"{path} does not exist; correct the path"))
        else:
            found[path] = path
    return list(found.values())


def photographs_below(folder: Path, out: Path | None = None, take: Take = named) -> list[Path]:
    """The photographs in a folder and its sub-folders, sorted; see `photographs_of` and `images_below`."""
    found = images_below(folder, left_out(folder, out), take)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def paths_on(stream: BinaryIO) -> Iterator[Path]:
    """The paths on a stream, one a line, each as soon as its line has come; empty lines are passed over."""
    for line in iter(stream.readline, b""):
        if name := line.removesuffix(b"\n").removesuffix(b"\r"):
            yield Path(os.fsdecode(name))


def left_out(folder: Path, out: Path | None) -> Path | None:
    """The folder of results, if it lies in the folder of photographs.

    Raises:
        ConfigError: it is that folder.
    """
    if out is None:
        return None
    real, place = folder.resolve(), out.resolve()
    if real == place:
        raise ConfigError(f"--out {out} is the folder of the photographs; give the results a folder of their own")
    return out if place.is_relative_to(real) else None
