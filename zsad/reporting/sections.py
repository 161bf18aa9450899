"""What the page shows of one category: its tables, galleries and lists of images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from zsad.names import HEADLINE_METRICS
from zsad.reporting.backwards import backwards, backwards_by_type
from zsad.reporting.numbers import with_limits
from zsad.reporting.refinement import reasons_of, refinement_table
from zsad.reporting.results import METRIC_TITLES, MethodKey, MetricsRow, evaluation_key, measured
from zsad.reporting.selection import ranks
from zsad.reporting.tables import image_table, mask_table, pixel_table, type_table

Evaluation = dict[str, Any]

MOST_RANKED = 12


def category_section(
    category: str,
    place: int,
    *,
    results: Sequence[Evaluation],
    rows: Sequence[MetricsRow],
    refined: Sequence[MetricsRow],
    mask_results: Sequence[Mapping[str, Any]],
    galleries: Mapping[MethodKey, dict[str, Any]],
    names: Mapping[MethodKey, str],
    in_tables: Mapping[MethodKey, str],
    best: MethodKey,
    curves: dict[str, Any] | None,
    histograms: dict[str, Any],
    check: Mapping[str, Any] | None,
    rules: Mapping[str, str] = MappingProxyType({}),
    blind_to: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What the template shows of one category.

    Args:
        place: of the category on the page, from 0.
        results, mask_results: evaluations of scores and of masks, of this category.
        rows, refined: of ``metrics.csv`` and ``refinement.csv``, of this category.
        galleries: by method.
        names: what each method with evaluations is called; ``in_tables``: those besides that are means over seeds.
        best: the method whose gallery stands open.
        curves, histograms: pictures, as `zsad.reporting.page` embeds them; None where there are no curves.
        check: what the check of the images found (see `zsad.data.inspection.Inspection`); None if there was none.
        rules: what set the thresholds of each method, in words.
        blind_to: what each method cannot see, in words.
    """
    regions = {(result["method"], result["refiner"]): result["regions"] for result in mask_results}
    has_labels = any(image["label"] is not None for image in results[0]["images"])
    of_methods = [
        _gallery(result, f"gallery-{place + 1}-{number_of_method + 1}", galleries, names, best)
        for number_of_method, result in enumerate(results)
    ]
    tables = {
        "image_scores": image_table(rows, in_tables),
        "pixel_scores": pixel_table(rows, in_tables),
        "masks": mask_table(rows, in_tables, regions),
    }
    return {
        "name": category,
        "anchor": f"category-{place + 1}",
        "counts": results[0]["counts"],
        "measured": has_labels,
        "images": len(results[0]["images"]),
        "notes": _notes([*results, *mask_results]),
        "oddities": check["warnings"] if check else [],
        "unreadable": check["unreadable"] if check else [],
        **tables,
        "types": type_table(results, names),
        "backwards": backwards(rows, in_tables, blind_to),
        "backwards_by_type": backwards_by_type(results, names, blind_to),
        "refinement": refinement_table(refined, in_tables, reasons_of(mask_results)),
        "curves": curves,
        "histograms": histograms,
        "galleries": of_methods,
        "decisions": [_decisions(result, gallery, rules) for result, gallery in zip(results, of_methods, strict=True)],
        "ranking": None if any(tables.values()) else _ranking(of_methods),
    }


def _gallery(
    result: Evaluation,
    anchor: str,
    galleries: Mapping[MethodKey, dict[str, Any]],
    names: Mapping[MethodKey, str],
    best: MethodKey,
) -> dict[str, Any]:
    key = evaluation_key(result)
    images = _ranked(result["images"])
    return {
        "method": names[key],
        "anchor": anchor,
        "open": key == best,
        "content": galleries.get(key),
        "images": images,
        "places": {image["image_id"]: place for place, image in enumerate(images, start=1)},
        "threshold": result["image_threshold"],
        "scores": {
            METRIC_TITLES[metric]: with_limits(*measured(result, metric))
            for metric in HEADLINE_METRICS
            if not math.isnan(measured(result, metric)[0])
        },
    }


def _decisions(result: Evaluation, gallery: Mapping[str, Any], rules: Mapping[str, str]) -> dict[str, Any]:
    """What a method's two thresholds decide: how many images are called good, and of these carry a marked region."""
    called_good = [image for image in result["images"] if not image["decision"]]
    return {
        "method": gallery["method"],
        "leading": gallery["open"],
        "rule": rules.get(result["method"], ""),
        "image_threshold": result["image_threshold"],
        "pixel_threshold": result["threshold"],
        "localises": result["localises"],
        "called_good": len(called_good),
        "called_defective": len(result["images"]) - len(called_good),
        "good_but_marked": sum(bool(image["marked_regions"]) for image in called_good),
    }


def _ranking(galleries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What stands where no metric is known: the first images of the leading method, with their ranks by the others.

    A method that scores all images alike ranks none of them and is left out.
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
        "called": sum(bool(image["decision"]) for image in leading["images"]),
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
    """Each note once, with the methods it is about; none for a note that is about all or names its method itself."""
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


def _ranked(images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the list of all images, the highest score first."""
    order = np.argsort([-image["score"] for image in images], kind="stable").tolist()
    all_ranks = ranks([image["score"] for image in images])
    return [{**images[index], "rank": all_ranks[index]} for index in order]
