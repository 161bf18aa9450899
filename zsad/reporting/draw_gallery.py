"""The gallery of one category and method: selected images, as a contact sheet and for the page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zsad.files.atomic import atomic_path
from zsad.files.json_files import write_json
from zsad.reporting import overlays
from zsad.reporting.data_address import data_address
from zsad.reporting.decisions import threshold_in_words
from zsad.reporting.entries import Entry, Gallery, collect_gallery
from zsad.reporting.options import ReportOptions
from zsad.reporting.selection import GROUP_TITLES
from zsad.reporting.sheet import contact_sheet

_JPEG_QUALITY = 85
_PNG_EFFORT = 4  # of 9; needs a quarter of the time and 2 % more bytes than 9


def draw_gallery(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    masks: Path | None,
    refiner: str,
    evaluation: Path,
    options: ReportOptions,
    sheet: Path,
    panels: Path,
) -> None:
    """Draw the images with the highest, lowest and most wrong scores of one category and method.

    Args:
        decisions: of the same images; their thresholds give the outlines.
        masks: predicted masks; None for the thresholded map.
        refiner: name of the refiner of the masks, for the captions; ``"none"`` for the thresholded map.
        sheet: the contact sheet to write, PNG.
        panels: the pictures and captions to write for `zsad.reporting.build_page.build_page`, JSON.

    Raises:
        DataError: the files do not belong together, or an image or a mask cannot be read.
    """
    gallery = collect_gallery(manifest, scores, decisions, masks, refiner, evaluation, options)
    with atomic_path(sheet) as temporary:
        contact_sheet(gallery).save(temporary, format="PNG", compress_level=_PNG_EFFORT)
    write_json(panels, _as_json(gallery, options))


def _as_json(gallery: Gallery, options: ReportOptions) -> dict[str, Any]:
    scale = gallery.scale
    return {
        **gallery.heading,
        "ranked": gallery.ranked,
        "pixel_threshold": threshold_in_words(gallery.thresholds.pixel),
        "scale": {
            "low": scale.low,
            "high": scale.high,
            "percentiles": list(overlays.SCALE_PERCENTILES),
            "colormap": options.colormap,
            "colours": scale.stops(overlays.COLOUR_STOPS),
        },
        "groups": [
            {"name": name, "title": GROUP_TITLES[name], "entries": [_entry_as_json(entry) for entry in entries]}
            for name, entries in gallery.groups.items()
        ],
    }


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    """An image for the page, which draws the outlines itself, so that all methods share one photograph."""
    height, width = entry.bare.shape[:2]
    pictures = {"photograph": entry.bare, "map": entry.pictures["map"], "mask": entry.pictures["mask"]}
    return {
        "image_id": entry.image_id,
        "label": entry.label,
        "defect_type": entry.defect_type,
        "score": entry.score,
        "decision": entry.decision,
        "decided_by": entry.decided_by,
        "marked_regions": entry.marked_regions,
        "rank": entry.rank,
        "note": entry.note,
        "truth": entry.truth,
        "height": height,
        "width": width,
        "pictures": {name: _data_address(picture) for name, picture in pictures.items()},
        "outlines": entry.outlines,
    }


def _data_address(picture: np.ndarray) -> str:
    """A picture as a ``data:`` address: JPEG in colour, PNG in grey (masks, whose edges JPEG would blur)."""
    stream = io.BytesIO()
    image = Image.fromarray(picture)
    if image.mode == "L":
        image.save(stream, format="PNG", optimize=True)
    else:
        image.save(stream, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
    kind = "png" if image.mode == "L" else "jpeg"
    return data_address(f"image/{kind}", stream.getvalue())
