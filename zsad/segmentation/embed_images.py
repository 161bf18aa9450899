"""The stage that embeds the images of a category, or windows of them, by a promptable segmentation model."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import read_image_list
from zsad.data.subsets import select
from zsad.features.execution import Execution
from zsad.features.loading import Loader, Source
from zsad.features.readers import number_of_readers
from zsad.files.embeddings import EMBEDDINGS_FORMAT, EmbeddingReader, EmbeddingWriter
from zsad.files.provenance import file_sha256
from zsad.progress import Meter
from zsad.segmentation.base import Embedding, Segmenter, SegmenterConfig
from zsad.sharing.content_key import content_key, images_sha256
from zsad.sharing.files import SharedFile, provide

logger = logging.getLogger(__name__)


def embed_images(
    *,
    image_list: Path,
    category: str,
    subset: str,
    segmenter: SegmenterConfig,
    execution: Execution,
    output: Path,
    provenance: Mapping[str, Any],
    shared: Path | None = None,
    model_files: Sequence[Path] = (),
) -> None:
    """Write the embeddings of a subset, or link to shared ones that exist; on an error there is no output.

    Args:
        image_list: the category's list of images.
        category: name, for messages.
        subset: see `zsad.data.subsets`.
        execution: device, threads and the like; they change only the speed.
        provenance: facts about the stage; inputs and model are added.
        shared: folder of embeddings shared by several users; None for none.
        model_files: files of a model in a local folder; the name of a shared file depends on them.

    Raises:
        DataError: an empty subset, an unreadable or changed image, embeddings that are not finite.
        ModelError: the model cannot be used, or the device has too little memory for one image.
    """
    start = time.monotonic()
    records = select(read_image_list(image_list), subset, category)
    image_ids = [record.image_id for record in records]
    pixels = sum(record.pixels for record in records)
    with Loader(number_of_readers(execution.workers, execution.threads - 1, len(records), pixels)) as loader:
        model = segmenter.load(execution.device, execution.batch)
        details = {
            "image_list_sha256": file_sha256(image_list),
            "images_sha256": images_sha256(records),
            "subset": subset,
            **model.provenance(),
        }

        def write(path: Path) -> None:
            sources = [
                Source(record.path, record.sha256, "original", place, record.white)
                for place, record in enumerate(records)
            ]
            with EmbeddingWriter(
                path,
                image_ids,
                {**provenance, **details},
                windows=np.array([(0, 0, record.width, record.height) for record in records]),
                shapes=model.shapes,
            ) as writer:
                images = (image for _, image in loader.prepared(sources, model.prepare))
                write_embeddings(writer, model, images, f"embeddings of {category}")
                writer.provenance["seconds"] = round(time.monotonic() - start, 3)
            logger.info("embedded %d images of %s (%s) on %s", len(records), category, subset, model.device)

        if shared is None:
            return write(output)
        details["content_key"] = content_key(
            provenance,
            records,
            file_format=EMBEDDINGS_FORMAT,
            model=model.model,
            device=model.device,
            model_files=model_files,
            subset=subset,
        )
        provide(output, SharedFile(shared, details["content_key"], EmbeddingReader, image_ids), write)


def write_embeddings(writer: EmbeddingWriter, model: Segmenter, images: Iterable[np.ndarray], label: str) -> None:
    """Embed prepared images, one for each entry, in batches and store them in order."""
    total = len(writer.image_ids)
    with Meter(label, total, total) as meter:  # all images have one input size
        for index, embedding in zip(range(total), _embedded(images, model, meter), strict=True):
            writer.write(index, embedding)


def _embedded(images: Iterable[np.ndarray], model: Segmenter, meter: Meter) -> Iterator[Embedding]:
    """The embeddings one by one; those of a batch are done when the next batch is requested."""
    for batch in _batches(images, model):
        yield from model.embed(batch)
        meter.add(len(batch), len(batch))


def _batches(images: Iterable[np.ndarray], model: Segmenter) -> Iterator[list[np.ndarray]]:
    """Batches of as many images as the model takes; the number is read again for every image, because it may shrink."""
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if len(batch) >= model.capacity():
            yield batch
            batch = []
    if batch:
        yield batch
