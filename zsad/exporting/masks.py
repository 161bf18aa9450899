"""Masks as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.names import with_ending
from zsad.exporting.pictures import mask_picture, write_picture


class Masks(Format):
    """``masks/<image>.png``, 8-bit grey of the size of the image: defective 255, normal 0."""

    summary: ClassVar[str] = "One mask per image: PNG, defective 255, normal 0."

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write one picture per image."""

        def write(image: ExportedImage) -> None:
            if image.mask is not None:
                path = with_ending(folder / "masks", export.names.of(image.image_id), ".png")
                write_picture(path, mask_picture(image.mask))

        yield write
