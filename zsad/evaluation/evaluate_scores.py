"""The evaluation stage: a category's scores against the ground truth, as one JSON file and bootstrap replicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.errors import DataError
from zsad.evaluation.bands import image_bands, pixel_bands
from zsad.evaluation.bootstrap import (
    Replicates,
    Sampler,
    count_replicates,
    image_replicates,
    mask_replicates,
    pixel_replicates,
)
from zsad.evaluation.curves import Curve, precision_recall_curve, pro_curve, roc_curve, thin_out
from zsad.evaluation.decisions import decision_counts, decision_metrics
from zsad.evaluation.defects import PixelImage
from zsad.evaluation.ground_truth import (
    IMAGES_ALONE,
    MapsWithGroundTruth,
    counts,
    empty_mask_note,
    ground_truth_notes,
    has_pixel_ground_truth,
    records_with_ground_truth,
)
from zsad.evaluation.marks import Marks, marks_of, mask_of
from zsad.evaluation.mask_counts import (
    COMPONENTS,
    COUNTED,
    FALSE_POSITIVES,
    TRUE_POSITIVES,
    mask_counts,
    mask_metrics,
)
from zsad.evaluation.measured import RATIO_OF_DECISIONS, RATIO_OF_MASKS, Measured
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.pixels import PixelRanking, PixelStatistics, pixel_statistics
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max, rank_scores
from zsad.evaluation.writing import write_evaluation
from zsad.files.decisions import MEASURES, DecisionReader, check_decisions
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.files.training_facts import TRAINING, training_notes
from zsad.names import ALL_METRICS, AUPRO_LIMITS

DECISION_FIGURES = ("precision", "recall", "f1", "accuracy", "fpr", "ratio")
MASK_FIGURES = ("precision", "recall", "f1", "iou")


def evaluate_scores(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    dataset: str,
    category: str,
    method: str,
    backbone: str,
    group: str,
    options: EvaluationOptions,
    output: Path,
    draws: Path | None,
    provenance: Mapping[str, Any],
    saturation: Path | None = None,
) -> None:
    """Measure one method on one category and write the result as JSON, and the metrics of every bootstrap replicate.

    Metrics that the ground truth does not allow are null, and a note gives the reason.

    Args:
        scores: score file of the test images.
        decisions: decision file made from these scores.
        group: the method of which this one is a seed, for the tables; may be empty.
        output, draws: JSON and HDF5; None without replicates, e.g. if no test image has a label.
        provenance: facts about this stage; those of the input are added.
        saturation: the data set's table of saturation areas, if it has one.

    Raises:
        DataError: scores, decisions and manifest do not belong together, a score is not finite, or a mask is unusable.
    """
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decided:
        records = records_with_ground_truth(manifest, reader.image_ids, scores)
        _check_finite(reader)
        check_decisions(reader, decided)
        training = reader.provenance.get(TRAINING) or {}
        images = _Images(reader, records, decided.decided)
        pixels = _Pixels(reader, decided, records, options, saturation)
        sampler = Sampler(options.bootstrap, options.seed, category)
        measured = _together(images.measured(sampler), pixels.measured(sampler))
        result = {
            "dataset": dataset,
            "category": category,
            "method": method,
            "backbone": backbone,
            "group": group,
            "setting": reader.setting,
            "localises": reader.localises,
            "protocol": options.measured_at.name,
            TRAINING: training,
            **measured.document(ALL_METRICS),
            "decision": {**_decision(decided), **_named(measured, "decision_", DECISION_FIGURES)},
            "mask": _named(measured, "mask_", MASK_FIGURES),
            "by_type": _by_type(images, pixels, records, sampler),
            "curves": {name: _curve_json(curve) for name, curve in {**images.curves(), **pixels.curves()}.items()},
            "bands": images.bands(sampler) | pixels.bands(sampler),
            "images": _image_rows(reader, decided, records, pixels),
            "counts": counts(records),
            "notes": ground_truth_notes(records)
            + pixels.notes()
            + _remarks(method, reader.notes)
            + training_notes(training),
            "provenance": {
                **inherited(reader.provenance),
                **provenance,
                "scores": reader.provenance,
                "decisions": decided.provenance,
            },
        }
    write_evaluation(output, result, draws, measured.known_replicates(ALL_METRICS))


def measure_scores(
    reader: ScoreReader,
    decisions: DecisionReader,
    records: Sequence[ImageRecord],
    options: EvaluationOptions,
    saturation: Path | None,
    sampler: Sampler,
) -> Measured:
    """The metrics of a category's scores and decisions, and their bootstrap replicates; nothing is written.

    Args:
        records: of the images of the scores, in their order; those without a label are left out.
    """
    pixels = _Pixels(reader, decisions, records, options, saturation)
    return _together(_Images(reader, records, decisions.decided).measured(sampler), pixels.measured(sampler))


def _check_finite(reader: ScoreReader) -> None:
    for index, image_id in enumerate(reader.image_ids):
        if not (np.isfinite(reader.image_scores[index]) and np.isfinite(reader.anomaly_map(index)).all()):
            raise DataError(f"the score of {image_id} in {reader.path} is not finite; delete the file and run again")


class _Scored(NamedTuple):
    """Labelled images, each array ``[image]``."""

    scores: np.ndarray
    labels: np.ndarray
    decided: np.ndarray

    @property
    def ranking(self) -> Ranking:
        return rank_scores(self.scores[self.labels == 1], self.scores[self.labels == 0])

    @property
    def has_both(self) -> bool:
        return bool((self.labels == 1).any() and (self.labels == 0).any())

    def measured(self, sampler: Sampler) -> Measured:
        ranking, decisions = self.ranking, decision_counts(self.decided, self.labels == 1)
        values = {
            "image_auroc": auroc(ranking),
            "image_ap": average_precision(ranking),
            "image_f1max": f1_max(ranking),
            **decision_metrics(decisions.sum(axis=0)),
        }
        replicates: Replicates = {}
        if sampler.replicates and self.has_both:
            replicates |= image_replicates(self.scores, self.labels, sampler)
        if sampler.replicates and len(self.labels):
            replicates |= count_replicates(decision_metrics, decisions, self.labels == 1, sampler)
        return Measured({name: float(value) for name, value in values.items()}, replicates)


class _Images:
    """The image scores of a category where the label is known."""

    def __init__(self, reader: ScoreReader, records: Sequence[ImageRecord], decided: np.ndarray) -> None:
        labelled = np.array([record.label is not None for record in records], dtype=bool)
        labels = np.array([record.label for record in records if record.label is not None], dtype=int)
        self._every = _Scored(reader.image_scores[labelled], labels, decided[labelled])
        self._types = np.array([record.defect_type for record in records if record.label is not None])

    def measured(self, sampler: Sampler) -> Measured:
        return self._every.measured(sampler)

    def of_type(self, name: str, sampler: Sampler) -> Measured:
        """Those of a defect type and the normal ones."""
        chosen = (self._every.labels == 0) | (self._types == name)
        return _Scored(*(values[chosen] for values in self._every)).measured(sampler)

    def curves(self) -> dict[str, Curve | None]:
        ranking = self._every.ranking
        return {"image_roc": roc_curve(ranking), "image_pr": precision_recall_curve(ranking)}

    def bands(self, sampler: Sampler) -> dict[str, Any]:
        every = self._every
        return image_bands(every.scores, every.labels, sampler) if sampler.replicates and every.has_both else {}


class _Pixels:
    """The anomaly maps of a category where the ground truth is known, and the regions marked in them."""

    def __init__(
        self,
        reader: ScoreReader,
        decisions: DecisionReader,
        records: Sequence[ImageRecord],
        options: EvaluationOptions,
        saturation: Path | None,
    ) -> None:
        self._places = [
            index for index, record in enumerate(records) if has_pixel_ground_truth(record) and reader.localises
        ]
        self._records = [records[index] for index in self._places]
        self._localises = reader.localises
        self._is_native = options.measured_at.side is None
        maps = MapsWithGroundTruth(reader, records, self._places, options.measured_at, saturation)
        self._types = maps.types
        self._counts = np.zeros((len(maps), COUNTED), np.int64)

        def observe(index: int, image: PixelImage) -> None:
            mask = mask_of(reader, decisions, self._places[index], *image.anomaly_map.shape)
            self._counts[index] = mask_counts(mask, image.ground_truth)

        self._statistics: PixelStatistics = pixel_statistics(
            maps,
            with_histograms=options.bootstrap > 0,
            types=maps.types,
            memory_bytes=options.memory_mb * 1_000_000,
            observe=observe,
            work=[record.pixels for record in self._records],
            aupro=options.aupro,
            aupimo=options.aupimo,
        )

    def measured(self, sampler: Sampler) -> Measured:
        return self._measured(self._statistics, np.ones(len(self._types), bool), sampler)

    def of_type(self, name: str, sampler: Sampler) -> Measured | None:
        """Those of a defect type and the normal ones; None if none of its images has pixel ground truth."""
        if name not in self._statistics.by_type:
            return None
        chosen = np.array([other in (None, name) for other in self._types], bool)
        return self._measured(self._statistics.by_type[name], chosen, sampler)

    def _measured(self, ranking: PixelRanking, chosen: np.ndarray, sampler: Sampler) -> Measured:
        marked = self._counts[chosen]
        values = ranking.metrics() | {name: float(value) for name, value in mask_metrics(marked.sum(axis=0)).items()}
        histograms = self._statistics.histograms
        replicates: Replicates = {}
        if histograms is not None:
            replicates |= pixel_replicates(histograms.of_images(chosen), sampler)
            replicates |= mask_replicates(marked, sampler)
        return Measured(values, replicates)

    def aupimo(self) -> dict[int, float]:
        """AUPIMO of images by position among all images, NaN for normal ones."""
        return dict(zip(self._places, self._statistics.image_aupimo.tolist(), strict=True))

    def marks(self) -> dict[int, Marks]:
        """The marks in images that were measured at their own size, by position among all images."""
        if not self._is_native:
            return {}
        pixels = self._counts[:, TRUE_POSITIVES] + self._counts[:, FALSE_POSITIVES]
        return {
            index: Marks(int(counts[COMPONENTS]), float(marked / (record.height * record.width)))
            for index, record, counts, marked in zip(self._places, self._records, self._counts, pixels, strict=True)
        }

    def curves(self) -> dict[str, Curve | None]:
        ranking, overlap = self._statistics.ranking, self._statistics.overlap
        return {
            "pixel_roc": roc_curve(ranking),
            "pixel_pr": precision_recall_curve(ranking),
            "pro": pro_curve(ranking, overlap, AUPRO_LIMITS["aupro"]),
        }

    def bands(self, sampler: Sampler) -> dict[str, Any]:
        histograms, ranking = self._statistics.histograms, self._statistics.ranking
        return pixel_bands(histograms, sampler) if histograms is not None and ranking.negatives > 0 else {}

    def notes(self) -> list[str]:
        if not self._localises:
            return [IMAGES_ALONE]
        statistics = self._statistics
        empty = [
            record.image_id
            for record, regions in zip(self._records, statistics.regions, strict=True)
            if record.label == 1 and regions == 0
        ]
        notes = empty_mask_note(empty)
        if statistics.ranking.positives > 0 and statistics.ranking.negatives == 0:
            notes.append("The masks leave no pixel normal, so there are no pixel metrics.")
        if statistics.remark:
            notes.append(statistics.remark)
        errors = statistics.errors()
        if errors:
            notes.append(
                f"There are more defective pixels than evaluation.memory_mb allows, so scores were rounded, which "
                f"changes a pixel metric by at most {max(errors.values()):.1g}; AUPIMO does not change."
            )
        return notes


def _by_type(
    images: _Images, pixels: _Pixels, records: Sequence[ImageRecord], sampler: Sampler
) -> list[dict[str, Any]]:
    """JSON of each defect type: its images and the normal ones."""
    documents = []
    for name in dict.fromkeys(record.defect_type for record in records if record.label == 1):
        of_type = sampler._replace(name=f"{sampler.name}/{name}")
        measured = images.of_type(name, of_type)
        of_pixels = pixels.of_type(name, of_type)
        documents.append(
            {
                "defect_type": name,
                "images": sum(record.label == 1 and record.defect_type == name for record in records),
                **_together(measured, of_pixels).document(ALL_METRICS),
            }
        )
    return documents


def _together(images: Measured, pixels: Measured | None) -> Measured:
    """All metrics, and the ratio of decisions and masks without labels to the best with labels."""
    every = images if pixels is None else images.plus(pixels)
    return every.with_ratio(*RATIO_OF_DECISIONS).with_ratio(*RATIO_OF_MASKS)


def _decision(decisions: DecisionReader) -> dict[str, Any]:
    """The rule, and how many images, with and without labels, it calls defective."""
    return {
        "rule": decisions.rule,
        "measure": decisions.measure,
        "nominal": decisions.nominal,
        "remarks": decisions.remarks,
        "called": int(np.count_nonzero(decisions.decided)),
        "images": len(decisions),
        "localises": decisions.localises,
    }


def _named(measured: Measured, prefix: str, names: Sequence[str]) -> dict[str, float]:
    return {name: measured.values[prefix + name] for name in names}


def _remarks(method: str, notes: Sequence[str]) -> list[str]:
    """The notes of the method on its images, with the number of images."""
    counted = Counter(note for note in notes if note)
    return [f"{method} on {count} of {len(notes)} images: {note}." for note, count in sorted(counted.items())]


def _curve_json(curve: Curve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    x, y = thin_out(curve)
    return {"x": x, "y": y}


def _image_rows(
    reader: ScoreReader, decisions: DecisionReader, records: Sequence[ImageRecord], pixels: _Pixels
) -> list[dict[str, Any]]:
    aupimo, every_mark = pixels.aupimo(), marks_of(reader, decisions, records, pixels.marks())
    columns = zip(records, reader.image_scores, every_mark, reader.notes, reader.seconds, strict=True)
    return [
        {
            "image_id": record.image_id,
            "label": record.label,
            "defect_type": record.defect_type,
            "score": score,
            **_verdict(decisions, index),
            "marked_regions": None if marks is None else marks.regions,
            "marked_share": None if marks is None else marks.share,
            "aupimo": aupimo.get(index, np.nan),
            "note": note,
            "seconds": seconds,
        }
        for index, (record, score, marks, note, seconds) in enumerate(columns)
    ]


def _verdict(decisions: DecisionReader, index: int) -> dict[str, Any]:
    """The decision on an image and its numbers; a threshold that nothing can exceed is infinite."""
    significance = decisions.significance[index]
    return {
        "peak": decisions.peaks[index],
        "decision": decisions.decided[index],
        "region_threshold": decisions.region[index],
        "pixel_threshold": decisions.pixel[index],
        **{name: significance if decisions.measure == name else np.nan for name in MEASURES if name},
    }
