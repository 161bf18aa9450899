"""The evaluation stage: a category's scores or masks against the ground truth, into one JSON file."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.errors import DataError
from zsad.evaluation.aupro import aupro
from zsad.evaluation.bootstrap import UNKNOWN, Confidence, image_confidence, pixel_confidence
from zsad.evaluation.confusion import Confusion, decision_metrics, mask_metrics
from zsad.evaluation.curves import Curve, precision_recall_curve, pro_curve, roc_curve, thinned
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.pixels import PixelStatistics, pixel_statistics
from zsad.evaluation.ranking import RANKING_METRICS, auroc, average_precision, f1_max, rank_scores
from zsad.evaluation.truth import (
    MapsWithTruth,
    counts,
    empty_mask_note,
    has_pixel_truth,
    pixel_truth,
    records_with_truth,
    truth_notes,
)
from zsad.progress import progress
from zsad.provenance import inherited
from zsad.store import MaskReader, ScoreReader, write_json

IMAGES_ALONE = "The method scores images and says nothing of pixels, so it has no pixel metrics."


def evaluate_scores(
    *,
    manifest: Path,
    scores: Path,
    dataset: str,
    category: str,
    method: str,
    backbone: str,
    group: str,
    options: EvaluationOptions,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Measure one method on one category and write the result as JSON.

    Metrics that the truth does not allow are null, and a note says why.

    Args:
        scores: score file of the test images.
        group: the method of which this one is a seed, for the tables; may be empty.
        provenance: of this stage; that of the input is added.

    Raises:
        DataError: scores and manifest do not belong together, a score is not finite, or a mask is unusable.
    """
    with ScoreReader(scores) as reader:
        records = records_with_truth(manifest, reader.image_ids, scores)
        _check_finite(reader)
        of_images = _image_results(reader, records, options)
        of_pixels = _pixel_results(reader, records, options)
        confidence = dict.fromkeys(RANKING_METRICS, UNKNOWN) | of_images.confidence | of_pixels.confidence
        curves = of_images.curves | of_pixels.curves
        result = {
            "dataset": dataset,
            "category": category,
            "method": method,
            "backbone": backbone,
            "group": group,
            "setting": reader.setting,
            "localises": reader.localises,
            "threshold": reader.threshold,
            "image_threshold": reader.image_threshold,
            "metrics": of_images.metrics | of_pixels.metrics,
            "confidence": {metric: [limits.low, limits.high] for metric, limits in confidence.items()},
            "standard_error": {metric: limits.standard_error for metric, limits in confidence.items()},
            "decision": decision_metrics(of_images.confusion),
            "mask": mask_metrics(of_pixels.confusion),
            "curves": {name: _curve_json(curve) for name, curve in curves.items()},
            "images": _image_rows(reader, records),
            "counts": counts(records),
            "notes": truth_notes(records) + of_pixels.notes + _remarks(method, reader.notes),
            "provenance": {**inherited(reader.provenance), **provenance, "scores": reader.provenance},
        }
    write_json(output, result)


