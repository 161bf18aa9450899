"""JSON results with a digest of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zsad.errors import DamagedFileError
from zsad.files.atomic import write_text
from zsad.files.json_values import canonical_json, read_foreign_json, without_nan

DIGEST = "digest"  # the key of the digest of all other keys


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a result as JSON completely or not at all, with its digest; NaN and infinity are written as ``null``."""
    document = {key: item for key, item in without_nan(value).items() if key != DIGEST}
    document[DIGEST] = _json_digest(document)
    write_text(path, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        DataError: it does not exist, or its content differs from what was written.
    """
    document = read_foreign_json(path)
    if not isinstance(document, dict) or DIGEST not in document:
        raise DamagedFileError(Path(path), "is not a result of this version (it has no digest of its content)")
    digest = document.pop(DIGEST)
    try:
        agrees = digest == _json_digest(document)
    except ValueError:  # NaN, which is never written
        agrees = False
    if not agrees:
        raise DamagedFileError(Path(path), "is damaged or was edited (its content does not match its digest)")
    return document


def _json_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()
