"""All test images of a category, which a reader can browse, filter and mark: the data for `contact_sheet.js`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from zsad.errors import DataError
from zsad.files.json_values import without_nan
from zsad.files.pictures import LayerReader
from zsad.reporting.contact_sheets import SheetFiles
from zsad.reporting.contents import Contents, Section
from zsad.reporting.decisions import common_value, pixel_thresholds, significances
from zsad.reporting.evaluations import Evaluation, key_of

TEMPLATE = "contact_sheet.html.jinja"


def section(contents: Contents, category: str, beside: str | None = None) -> Section | None:
    """The sheet of one category; None if there are no thumbnails.

    Args:
        beside: relative path from the page to the folder of pictures, ending in ``/`` unless empty; None for a page
            that contains them.
    """
    files = contents.sheets.get(category)
    if files is None:
        return None
    content = {
        "anchor": anchor_of(files),
        "category": category,
        "left_out": len(contents.checks.get(category, {}).get("unreadable", [])),
        "data": as_script(_data(contents, category, files, beside)),
    }
    return Section(TEMPLATE, content)


def anchor_of(files: SheetFiles) -> str:
    """The anchor of the sheet on the page."""
    return f"images-{files.place}"


def as_script(value: Mapping[str, Any]) -> str:
    """JSON for a script element, which no name in it can close."""
    text = json.dumps(without_nan(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def path_in_table(path: str, root: str) -> str:
    """The path of an image as ``layout: csv`` lists it: relative to the folder of the table, which is the root.

    A path that begins with the root is only cut, because the rest may contain links.
    """
    if not root:
        return Path(path).absolute().as_posix()
    try:
        return PurePath(path).relative_to(root).as_posix()
    except ValueError:
        return path if PurePath(path).is_absolute() else Path(os.path.relpath(path, root)).as_posix()


def _data(contents: Contents, category: str, files: SheetFiles, beside: str | None) -> dict[str, Any]:
    results = sorted(contents.of(category), key=lambda result: key_of(result) != contents.best)  # best first
    thumbnails = files.thumbnails_at(beside)
    known = {image["image_id"]: image for result in reversed(results) for image in result["images"]}
    tests = [image for image in files.images if image.split == "test"]
    for image in tests:
        if thumbnails.get(image.image_id) is None or image.image_id not in known:
            raise DataError(f"'{image.image_id}' has no thumbnail or no score; run again to draw and score all images")
    order = [image.image_id for image in tests]
    drawn = [result for result in results if key_of(result) in files.layers]
    return {
        "dataset": contents.dataset,
        "category": category,
        "root": contents.root or ".",
        "references": [path_in_table(image.path, contents.root) for image in files.images if image.split == "train"],
        "colours": files.colours,
        "images": [
            {
                "id": image.image_id,
                "path": path_in_table(image.path, contents.root),
                "label": known[image.image_id]["label"],
                "defect_type": known[image.image_id]["defect_type"],
                "width": image.width,
                "height": image.height,
                "thumbnail": thumbnails[image.image_id],
            }
            for image in tests
        ],
        "methods": [_method(contents, files, result, order, beside) for result in drawn],
    }


def _method(
    contents: Contents, files: SheetFiles, result: Evaluation, order: list[str], beside: str | None
) -> dict[str, Any]:
    """The results of one method for each image; all lists are in ``order``."""
    key = key_of(result)
    images = {image["image_id"]: image for image in result["images"]}
    with LayerReader(files.layers[key]) as reader:
        heading = reader.heading
        maps = files.maps_at(reader, key, beside)
        outlines = dict(zip(reader.image_ids, reader.outlines(), strict=True))
    significance = dict(zip(images, significances(result), strict=True))
    of = [images.get(image_id, {}) for image_id in order]
    return {
        "method": key.method,
        "entry": contents.summary_of(key, "entry") or None,  # with a threshold of its own
        "backbone": key.backbone,
        "title": contents.names[key],
        "refiner": heading["refiner"],
        "low": heading["low"],
        "high": heading["high"],
        "localises": result["localises"],
        "measure": result["decision"]["measure"],
        "pixel_threshold": common_value(pixel_thresholds(result)) if result["localises"] else None,
        "scores": [image.get("score") for image in of],
        "peaks": [image.get("peak") for image in of],
        "thresholds": [image.get("region_threshold") for image in of],
        "significance": [significance.get(image_id) for image_id in order],
        "decisions": [None if image.get("decision") is None else int(image["decision"]) for image in of],
        "notes": [image.get("note", "") for image in of],
        "maps": [maps.get(image_id) for image_id in order],
        "outlines": [outlines.get(image_id, []) for image_id in order],
    }
