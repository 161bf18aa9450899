"""Tables of a category that were changed by hand: the next run puts them aside and makes them again.

Snakemake would treat a changed table as newer and recompute what depends on it, but never the table itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from zsad.data.image_list import read_image_list
from zsad.data.kinds import read_kinds
from zsad.data.manifest import read_manifest
from zsad.data.readings import read_unreadable
from zsad.errors import DataError


def _read_labelled(path: Path) -> object:
    """Read the list of a support's examples, or the table of their kinds beside it."""
    return read_kinds(path) if path.name.endswith(".kinds.csv") else read_image_list(path)


TABLES: Mapping[str, Callable[[Path], object]] = MappingProxyType(
    {
        "images.csv": read_image_list,
        "training.csv": read_image_list,
        "manifest.csv": read_manifest,
        "unreadable.csv": read_unreadable,
        "labelled/*.csv": _read_labelled,
        "synthetic/*/images.csv": read_image_list,
        "synthetic/*/manifest.csv": read_manifest,
    }
)
"""The tables in the folder of a category, by name or pattern, with the function that reads each."""
ASIDE = ".changed"  # before the ending of the name


def changed_tables(folders: Iterable[Path], readers: Mapping[str, Callable[[Path], object]] = TABLES) -> list[Path]:
    """The tables that were changed after they were made, in the folders of some categories."""
    return [
        path
        for folder in folders
        for name, read in readers.items()
        for path in _named(folder, name)
        if _is_changed(path, read)
    ]


def put_aside(paths: Iterable[Path]) -> None:
    """Rename tables, so that the run makes them again.

    Raises:
        DataError: one cannot be renamed.
    """
    for path in paths:
        try:
            path.replace(path.with_stem(f"{path.stem}{ASIDE}"))
        except OSError as error:
            raise DataError(
                f"{path} was changed after it was made and cannot be renamed ({error.strerror}); delete it"
            ) from None


def changed_text(paths: Sequence[Path]) -> str:
    """One sentence about tables that were changed."""
    names = ", ".join(path.as_posix() for path in paths)
    was, it, is_ = ("was", "it", "is") if len(paths) == 1 else ("were", "they", "are")
    return (
        f"{names} {was} changed after {it} {was} made, and {is_} put aside (*{ASIDE}.csv) to be made again with all "
        "that follows; labels come from the data set itself, so correct them there"
    )


def _named(folder: Path, name: str) -> list[Path]:
    """The table of a name, whether it exists or not, or the tables of a pattern that are not put aside."""
    if "*" not in name:
        return [folder / name]
    return [path for path in sorted(folder.glob(name)) if not path.stem.endswith(ASIDE)]


def _is_changed(path: Path, read: Callable[[Path], object]) -> bool:
    if not os.path.lexists(path):
        return False
    if not path.is_file():
        return True
    if not os.access(path, os.R_OK):  # its reader reports that
        return False
    try:
        read(path)
    except DataError:
        return True
    return False
