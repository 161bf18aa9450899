"""Check that files named in a table of a data set exist in their category's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zsad.data.layouts.base import checked_name
from zsad.errors import DataError


def listed_file(home: Path, category: str, relative: str, what: str, fix: str) -> Path:
    """Return the path of a file that a table names, which must be in the category's folder.

    Args:
        home: folder of the categories, where the table's paths start.
        relative: the path from the table, with forward slashes.
        what: its place in the table and what it is, for messages, e.g. ``"1cls.csv, line 2: the image"``.
        fix: what to do if it does not exist.

    Raises:
        DataError: it is elsewhere, does not exist, or has a name that is not valid text.
    """
    steps = PurePosixPath(relative).parts
    if steps[:1] != (category,) or ".." in steps:
        raise DataError(f"{what} is '{relative}', which is not a path that starts with '{category}/'; correct it")
    path = checked_name(home / relative)
    if not path.is_file():
        raise DataError(f"{what} {path} does not exist; {fix}")
    return path
