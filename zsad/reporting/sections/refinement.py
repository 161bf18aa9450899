"""The changes by refiners, and the ceiling beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zsad.names import MEAN, ORACLE
from zsad.reporting.contents import Contents, Section
from zsad.reporting.evaluations import Evaluation
from zsad.reporting.settings_in_words import what_each_sees
from zsad.tables.refinement_table import ceiling_table, reasons_of, refinement_table
from zsad.tables.table import without_unknown


def section(contents: Contents) -> Section | None:
    """The means over the categories; None if there are no refiners."""
    content = changes(contents, MEAN, contents.mask_results)
    return Section("refinement.html.jinja", content, "refinement", "Refinement") if content else None


def changes(contents: Contents, category: str, mask_results: Sequence[Evaluation]) -> dict[str, Any] | None:
    """The changes by refiners in a category, or on the mean, and the ceiling; None if there are no refiners.

    Args:
        mask_results: evaluations of masks, with the reasons for rejected outlines.
    """
    rows = contents.refinement[contents.refinement["category"] == category]
    if (rows["method"] == ORACLE).all():
        return None
    called = {key.method: name for key, name in contents.in_tables.items()}
    reasons = {(called.get(name, name), refiner): count for (name, refiner), count in reasons_of(mask_results).items()}
    table = refinement_table(rows, "Refinement, before → after", reasons)
    return {
        "table": without_unknown(replace(table, meanings=what_each_sees(rows["setting"]))),
        "ceiling": ceiling_table(rows, "With boxes from the ground truth"),
        "measured": bool(rows[["image_iou_after", "good_area_after"]].notna().any(axis=None)),
    }
