"""The origin of the results: versions, configuration, and the provenance of each evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zsad.files.provenance import library_versions
from zsad.reporting.contents import Contents, Section
from zsad.reporting.decisions import common_value, pixel_thresholds, region_thresholds, threshold_in_words
from zsad.reporting.evaluations import Evaluation, key_of


def section(contents: Contents, categories: Sequence[str]) -> Section:
    """The provenance of the page, and of the evaluations of the categories."""
    content = {
        "versions": library_versions(),
        "configuration": json.dumps(contents.configuration, indent=2, ensure_ascii=False),
        "runs": [_run(contents, result) for category in categories for result in contents.of(category)],
        "classified": [
            {"title": f"{category} · {result['classifier']}", "provenance": result["provenance"]}
            for category in categories
            for result in contents.classes.of(category)
            if "provenance" in result
        ],
    }
    return Section("provenance.html.jinja", content, "provenance", "Provenance")


def _run(contents: Contents, result: Evaluation) -> dict[str, Any]:
    name = contents.names[key_of(result)]
    return {
        "title": f"{result['category']} · {name}",
        "method": name,
        "thresholds": {
            "regions": threshold_in_words(common_value(region_thresholds(result))),
            "pixels": threshold_in_words(common_value(pixel_thresholds(result))),
        },
        "provenance": result["provenance"],
    }
