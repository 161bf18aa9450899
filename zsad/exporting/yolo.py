"""Annotations for segmentation by YOLO (Ultralytics)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar

from zsad.errors import DataError
from zsad.errors.system import system_sentence
from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.names import Names, relative_path, with_ending
from zsad.exporting.pictures import write_bytes

FOLDER = "yolo"
IMAGES, LABELS = "images", "labels"  # YOLO replaces one by the other in paths, so the names are fixed
DATA = """\
# All images: split them before training, and correct the labels.
train: images
val: images
names:
  0: defect
"""


class Yolo(Format):
    """``yolo/data.yaml``, ``yolo/labels/<image>.txt`` and ``yolo/images/<image>``, links to the photographs.

    One line per region: the class, 0, and the corners of its polygon relative to width and height. Holes are cut open
    (`zsad.exporting.polygons`). The file of an image without a region is empty.
    """

    summary: ClassVar[str] = "YOLO segmentation: data.yaml, one text file per image, and links to the photographs."

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write one text file and one link per image."""
        names = Names(avoided=(IMAGES,))  # YOLO would take the last folder of this name for that of all photographs

        def write(image: ExportedImage) -> None:
            name = names.of(image.image_id)
            write_bytes(with_ending(folder / FOLDER / LABELS, name, ".txt"), _lines(image).encode())
            ending = PurePosixPath(image.image_id).suffix
            final = with_ending(export.folder / FOLDER / IMAGES, name, ending)
            _link(with_ending(folder / FOLDER / IMAGES, name, ending), relative_path(image.path, final.parent))

        yield write
        write_bytes(folder / FOLDER / "data.yaml", DATA.encode())


def _lines(image: ExportedImage) -> str:
    size = (image.width, image.height)
    return "".join(
        f"0 {' '.join(f'{place / side:.7g}' for point in polygon for place, side in zip(point, size, strict=True))}\n"
        for polygon in image.polygons
    )


def _link(path: Path, target: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    except OSError as error:
        sentence = system_sentence(error, path)
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            sentence = f"{path} cannot be a link ({error.strerror}); export to another disk, or leave out yolo"
        if sentence is None:
            raise
        raise DataError(sentence) from None
