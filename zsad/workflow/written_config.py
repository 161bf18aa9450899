"""Write `config.yaml` and its schema for editors from the model of the configuration."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import yaml

from zsad.features.registry import BACKBONES
from zsad.refinement.registry import REFINERS
from zsad.registry import Options, Registry
from zsad.scoring.registry import SCORERS
from zsad.workflow.schema import DEFAULT_ENTRIES, Config
from zsad.workflow.settings import DEFAULT_PATH, REPOSITORY

SCHEMA_PATH = REPOSITORY / "schemas" / "config.schema.yaml"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
INDENT = "  "
PARTS: Mapping[str, tuple[str, Registry[Any]]] = MappingProxyType(
    {"backbones": ("family", BACKBONES), "methods": ("scorer", SCORERS), "refiners": ("refiner", REFINERS)}
)

HEADER = """\
# All options of the pipeline. This default runs anywhere, without an account or a download. Override keys with
# `--configfile mine.yaml`: give only the keys that differ; they are merged into this file key by key. An entry of
# `backbones`, `methods` or `refiners` that is set to null is switched off. yaml-language-server:
# $schema=schemas/config.schema.yaml
"""


def config_text() -> str:
    """The default configuration as YAML, with the meaning of each key as a comment."""
    config = Config()
    return "\n".join([HEADER, *("\n".join([*_key_lines(config, name), ""]) for name in Config.model_fields)])


def schema_text() -> str:
    """The schema as YAML."""
    schema = {"$schema": DIALECT, **_for_editors(Config.model_json_schema())}
    written: str = yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `make config` from zsad/workflow/schema.py.\n{written}"


def _key_lines(section: Options, key: str, indent: str = "") -> Iterator[str]:
    """The lines of a key of a section, and of all keys under it."""
    value, meaning = getattr(section, key), type(section).model_fields[key].description or ""
    if isinstance(value, Options):
        yield _line(indent, key, meaning=meaning)
        for inner in type(value).model_fields:
            yield from _key_lines(value, inner, indent + INDENT)
    elif isinstance(section, Config) and DEFAULT_ENTRIES.get(key):
        yield _line(indent, key, meaning=meaning)
        yield from _entry_lines(key)
    else:
        yield _line(indent, key, value, meaning)


def _entry_lines(section: str) -> Iterator[str]:
    """The lines of the entries of a section; the first has all keys, with their meanings."""
    choice, parts = PARTS[section]
    for place, (name, (meaning, entry)) in enumerate(DEFAULT_ENTRIES[section].items()):
        yield _line(INDENT, name, meaning=meaning)
        for key, value in entry.model_dump(exclude_unset=True).items():
            said = type(entry).model_fields[key].description if place == 0 else None
            if key != "params" or not value:
                yield _line(2 * INDENT, key, value, said or "")
                continue
            yield _line(2 * INDENT, key, meaning=said or "")
            parameters = parts.load(getattr(entry, choice)).model_fields
            for parameter, given in value.items():
                yield _line(3 * INDENT, parameter, given, _as_comment(parameters[parameter].description or ""))


def _line(indent: str, key: str, value: Any = ..., meaning: str = "") -> str:
    """A key with its value, unless more lines follow, and its meaning."""
    written = "" if value is ... else f" {_written(value)}"
    return f"{indent}{key}:{written}{f' # {meaning}' if meaning else ''}"


def _written(value: Any) -> str:
    """A value as YAML on one line."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def _as_comment(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:]}".removesuffix(".")


def _for_editors(schema: Any) -> Any:
    """Adapt the schema for a partial file: no key is required, and all unknown names are rejected.

    The titles that pydantic derives from the names of keys are removed.
    """
    if isinstance(schema, list):
        return [_for_editors(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _for_editors(inner)
        for key, inner in schema.items()
        if not (key == "title" and isinstance(inner, str)) and not (key == "required" and isinstance(inner, list))
    }
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept


if __name__ == "__main__":
    if not SCHEMA_PATH.is_file():
        sys.exit(f"zsad: {SCHEMA_PATH} does not exist; write the schema in a clone of the repository, by `make config`")
    DEFAULT_PATH.write_text(config_text(), encoding="utf-8")
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
