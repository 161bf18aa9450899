"""What the part in a category's images is called in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator

from zsad.errors import ConfigError, nearest_hint
from zsad.texts.words import check_without_braces, check_words

WHERE = "dataset.part_names"
ANY_PART = "object"  # as AnomalyCLIP's sentences call every part; what nobody has named, and a short name


def checked_name(name: str) -> str:
    """A part's name, with single blanks.

    Raises:
        ValueError: it cannot be put into a sentence; says why, as what follows a colon.
    """
    check_words(name)
    check_without_braces(name)
    return " ".join(name.split())


def name_on_command_line(name: str) -> str:
    """The same of a name that the option ``--part`` gives.

    Raises:
        ConfigError: it cannot be put into a sentence.
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
    """What the part of a category is called.

    Args:
        part_names: names by category, or one name for all; of what is not named, the category's own, in words.

    Raises:
        ConfigError: the name cannot be put into a sentence.
    """
    named = part_names if isinstance(part_names, str) else (part_names or {}).get(category)
    try:
        return checked_name(default_name(category) if named is None else named)
    except ValueError as error:
        if named is None:
            raise ConfigError(
                f"the name of category '{category}' is no name of a part ({error}); give one in {WHERE}"
            ) from None
        where = WHERE if isinstance(part_names, str) else f"{WHERE}.{category}"
        raise ConfigError(f"{where} = {named!r} is not usable: {error}") from None


def check_part_names(part_names: Mapping[str, str] | str | None, categories: Iterable[str]) -> None:
    """Refuse a name for a category that does not exist.

    Raises:
        ConfigError: names it, and the nearest one.
    """
    known = [*categories]
    for category in part_names if isinstance(part_names, Mapping) else ():
        if category not in known:
            raise ConfigError(
                f"{WHERE} has a name for the category '{category}', which does not exist{nearest_hint(category, known)}"
            )
