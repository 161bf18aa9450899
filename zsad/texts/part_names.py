"""Names of the objects of categories in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator

from zsad.errors import ConfigError, nearest_hint
from zsad.texts.words import check_without_braces, check_words

WHERE = "dataset.part_names"
ANY_PART = "object"  # the object name in AnomalyCLIP's sentences; a short name for unnamed objects


def checked_name(name: str) -> str:
    """The name of an object, with single blanks.

    Raises:
        ValueError: it cannot be used in a sentence; the message gives the reason and follows a colon.
    """
    check_words(name)
    check_without_braces(name)
    return " ".join(name.split())


def name_on_command_line(name: str) -> str:
    """Like `checked_name`, for the option ``--part``.

    Raises:
        ConfigError: it cannot be used in a sentence.
    """
    try:
        return checked_name(name)
    except ValueError as error:
        raise ConfigError(f"--part {name!r} is not usable: {error}") from None


PartName = Annotated[str, AfterValidator(checked_name)]
PartNames = dict[str, PartName] | PartName
"""The parameter ``dataset.part_names``: names by category, or one for all."""


def default_name(category: str) -> str:
    """A category's name in words.

    >>> default_name("metal_nut")
    'metal nut'
    """
    return " ".join(re.sub("[_-]", " ", category).split())


def part_name(category: str, part_names: Mapping[str, str] | str | None = None) -> str:
    """The name of the object of a category.

    Args:
        part_names: names by category, or one name for all; the default is the name of the category in words.

    Raises:
        ConfigError: the name cannot be used in a sentence.
    """
    named = part_names if isinstance(part_names, str) else (part_names or {}).get(category)
    try:
        return checked_name(default_name(category) if named is None else named)
    except ValueError as error:
        if named is None:
            raise ConfigError(
                f"the name of category '{category}' is not usable as the name of an object ({error}); give one in "
                f"{WHERE}"
            ) from None
        where = WHERE if isinstance(part_names, str) else f"{WHERE}.{category}"
        raise ConfigError(f"{where} = {named!r} is not usable: {error}") from None


def check_part_names(part_names: Mapping[str, str] | str | None, categories: Iterable[str]) -> None:
    """Reject a name for a category that does not exist.

    Raises:
        ConfigError: there is such a name; the message names the nearest category.
    """
    known = [*categories]
    for category in part_names if isinstance(part_names, Mapping) else ():
        if category not in known:
            raise ConfigError(
                f"{WHERE} has a name for the category '{category}', which does not exist{nearest_hint(category, known)}"
            )
