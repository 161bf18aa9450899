"""Means over the categories, and a description of each method."""

from __future__ import annotations

import math
from typing import Any

from zsad.files.json_values import number
from zsad.names import MEAN
from zsad.reporting.contents import Contents, Section
from zsad.reporting.evaluations import MethodKey, key_of
from zsad.reporting.results import means_of, one_row_a_method
from zsad.reporting.sections.metrics import backwards, decision_table, image_table, mask_table, pixel_table
from zsad.tables.notation import NOTATION


def section(contents: Contents) -> Section:
    """The means, first over all categories, and the methods."""
    content = {
        "notation": NOTATION,
        "mean_of": _mean_of(contents),
        "means": _mean_tables(contents),
        "masks": mask_table(contents.means),
        "backwards": backwards(one_row_a_method(contents.means), contents.blind_to),
        "plots": contents.plots,
        "methods": [_method(contents, key) for key in contents.names],
    }
    return Section("summary.html.jinja", content, "summary", "Summary")


def _mean_tables(contents: Contents) -> list[dict[str, Any]]:
    tables = []
    for mean in sorted(means_of(contents.metrics), key=lambda mean: mean != MEAN):
        rows = contents.metrics[contents.metrics["category"] == mean]
        found = {"images": image_table(rows), "pixels": pixel_table(rows), "decisions": decision_table(rows)}
        if any(table.rows for table in found.values()):
            tables.append({"name": mean, **found})
    return tables


def _mean_of(contents: Contents) -> str:
    """The number of categories behind the means, in words; fewer if labels or masks are missing."""
    categories = len(contents.categories)
    everything = "one category" if categories == 1 else f"{categories} categories"
    counted = [
        (words, contents.means[column].max())
        for column, words in (("categories", "image metrics"), ("pixel_categories", "pixel metrics"))
    ]
    short = [f"{words}: only the {count:.0f} with ground truth" for words, count in counted if 0 < count < categories]
    return f"{everything} ({'; '.join(short)})" if short else everything


def _method(contents: Contents, key: MethodKey) -> dict[str, Any]:
    """A method in words, and the time of its scoring."""
    images = [image for result in contents.results if key_of(result) == key for image in result["images"]]
    known = [seconds for image in images if not math.isnan(seconds := number(image["seconds"]))]
    return {
        "name": contents.names[key],
        "setting": key.setting,
        "backbone": key.backbone,
        **{what: contents.summary_of(key, what) for what in ("scorer", "summary", "reference", "blind_to")},
        "milliseconds": f"{1000 * sum(known) / len(known):.3g}" if known else "n/a",
    }
