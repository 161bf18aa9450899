"""Tables of costs to read: one more image by each method, and every stage."""

from __future__ import annotations

import pandas as pd

from zsad.names import PER_IMAGE, REFERENCES, setting_order
from zsad.tables.frames import rows_of
from zsad.tables.table import Entry, Table, amount, count

PARTS = {
    "features": ("extract_features", "join_features"),
    "segmentation": ("embed_images", "segment_foreground", "embed_crops", "refine_masks", "prompt_masks"),
    "scoring": ("score_images", "fuse_scores", "decide_images", "modulate_scores"),
}


def totals_table(costs: pd.DataFrame) -> Table:
    """One row for each method: the seconds for one more image, in parts and in total, and for the references.

    Args:
        costs: rows of `PER_IMAGE`, of `REFERENCES` and of the parts, as far as they exist; only the mean over
            several seeds.
    """
    parts = [part for part in PARTS if (costs["stage"] == part).any()]
    of_stage = {(row["method"], row["stage"]): row for row in rows_of(costs)}
    totals = [row for row in rows_of(costs) if row["stage"] == PER_IMAGE]
    rows: list[list[Entry]] = []
    for total in sorted(totals, key=lambda row: setting_order(row["setting"])):
        name = total["method"]
        of_parts = [of_stage.get((name, part)) for part in parts]
        references = of_stage.get((name, REFERENCES))
        rows.append(
            [
                total["setting"],
                f"{name} ({total['detail']})" if total["detail"] else name,
                total["backbone"],
                *(amount(part["seconds_per_image"]) if part else "" for part in of_parts),
                amount(total["seconds_per_image"]),
                amount(total["peak_mb"]),
                amount(references["seconds"]) if references else "",
            ]
        )
    header = ["setting", "method", "backbone", *parts, "total", "peak MB", "references, in total"]
    return Table("One more test image: seconds until it has a map and a score", header, rows, apart=True)


def stages_table(costs: pd.DataFrame) -> Table:
    """One row for each method and stage, without the totals."""
    rows: list[list[Entry]] = [
        [
            *(row["method"], row["stage"], row["detail"], count(row["images"])),
            *(amount(row[name]) for name in ("seconds", "seconds_per_image", "peak_mb")),
            *("yes" if row["shared"] else "no", row["device"]),
        ]
        for row in rows_of(costs)
        if row["stage"] not in (PER_IMAGE, REFERENCES)
    ]
    header = ["method", "stage", "detail", "images", "seconds", "per image", "peak MB", "shared", "device"]
    return Table("Every stage, over all categories", header, rows, apart=True)
