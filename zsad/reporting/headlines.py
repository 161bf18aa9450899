"""What the page says in words at its top: how much was done, and who did best."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zsad.names import HEADLINE_METRICS, setting_order
from zsad.reporting.numbers import with_limits
from zsad.reporting.results import METRIC_TITLES, MethodKey, MetricsRow, evaluation_key

_FEW_SHOT_MEANING = "{} good reference images and nothing else"
_SETTING_MEANINGS = {
    "zero-shot-single": "one image at a time and nothing else",
    "zero-shot-batch": "all test images of the category together, unlabelled",
    "zero-shot-text": "one image at a time and a text that names the object",
    "full-shot": "all good training images",
}


def setting_meaning(setting: str) -> str:
    """What a method of this setting may see, in words."""
    few_shot = re.fullmatch(r"few-shot-(\d+)", setting)
    return _FEW_SHOT_MEANING.format(few_shot[1]) if few_shot else _SETTING_MEANINGS.get(setting, setting)


def facts(results: Sequence[Mapping[str, Any]], categories: Sequence[str]) -> dict[str, Any]:
    """How much was done: categories, methods, backbones, and images by kind."""
    first = {result["category"]: result for result in reversed(results)}
    counts = [first[category]["counts"] for category in categories]
    return {
        "categories": len(categories),
        "methods": len({evaluation_key(result) for result in results}),
        "backbones": sorted({result["backbone"] for result in results}),
        "images": sum(len(first[category]["images"]) for category in categories),
        **{kind: sum(count[kind] for count in counts) for kind in ("good", "defective", "unlabelled")},
    }


def leaders(means: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> list[dict[str, Any]]:
    """For each setting what it may see, and the best mean of each headline metric with the method that reached it."""
    found = []
    for setting in dict.fromkeys(key.setting for key in names):
        best = []
        for metric in HEADLINE_METRICS:
            known = [row for row in means if row.key.setting == setting and not math.isnan(row.value(metric))]
            if known:
                row = max(known, key=lambda row: row.value(metric))
                reached = with_limits(row.value(metric), *row.interval(metric))
                best.append({"title": METRIC_TITLES[metric], "value": reached, "method": names[row.key]})
        if best:
            found.append({"setting": setting, "meaning": setting_meaning(setting), "best": best})
    return found


def best_method(means: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> MethodKey:
    """The method with the best mean image AUROC, whose galleries stand open.

    Where nothing is measured it is the one that may see the most, which is a guess that needs no label.
    """
    known = [row for row in means if not math.isnan(row.value("image_auroc"))]
    if not known:
        return max(names, key=lambda key: setting_order(key.setting))
    return max(known, key=lambda row: row.value("image_auroc")).key


def mean_of(means: Sequence[MetricsRow], categories: int) -> str:
    """How many categories stand behind the means, in words; fewer where labels or masks are lacking."""
    everything = "the one category" if categories == 1 else f"{categories} categories"
    counted = [
        (words, max((int(row.value(column)) for row in means if not math.isnan(row.value(column))), default=categories))
        for column, words in (("categories", "image metrics"), ("pixel_categories", "metrics of pixels"))
    ]
    short = [f"{words}: the {count} of them that have truth" for words, count in counted if 0 < count < categories]
    return f"{everything} ({'; '.join(short)})" if short else everything
