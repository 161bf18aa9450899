"""What contributors read and fill in names only what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from paths import REPOSITORY

FILES = [
    *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md")),
    REPOSITORY / ".github/pull_request_template.md",
]
FORMS = sorted((REPOSITORY / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
# What each field of a form must have, by its type.
FIELDS = {
    "markdown": {"value"},
    "input": {"label"},
    "textarea": {"label"},
    "dropdown": {"label", "options"},
    "checkboxes": {"label", "options"},
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_links_lead_to_files(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_commands_and_paths_that_contributors_read_of_exist() -> None:
    text = "\n".join(path.read_text() for path in FILES)
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"[`=1 ]make ([a-z][\w-]*)`|^make ([a-z][\w-]*)", text, re.M))
    for target in filter(None, (name for found in targets for name in found)):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for place in re.findall(r"`((?:zsad|tests|docs|envs)/[\w./-]+)`", text):
        assert "NAME" in place or (REPOSITORY / place).exists(), place


def test_all_folders_of_tests_are_explained() -> None:
    table = re.findall(r"^\| `tests/(\w+)/", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.M)
    folders = [path.name for path in (REPOSITORY / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert sorted(table) == sorted(folders)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_one_that_the_forge_shows(path: Path) -> None:
    form: dict[str, Any] = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names) > 0
    for field in form["body"]:
        assert FIELDS[field["type"]] <= field["attributes"].keys(), field
        if field["type"] == "dropdown":
            assert all(isinstance(option, str) for option in field["attributes"]["options"])
    assert any(field.get("validations") == {"required": True} for field in fields)


def test_a_bug_is_reported_with_command_log_and_version() -> None:
    form = yaml.safe_load((REPOSITORY / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    required = {field["id"] for field in form["body"] if field.get("validations", {}).get("required")}
    assert {"command", "log", "version"} <= required
    assert "zsad --version" in (REPOSITORY / ".github/ISSUE_TEMPLATE/bug.yml").read_text()
