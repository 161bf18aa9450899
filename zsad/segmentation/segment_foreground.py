"""The stage that segments the foreground object in every embedded image: from embeddings to a mask file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import ListedImage, read_image_list
from zsad.errors import DataError
from zsad.files.embeddings import EmbeddingReader
from zsad.files.masks import MaskWriter
from zsad.files.provenance import inherited
from zsad.progress import progress
from zsad.segmentation.base import SegmenterConfig
from zsad.segmentation.foreground import ForegroundOptions, ObjectMask, object_mask

logger = logging.getLogger(__name__)


def segment_foreground(
    *,
    image_list: Path,
    embeddings: Path,
    segmenter: SegmenterConfig,
    device: str,
    output: Path,
    provenance: Mapping[str, Any],
    options: ForegroundOptions | None = None,
) -> None:
    """Write the mask of the foreground object in every embedded image, at the image's own resolution.

    The mask file has one region per image: the object, with the value of the chosen candidate as its score, accepted if
    an object was found.

    Args:
        image_list: names the images and their sizes.
        embeddings: of whole images; their order is kept.
        segmenter: the model that made them.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        output: the mask file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.

    Raises:
        DataError: an embedding is not of a whole image of the list, or was made by another model.
        ConfigError, ModelError: the model cannot be used; see `SegmenterConfig.load`.
    """
    start = time.perf_counter()
    options = options or ForegroundOptions()
    records = {record.image_id: record for record in read_image_list(image_list)}
    with EmbeddingReader(embeddings) as reader:
        sizes = _sizes(reader, records, image_list)
        loaded = segmenter.load(device)
        loaded.check_made(reader.path, reader.provenance)
        details = {**loaded.provenance(), "options": options.parameters()}
        objects = 0
        with MaskWriter(output, reader.image_ids, {**inherited(reader.provenance), **provenance, **details}) as writer:
            pixels = [height * width for height, width in sizes]
            for index, size in progress(enumerate(sizes), total=len(sizes), label="finding the object", work=pixels):
                part = object_mask(loaded, reader.embedding(index), *size, options)
                writer.append(part.mask, part.value, [_region(part)])
                objects += part.found
            writer.provenance["seconds"] = time.perf_counter() - start
    logger.info("found an object in %d of %d images", objects, len(sizes))


def _sizes(reader: EmbeddingReader, records: Mapping[str, ListedImage], image_list: Path) -> list[tuple[int, int]]:
    """Height and width of each embedded image."""
    sizes = []
    for image_id, (left, top, right, bottom) in zip(reader.image_ids, reader.windows.tolist(), strict=True):
        record = records.get(image_id)
        if record is None:
            raise DataError(
                f"{reader.path} has an embedding of '{image_id}', which {image_list} does not list; delete "
                f"{reader.path} and run again"
            )
        if (left, top, right, bottom) != (0, 0, record.width, record.height):
            raise DataError(
                f"{reader.path} has '{image_id}' from ({left}, {top}) to ({right}, {bottom}), but {image_list} says "
                f"that the image has {record.width} x {record.height} pixels; delete {reader.path} and run again"
            )
        sizes.append((record.height, record.width))
    return sizes


def _region(part: ObjectMask) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(part.mask.any(axis=axis)).tolist() for axis in (1, 0))
    return {
        "box": [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1],
        "score": part.value,
        "area": int(np.count_nonzero(part.mask)),
        "accepted": part.found,
        "reason": part.note,
        "prompt": part.prompt,
    }
