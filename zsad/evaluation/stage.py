"""The evaluation stage: a category's scores against the ground truth, into one JSON file."""

from __future__ import annotations

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
    IMAGES_ALONE,
    MapsWithTruth,
    counts,
    empty_mask_note,
    has_pixel_truth,
    records_with_truth,
    truth_notes,
)
from zsad.provenance import inherited
from zsad.store import ScoreReader, write_json


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
