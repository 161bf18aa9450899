"""Small result files for the tests of the reporting stage, written with the library's own writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from decision_files import write_decisions
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.files.decisions import MEASURES, DecisionReader
from zsad.files.json_files import write_json
from zsad.files.masks import MaskWriter
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreWriter
from zsad.names import ALL_TYPES
from zsad.tables.csv_tables import REFINEMENT

METRICS = (
    *("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax"),
    *("aupro", "aupro_005", "aupimo", "auspro_005"),
    *("mask_precision", "mask_recall", "mask_f1", "mask_iou", "region_recall", "region_precision"),
    *("decision_f1", "decision_recall", "decision_fpr", "decision_ratio", "mask_ratio"),
)
CURVES = ("image_roc", "image_pr", "pixel_roc", "pixel_pr", "pro")
PROTOCOL = "native"
THRESHOLD = 0.5
GRID = (6, 8)


@dataclass(frozen=True)
class Files:
    """Where the files of one category and method lie."""

    manifest: Path
    scores: Path
    decisions: Path
    masks: Path
    evaluation: Path


def write_results(
    folder: Path,
    *,
    category: str = "ring",
    method: str = "mutual",
    setting: str = "zero-shot-batch",
    labels: Sequence[int | None] = (0, 0, 1, 1),
    maps: Sequence[np.ndarray] | None = None,
    size: tuple[int, int] = (60, 80),
    with_curves: bool = True,
    localises: bool = True,
    decided: Mapping[str, Any] = MappingProxyType({}),
) -> Files:
    """A category of as many photographs as there are labels; image ``i`` has the score ``(i + 1) / count``.

    Args:
        decided: what `decision_files.write_decisions` is given beside the scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    records = [_write_image(folder, index, label, size, rng) for index, label in enumerate(labels)]
    image_ids = [record.image_id for record in records]
    scores = [(index + 1) / len(labels) for index in range(len(labels))]
    names = ("manifest.csv", "scores.h5", "decisions.h5", "masks.h5", "evaluation.json")
    files = Files(*(folder / name for name in names))
    write_manifest(files.manifest, records)
    if maps is None:
        maps = [np.linspace(0, score, GRID[0] * GRID[1]).reshape(GRID) for score in scores]
    grids = np.array([anomaly_map.shape for anomaly_map in maps])
    with ScoreWriter(files.scores, image_ids, {}, grid_sizes=grids, setting=setting, localises=localises) as writer:
        for index, anomaly_map in enumerate(maps):
            writer.write(index, anomaly_map, scores[index], seconds=0.01)
    with MaskWriter(files.masks, image_ids, {}) as writer:
        for _ in records:
            mask = np.zeros(size, dtype=bool)
            mask[10:30, 20:50] = True
            writer.append(mask, 1.0, [])
    write_decisions(files.decisions, files.scores, **{"region": THRESHOLD, **decided})
    names_of = {"category": category, "method": method, "setting": setting}
    evaluation = evaluation_of(records, scores, files.decisions, **names_of, curves=with_curves)
    write_json(files.evaluation, evaluation)
    return files


def evaluation_of(
    records: Sequence[ImageRecord],
    scores: Sequence[float],
    decisions: Path | None = None,
    *,
    category: str,
    method: str,
    setting: str,
    curves: bool = True,
) -> dict[str, Any]:
    """An evaluation with made-up figures, in the shape that the evaluation stage writes.

    Args:
        decisions: made from the scores; without them nothing is said of decisions.
    """
    decision, rows = decided_in(decisions) if decisions else ({"localises": True}, [{}] * len(records))
    figures = dict.fromkeys(("precision", "recall", "f1", "accuracy", "fpr", "ratio"), 0.5 if curves else None)
    curve = {"x": [0.0, 0.1, 0.3], "y": [0.0, 0.6, 0.9]} if curves else None
    band = {"x": [0.0, 0.15, 0.3], "low": [0.0, 0.5, 0.8], "high": [0.1, 0.8, 0.95]}
    metrics = dict.fromkeys(METRICS, 0.75) | {"auspro_005": None}
    confidence = {metric: [0.7, 0.8] for metric in METRICS} | {"auspro_005": [None, None]}
    return {
        "dataset": "parts",
        "category": category,
        "method": method,
        "backbone": "embedded",
        "group": "",
        "setting": setting,
        "localises": decision["localises"],
        "protocol": PROTOCOL,
        "metrics": metrics if curves else dict.fromkeys(METRICS),
        "confidence": confidence if curves else {metric: [None, None] for metric in METRICS},
        "standard_error": dict.fromkeys(METRICS, 0.02 if curves else None),
        "decision": decision | figures,
        "mask": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "iou": 0.4},
        "curves": dict.fromkeys(CURVES, curve),
        "bands": dict.fromkeys(CURVES, band) if curves else {},
        "by_type": [
            {
                "defect_type": defect_type,
                "images": sum(record.defect_type == defect_type for record in records),
                "metrics": metrics,
                "confidence": confidence,
            }
            for defect_type in dict.fromkeys(record.defect_type for record in records if record.label == 1)
            if curves
        ],
        "images": [
            {
                "image_id": record.image_id,
                "label": record.label,
                "defect_type": record.defect_type,
                "score": score,
                **row,
                "note": "",
                "seconds": 0.01,
            }
            for record, score, row in zip(records, scores, rows, strict=True)
        ],
        "counts": {
            "good": sum(record.label == 0 for record in records),
            "defective": sum(record.label == 1 for record in records),
            "unlabelled": sum(record.label is None for record in records),
            "with_mask": sum(bool(record.mask_path) for record in records),
        },
        "notes": [] if curves else ["No test image is labelled, so there are no metrics."],
        "provenance": {
            "stage": "evaluate_scores",
            "model": {"id": "embedded", "weights": None},
            "seed": 0,
            "decisions": {"references": ["a", "b", "c"]},
        },
    }


