"""The top of the page: the numbers of images and methods, the best methods, and notes on the features."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from zsad.names import HEADLINE_METRICS
from zsad.reporting.contents import Contents, Section
from zsad.reporting.evaluations import METRIC_TITLES
from zsad.reporting.results import interval_of
from zsad.reporting.sections.training import trained_on_references
from zsad.reporting.settings_in_words import setting_meaning
from zsad.tables.frames import rows_of
from zsad.tables.notation import with_interval


def section(contents: Contents) -> Section:
    """The heading of a page of all categories."""
    content = {
        "facts": _facts(contents),
        "leaders": _leaders(contents),
        "left_out": contents.configuration.get("left_out", {}),
        "classifiers_left_out": contents.configuration.get("classifiers_left_out", {}),
        "joints": joints(contents.backbones, contents.configuration),
        "hand_crafted": hand_crafted(contents.backbones, contents.configuration),
    }
    return Section("heading.html.jinja", content)


def hand_crafted(backbones: Iterable[str], configuration: Mapping[str, Any]) -> list[str]:
    """The backbones that are not foundation models, also as members of a joint backbone."""
    families = configuration.get("backbones") or {}
    used = {single for name in backbones for single in _members(name, configuration) or [name]}
    return sorted(name for name in used if (families.get(name) or {}).get("family", name) == "embedded")


def joints(backbones: Iterable[str], configuration: Mapping[str, Any]) -> dict[str, list[str]]:
    """The joint backbones with their members."""
    members = {name: _members(name, configuration) for name in sorted(set(backbones))}
    return {name: joined for name, joined in members.items() if joined}


def _members(backbone: str, configuration: Mapping[str, Any]) -> list[str]:
    """The members of a joint backbone; empty for a single one."""
    entry = (configuration.get("backbones") or {}).get(backbone) or {}
    return list(entry["params"]["members"]) if entry.get("family") == "joint" else []


def _facts(contents: Contents) -> dict[str, Any]:
    """The numbers of categories, methods, backbones and images, by label."""
    first = [contents.of(category)[0] for category in contents.categories]
    return {
        "categories": len(first),
        "methods": len(contents.names),
        "trained": len(trained_on_references(contents)),
        "backbones": sorted({key.backbone for key in contents.names}),
        "images": sum(len(result["images"]) for result in first),
        **{kind: sum(result["counts"][kind] for result in first) for kind in ("good", "defective", "unlabelled")},
    }


def _leaders(contents: Contents) -> list[dict[str, Any]]:
    """For each setting what it sees, and the best mean of each headline metric with its method."""
    found = []
    means = rows_of(contents.means)
    for setting in dict.fromkeys(key.setting for key in contents.in_tables):
        best = []
        for metric in HEADLINE_METRICS:
            known = [row for row in means if row["setting"] == setting and not math.isnan(row[metric])]
            if known:
                row = max(known, key=lambda row: row[metric])
                reached = with_interval(row[metric], *interval_of(row, metric), row[f"{metric}_std"])
                best.append({"title": METRIC_TITLES[metric], "value": reached, "method": row["method"]})
        if best:
            found.append({"setting": setting, "meaning": setting_meaning(setting), "best": best})
    return found
