"""Tables of regions and of images, for spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from zsad.deciding.decision import Decision
from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.files.csv_files import table_in_the_making

BOX = ("x", "y", "width", "height")
REGION_FIGURES = ("region", *BOX, "area", "centroid_x", "centroid_y", "length", "peak_score", "mean_score")
DECIDED_BY = ("p_value", "false_alarms", "region_threshold", "pixel_threshold")
IMAGE_FIGURES = ("width", "height", "score", "peak", "defective", *DECIDED_BY, "regions", "area")


class Tables(Format):
    """``defects.csv``, one row per region, and ``images.csv``, one row per image.

    An image without regions has no row in ``defects.csv``. The regions of an image are numbered from 1, highest peak
    first; `zsad.exporting.regions.Region` explains the figures. In ``images.csv``, ``defective`` is 1 if ``peak``, the
    highest value of the map, exceeds ``region_threshold``, otherwise 0. ``pixel_threshold`` is the limit of the
    regions, and ``p_value`` or ``false_alarms`` shows how unlikely such a peak is in a normal image. Values that a rule
    does not give are empty, and so are infinite thresholds. ``area`` is that of all regions; for a method that scores
    only images, ``peak`` is the score, and the columns of regions and pixels are empty.
    """

    summary: ClassVar[str] = "Tables: defects.csv, one row per region, and images.csv, one row per image."
    needs_maps: ClassVar[bool] = False

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write rows in the order of the images."""
        with ExitStack() as stack:
            defects, images = (
                stack.enter_context(table_in_the_making(folder / name, ("image", *figures), figures))
                for name, figures in (("defects.csv", REGION_FIGURES), ("images.csv", IMAGE_FIGURES))
            )

            def write(image: ExportedImage) -> None:
                for row in _region_rows(image):
                    defects(row)
                images(_image_row(image))

            yield write


def _region_rows(image: ExportedImage) -> Iterator[dict[str, str]]:
    for number, (region, *_) in enumerate(image.pieces, start=1):
        yield {
            "image": image.image_id,
            "region": str(number),
            **{side: str(value) for side, value in zip(BOX, region.box, strict=True)},
            "area": str(region.area),
            "centroid_x": f"{region.centroid[0]:.2f}",
            "centroid_y": f"{region.centroid[1]:.2f}",
            "length": f"{region.length:.2f}",
            "peak_score": f"{region.peak:.6g}",
            "mean_score": f"{region.mean:.6g}",
        }


def _image_row(image: ExportedImage) -> dict[str, str]:
    found = {} if image.mask is None else {"regions": str(len(image.pieces)), "area": str(int(image.mask.sum()))}
    size = {"width": str(image.width), "height": str(image.height)}
    return {"image": image.image_id, **size, "score": f"{image.score:.6g}", **_decided_cells(image.decided), **found}


def _decided_cells(decided: Decision) -> dict[str, str]:
    called = {} if decided.defective is None else {"defective": str(int(decided.defective))}
    numbers = {name: getattr(decided, name) for name in DECIDED_BY}
    given = {name: _figure(value) for name, value in numbers.items() if math.isfinite(value)}
    return {"peak": _figure(decided.peak), **called, **given}


def _figure(value: float) -> str:
    """A figure with nine digits, which distinguish any two float32 values of maps."""
    return f"{value:.9g}"
