"""YAML that people write: read strictly, so that a slip of the hand is one sentence and not a traceback or silence."""

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
"""What YAML raises of what does not fit its type, as a date of month 13, and of thousands of brackets."""


class _StrictLoader(yaml.SafeLoader):
    """YAML in which no key stands twice in a mapping: otherwise the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key}' stands in line {seen[key]} already", key_node.start_mark
                    )
                seen[key] = line
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path, kind: str, mend: str = "correct it") -> Any:
    """The content of a file of YAML or JSON in UTF-8, with a byte order mark or without.

    Args:
        kind: what the file is called in messages, e.g. ``"configuration file"``.
        mend: what to do where YAML does not say more than that it is none.

    Raises:
        ConfigError: it is absent, not text in UTF-8, no YAML, or has a key twice.
    """
    try:
        text = _text(path, kind)
        # Of JSON, YAML takes all but tabs; a SafeLoader that refuses more reads the rest.
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {_problem(error, mend)}") from None
    except _UNFIT as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}; {mend}") from None


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


def _problem(error: yaml.YAMLError, mend: str) -> str:
    """What is wrong, where, and how to mend it."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or " ".join(str(error).split())
    if "'\\t'" in reason:
        reason = "it is indented by a tab"
        mend = "use spaces"
    elif "already" in reason:
        mend = "take one of the two out"
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}{reason}; {mend}"
