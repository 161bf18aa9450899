"""The schema of the configuration for editors, written from its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zsad.workflow.schema import Config

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA_PATH = REPOSITORY / "schemas" / "config.schema.yaml"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The schema as YAML."""
    schema = {"$schema": DIALECT, **_for_editors(Config.model_json_schema())}
    written: str = yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `make schema` from zsad/workflow/schema.py.\n{written}"


def _for_editors(schema: Any) -> Any:
    """The same for a file of which others hold the rest: no key is required, and all other names are refused.

    The titles that pydantic makes of the names of keys are left out.
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
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
