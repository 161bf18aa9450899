"""Photographs with heat maps and outlines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.names import with_ending
from zsad.exporting.pictures import overlay, write_picture


class Overlays(Format):
    """``overlays/<image>.png``, 8-bit RGB: the upright photograph at its own size, with heat map and outlines.

    Photographs of 16 bits and of floating point are scaled as the workflow reads them; grey ones become RGB.
    """

    summary: ClassVar[str] = "One photograph with heat map and outlines per image: PNG."
    needs_photographs: ClassVar[bool] = True

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write one picture per image."""

        def write(image: ExportedImage) -> None:
            if image.anomaly_map is None or image.mask is None or export.scale is None:
                return
            path = with_ending(folder / "overlays", export.names.of(image.image_id), ".png")
            write_picture(path, overlay(image.photograph(), image.anomaly_map, image.mask, export.scale))

        yield write
