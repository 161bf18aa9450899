"""Registries of interchangeable parts (scorers, backbones, refiners, layouts, thresholds).

A part is a frozen pydantic model: its fields are its parameters, with defaults, ranges and descriptions.
A registry maps a name to ``"module:Class"``, so that listing and validating one part imports nothing of the others
and the modules that a result depends on are known by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zsad.errors import ConfigError, nearest_hint


class Part(BaseModel):
    """Base of every configurable part: immutable, and strict about unknown parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def parameters(self) -> dict[str, Any]:
        """Every parameter with its value, as plain JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def build(cls, params: Mapping[str, Any] | None = None, *, where: str) -> Self:
        """Return the part with ``params``; a wrong parameter is a `ConfigError` of one sentence.

        Args:
            where: the place in the configuration, e.g. ``"methods.mutual"``, named in the message.
        """
        try:
            return cls(**dict(params or {}))
        except ValidationError as error:
            raise ConfigError(_sentence(error, cls, where)) from None


class Choice(Part):
    """Base of the parts that a registry offers.

    Class attributes:
        summary: one sentence for listings and the page.
    """

    summary: ClassVar[str]


ChoiceType = TypeVar("ChoiceType", bound=Choice, covariant=True)


class Registry(Generic[ChoiceType]):
    """Named parts of one kind, for example all scorers.

    Args:
        kind: what an entry is called in messages, e.g. ``"scorer"``.
        entries: name to ``"package.module:Class"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        return list(self._entries)

    def entry(self, name: str) -> str:
        """``"module:Class"`` of what implements ``name``."""
        if name not in self._entries:
            raise ConfigError(f"there is no {self.kind} '{name}'{nearest_hint(name, self._entries)}")
        return self._entries[name]

    def load(self, name: str) -> type[ChoiceType]:
        """Import and return the class behind ``name``."""
        module, _, attribute = self.entry(name).partition(":")
        choice: type[ChoiceType] = getattr(importlib.import_module(module), attribute)
        return choice

    def build(self, name: str, params: Mapping[str, Any] | None = None, *, where: str = "") -> ChoiceType:
        """Return the part ``name`` with ``params``; a wrong parameter is a `ConfigError` of one sentence.

        Args:
            where: the place in the configuration, e.g. ``"methods.mutual"``, named in the message.
        """
        return self.load(name).build(params, where=where or f"{self.kind} '{name}'")


def _sentence(error: ValidationError, part: type[Part], where: str) -> str:
    first = error.errors()[0]
    name = ".".join(str(step) for step in first["loc"]) or "the parameters"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown parameter '{name}'{nearest_hint(name, part.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{where}: {name} = {first['input']!r} is not usable: {message}"
