"""Metadata, citation and changelog name the same version, and the last two the same day."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import yaml
from packaging.version import Version

from paths import REPOSITORY

CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text()
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")  # of keepachangelog.com, in its order


def releases() -> list[tuple[Version, date]]:
    """Released versions of the changelog with their days, as they stand there."""
    found = re.findall(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.M)
    return [(Version(version), date.fromisoformat(day)) for version, day in found]


def test_metadata_citation_and_changelog_agree() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    version, day = releases()[0]
    assert Version(project["version"]) == Version(str(citation["version"])) == version
    assert citation["date-released"] == day
    assert citation["license"] == project["license"]


def test_the_changelog_has_what_is_unreleased_first_and_then_the_newest_version() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == 1 + len(releases()), "a heading is not `## [VERSION] - YYYY-MM-DD`"
    assert releases() == sorted(releases(), reverse=True)


def test_entries_are_sorted_by_kind_and_no_section_is_empty() -> None:
    for section in re.split(r"^## ", CHANGELOG, flags=re.M)[1:]:
        name, *kinds = re.split(r"^### ", section, flags=re.M)
        headings = [kind.split("\n", 1)[0] for kind in kinds]
        assert headings == sorted(set(headings), key=KINDS.index), name
        assert headings or name.startswith("[Unreleased]"), name
        for kind in kinds:
            assert re.search(r"^- \w|^- [`*]", kind, re.M), f"{name.strip()}: {kind.splitlines()[0]} has no entry"
