"""The folders that a run writes to, looked at before it begins: in words what Snakemake would fail at later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zsad.errors import DataError
from zsad.errors.system import has_no_inode_left
from zsad.workflow.snakemake_api import RESULTS, cache_folder

SNAKEMAKES = ".snakemake"
INNER = ("logs", "benchmarks", "tables", "plots")  # of a data set, besides its categories


def check_folders(
    dataset: str, categories: Iterable[str] = (), *, root: Path = Path(), results: Path = Path(RESULTS)
) -> None:
    """Refuse a place to work in where something else is in the place of a folder of results.

    Args:
        dataset: its name, as the folder of its results has it.
        categories: likewise; none while they are not known.
        root: the working directory.
        results: the folder of all results in there.

    Raises:
        DataError: one of the folders is a file, or a link to none.
    """
    for folder in _folders(dataset, categories, root, root / results):
        if not os.path.lexists(folder) or folder.is_dir():
            continue
        what = f"a link to {folder.readlink()}, which is no folder" if folder.is_symlink() else "a file"
        mend = "correct or remove the link" if folder.is_symlink() else "move it away"
        raise DataError(f"{folder}, where a run keeps its files, is {what}; {mend} and run again")


def check_writable(
    dataset: str, categories: Iterable[str] = (), *, root: Path = Path(), results: Path = Path(RESULTS)
) -> None:
    """Refuse a place to work in that a run cannot write to.

    Args:
        dataset, categories, root, results: see `check_folders`.

    Raises:
        DataError: a folder is somebody else's or on a disk that is read-only, or there is no inode left for a file.
    """
    for folder in _folders(dataset, categories, root, root / results):
        place = folder if folder.is_dir() else folder.parent
        if place.is_dir() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise DataError(f"{folder} cannot be written, for {_not_writable(place)}")
    if has_no_inode_left(root / results):
        raise DataError(
            f"the file system of {root / results} has no inode left for another file; delete files there, however "
            "small, and run again"
        )


def check_cache() -> None:
    """Refuse a user for whom Snakemake cannot keep its cache, at which it ends before it reads a rule.

    Raises:
        DataError: there is no home folder, or none that can be written to, and no ``XDG_CACHE_HOME``.
    """
    mend = "set XDG_CACHE_HOME to a folder that you can write to, e.g. `export XDG_CACHE_HOME=$PWD/.cache`"
    try:
        cache = cache_folder().parent
    except RuntimeError:
        raise DataError(f"the home folder of this user is not known; set HOME, or {mend}") from None
    existing = next(folder for folder in (cache, *cache.parents) if os.path.lexists(folder))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise DataError(f"Snakemake cannot keep its cache in {cache}, for {existing} takes no folder of yours; {mend}")


def _folders(dataset: str, categories: Iterable[str], root: Path, results: Path) -> Iterator[Path]:
    own = results / dataset
    yield from (root / SNAKEMAKES, results, own, results / "data")
    yield from (own / name for name in (*INNER, *categories))


def _not_writable(folder: Path) -> str:
    """That a folder cannot be written to, why, and what mends it."""
    what = f"you cannot write to {folder if folder.name else folder.absolute()}"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{what}, whose disk is read-only; make it writable, or work in another folder (`--directory`)"
    return (
        f"{what}, which belongs to {_owner(folder)}; have it made writable to you, or work in another folder "
        "(`--directory`)"
    )


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except KeyError:
        return f"the user with the number {folder.stat().st_uid}"
