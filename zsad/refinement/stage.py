"""The refinement stage: from a score file to a mask file, image by image."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.images import read_image
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.errors import DataError
from zsad.maps import at_image_size
from zsad.progress import progress
from zsad.provenance import inherited
from zsad.refinement.base import Refinement, Refiner
from zsad.store import MaskWriter, ScoreReader

logger = logging.getLogger(__name__)


def refine_masks(
    *, manifest: Path, scores: Path, refiner: Refiner, output: Path, provenance: Mapping[str, Any]
) -> None:
    """Outline the defects of every scored image, at the image's own resolution, with the scores' label-free threshold.

    Args:
        manifest: names the images and their digests; its labels and masks are not read.
        scores: score file; its images are outlined, in its order.
        output: the mask file, written whole or not at all.
        provenance: what is known of the job; the stage adds the rest.

    Raises:
        DataError: a scored image is not in the manifest, is missing or has changed.
    """
    records = {record.image_id: record for record in read_manifest(manifest)}
    start = time.perf_counter()
    with ScoreReader(scores) as reader:
        chosen = _records_of(reader, records, manifest)
        details = {
            "refiner": {"class": type(refiner).__name__, "params": refiner.parameters()},
            "threshold": reader.threshold,
            "localises": reader.localises,
        }
        found = accepted = 0
        with MaskWriter(output, reader.image_ids, {**inherited(reader.provenance), **provenance, **details}) as writer:
            for index, record in progress(enumerate(chosen), total=len(chosen), label="refining"):
                anomaly_map, refinement = _refined(record, reader.anomaly_map(index), refiner, reader.threshold)
                writer.append(refinement.mask, _mask_score(anomaly_map, refinement.mask), refinement.regions)
                found += len(refinement.regions)
                accepted += sum(bool(region["accepted"]) for region in refinement.regions)
            writer.provenance["seconds"] = time.perf_counter() - start
    logger.info("found %d regions in %d images, accepted %d outlines", found, len(chosen), accepted)


def _records_of(reader: ScoreReader, records: Mapping[str, ImageRecord], manifest: Path) -> list[ImageRecord]:
    missing = [image_id for image_id in reader.image_ids if image_id not in records]
    if missing:
        raise DataError(
            f"{reader.path} has scores of {len(missing)} images that {manifest} does not list, first '{missing[0]}'; "
            "run the scoring again"
        )
    return [records[image_id] for image_id in reader.image_ids]


def _refined(
    record: ImageRecord, grid_map: np.ndarray, refiner: Refiner, threshold: float
) -> tuple[np.ndarray, Refinement]:
    image = read_image(record.path, record.sha256)
    anomaly_map = at_image_size(grid_map, *image.shape[:2])
    return anomaly_map, refiner.refine(image, anomaly_map, threshold)


def _mask_score(anomaly_map: np.ndarray, mask: np.ndarray) -> float:
    return float(anomaly_map[mask].max()) if mask.any() else 0.0
