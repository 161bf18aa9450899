"""The stage that embeds windows around the small components of a method's maps, at full resolution."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import ListedImage, read_image_list
from zsad.data.images import read_image
from zsad.files.decisions import DecisionReader
from zsad.files.embeddings import EmbeddingWriter
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.refinement.crops import CropOptions, crop_windows
from zsad.refinement.images import records_of
from zsad.refinement.marked import MarkedMaps
from zsad.refinement.regions import Box, regions_to_outline, slices
from zsad.segmentation.base import SegmenterConfig
from zsad.segmentation.embed_images import write_embeddings

logger = logging.getLogger(__name__)


def embed_crops(
    *,
    image_list: Path,
    scores: Path,
    decisions: Path,
    options: CropOptions,
    min_area: float,
    max_prompts: int,
    segmenter: SegmenterConfig,
    device: str,
    batch: int | None,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Embed the window of every small component that will be prompted; a category may have none.

    Args:
        image_list: names the images and their digests.
        scores: score file of the method.
        decisions: its decision file, with the thresholds of the maps.
        min_area, max_prompts: parameters of the refiner that decide which components are prompted.
        batch: windows per batch; None for a number that suits the device.
        output: the embedding file, written whole or not at all.

    Raises:
        DataError: a scored image is not in the list, is missing or has changed; or the decisions belong to other
            scores.
        ModelError: the model cannot be used.
    """
    start = time.monotonic()
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decided:
        marked = MarkedMaps(reader, decided)
        records = records_of(reader, {record.image_id: record for record in read_image_list(image_list)}, image_list)
        windows = [
            _windows(marked, index, record, options, min_area, max_prompts) for index, record in enumerate(records)
        ]
        made_of = inherited(reader.provenance)
    model = segmenter.load(device, batch)
    with EmbeddingWriter(
        output,
        [record.image_id for record, of_image in zip(records, windows, strict=True) for _ in of_image],
        {**made_of, **provenance, **model.provenance()},
        windows=np.array([window for of_image in windows for window in of_image]),
        shapes=model.shapes,
    ) as writer:
        images = (model.prepare(crop) for crop in _crops(records, windows))
        write_embeddings(writer, model, images, "crops")
        writer.provenance["seconds"] = round(time.monotonic() - start, 3)
    logger.info("embedded %d crops of %d images", len(writer.image_ids), len(records))


def _windows(
    marked: MarkedMaps, index: int, record: ListedImage, options: CropOptions, min_area: float, max_prompts: int
) -> list[Box]:
    if not marked.has_marks(index):
        return []
    anomaly_map, threshold = marked.at_size(index, record.height, record.width)
    regions = regions_to_outline(anomaly_map, threshold, min_area)
    return crop_windows(options, regions[:max_prompts], record.height, record.width)


def _crops(records: Sequence[ListedImage], windows: Sequence[Sequence[Box]]) -> Iterator[np.ndarray]:
    for record, of_image in zip(records, windows, strict=True):
        if of_image:
            image = read_image(record.path, record.sha256, record.white)
            for window in of_image:
                yield image[slices(window)]
