"""One category on the page: its tables, galleries and lists of images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zsad.deciding.batch_verdict import in_percent
from zsad.files.json_values import number
from zsad.names import HEADLINE_METRICS
from zsad.reporting.contents import Contents, Section
from zsad.reporting.decisions import (
    common_value,
    explain_decisions,
    pixel_thresholds,
    region_thresholds,
    rule_in_words,
    threshold_in_words,
    verdict_of,
)
from zsad.reporting.evaluations import METRIC_TITLES, Evaluation, key_of, measured
from zsad.reporting.results import one_row_a_method, with_names
from zsad.reporting.sections import classification, contact_sheet
from zsad.reporting.sections.metrics import backwards, decision_table, image_table, mask_table, pixel_table, type_table
from zsad.reporting.sections.refinement import changes
from zsad.reporting.selection import ranks
from zsad.tables.csv_tables import defect_types_frame
from zsad.tables.notation import with_interval

MOST_RANKED = 12
MEASURED_DECISIONS = ("fpr", "recall", "ratio")


def section(contents: Contents, category: str) -> Section:
    """The section of one category."""
    results, mask_results = contents.of(category), contents.masks_of(category)
    rows = contents.metrics[contents.metrics["category"] == category]
    types = with_names(defect_types_frame(results), contents.names)
    galleries = [_gallery(contents, result, place) for place, result in enumerate(results, start=1)]
    tables = {
        "image_scores": image_table(rows),
        "pixel_scores": pixel_table(rows),
        "masks": mask_table(rows, _regions(contents, mask_results)),
    }
    check = contents.checks.get(category, {})
    content = {
        "name": category,
        "anchor": contents.anchors[category],
        "sheet": contact_sheet.anchor_of(contents.sheets[category]) if category in contents.sheets else "",
        "kinds": classification.anchor_of(contents, category) if contents.classes.of(category) else "",
        "counts": results[0]["counts"],
        "measured": contents.is_measured(category),
        "images": len(results[0]["images"]),
        "notes": _notes([*results, *mask_results]),
        "warnings": check.get("warnings", []),
        "unreadable": check.get("unreadable", []),
        **tables,
        "decision_scores": decision_table(rows),
        "types": type_table(types),
        "backwards": backwards(one_row_a_method(rows), contents.blind_to),
        "backwards_by_type": backwards(types, contents.blind_to),
        "refinement": changes(contents, category, mask_results),
        "curves": contents.curves.get(category),
        "histograms": contents.histograms[category],
        "galleries": galleries,
        "decisions": [_decisions(contents, *pair) for pair in zip(results, galleries, strict=True)],
        "ranking": None if any(table.rows for table in tables.values()) else _ranking(galleries),
    }
    return Section("category.html.jinja", content)


def _regions(contents: Contents, mask_results: Sequence[Evaluation]) -> dict[tuple[str, str], str]:
    """The numbers of refined regions, in words, by method and refiner."""
    called = {key.method: name for key, name in contents.names.items()}
    return {
        (called[result["method"]], result["refiner"]): f"{regions['accepted']} of {regions['found']} regions refined"
        for result in mask_results
        if (regions := result["regions"])
    }


def _gallery(contents: Contents, result: Evaluation, place: int) -> dict[str, Any]:
    key, category = key_of(result), result["category"]
    images = _ranked(result)
    return {
        "method": contents.names[key],
        "anchor": f"gallery-{contents.categories.index(category) + 1}-{place}",
        "open": key == contents.best,
        "content": contents.galleries.get(category, {}).get(key),
        "images": images,
        "places": {image["image_id"]: place for place, image in enumerate(images, start=1)},
        "scores": {
            METRIC_TITLES[metric]: with_interval(*measured(result, metric))
            for metric in HEADLINE_METRICS
            if not math.isnan(measured(result, metric)[0])
        },
    }


def _decisions(contents: Contents, result: Evaluation, gallery: Mapping[str, Any]) -> dict[str, Any]:
    """The decisions of a method: thresholds, numbers of images, the verdict on the batch, and errors."""
    decision, key = result["decision"], key_of(result)
    verdict = verdict_of(result)
    return {
        "method": gallery["method"],
        "leading": gallery["open"],
        "rule": rule_in_words(decision["rule"], contents.summary_of(key, "threshold")),
        "region_threshold": threshold_in_words(common_value(region_thresholds(result))),
        "pixel_threshold": _pixel_threshold(result),
        "localises": result["localises"],
        "called": int(decision["called"]),
        "images": int(decision["images"]),
        "nominal": number(decision["nominal"]),
        **{name: number(decision.get(name)) for name in MEASURED_DECISIONS},
        "sentence": verdict.words,
        "exceeds": verdict.exceeds,
        "measured": _measured_in_words(result),
        "remarks": decision["remarks"],
    }


def _pixel_threshold(result: Evaluation) -> str:
    if not result["localises"]:
        return "only images"
    return threshold_in_words(common_value(pixel_thresholds(result)))


def _measured_in_words(result: Evaluation) -> str:
    """How often the decisions are wrong and right according to the labels; empty without labels."""
    decision = result["decision"]
    rates = {
        "{} of the normal images": number(decision.get("fpr")),
        "{} of the defective images": number(decision.get("recall")),
    }
    shares = [words.format(in_percent(rate)) for words, rate in rates.items() if not math.isnan(rate)]
    return f"According to the labels, {' and '.join(shares)} are called defective." if shares else ""


def _ranking(galleries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The list that replaces metrics without labels: the first images of the leading method, with their other ranks.

    A method that gives all images the same score is left out.
    """
    leading = next((gallery for gallery in galleries if gallery["open"]), galleries[0])
    others = [
        gallery
        for gallery in galleries
        if gallery is not leading and len({image["score"] for image in gallery["images"]}) > 1
    ]
    ranks_of_others = [{image["image_id"]: image["rank"] for image in gallery["images"]} for gallery in others]
    groups = leading["content"]["groups"] if leading["content"] else []
    entries = {entry["image_id"]: entry for group in groups for entry in group["entries"]}
    return {
        "leading": leading,
        "others": [gallery["method"] for gallery in others],
        "rows": [
            {
                **image,
                "entry": entries.get(image["image_id"]),
                "elsewhere": [rank_of[image["image_id"]] for rank_of in ranks_of_others],
            }
            for image in leading["images"][:MOST_RANKED]
        ],
    }


def _notes(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each note once, with its methods; no methods for a note about all, or one that names its method itself."""
    results = list(results)
    methods_of: dict[str, list[str]] = defaultdict(list)
    for result in results:
        for note in result["notes"]:
            if result["method"] not in methods_of[note]:
                methods_of[note].append(result["method"])
    everyone = {result["method"] for result in results}
    return [
        {"text": note, "methods": [] if set(methods) == everyone or note.startswith(f"{methods[0]} ") else methods}
        for note, methods in methods_of.items()
    ]


def _ranked(result: Evaluation) -> list[dict[str, Any]]:
    """Rows of the list of all images, the highest score first."""
    images = [
        {**image, "decided_by": words} for image, words in zip(result["images"], explain_decisions(result), strict=True)
    ]
    order = np.argsort([-image["score"] for image in images], kind="stable").tolist()
    all_ranks = ranks([image["score"] for image in images])
    return [{**images[index], "rank": all_ranks[index]} for index in order]
