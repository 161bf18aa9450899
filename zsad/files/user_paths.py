"""Expand user paths from a configuration: ``~`` is the home folder.

All readers of a path from the configuration get the expanded form: the check, Snakemake, the jobs, and the names of
results. Variables such as ``$HOME`` are not replaced: their values may differ between the machine that starts a run and
those that compute.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

_SHELL = re.compile(r"""[\s"'\\$`;&|<>(){}\[\]*?]|^[~#]""")
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")


def expanded(path: str) -> str:
    """Expand a ``~`` or ``~user`` at the beginning of a path; anything else, e.g. a URL, is unchanged.

    Raises:
        ValueError: the user has no home folder, or the path contains a variable and does not exist.
    """
    if "://" in path:
        return path
    if path.startswith("~"):
        path = _with_home(path)
    if (variable := _VARIABLE.search(path)) and not os.path.lexists(path):
        raise ValueError(
            f"it does not exist, and variables such as {variable[0]} are not replaced in paths; write the full path, "
            "or begin with '~/' for the home folder"
        )
    return path


def shell_sign(path: str | Path) -> str:
    """The first character in a path that a shell would not read literally; empty if there is none."""
    found = _SHELL.search(str(path))
    return found[0] if found else ""


def user_cache(name: str) -> Path | None:
    """The user's cache folder of this project for one kind of data; None for a user without a home folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (cache if cache.is_absolute() else Path.home() / ".cache") / "zsad" / name
    except RuntimeError:
        return None


UserPath = Annotated[str, AfterValidator(expanded), Field(json_schema_extra={"format": "path"})]
"""A parameter that is a path, or may be one."""


def _with_home(path: str) -> str:
    try:
        return Path(path).expanduser().as_posix()
    except RuntimeError:  # there is no such user, or no home folder
        if os.path.lexists(path):
            return path
        owner = Path(path).parts[0].removeprefix("~")
        raise ValueError(
            f"{f'user {owner!r}' if owner else 'the user of this process'} has no home folder on this machine; "
            f"write the full path, or './{path}' if that is its name"
        ) from None
