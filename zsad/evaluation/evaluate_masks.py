"""The stage that measures refinement: masks of a category before and after, as JSON and bootstrap replicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.errors import DataError
from zsad.evaluation.bootstrap import Sampler
from zsad.evaluation.ground_truth import (
    IMAGES_ALONE,
    empty_mask_note,
    ground_truth_notes,
    has_pixel_ground_truth,
    pixel_ground_truth,
    records_with_ground_truth,
)
from zsad.evaluation.marks import mask_of
from zsad.evaluation.measured import Measured
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.protocols import Protocol
from zsad.evaluation.refinement import Comparison, Marked, effects, measured_masks, region_counts
from zsad.evaluation.writing import write_evaluation
from zsad.files.decisions import DecisionReader, check_decisions
from zsad.files.masks import MaskReader
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.names import MASK_METRICS
from zsad.progress import progress


def evaluate_masks(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    masks: Path,
    method: str,
    refiner: str,
    category: str,
    options: EvaluationOptions,
    output: Path,
    draws: Path | None,
    provenance: Mapping[str, Any],
) -> None:
    """Measure one refiner's masks of one method and category, and the regions of the maps that they come from.

    Args:
        scores: score file of the test images.
        decisions: which regions stand out, made from these scores.
        masks: the mask file that was made from both.
        output, draws: JSON and HDF5; None without replicates, e.g. if no test image has a label.
        provenance: facts about this stage; those of the masks are added.

    Raises:
        DataError: masks, decisions, scores and manifest do not belong together, or a ground-truth mask is unusable.
    """
    with ScoreReader(scores) as maps, DecisionReader(decisions) as decided, MaskReader(masks) as reader:
        records = records_with_ground_truth(manifest, reader.image_ids, masks)
        records_with_ground_truth(manifest, maps.image_ids, scores)
        check_decisions(maps, decided)
        compared = _comparisons(maps, decided, reader, records, options.measured_at)
        pixels = [record.pixels for record in records]
        comparisons = list(progress(compared, total=len(records), label=f"masks of {category}", work=pixels))
        localises = maps.localises
        made_of = {**inherited(reader.provenance), "masks": reader.provenance}
    empty = [one.record.image_id for one in comparisons if one.lacks_ground_truth]
    measured = measured_masks((one.after for one in comparisons), Sampler(options.bootstrap, options.seed, category))
    result = {
        "category": category,
        "method": method,
        "refiner": refiner,
        "protocol": options.measured_at.name,
        **measured.document(MASK_METRICS),
        "mask": {name: measured.values[f"mask_{name}"] for name in ("precision", "recall", "f1", "iou")},
        "effects": effects(comparisons),
        "regions": region_counts(region for one in comparisons for region in one.regions),
        "images": [one.row() for one in comparisons],
        "notes": ground_truth_notes(records) + empty_mask_note(empty) + ([] if localises else [IMAGES_ALONE]),
        "provenance": {**made_of, **provenance},
    }
    write_evaluation(output, result, draws, measured.known_replicates(MASK_METRICS))


def measure_masks(
    maps: ScoreReader,
    decisions: DecisionReader,
    masks: MaskReader,
    records: Sequence[ImageRecord],
    options: EvaluationOptions,
    sampler: Sampler,
) -> Measured:
    """The metrics of a refiner's masks, and their bootstrap replicates; nothing is written.

    Args:
        records: of the images of the masks, in their order; those without a label are left out.
    """
    compared = _comparisons(maps, decisions, masks, records, options.measured_at)
    return measured_masks((one.after for one in compared), sampler)


def _comparisons(
    maps: ScoreReader,
    decisions: DecisionReader,
    masks: MaskReader,
    records: Sequence[ImageRecord],
    protocol: Protocol,
) -> Iterator[Comparison]:
    places = {image_id: place for place, image_id in enumerate(maps.image_ids)}
    for index, record in enumerate(records):
        ground_truth = (
            protocol.true_mask(pixel_ground_truth(record))
            if maps.localises and has_pixel_ground_truth(record)
            else None
        )
        size = protocol.size(record.height, record.width)
        yield Comparison(
            record,
            before=Marked.of(mask_of(maps, decisions, places[record.image_id], *size), ground_truth),
            after=Marked.of(protocol.mask(_mask(masks, index, record)), ground_truth),
            regions=masks.regions(index),
        )


def _mask(masks: MaskReader, index: int, record: ImageRecord) -> np.ndarray:
    mask = masks.mask(index)
    if mask.shape != (record.height, record.width):
        raise DataError(
            f"the mask of {record.image_id} in {masks.path} differs in size from its image; delete it and run again"
        )
    return mask
