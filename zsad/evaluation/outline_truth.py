"""The stage that outlines defects by the ground truth: the best possible input of a classifier of regions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import of_split
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.evaluation.ground_truth import has_pixel_ground_truth, pixel_ground_truth
from zsad.files.masks import MaskWriter
from zsad.progress import progress


def outline_truth(*, manifest: Path, output: Path, provenance: Mapping[str, Any]) -> None:
    """Write the ground-truth masks of all test images of a category, in the order of the manifest.

    Images are read one at a time, each at its own resolution. The mask of a normal image is empty, and so is that of an
    image without a known mask.

    Args:
        output: the mask file, written whole or not at all; its scores are NaN, since it comes from no map.
        provenance: facts about this stage.

    Raises:
        DataError: the manifest is damaged, or a mask is unusable or has changed since it was listed.
    """
    records = of_split(read_manifest(manifest), "test")
    with MaskWriter(output, [record.image_id for record in records], provenance) as writer:
        pixels = [record.pixels for record in records]
        for record in progress(records, total=len(records), label="outlining the ground truth", work=pixels):
            writer.append(_mask(record), np.nan, [])


def _mask(record: ImageRecord) -> np.ndarray:
    return (
        pixel_ground_truth(record)
        if has_pixel_ground_truth(record)
        else np.zeros((record.height, record.width), dtype=bool)
    )
