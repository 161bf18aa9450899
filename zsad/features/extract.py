"""The stage that turns a subset of a category's images into a feature file.

Three things go on at the same time: worker processes read and resize images, the device computes, and a thread writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.manifest import read_manifest
from zsad.data.subsets import select
from zsad.device import resolve_device
from zsad.features.base import Backbone, Execution
from zsad.features.loading import Loader, Source
from zsad.features.views import variants
from zsad.features.writing import BackgroundWriter, Batch
from zsad.progress import progress
from zsad.provenance import file_sha256
from zsad.store import FeatureWriter

IMAGES_A_WORKER = 4  # below that, a process costs more than it saves

logger = logging.getLogger(__name__)


def extract_features(
    *,
    manifest: Path,
    category: str,
    subset: str,
    view: str,
    backbone: Backbone,
    execution: Execution,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the features of a subset; on an error there is no output.

    Args:
        manifest: the category's manifest; its labels are not read.
        category: name, for messages.
        subset: see `zsad.data.subsets`.
        view: see `zsad.features.views`; the tokens are those of the changed image, and are not changed back.
        execution: device, threads and the like; they change the speed alone.
        provenance: of the stage; what was extracted, from what and by what is added.

    Raises:
        ConfigError: an unknown view, or a parameter that does not fit the model.
        DataError: an empty subset, an unreadable or changed image, features that are not finite.
        ModelError: the model cannot be used, or the device has too little memory for one image.
    """
    start = time.monotonic()
    views = variants(view)
    records = select(read_manifest(manifest), subset, category)
    with _loader(execution, backbone, len(records)) as loader:
        extractor = backbone.load(execution)
        details = {
            "manifest_sha256": file_sha256(manifest),
            "subset": subset,
            "view": view,
            "model": extractor.model,
            "device": extractor.device,
            "backbone": backbone.parameters(),
        }
        logger.info(
            "%d images of %s (%s, %s) on %s, read by %d processes beside this one",
            len(records),
            category,
            subset,
            view,
            extractor.device,
            loader.workers,
        )
        grid_sizes = [extractor.grid_size(record.height, record.width) for record in records]
        sources = [
            Source(record.path, record.sha256, view, first=position * len(views))
            for position, record in enumerate(records)
        ]
        # Images of one shape after the other, because a batch has one shape; the sort keeps the order otherwise.
        sources.sort(key=lambda source: grid_sizes[source.first // len(views)])
        with FeatureWriter(
            output,
            [record.image_id + variant.suffix for record in records for variant in views],
            {**provenance, **details},
            layers=extractor.layers,
            channels=extractor.channels,
            grid_sizes=np.repeat(np.array(grid_sizes), len(views), axis=0),
            cls_source=extractor.cls_source,
        ) as writer:
            with BackgroundWriter(writer) as background:
                images = loader.prepared(sources, extractor.prepare)
                images = progress(images, total=len(writer.image_ids), label=f"features of {category}")
                for indices, batch in batches(images, extractor.capacity):
                    background.put(Batch(indices, extractor.begin(batch)))
            writer.provenance["seconds"] = round(time.monotonic() - start, 3)


def batches(
    images: Iterable[tuple[int, np.ndarray]], capacity: Callable[[int, int], int]
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Group indexed images ``[height, width, 3]`` into batches of one size.

    Args:
        capacity: how many images of a height and width a batch may have; asked anew for every image, because it
            shrinks when a device runs out of memory.
    """
    indices: list[int] = []
    batch: list[np.ndarray] = []
    for index, image in images:
        if batch and (image.shape != batch[0].shape or len(batch) >= capacity(*image.shape[:2])):
            yield indices, batch
            indices, batch = [], []
        indices.append(index)
        batch.append(image)
    if batch:
        yield indices, batch


def _loader(execution: Execution, backbone: Backbone, images: int) -> Loader:
    """Workers on all cores: beside a GPU but for one core; in turns with a network on the CPU, which wants all."""
    shares_cores = not backbone.is_network or resolve_device(execution.device) == "cpu"
    if execution.workers is not None:
        return Loader(min(execution.workers, images), in_turns=shares_cores)
    if not backbone.is_network or execution.threads == 1:
        return Loader(0)
    wanted = execution.threads if shares_cores else execution.threads - 1
    return Loader(min(wanted, images // IMAGES_A_WORKER), in_turns=shares_cores)
