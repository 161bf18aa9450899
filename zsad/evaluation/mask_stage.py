"""The stage that measures refinement: a category's masks, and the thresholded maps before them, into one JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.errors import DataError
from zsad.evaluation.refinement import Comparison, Marked, effects, pooled, region_counts
from zsad.evaluation.truth import (
    IMAGES_ALONE,
    empty_mask_note,
    has_pixel_truth,
    pixel_truth,
    records_with_truth,
    truth_notes,
)
from zsad.maps import at_image_size
from zsad.progress import progress
from zsad.provenance import inherited
from zsad.store import MaskReader, ScoreReader, write_json


def evaluate_masks(
    *,
    manifest: Path,
    scores: Path,
    masks: Path,
    method: str,
    refiner: str,
    category: str,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Measure one refiner's masks of one method and category, beside the thresholded maps that they come from.

    Args:
        scores: score file of the test images.
        masks: the mask file that was made from it.
        provenance: of this stage; that of the masks is added.

    Raises:
        DataError: masks, scores and manifest do not belong together, or a true mask is unusable.
    """
    with ScoreReader(scores) as maps, MaskReader(masks) as reader:
        records = records_with_truth(manifest, reader.image_ids, masks)
        records_with_truth(manifest, maps.image_ids, scores)
        compared = progress(_comparisons(maps, reader, records), total=len(records), label=f"masks of {category}")
        comparisons = list(compared)
        localises = maps.localises
        made_of = {**inherited(reader.provenance), "masks": reader.provenance}
    empty = [one.record.image_id for one in comparisons if one.lacks_truth]
    result = {
        "category": category,
        "method": method,
        "refiner": refiner,
        "mask": pooled(one.after for one in comparisons),
        "effects": effects(comparisons),
        "regions": region_counts(region for one in comparisons for region in one.regions),
        "images": [one.row() for one in comparisons],
        "notes": truth_notes(records) + empty_mask_note(empty) + ([] if localises else [IMAGES_ALONE]),
        "provenance": {**made_of, **provenance},
    }
    write_json(output, result)


def _comparisons(maps: ScoreReader, masks: MaskReader, records: Sequence[ImageRecord]) -> Iterator[Comparison]:
    places = {image_id: place for place, image_id in enumerate(maps.image_ids)}
    for index, record in enumerate(records):
        truth = pixel_truth(record) if maps.localises and has_pixel_truth(record) else None
        anomaly_map = at_image_size(maps.anomaly_map(places[record.image_id]), record.height, record.width)
        yield Comparison(
            record,
            before=Marked.of(anomaly_map > maps.threshold, truth),
            after=Marked.of(_mask(masks, index, record), truth),
            regions=masks.regions(index),
        )


def _mask(masks: MaskReader, index: int, record: ImageRecord) -> np.ndarray:
    mask = masks.mask(index)
    if mask.shape != (record.height, record.width):
        raise DataError(
            f"the mask of {record.image_id} in {masks.path} has another size than its image; delete it and run again"
        )
    return mask
