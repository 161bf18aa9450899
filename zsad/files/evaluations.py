"""Evaluation files, in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zsad.errors import DamagedFileError
from zsad.files.json_files import read_json


def read_evaluation(path: str | Path, keys: Iterable[str]) -> dict[str, Any]:
    """Read the JSON file of an evaluation.

    Raises:
        DataError: it does not exist, is damaged, or lacks one of the ``keys``.
    """
    document = read_json(path)
    missing = [key for key in keys if key not in document]
    if missing:
        raise DamagedFileError(Path(path), f"is not an evaluation file (it lacks {', '.join(missing)})")
    return document
