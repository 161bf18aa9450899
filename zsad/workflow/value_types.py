"""Types of values in the configuration with their own checks and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from zsad.errors.mistakes import NAME
from zsad.files.user_paths import UserPath
from zsad.names import NAME_PATTERN, NO_REFINER
from zsad.registry import from_text
from zsad.texts.part_names import PartName

ALL: Final = "all"


def _is_name(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise PydanticCustomError(NAME, "use letters, digits, '_' and '-'")
    return name


def _is_refiner(name: str) -> str:
    if name == NO_REFINER:
        raise PydanticCustomError(NAME, "it stands for the thresholded map itself; choose another")
    return _is_name(name)


def _as_list(value: Any) -> Any:
    """A list from text other than the word for all categories, read as YAML."""
    return from_text(value) if isinstance(value, str) and value.startswith("[") else value


def _as_mapping(value: Any) -> Any:
    """One name for all, or a mapping, read as YAML.

    Raises:
        ValueError: it is neither.
    """
    value = from_text(value) if isinstance(value, str) and value.startswith("{") else value
    if not isinstance(value, (str, Mapping)):
        raise ValueError("it must be one name for all, e.g. object, or {category: name}")
    return value


def _is_all(word: Any) -> Any:
    if word != ALL:
        example = word.strip("[] ") if isinstance(word, str) else "ring"
        raise ValueError(f"it must be '{ALL}' or a list of names, e.g. [{example or 'ring'}]")
    return word


def _is_reference(value: Any) -> Any:
    if isinstance(value, (Mapping, type(None))):
        raise ValueError("it must be a name or a list of names")
    return value


def _is_no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a whole number")
    return value


def _or_null(text: Any) -> Any:
    """None for an empty text."""
    return None if text == "" else text


def _are_different(items: list[Any]) -> list[Any]:
    twice = next((item for place, item in enumerate(items) if item in items[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice; remove one")
    return items


def _form(value: Any) -> str:
    """Which of two forms a value has, so that one message is given, not one per form."""
    return "list" if isinstance(value, (list, tuple)) else "word"


def _form_of_names(value: Any) -> Any:
    """Which form names have: one word, or a mapping."""
    return "mapping" if isinstance(value, Mapping) else "word"


Name = Annotated[str, AfterValidator(_is_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})]
"""A name used for folders of results or in file names."""

RefinerName = Annotated[
    str,
    AfterValidator(_is_refiner),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$", "not": {"const": NO_REFINER}}),
]

OptionalName = Annotated[Name | None, BeforeValidator(_or_null)]

TextOrNumber = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) and not isinstance(value, bool) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
]
"""A text, or a whole number."""

Reference = Annotated[UserPath, StringConstraints(min_length=1)]
"""A path, or a name that may be one; never empty."""

OptionalReference = Annotated[Reference | None, BeforeValidator(_or_null)]

References = Annotated[
    Annotated[Reference, BeforeValidator(_is_reference), Tag("word")]
    | Annotated[list[Reference], Field(min_length=1), Tag("list")],
    Discriminator(_form),
]
"""A backbone, or several that are joined."""

Categories = Annotated[
    Annotated[Literal["all"], BeforeValidator(_is_all), Tag("word")]
    | Annotated[list[str], Field(min_length=1), AfterValidator(_are_different), Tag("list")],
    Discriminator(_form),
    BeforeValidator(_as_list),
]


PartNames = Annotated[
    Annotated[PartName, Tag("word")] | Annotated[dict[str, PartName], Tag("mapping")],
    Discriminator(_form_of_names),
    BeforeValidator(_as_mapping),
]
"""Names in words: one for all, or one per category."""


SweptValues = Annotated[list[Any], Field(min_length=1)]
"""The values that one parameter has in turn."""


def _as_shots(value: Any) -> Any:
    """A list of numbers of shots."""
    value = from_text(value) if isinstance(value, str) and value != ALL else value
    return value if isinstance(value, (list, tuple)) else [value]


_SHOTS: Mapping[str, Any] = {"anyOf": [{"const": ALL}, {"type": "integer", "minimum": 1}]}

ShotsList = Annotated[
    list[Literal["all"] | Annotated[int, Field(ge=1), BeforeValidator(_is_no_truth_value)]],
    Field(min_length=1),
    BeforeValidator(_as_shots),
    AfterValidator(_are_different),
    WithJsonSchema(
        {"anyOf": [*_SHOTS["anyOf"], {"type": "array", "items": _SHOTS, "minItems": 1, "uniqueItems": True}]}
    ),
]
"""Numbers of examples per kind, one or several."""

_Seed = Annotated[int, Field(ge=0), BeforeValidator(_is_no_truth_value)]

Seeds = Annotated[list[_Seed], Field(min_length=2), AfterValidator(_are_different)]

DrawSeeds = Annotated[list[_Seed], Field(min_length=1), AfterValidator(_are_different)]
