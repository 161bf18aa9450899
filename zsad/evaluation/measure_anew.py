"""Measure scores and masks of a run again, on some of its images and with other bootstrap replicates.

So two runs can be compared that did not measure the same images, or did not resample them alike. What is measured is
what the stages measure, by the same code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zsad.data.manifest import ImageRecord
from zsad.errors import DataError
from zsad.evaluation.bootstrap import Sampler
from zsad.evaluation.evaluate_masks import measure_masks
from zsad.evaluation.evaluate_scores import measure_scores
from zsad.evaluation.ground_truth import records_with_ground_truth
from zsad.evaluation.measured import Measured
from zsad.evaluation.options import EvaluationOptions
from zsad.files.decisions import DecisionReader, check_decisions
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader


def measure_scores_anew(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    image_ids: Collection[str],
    options: EvaluationOptions,
    sampler: Sampler,
    saturation: Path | None = None,
) -> Measured:
    """Measure as `zsad.evaluation.evaluate_scores.evaluate_scores`, as if there were no other images.

    Args:
        image_ids: the measured images.
        options: of the evaluation; ``sampler`` sets the number of replicates.

    Raises:
        DataError: files do not belong together, are missing or damaged, or a mask is unusable.
    """
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decided:
        records = _only(image_ids, records_with_ground_truth(manifest, reader.image_ids, scores), scores)
        check_decisions(reader, decided)
        return measure_scores(reader, decided, records, _with(options, sampler), saturation, sampler)


def measure_masks_anew(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    masks: Path,
    image_ids: Collection[str],
    options: EvaluationOptions,
    sampler: Sampler,
) -> Measured:
    """Measure a refiner's masks as `zsad.evaluation.evaluate_masks.evaluate_masks`, as if there were no other images.

    Raises:
        DataError: as `measure_scores_anew`.
    """
    with ScoreReader(scores) as maps, DecisionReader(decisions) as decided, MaskReader(masks) as reader:
        records = _only(image_ids, records_with_ground_truth(manifest, reader.image_ids, masks), masks)
        check_decisions(maps, decided)
        return measure_masks(maps, decided, reader, records, _with(options, sampler), sampler)


def evaluation_options(evaluation: Mapping[str, Any]) -> EvaluationOptions:
    """The recorded options of an evaluation, without those that this version does not know."""
    recorded = evaluation.get("provenance", {}).get("params", {}).get("options", {})
    return EvaluationOptions(
        **{name: value for name, value in recorded.items() if name in EvaluationOptions.model_fields}
    )


def _only(image_ids: Collection[str], records: list[ImageRecord], result: Path) -> list[ImageRecord]:
    """All records; those of other images without ground truth, so that they are not measured.

    Raises:
        DataError: the mask of one is not there; names the result that is to be measured.
    """
    wanted = set(image_ids)
    masks = (record.mask_path for record in records if record.image_id in wanted and record.mask_path)
    if missing := next((path for path in masks if not Path(path).exists()), None):
        raise DataError(
            f"{result} must be measured again, and the mask {missing} is not there; run the command in the folder of "
            "the workflow, from which the paths of masks begin"
        )
    return [
        record if record.image_id in wanted else replace(record, label=None, mask_path="", mask_sha256="")
        for record in records
    ]


def _with(options: EvaluationOptions, sampler: Sampler) -> EvaluationOptions:
    return options.model_copy(update={"bootstrap": sampler.replicates, "seed": sampler.seed})
