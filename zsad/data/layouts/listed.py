"""Files that a table of a data set names: there, and where they may be."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zsad.data.layouts.base import named
from zsad.errors import DataError


def listed_file(home: Path, category: str, relative: str, what: str, mend: str) -> Path:
    """A file that a table names, which must lie in the category's folder.

    Args:
        home: folder of the categories, where the table's paths start.
        relative: the path as the table has it, with forward slashes.
        what: where it stands and what it is, for messages, e.g. ``"1cls.csv, line 2: the image"``.
        mend: what to do if it does not exist.

    Raises:
        DataError: it lies elsewhere, does not exist, or has a name that cannot be written down.
    """
    steps = PurePosixPath(relative).parts
    if steps[:1] != (category,) or ".." in steps:
        raise DataError(f"{what} is '{relative}', which is not a path that starts with '{category}/'; correct it")
    path = named(home / relative)
    if not path.is_file():
        raise DataError(f"{what} {path} does not exist; {mend}")
    return path
