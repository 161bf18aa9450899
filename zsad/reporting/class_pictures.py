"""The pictures of a classified image: the image itself, and the labelled examples that are most similar to it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from zsad.classification.splits import TEST
from zsad.errors import DataError
from zsad.files.pictures import ThumbnailReader
from zsad.reporting.contact_sheets import THUMBNAIL, SheetFiles
from zsad.reporting.data_address import data_address

Place = tuple[str, str]  # source, ``"test"`` or a support, and image


class Thumbnail(NamedTuple):
    """A picture of an image, with its size in pixels."""

    address: str
    width: int
    height: int


def thumbnails_of(
    places: Iterable[Place], sheet: SheetFiles | None, supports: Mapping[str, Path], beside: str | None
) -> dict[Place, Thumbnail]:
    """Read the thumbnails of images, each once; images of a source without thumbnails are left out.

    Args:
        sheet: the thumbnails of the test images.
        supports: those of examples that are stored beside the data set, by support; the page always contains them.
        beside: relative path from the page to those of the test images, as in `SheetFiles.thumbnails_at`.

    Raises:
        DataError: an image has no thumbnail in the file of its source.
    """
    wanted = set(places)
    found: dict[Place, Thumbnail] = {}
    for source in sorted({source for source, _ in wanted}):
        path = sheet.thumbnails if sheet and source == TEST else supports.get(source)
        if path is None:
            continue
        with ThumbnailReader(path) as reader:
            indices = {image_id: index for index, image_id in enumerate(reader.image_ids)}
            for image_id in sorted(image_id for its_source, image_id in wanted if its_source == source):
                index = indices.get(image_id)
                picture = reader.picture(index) if index is not None else b""
                if index is None or not picture:
                    raise DataError(f"'{image_id}' has no thumbnail in {path}; run again to draw all of them")
                if sheet and source == TEST:
                    address = sheet.thumbnail_at(reader, index, beside) or ""
                else:
                    address = data_address(THUMBNAIL[0], picture)
                with Image.open(io.BytesIO(picture)) as opened:
                    found[source, image_id] = Thumbnail(address, *opened.size)
    return found