def decided_in(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What an evaluation says of the decisions of a file: of all images together, and of each."""
    with DecisionReader(path) as decided:
        every = {
            "rule": decided.rule,
            "measure": decided.measure,
            "nominal": decided.nominal,
            "remarks": decided.remarks,
            "called": int(decided.decided.sum()),
            "images": len(decided),
            "localises": decided.localises,
        }
        return every, [_decided(decided, index) for index in range(len(decided))]


def _decided(decided: DecisionReader, index: int) -> dict[str, Any]:
    """What is decided of one image; two regions are marked if it is called defective."""
    is_called = bool(decided.decided[index])
    marked = {"marked_regions": 2 * is_called, "marked_share": 0.01 * is_called}
    return {
        "decision": is_called,
        "peak": decided.peaks[index],
        "region_threshold": decided.region[index],
        "pixel_threshold": decided.pixel[index],
        **{name: decided.significance[index] if decided.measure == name else None for name in MEASURES if name},
        **(marked if decided.localises else dict.fromkeys(marked)),
    }


def write_metrics(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A ``metrics.csv`` of the given rows; a missing key is an empty cell."""
    columns = ["dataset", "category", "backbone", "method", "setting", "refiner", "protocol", *METRICS]
    columns += [f"{metric}_{side}" for metric in METRICS for side in ("low", "high")]
    columns += ["categories", "pixel_categories", "seeds", *(f"{metric}_std" for metric in METRICS)]
    return _write_csv(path, columns, rows)


def write_comparisons(path: Path, rows: Sequence[tuple[str, str, str, str, float, float, float, str]]) -> Path:
    """A ``comparisons.csv``: metric, category, method, other, difference, its limits, verdict for the method."""
    columns = ("metric", "category", "method", "other", "difference", "low", "high", "verdict")
    return _write_csv(path, columns, [dict(zip(columns, row, strict=True)) for row in rows])


def write_costs(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A ``cost.csv`` of the given rows; a missing key is an empty cell."""
    columns = ("method", "setting", "backbone", "stage", "detail", "images", "seconds", "seconds_per_image", "peak_mb")
    return _write_csv(path, (*columns, "shared"), rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Path:
    lines = [",".join(columns)]
    lines += [",".join(str(row.get(column, "")) for column in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_refinement(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A ``refinement.csv`` of the given rows; a missing key is an empty cell."""
    return _write_csv(path, tuple(REFINEMENT.columns), rows)


def refinement_row(
    category: str, method: str, setting: str, refiner: str, defect_type: str = ALL_TYPES, **values: float
) -> dict[str, Any]:
    """A row for `write_refinement`."""
    return metrics_row(category, method, setting, refiner, **values) | {"defect_type": defect_type}


def metrics_row(category: str, method: str, setting: str, refiner: str = "none", **values: float) -> dict[str, Any]:
    """A row for `write_metrics`."""
    keys = {"dataset": "parts", "backbone": "embedded", "protocol": PROTOCOL, "categories": 1, "pixel_categories": 1}
    return {**keys, "category": category, "method": method, "setting": setting, "refiner": refiner, **values}


def _write_image(
    folder: Path, index: int, label: int | None, size: tuple[int, int], rng: np.random.Generator
) -> ImageRecord:
    """A photograph; a defective one has a mask if its number is odd."""
    path = folder / f"{index:03d}.png"
    Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    mask_path = ""
    if label == 1 and index % 2:
        mask = np.zeros(size, dtype=np.uint8)
        mask[5:25, 5:25] = 255
        mask_path = str(folder / f"{index:03d}_mask.png")
        Image.fromarray(mask).save(mask_path)
    return ImageRecord(
        image_id=f"test/{index:03d}.png",
        path=str(path),
        split="test",
        label=label,
        defect_type={0: "good", 1: "scratch", None: ""}[label],
        mask_path=mask_path,
        height=size[0],
        width=size[1],
        sha256=file_sha256(path),
    )
