"""The stage that computes the feature file of a subset of a category's images.

Three things run at the same time: worker processes read and resize images, the device computes, and a thread writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.bounds import too_many_patches
from zsad.data.image_list import ListedImage, read_image_list
from zsad.data.made_images import check_made
from zsad.data.subsets import Refusals, SizedImage, no_refusals, select, synthetic_named
from zsad.device import resolve_device
from zsad.errors import DataError, one_sentence
from zsad.features.base import Backbone, Extractor
from zsad.features.execution import Execution
from zsad.features.loading import Loader, Source
from zsad.features.readers import number_of_readers
from zsad.features.views import variants
from zsad.features.writing import BackgroundWriter, Batch
from zsad.files.features import FEATURES_FORMAT, FeatureReader, FeatureWriter
from zsad.files.provenance import contents_sha256, file_sha256
from zsad.progress import Meter
from zsad.sharing.content_key import content_key, images_sha256
from zsad.sharing.files import SharedFile, provide
from zsad.timing import MODEL, counted

logger = logging.getLogger(__name__)


def extract_features(
    *,
    image_list: Path,
    category: str,
    subset: str,
    view: str,
    backbone: Backbone,
    execution: Execution,
    output: Path,
    provenance: Mapping[str, Any],
    shared: Path | None = None,
    model_files: Sequence[Path] = (),
    max_patches: int | None = None,
    refusals: Refusals = no_refusals,
) -> None:
    """Write the features of a subset, or link to shared ones; on an error there is no output.

    Args:
        image_list: the category's list of images.
        category: name, for messages.
        subset: see `zsad.data.subsets`.
        view: see `zsad.features.views`; the tokens are those of the transformed image, and are not transformed back.
        execution: device, threads and similar options; they only change the speed.
        provenance: of the stage; images, model and view are added.
        shared: folder of shared features; None to share nothing.
        model_files: the files of a model in a local folder, which the name of a shared file depends on.
        max_patches: most patches that may be computed for an image; None for any number.
        refusals: reasons why the images of the category cannot be used, a sentence each.

    Raises:
        ConfigError: an unknown view, or a parameter that does not fit the model.
        DataError: the subset is empty, a method cannot use the images, an image is unreadable, changed or has too many
            patches, or features are not finite.
        ModelError: the model cannot be used, or the device has too little memory for one image.
    """
    start = time.monotonic()
    views = variants(view)
    listed = read_image_list(image_list)
    records = select(listed, subset, category)
    if synthetic_named(subset):
        check_made(image_list, records)
    if reasons := refusals([SizedImage(image.image_id, image.split, image.height, image.width) for image in listed]):
        raise DataError(one_sentence(reasons))
    image_ids = [record.image_id + variant.suffix for record in records for variant in views]
    with _loader(execution, backbone, records) as loader:
        with counted(MODEL):
            extractor = backbone.load(execution)
        _check_patches(extractor, records, max_patches)
        details: dict[str, Any] = {
            "contents_sha256": contents_sha256({record.image_id: record.sha256 for record in records}),
            "image_list_sha256": file_sha256(image_list),
            "images_sha256": images_sha256(records),
            "subset": subset,
            "view": view,
            "model": extractor.model,
            "device": extractor.device,
            "backbone": backbone.parameters(),
        }
        if white := next((image.white for image in records if image.white), None):
            details["white"] = white

        def write(path: Path) -> None:
            logger.info(
                "%d images of %s (%s, %s) on %s, read by %d further processes",
                len(records),
                category,
                subset,
                view,
                extractor.device,
                loader.workers,
            )
            grid_sizes = [extractor.grid_size(record.height, record.width) for record in records]
            with FeatureWriter(
                path,
                image_ids,
                {**provenance, **details},
                layers=extractor.layers,
                channels=extractor.channels,
                grid_sizes=np.repeat(np.array(grid_sizes), len(views), axis=0),
                cls_source=extractor.cls_source,
            ) as writer:
                sources = _sources(records, view, grid_sizes)
                images = loader.prepared(sources, extractor.prepare)
                pixels = [record.pixels for record in records for _ in views]
                meter = Meter(f"features of {category}", sum(pixels), len(pixels))
                _write_features(writer, extractor, images, meter, pixels)
                writer.provenance["seconds"] = round(time.monotonic() - start, 3)

        if shared is None:
            return write(output)
        key = content_key(
            provenance,
            records,
            file_format=FEATURES_FORMAT,
            model=extractor.model,
            device=extractor.device,
            model_files=model_files,
            subset=subset,
            view=view,
        )
        details["content_key"] = key
        provide(output, SharedFile(shared, key, FeatureReader, image_ids), write)


def _check_patches(extractor: Extractor, records: Sequence[ListedImage], most: int | None) -> None:
    """Reject an image with too many patches; this only happens for a model that was unknown before."""
    for record in records:
        patches = extractor.computed_patches(record.height, record.width)
        if most is not None and patches > most:
            name = extractor.model["id"]
            raise DataError(too_many_patches(record.path, record.height, record.width, name, patches, most))


def _sources(records: Sequence[ListedImage], view: str, grid_sizes: Sequence[tuple[int, int]]) -> list[Source]:
    """The images to read, grouped by shape, because a batch has one shape."""
    count = len(variants(view))
    sources = [
        Source(record.path, record.sha256, view, first=position * count, white=record.white)
        for position, record in enumerate(records)
    ]
    return sorted(sources, key=lambda source: grid_sizes[source.first // count])  # keeps the order otherwise


def _write_features(
    writer: FeatureWriter,
    extractor: Extractor,
    images: Iterable[tuple[int, np.ndarray]],
    meter: Meter,
    pixels: Sequence[int],
) -> None:
    with meter, BackgroundWriter(writer) as background:
        for indices, batch in batches(images, extractor.capacity):
            background.put(Batch(indices, extractor.begin(batch)))
            meter.add(sum(pixels[index] for index in indices), len(indices))


def batches(
    images: Iterable[tuple[int, np.ndarray]], capacity: Callable[[int, int], int]
) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Group indexed images ``[height, width, 3]`` into batches of one size.

    Args:
        capacity: how many images of a height and width a batch may have; called for every image, because it shrinks
            when a device runs out of memory.
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


def _loader(execution: Execution, backbone: Backbone, records: Sequence[ListedImage]) -> Loader:
    """The workers: on all cores but one with a GPU; in turns with a network on the CPU, which uses all cores."""
    if execution.workers is None and (not backbone.is_network or execution.threads == 1):
        return Loader(0)
    shares_cores = not backbone.is_network or resolve_device(execution.device) == "cpu"
    free = execution.threads if shares_cores else execution.threads - 1
    pixels = sum(record.pixels for record in records)
    return Loader(number_of_readers(execution.workers, free, len(records), pixels), in_turns=shares_cores)
