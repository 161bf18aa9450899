"""Read configuration files strictly, so that a mistake gives one clear message, not a traceback or silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zsad.errors import ConfigError, nearest_hint
from zsad.files.yaml_files import read_yaml

ENTRY_SECTIONS = ("backbones", "methods", "refiners", "segmenters")


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a configuration file, YAML or JSON in UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it does not exist, is not text in UTF-8, is not YAML, has a key twice, or has no keys.
    """
    content = read_yaml(path, "configuration file")
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} is not a configuration: it must contain keys and values")
    return dict(content)


def defined_entries(contents: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The names of all entries (backbones, methods, ...) that any of the configurations defines, by section."""
    names: dict[str, set[str]] = {section: set() for section in ENTRY_SECTIONS}
    for content in contents:
        for section in ENTRY_SECTIONS:
            entries = content.get(section)
            if isinstance(entries, Mapping):
                names[section] |= {name for name, entry in entries.items() if entry is not None}
    return names


def check_switched_off(config: Mapping[str, Any], defined: Mapping[str, Iterable[str]]) -> None:
    """Reject an entry that is switched off with null although no entry of that name is defined.

    Raises:
        ConfigError: names it, and the nearest name that exists.
    """
    for section in ENTRY_SECTIONS:
        names = set(defined[section])
        for name, entry in config[section].items():
            if entry is None and name not in names:
                hint = nearest_hint(name, names) if names else "; remove the line"
                raise ConfigError(
                    f"configuration: '{section}.{name}' is null, but no configuration file defines a '{name}' that "
                    f"could be switched off{hint}"
                )
