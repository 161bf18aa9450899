"""Registries of interchangeable components (scorers, backbones, refiners, layouts, thresholds).

A component is a frozen pydantic model: its fields are its parameters, with defaults, ranges and descriptions. A
registry maps a name to ``"module:Class"``, so that listing and validating one component does not import the others and
the modules that a result depends on are known by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from zsad.errors import ConfigError, nearest_hint
from zsad.errors.mistakes import branches_of, mistake


class Options(BaseModel):
    """Base class of every configurable component: immutable, and strict about unknown parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def parameters(self) -> dict[str, Any]:
        """Every parameter with its value, as plain JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def build(cls, params: Mapping[str, Any] | None = None, *, where: str) -> Self:
        """Return the component with ``params``; a wrong parameter raises a `ConfigError` of one sentence.

        Args:
            where: the place in the configuration, e.g. ``"methods.mutual"``, for the message.
        """
        try:
            return cls(**dict(params or {}))
        except ValidationError as error:
            raise ConfigError(mistake(error, dict(params or {}), cls, where)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Read text as the type of the parameter; see `_read`."""
        return _read(value, cls.model_fields[info.field_name or ""].annotation)


class Choice(Options):
    """Base class of the components in a registry.

    Class attributes:
        summary: one sentence for listings and the page.
    """

    summary: ClassVar[str]


ChoiceType = TypeVar("ChoiceType", bound=Choice, covariant=True)


class Registry(Generic[ChoiceType]):
    """Named components of one kind, for example all scorers.

    Args:
        kind: name of an entry in messages, e.g. ``"scorer"``.
        entries: name to ``"package.module:Class"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        return list(self._entries)

    def entry(self, name: str) -> str:
        """``"module:Class"`` of the implementation of ``name``."""
        if name not in self._entries:
            raise ConfigError(f"there is no {self.kind} '{name}'{nearest_hint(name, self._entries)}")
        return self._entries[name]

    def name_of(self, choice: Choice) -> str:
        """The name of a component.

        Raises:
            ValueError: it is not in the registry.
        """
        kind = type(choice)
        entry = f"{kind.__module__}:{kind.__qualname__}"
        if entry not in self._entries.values():
            raise ValueError(f"{entry} is not a registered {self.kind}")
        return next(name for name, value in self._entries.items() if value == entry)

    def load(self, name: str) -> type[ChoiceType]:
        """Import and return the class behind ``name``."""
        module, _, attribute = self.entry(name).partition(":")
        choice: type[ChoiceType] = getattr(importlib.import_module(module), attribute)
        return choice

    def build(self, name: str, params: Mapping[str, Any] | None = None, *, where: str = "") -> ChoiceType:
        """Return the component ``name`` with ``params``; a wrong parameter raises a `ConfigError` of one sentence.

        Args:
            where: the place in the configuration, e.g. ``"methods.mutual"``, for the message.
        """
        return self.load(name).build(params, where=where or f"{self.kind} '{name}'")


def from_text(text: str) -> Any:
    """Read a text as YAML; return the text itself if that is empty."""
    import yaml  # which jobs do not need: their parameters already have the right types

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError):  # for values of a wrong type
        return text


def _read(value: Any, annotation: Any) -> Any:
    """Read a text value as a number, truth value, list or null where the parameter is not a text.

    Snakemake's ``--config 'a={"b": 3}'`` passes every nested value as text.

    Raises:
        ValueError: a truth value is given for a number, which Python would treat as 0 or 1.
    """
    kinds, inner = _types(annotation)
    if value == "null" and NoneType in kinds:
        return None
    if isinstance(value, str) and str not in kinds:
        value = from_text(value)
    if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
        raise ValueError(f"it must be a {'number' if float in kinds else 'whole number'}")
    if inner is None:
        return value
    if isinstance(value, dict) and dict in kinds:
        return {key: _read(item, inner) for key, item in value.items()}
    return [_read(item, inner) for item in value] if isinstance(value, list) and kinds & {list, tuple} else value


@cache
def _types(annotation: Any) -> tuple[frozenset[type], Any]:
    """The types that a parameter may have, and the annotation of its items or values; without annotation all types."""
    kinds: set[type] = set()
    inner = []
    for branch in branches_of(annotation):
        origin, arguments = get_origin(branch), get_args(branch)
        if branch is Any:
            kinds |= {str, bool, int, float, NoneType}
        elif origin is Literal:
            kinds.update(map(type, arguments))
        elif origin in (list, tuple, dict):
            kinds.add(origin)
            inner.append(arguments[1] if origin is dict else arguments[0])
        elif isinstance(branch, type):
            kinds.add(branch)
    return frozenset(kinds), inner[0] if len(inner) == 1 else None
