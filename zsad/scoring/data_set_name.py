"""Names of data sets that weights were trained on, as part of settings."""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from zsad.errors.mistakes import NAME
from zsad.names import NAME_PATTERN


def is_data_set_name(name: object) -> bool:
    """Whether it can be part of a setting and of a folder name."""
    return isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) is not None


def check_name(name: str) -> str:
    """Check a name and return it.

    Raises:
        PydanticCustomError: it is not valid.
    """
    if not is_data_set_name(name):
        raise PydanticCustomError(NAME, "use letters, digits, '_' and '-'")
    return name
