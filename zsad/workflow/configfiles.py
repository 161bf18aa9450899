"""Configuration files: read strictly, so that a slip of the hand is one sentence and not a traceback or silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zsad.errors import ConfigError, nearest_hint
from zsad.files.yaml_files import read_yaml

ENTRY_SECTIONS = ("backbones", "methods", "refiners", "segmenters")


def read_configuration(path: Path) -> dict[str, Any]:
    """The keys and values of a configuration file, YAML or JSON in UTF-8, with a byte order mark or without.

    Raises:
        ConfigError: it is absent, not text in UTF-8, no YAML, has a key twice, or holds no keys.
    """
    content = read_yaml(path, "configuration file")
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} is no configuration: it must hold keys and values")
    return dict(content)


def defined_entries(contents: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """By section, the names of all entries (backbones, methods, ...) that one of the configurations defines."""
    names: dict[str, set[str]] = {section: set() for section in ENTRY_SECTIONS}
    for content in contents:
        for section in ENTRY_SECTIONS:
            entries = content.get(section)
            if isinstance(entries, Mapping):
                names[section] |= {name for name, entry in entries.items() if entry is not None}
    return names


def check_switched_off(config: Mapping[str, Any], defined: Mapping[str, Iterable[str]]) -> None:
    """Refuse an entry that is set to null, to be switched off, though nothing of that name is defined.

    Raises:
        ConfigError: names it, and the nearest name that exists.
    """
    for section in ENTRY_SECTIONS:
        names = set(defined[section])
        for name, entry in config[section].items():
            if entry is None and name not in names:
                hint = nearest_hint(name, names) if names else "; take the line out"
                raise ConfigError(
                    f"configuration: '{section}.{name}' is null, but no configuration file defines a '{name}' that "
                    f"could be switched off{hint}"
                )