def evaluate_masks(
    *,
    manifest: Path,
    masks: Path,
    method: str,
    refiner: str,
    category: str,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Measure one refiner's masks of one method and category and write the result as JSON.

    Args:
        masks: mask file of the test images.
        provenance: of this stage; that of the input is added.

    Raises:
        DataError: masks and manifest do not belong together, or a true mask is unusable.
    """
    with MaskReader(masks) as reader:
        records = records_with_truth(manifest, reader.image_ids, masks)
        numbered = progress(enumerate(records), total=len(records), label=f"masks of {category}")
        localises = reader.provenance.get("localises", True)
        comparisons = [_compare(reader, index, record, with_truth=localises) for index, record in numbered]
        regions = [region for index in range(len(reader)) for region in reader.regions(index)]
        made_of = {**inherited(reader.provenance), "masks": reader.provenance}
    known = [comparison for comparison in comparisons if comparison.confusion is not None]
    empty = [comparison.record.image_id for comparison in known if comparison.lacks_truth]
    result = {
        "category": category,
        "method": method,
        "refiner": refiner,
        "mask": mask_metrics(functools.reduce(Confusion.plus, (one.confusion for one in known), Confusion())),
        "regions": {
            "found": len(regions),
            "accepted": sum(bool(region["accepted"]) for region in regions),
            "reasons": dict(Counter(region["reason"] for region in regions)),
        },
        "images": [comparison.row() for comparison in comparisons],
        "notes": truth_notes(records) + empty_mask_note(empty) + ([] if localises else [IMAGES_ALONE]),
        "provenance": {**made_of, **provenance},
    }
    write_json(output, result)


class _Comparison(NamedTuple):
    """An image's mask against its truth; ``confusion`` is None where the truth is unknown."""

    record: ImageRecord
    area: float
    confusion: Confusion | None

    @property
    def lacks_truth(self) -> bool:
        """Whether the image is defective and its true mask marks nothing."""
        return self.record.label == 1 and self.confusion.true_positives + self.confusion.false_negatives == 0

    def row(self) -> dict[str, Any]:
        iou = None if self.confusion is None else self.confusion.iou
        return {"image_id": self.record.image_id, "iou": iou, "area": self.area}


def _compare(reader: MaskReader, index: int, record: ImageRecord, *, with_truth: bool) -> _Comparison:
    mask = reader.mask(index)
    if mask.shape != (record.height, record.width):
        raise DataError(
            f"the mask of {record.image_id} in {reader.path} has another size than its image; delete it and run again"
        )
    known = with_truth and has_pixel_truth(record)
    confusion = Confusion.of(mask, pixel_truth(record)) if known else None
    return _Comparison(record, float(mask.mean()), confusion)


class _Results(NamedTuple):
    metrics: dict[str, float]
    confidence: dict[str, Confidence]
    confusion: Confusion
    curves: dict[str, Curve | None]
    notes: list[str]


def _check_finite(reader: ScoreReader) -> None:
    for index, image_id in enumerate(reader.image_ids):
        if not (np.isfinite(reader.image_scores[index]) and np.isfinite(reader.anomaly_map(index)).all()):
            raise DataError(f"the score of {image_id} in {reader.path} is not finite; delete the file and run again")


def _image_results(reader: ScoreReader, records: Sequence[ImageRecord], options: EvaluationOptions) -> _Results:
    labelled = np.array([record.label is not None for record in records], dtype=bool)
    labels = np.array([record.label for record in records if record.label is not None], dtype=int)
    scores = reader.image_scores[labelled]
    ranking = rank_scores(scores[labels == 1], scores[labels == 0])
    with_limits = options.bootstrap > 0 and ranking.positives > 0 and ranking.negatives > 0
    return _Results(
        metrics={
            "image_auroc": float(auroc(ranking)),
            "image_ap": float(average_precision(ranking)),
            "image_f1max": float(f1_max(ranking)),
        },
        confidence=image_confidence(scores, labels, options.bootstrap, options.seed) if with_limits else {},
        confusion=Confusion.of(scores > reader.image_threshold, labels == 1),
        curves={"image_roc": roc_curve(ranking), "image_pr": precision_recall_curve(ranking)},
        notes=[],
    )


def _pixel_results(reader: ScoreReader, records: Sequence[ImageRecord], options: EvaluationOptions) -> _Results:
    known = [index for index, record in enumerate(records) if has_pixel_truth(record) and reader.localises]
    images = MapsWithTruth(reader, records, known)
    statistics = pixel_statistics(images, reader.threshold, with_histograms=options.bootstrap > 0)
    ranking, overlap = statistics.ranking, statistics.overlap
    return _Results(
        metrics={
            "pixel_auroc": float(auroc(ranking)),
            "pixel_ap": float(average_precision(ranking)),
            "pixel_f1max": float(f1_max(ranking)),
            "aupro": float(aupro(ranking, overlap, options.aupro_limit)),
        },
        confidence={}
        if statistics.histograms is None
        else pixel_confidence(statistics.histograms, options.aupro_limit, options.bootstrap, options.seed),
        confusion=statistics.confusion,
        curves={
            "pixel_roc": roc_curve(ranking),
            "pixel_pr": precision_recall_curve(ranking),
            "pro": pro_curve(ranking, overlap, options.aupro_limit),
        },
        notes=_pixel_notes(statistics, [records[index] for index in known]) if reader.localises else [IMAGES_ALONE],
    )


def _pixel_notes(statistics: PixelStatistics, records: Sequence[ImageRecord]) -> list[str]:
    empty = [
        record.image_id
        for record, regions in zip(records, statistics.regions, strict=True)
        if record.label == 1 and regions == 0
    ]
    notes = empty_mask_note(empty)
    if statistics.ranking.positives > 0 and statistics.ranking.negatives == 0:
        notes.append("The masks leave no pixel normal, so there are no pixel metrics.")
    return notes


def _remarks(method: str, notes: Sequence[str]) -> list[str]:
    """What the method remarked of its images, with how many images it concerns."""
    counted = Counter(note for note in notes if note)
    return [f"{method} on {count} of {len(notes)} images: {note}." for note, count in sorted(counted.items())]


def _curve_json(curve: Curve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    x, y = thinned(curve)
    return {"x": x, "y": y}


def _image_rows(reader: ScoreReader, records: Sequence[ImageRecord]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": record.image_id,
            "label": record.label,
            "defect_type": record.defect_type,
            "score": score,
            "decision": score > reader.image_threshold,
            "note": note,
            "seconds": seconds,
        }
        for record, score, note, seconds in zip(records, reader.image_scores, reader.notes, reader.seconds, strict=True)
    ]
