"""The name of a data set that something was trained on, as it stands in settings."""

from __future__ import annotations

import re

from pydantic_core import PydanticCustomError

from zsad.errors.mistakes import NAME
from zsad.names import NAME_PATTERN


def check_name(name: str) -> str:
    """The name itself.

    Raises:
        PydanticCustomError: it is none.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise PydanticCustomError(NAME, "use letters, digits, '_' and '-'")
    return name
