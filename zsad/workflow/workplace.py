"""Check the folders that a run writes to before it starts, instead of later failures of Snakemake."""

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
    """Reject a working folder with something else in the place of a folder of results.

    Args:
        dataset: its name in the folder of its results.
        categories: their names; empty while they are unknown.
        root: the working directory.
        results: the folder of all results in it.

    Raises:
        DataError: one of the folders is a file, or a link to something else.
    """
    for folder in _folders(dataset, categories, root, root / results):
        if not os.path.lexists(folder) or folder.is_dir():
            continue
        what = f"a link to {folder.readlink()}, which is not a folder" if folder.is_symlink() else "a file"
        fix = "correct or remove the link" if folder.is_symlink() else "move it away"
        raise DataError(f"{folder}, where a run keeps its files, is {what}; {fix} and run again")


def check_writable(
    dataset: str, categories: Iterable[str] = (), *, root: Path = Path(), results: Path = Path(RESULTS)
) -> None:
    """Reject a working folder that a run cannot write to.

    Args:
        dataset, categories, root, results: see `check_folders`.

    Raises:
        DataError: a folder belongs to another user or is on a read-only disk, or there is no inode left for a file.
    """
    for folder in _folders(dataset, categories, root, root / results):
        place = folder if folder.is_dir() else folder.parent
        if place.is_dir() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise DataError(f"{folder} cannot be written, because {_not_writable(place)}")
    if has_no_inode_left(root / results):
        raise DataError(
            f"the file system of {root / results} has no inode left for another file; delete files there, however "
            "small, and run again"
        )


def check_cache() -> None:
    """Reject a user without a writable cache folder, without which Snakemake ends before it reads a rule.

    Raises:
        DataError: there is no writable home folder, and no ``XDG_CACHE_HOME``.
    """
    fix = "set XDG_CACHE_HOME to a folder that you can write to, e.g. `export XDG_CACHE_HOME=$PWD/.cache`"
    try:
        cache = cache_folder().parent
    except RuntimeError:
        raise DataError(f"the home folder of this user is not known; set HOME, or {fix}") from None
    existing = next(folder for folder in (cache, *cache.parents) if os.path.lexists(folder))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise DataError(f"Snakemake cannot keep its cache in {cache}, because you cannot write to {existing}; {fix}")


def _folders(dataset: str, categories: Iterable[str], root: Path, results: Path) -> Iterator[Path]:
    own = results / dataset
    yield from (root / SNAKEMAKES, results, own, results / "data")
    yield from (own / name for name in (*INNER, *categories))


def _not_writable(folder: Path) -> str:
    """Why a folder cannot be written to, and the fix."""
    what = f"you cannot write to {folder if folder.name else folder.absolute()}"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{what}, whose disk is read-only; make it writable, or work in another folder (`--directory`)"
    return (
        f"{what}, which belongs to {_owner(folder)}; ask for write permission, or work in another folder "
        "(`--directory`)"
    )


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except KeyError:
        return f"the user with the number {folder.stat().st_uid}"
