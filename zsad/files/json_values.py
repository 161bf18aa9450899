"""Convert values for JSON, and read JSON files that no stage wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DamagedFileError, DataError

PLAIN = (str, int, bool, type(None))


def read_foreign_json(path: str | Path) -> Any:
    """Read a JSON file that no stage wrote.

    Raises:
        DataError: the file does not exist or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(Path(path), f"is not valid JSON ({error})") from None


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def value_in_words(value: Any) -> str:
    """A value of a parameter as a configuration has it: ``4``, ``0.1``, ``true``, ``null``, a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def number(value: float | None) -> float:
    """Convert a number of a JSON file, in which NaN is written as ``null``."""
    return math.nan if value is None else float(value)


def without_nan(value: Any) -> Any:
    """Convert a value for JSON: arrays to lists, and numbers that are not finite to None."""
    if type(value) in PLAIN:  # most values, for which the questions below take time
        return value
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
