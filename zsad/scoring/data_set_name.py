"""The name of a data set that something was trained on, as it stands in settings."""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from zsad.errors.mistakes import NAME
from zsad.names import NAME_PATTERN


def is_data_set_name(name: object) -> bool:
    """Whether it can stand in a setting, and in the name of a folder."""
    return isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) is not None


def check_name(name: str) -> str:
    """The name itself.

    Raises:
        PydanticCustomError: it is none.
    """
    if not is_data_set_name(name):
        raise PydanticCustomError(NAME, "use letters, digits, '_' and '-'")
    return name
