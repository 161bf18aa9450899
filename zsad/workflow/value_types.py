"""The types of values in the configuration that are more than a number or a text, each with its own sentences."""

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
    """What is not the word for all categories but text, as YAML reads it."""
    return from_text(value) if isinstance(value, str) and value.startswith("[") else value


def _as_mapping(value: Any) -> Any:
    """One name for all, or a mapping, as YAML reads it.

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
    """Nothing for an empty text."""
    return None if text == "" else text


def _are_different(items: list[Any]) -> list[Any]:
    twice = next((item for place, item in enumerate(items) if item in items[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice; drop one")
    return items


def _form(value: Any) -> str:
    """Which of two forms of a value is meant, so that one sentence says what is wrong with it, and not one for each."""
    return "list" if isinstance(value, (list, tuple)) else "word"


def _form_of_names(value: Any) -> Any:
    """The same of names: one word, or a mapping."""
    return "mapping" if isinstance(value, Mapping) else "word"


Name = Annotated[str, AfterValidator(_is_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})]
"""What names a folder of results, or stands in the names of files."""

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
"""A text, which may be a whole number as it is written."""

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
"""What is called how in words: one name for all, or one for each category."""


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
"""Examples of each kind, once or several times."""

_Seed = Annotated[int, Field(ge=0), BeforeValidator(_is_no_truth_value)]

Seeds = Annotated[list[_Seed], Field(min_length=2), AfterValidator(_are_different)]

DrawSeeds = Annotated[list[_Seed], Field(min_length=1), AfterValidator(_are_different)]
