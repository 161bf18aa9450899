"""Annotations in the format of LabelMe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.names import relative_path, with_ending
from zsad.exporting.pictures import write_bytes

FOLDER, LABEL = "labelme", "defect"
VERSION = "5.5.0"  # of LabelMe; the format has not changed since


class LabelMe(Format):
    """``labelme/<image>.json``, one file per image, with one polygon per region; ``imagePath`` leads to the photograph.

    Holes are cut open (`zsad.exporting.polygons`). The number of a region is its ``group_id``, and ``defective`` is a
    flag of the image. The photograph is not in the file; LabelMe does not find a photograph with a backslash in its
    path.
    """

    summary: ClassVar[str] = "LabelMe JSON: one file per image, with one polygon per region."

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write one file per image, also for images without regions."""

        def write(image: ExportedImage) -> None:
            name = export.names.of(image.image_id)
            home = with_ending(export.folder / FOLDER, name, ".json").parent
            text = json.dumps(_document(image, relative_path(image.path, home)))
            write_bytes(with_ending(folder / FOLDER, name, ".json"), f"{text}\n".encode())

        yield write


def _document(image: ExportedImage, path: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "flags": {} if image.decided.defective is None else {"defective": image.decided.defective},
        "shapes": [
            {
                "label": LABEL,
                "points": [list(point) for point in polygon],
                "group_id": number,
                "description": f"peak {piece.region.peak:.6g}, mean {piece.region.mean:.6g}",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for number, (piece, polygon) in enumerate(zip(image.pieces, image.polygons, strict=True), start=1)
        ],
        "imagePath": path,
        "imageData": None,
        "imageHeight": image.height,
        "imageWidth": image.width,
    }
