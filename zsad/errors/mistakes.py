"""Convert pydantic's errors in a configuration to one sentence with the place and the fix."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zsad.errors import nearest_hint

KEY = "[key]"  # pydantic's mark for the key of a mapping
NAME = "name"  # the error type for invalid names
SHOWN = 60  # most characters of a value in a sentence

_WANTED = {
    "it must be text": ("string_type",),
    "it must be a whole number": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "it must be a number": ("float_type", "float_parsing"),
    "it must be a finite number": ("finite_number",),
    "it must be true or false": ("bool_type", "bool_parsing"),
    "it must be a list": ("list_type", "tuple_type"),
    "it must hold keys and values": ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
}
_REASONS = {kind: reason for reason, kinds in _WANTED.items() for kind in kinds}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_SCALARS = {bool: "the truth value", int: "the number", float: "the number", date: "the date", datetime: "the time"}

Place = tuple[str | int, ...]


def mistake(error: ValidationError, given: Mapping[str, Any], model: type[BaseModel], where: str = "") -> str:
    """The first mistake, in the order of the values, as one sentence.

    Args:
        given: the values that were checked.
        model: the model that they were checked against.
        where: the place of the values in the configuration, e.g. ``"methods.mutual.params"``; empty for all of it.
    """
    details = [(_place(detail, given), detail) for detail in error.errors(include_url=False)]
    first, _ = min(details, key=lambda placed: _order(placed[0], given))
    return _sentence(first, [detail for place, detail in details if place == first], model, where)


def not_text(value: Any) -> str:
    """The message for a name that YAML reads as another type, with the fix."""
    meaning = _SCALARS.get(type(value), "the value")
    return f"must be text, but YAML reads it as {meaning} {_shown(value)}; put it in quotes, e.g. '01' or \"on\""


def _sentence(place: Place, details: Sequence[ErrorDetails], model: type[BaseModel], where: str) -> str:
    """The sentence for the errors at one place; for a value of several possible types, with the reason of each."""
    detail = details[0]
    kind, value = detail["type"], detail["input"]
    name, (*above, last) = _dotted(place), place or ("",)
    start = where or "configuration"
    if kind == "extra_forbidden":
        within = f" in '{_dotted(above)}'" if above and not where else ""
        unknown = f"unknown parameter '{name}'" if where else f"unknown key '{last}'{within}"
        return f"{start}: {unknown}{nearest_hint(str(last), _known(model, above))}"
    if kind == "missing" and isinstance(last, int):
        return f"{start}: {_dotted(above)} = {_shown(value)} is not valid: it must have more items"
    if kind == "missing":
        return f"{start}: {'parameter ' if where else ''}'{name}' is missing"
    if kind == NAME:
        at = _dotted(above) if detail["loc"][-1] == KEY else name
        return f"{start}: {value!r} in '{at}' cannot be a name; {detail['msg']}"
    if kind == "string_type" and type(value) in _SCALARS and len(details) == 1:
        named = f"name {last + 1} in '{_dotted(above)}'" if isinstance(last, int) else f"'{name}'"
        return f"{start}: {named} {not_text(value)}"
    reason = _reasons(details, may_be_null=NoneType in branches_of(_annotation(model, place)))
    if not place:
        return f"{start}: {reason.removeprefix(': ')}"
    if isinstance(last, int):
        name = f"item {last + 1} of {_dotted(above)}"
    elif above and not where:
        start, name = _dotted(above), str(last)
    return f"{start}: {name} = {_shown(value)} is not valid{reason}"


def _reasons(details: Sequence[ErrorDetails], *, may_be_null: bool) -> str:
    """Why a value is invalid, as the end of a sentence."""
    words = [word for detail in details for word in _expected(detail)]
    if words and len(details) == 1:
        return f"; choose from: {', '.join([*words, *(['null'] if may_be_null else [])])}"
    reasons = list(dict.fromkeys(map(reason_of, details)))
    if may_be_null and all(detail["type"] in _REASONS for detail in details):
        reasons[-1] += " or null"
    return f": {', or '.join(reasons)}"


def reason_of(detail: ErrorDetails) -> str:
    """Why a value is invalid, as the text after a colon."""
    if reason := _REASONS.get(detail["type"]):
        return reason
    if bound := _BOUNDS.get(detail["type"]):
        word, limit = bound
        value = detail["ctx"][limit]
        return f"it must be {word} {int(value) if value == int(value) else value}"
    if detail["type"] in ("too_short", "string_too_short"):
        least = detail["ctx"]["min_length"]
        return "it must not be empty" if least == 1 else f"it must have at least {least} items"
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _expected(detail: ErrorDetails) -> list[str]:
    """The allowed values of a choice; empty if other values are allowed."""
    return re.findall(r"'([^']*)'", detail["ctx"]["expected"]) if detail["type"] == "literal_error" else []


def _place(detail: ErrorDetails, given: Any) -> Place:
    """The place of a mistake in the given values, without the union branches that pydantic adds."""
    steps: list[str | int] = []
    for step in detail["loc"]:
        if _holds(given, step):
            steps.append(step)
            given = given[step]
    return (*steps, detail["loc"][-1]) if detail["type"] == "missing" else tuple(steps)


def _holds(values: Any, step: str | int) -> bool:
    if isinstance(values, Mapping):
        return step in values
    return isinstance(values, (list, tuple)) and isinstance(step, int) and step < len(values)


def _order(place: Place, given: Any) -> list[float]:
    """Sort key of a place: the position of each step. Missing keys come last, and a mapping after its members."""
    positions: list[float] = []
    for step in place:
        known = list(given) if isinstance(given, Mapping) else []
        positions.append(step if isinstance(step, int) else known.index(step) if step in known else len(known))
        given = given[step] if _holds(given, step) else None
    return [*positions, math.inf]


def _known(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The allowed keys at a place."""
    models = (kind for kind in branches_of(_annotation(model, place)) if isinstance(kind, type))
    return [name for kind in models if issubclass(kind, BaseModel) for name in kind.model_fields]


def _annotation(model: type[BaseModel], place: Sequence[str | int]) -> Any:
    """The annotation of a place in the model; None if there is none."""
    annotation: Any = model
    for step in place:
        inner = [found for kind in branches_of(annotation) if (found := _within(kind, step)) is not None]
        annotation = Union[tuple(inner)] if inner else Any  # noqa: UP007
    return annotation


def _within(kind: Any, step: str | int) -> Any:
    """The annotation of a member of a mapping, list or model."""
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    if get_origin(kind) in (list, tuple):
        return arguments[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel) and step in kind.model_fields:
        return kind.model_fields[step].annotation
    return None


def branches_of(annotation: Any) -> list[Any]:
    """The types that an annotation allows: those of a union, or the only one, without metadata."""
    if get_origin(annotation) is Annotated:
        return branches_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for branch in get_args(annotation) for kind in branches_of(branch)]
    return [annotation]


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(map(str, place))


def _shown(value: Any) -> str:
    """A value in YAML, shortened for a sentence."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
