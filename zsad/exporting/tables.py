"""Tables of regions and of images, for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.files.csv_files import table_in_the_making

BOX = ("x", "y", "width", "height")
REGION_FIGURES = ("region", *BOX, "area", "centroid_x", "centroid_y", "length", "peak_score", "mean_score")
IMAGE_FIGURES = ("width", "height", "score", "defective", "regions", "area")


class Tables(Format):
    """``defects.csv``, a row a region, and ``images.csv``, a row an image.

    An image without a region has no row in ``defects.csv``. The numbers of the regions of an image begin at 1, highest
    peak first; `zsad.exporting.regions.Region` says what the figures are. In ``images.csv`` ``defective`` is 1 or 0,
    and ``area`` that of all regions; of a method that scores images alone, ``regions`` and ``area`` are empty.
    """

    summary: ClassVar[str] = "Tables: defects.csv, a row a region, and images.csv, a row an image."
    needs_maps: ClassVar[bool] = False

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Rows in the order of the images."""
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
    decided = {} if image.decision is None else {"defective": str(int(image.decision))}
    size = {"width": str(image.width), "height": str(image.height)}
    return {"image": image.image_id, **size, "score": f"{image.score:.6g}", **decided, **found}
