"""Anomaly maps as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.names import with_ending
from zsad.exporting.pictures import heat_map, write_picture


class Maps(Format):
    """``maps/<image>.png``, 8-bit RGB of the size of the image: the same colour for the same value in all images."""

    summary: ClassVar[str] = "One heat map per image: PNG, in the colours of the gallery."

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write one picture per image."""

        def write(image: ExportedImage) -> None:
            if image.anomaly_map is not None and export.scale is not None:
                path = with_ending(folder / "maps", export.names.of(image.image_id), ".png")
                write_picture(path, heat_map(image.anomaly_map, export.scale))

        yield write
