"""JSON results, which carry a digest of their content."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DamagedFileError, DataError
from zsad.files.atomic import write_text
from zsad.files.provenance import canonical_json

DIGEST = "digest"  # the key of a JSON file under which that of all others stands


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a result as JSON whole or not at all, with its digest; NaN and infinity are written as ``null``."""
    document = {key: item for key, item in without_nan(value).items() if key != DIGEST}
    document[DIGEST] = _json_digest(document)
    write_text(path, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_foreign_json(path: str | Path) -> Any:
    """Read a JSON file that no stage wrote.

    Raises:
        DataError: the file is absent or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(Path(path), f"is not valid JSON ({error})") from None


def read_json(path: str | Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        DataError: absent, or its content is not what was written.
    """
    document = read_foreign_json(path)
    if not isinstance(document, dict) or DIGEST not in document:
        raise DamagedFileError(Path(path), "is not a result of this version (it has no digest of its content)")
    digest = document.pop(DIGEST)
    try:
        agrees = digest == _json_digest(document)
    except ValueError:  # NaN, which we do not write
        agrees = False
    if not agrees:
        raise DamagedFileError(Path(path), "is damaged or was edited (its content does not agree with its digest)")
    return document


def _json_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def number(value: float | None) -> float:
    """A number of a JSON file, in which NaN is written as ``null``."""
    return math.nan if value is None else float(value)


def without_nan(value: Any) -> Any:
    """A value as JSON can hold it: arrays as lists, and None for a number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
