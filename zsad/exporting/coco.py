"""Annotations in the format of COCO."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.run_lengths import compressed, run_lengths
from zsad.files.atomic import atomic_path

CATEGORY = {"id": 1, "name": "defect", "supercategory": "anomaly"}

Segmentations = Callable[[ExportedImage], Iterator[Any]]


class Coco(Format):
    """``coco.json`` with run lengths, which describe every region exactly, and ``coco_polygons.json`` with polygons.

    Some programs take run lengths for crowds or do not read them, hence the second file, which is otherwise the same;
    holes are cut open there (`zsad.exporting.polygons`). Each region is an annotation with ``iscrowd`` 0 and the peak
    of the map in it as its ``score``. Every image is listed with its score, its peak and whether it is called
    defective, also without regions and for methods that score only images.
    """

    summary: ClassVar[str] = "COCO JSON: coco.json with run lengths, exact, and coco_polygons.json with polygons."
    needs_maps: ClassVar[bool] = False

    @contextmanager
    def writing(self, folder: Path, export: Export) -> Iterator[Write]:
        """Write the annotations of each image at once, and the list of images at the end."""
        with ExitStack() as stack:
            files = [
                (_Document(stack.enter_context(_opened(folder / name)), export), segmentations)
                for name, segmentations in (("coco.json", _run_lengths), ("coco_polygons.json", _polygons))
            ]

            def write(image: ExportedImage) -> None:
                for document, segmentations in files:
                    document.add(image, segmentations)

            yield write
            for document, _ in files:
                document.finish()


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        yield stream


class _Document:
    """A file that is being written; only the list of images is kept in memory."""

    def __init__(self, stream: TextIO, export: Export) -> None:
        self._stream = stream
        self._images: list[dict[str, Any]] = []
        self._annotations = 0
        info = {"description": f"Defects found by zsad: {export.title}"}
        head = {"info": info, "licenses": [], "categories": [CATEGORY]}
        stream.write(f'{json.dumps(head)[:-1]}, "annotations": [')

    def add(self, image: ExportedImage, segmentations: Segmentations) -> None:
        """Write the next image with its regions."""
        number = len(self._images) + 1
        size = {"width": image.width, "height": image.height}
        decision = image.decided.defective
        figures = {"score": image.score, "peak": image.decided.peak}
        decided = {} if decision is None else {"defective": decision}
        self._images.append({"id": number, "file_name": image.image_id, **size, **figures, **decided})
        for piece, segmentation in zip(image.pieces, segmentations(image), strict=True):
            self._annotations += 1
            annotation = {
                "id": self._annotations,
                "image_id": number,
                "category_id": CATEGORY["id"],
                "segmentation": segmentation,
                "area": piece.region.area,
                "bbox": list(piece.region.box),
                "iscrowd": 0,
                "score": piece.region.peak,
            }
            self._stream.write(("," if self._annotations > 1 else "") + f"\n{json.dumps(annotation)}")

    def finish(self) -> None:
        """Write the rest of the file."""
        images = ",\n".join(json.dumps(image) for image in self._images)
        self._stream.write(f'\n], "images": [\n{images}\n]}}\n')


def _run_lengths(image: ExportedImage) -> Iterator[dict[str, Any]]:
    size = (image.height, image.width)
    for piece in image.pieces:
        counts = run_lengths(piece.pixels, piece.region.box[:2], size)
        yield {"size": list(size), "counts": compressed(counts)}


def _polygons(image: ExportedImage) -> Iterator[list[list[int]]]:
    for polygon in image.polygons:
        yield [[place for point in polygon for place in point]]
