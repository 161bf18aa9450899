"""The stage that embeds the images of a category, or windows of them, by a promptable segmentation model."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.manifest import read_manifest
from zsad.data.subsets import select
from zsad.features.base import Execution
from zsad.features.loading import Loader, Source
from zsad.progress import progress
from zsad.provenance import file_sha256
from zsad.segmentation.base import Segmenter, SegmenterPart
from zsad.store import EmbeddingWriter

logger = logging.getLogger(__name__)


def embed_images(
    *,
    manifest: Path,
    category: str,
    subset: str,
    segmenter: SegmenterPart,
    execution: Execution,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the embeddings of the images of a subset; on an error there is no output.

    Args:
        manifest: the category's manifest; its labels are not read.
        category: name, for messages.
        subset: see `zsad.data.subsets`.
        execution: device, threads and the like; they change the speed alone.
        provenance: of the stage; what was embedded, from what and by what is added.

    Raises:
        DataError: an empty subset, an unreadable or changed image, embeddings that are not finite.
        ModelError: the model cannot be used, or the device has too little memory for one image.
    """
    start = time.monotonic()
    records = select(read_manifest(manifest), subset, category)
    workers = execution.threads - 1 if execution.workers is None else execution.workers
    with Loader(min(workers, len(records) // 4)) as loader:
        model = segmenter.load(execution.device, execution.batch)
        sources = [Source(record.path, record.sha256, "original", place) for place, record in enumerate(records)]
        details = {"manifest_sha256": file_sha256(manifest), "subset": subset, **model.provenance()}
        with EmbeddingWriter(
            output,
            [record.image_id for record in records],
            {**provenance, **details},
            windows=np.array([(0, 0, record.width, record.height) for record in records]),
            shapes=model.shapes,
        ) as writer:
            images = (image for _, image in loader.prepared(sources, model.prepare))
            write_embeddings(writer, model, images, f"embeddings of {category}")
            writer.provenance["seconds"] = round(time.monotonic() - start, 3)
    logger.info("embedded %d images of %s (%s) on %s", len(records), category, subset, model.device)


def write_embeddings(writer: EmbeddingWriter, model: Segmenter, images: Iterable[np.ndarray], label: str) -> None:
    """Embed prepared images, one for each entry, in batches and store them in order."""
    total = len(writer.image_ids)
    embeddings = (embedding for batch in _batches(images, model) for embedding in model.embed(batch))
    for index, embedding in zip(progress(range(total), total=total, label=label), embeddings, strict=True):
        writer.write(index, embedding)


def _batches(images: Iterable[np.ndarray], model: Segmenter) -> Iterator[list[np.ndarray]]:
    """Lists of as many images as the model takes; it is asked anew for every image, because that may shrink."""
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if len(batch) >= model.capacity():
            yield batch
            batch = []
    if batch:
        yield batch
