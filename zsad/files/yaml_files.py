"""Read users' YAML files strictly, so that a mistake gives one clear message, not a traceback or silence."""

from __future__ import annotations

import codecs
import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from zsad.errors import ConfigError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_UNFIT = (ValueError, AttributeError, LookupError, TypeError, RecursionError)
"""Exceptions of YAML for values of a wrong type, such as a date with month 13, and for deep nesting."""


class _StrictLoader(yaml.SafeLoader):
    """YAML loader that rejects repeated keys in a mapping, of which the last would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key}' is already in line {seen[key]}", key_node.start_mark
                    )
                seen[key] = line
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path, kind: str, fix: str = "correct it") -> Any:
    """Read a file of YAML or JSON in UTF-8, with or without a byte order mark.

    Args:
        kind: name of the file in messages, e.g. ``"configuration file"``.
        fix: what to do if the YAML error gives no details.

    Raises:
        ConfigError: it does not exist, is not text in UTF-8, is not YAML, or has a key twice.
    """
    try:
        text = _text(path, kind)
        # YAML accepts all JSON but tabs; a strict SafeLoader reads the rest.
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {_problem(error, fix)}") from None
    except _UNFIT as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}; {fix}") from None


def _text(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the {kind} {path} cannot be read ({error.strerror})") from None
    if content.startswith(UTF16_MARKS) or b"\0" in content[:4]:
        raise ConfigError(f"the {kind} {path} is text in UTF-16, not UTF-8; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"the {kind} {path} is not text in UTF-8 (line {line}); save it as UTF-8") from None


def _problem(error: yaml.YAMLError, fix: str) -> str:
    """The error, its place and the fix."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or " ".join(str(error).split())
    if "'\\t'" in reason:
        reason = "it is indented by a tab"
        fix = "use spaces"
    elif "already" in reason:
        fix = "remove one of the two"
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}{reason}; {fix}"
