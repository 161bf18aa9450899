"""The error for a data set's folder without a category."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from zsad.data.layouts.base import folders
from zsad.errors import DataError


def categories_or_error(
    root: Path, found: Sequence[str], what: str, find: Callable[[Path], Sequence[str]] | None = None
) -> list[str]:
    """Return the found categories, sorted; if there are none, raise an error that names the right folder.

    Args:
        found: names of the categories in ``root``; empty if it does not exist.
        what: what was expected, e.g. ``"folder with a 'test' folder in it, as a category of MVTec AD has"``.
        find: returns the categories in any folder; if given, the right root is searched one folder up and down.

    Raises:
        DataError: ``root`` does not exist or has no category.
    """
    if found:
        return sorted(found)
    if not root.exists():
        raise DataError(f"the data set folder {root} does not exist; set dataset.root to the folder of the categories")
    if not root.is_dir():
        raise DataError(f"{root} is a file; set dataset.root to the folder that the data set was unpacked into")
    hint = _hint(root, find) if find else "set dataset.root to the folder of the categories"
    raise DataError(f"{root} has no {what}; {hint}")


def _hint(root: Path, find: Callable[[Path], Sequence[str]]) -> str:
    absolute = root.resolve()  # "." has neither name nor parent
    if absolute.name in _found_in(absolute.parent, find):
        return f"it looks like a single category: give its parent folder {absolute.parent}"
    inner = next((folder for folder in _readable_folders(root) if _found_in(folder, find)), None)
    return f"set dataset.root to {inner or 'the folder of the categories'}"


def _readable_folders(root: Path) -> Iterator[Path]:
    try:
        yield from folders(root)
    except (OSError, DataError):
        return


def _found_in(folder: Path, find: Callable[[Path], Sequence[str]]) -> Sequence[str]:
    """The categories in a folder; empty if it cannot be read, since a hint must not raise another error."""
    try:
        return find(folder)
    except (OSError, DataError):
        return []
