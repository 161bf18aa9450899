"""Small result files for the tests of the reporting stage, written with the library's own writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zsad.data.manifest import ImageRecord, write_manifest
from zsad.files.json_files import write_json
from zsad.files.masks import MaskWriter
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreWriter
from zsad.names import ALL_TYPES
from zsad.tables.csv_tables import REFINEMENT

METRICS = (
    *("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax"),
    *("aupro", "aupro_005", "aupimo", "auspro_005"),
    *("mask_precision", "mask_recall", "mask_f1", "mask_iou", "region_recall", "region_precision", "decision_f1"),
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
) -> Files:
    """A category of as many photographs as there are labels; image ``i`` has the score ``(i + 1) / count``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    records = [_write_image(folder, index, label, size, rng) for index, label in enumerate(labels)]
    image_ids = [record.image_id for record in records]
    scores = [(index + 1) / len(labels) for index in range(len(labels))]
    files = Files(folder / "manifest.csv", folder / "scores.h5", folder / "masks.h5", folder / "evaluation.json")
    write_manifest(files.manifest, records)
    if maps is None:
        maps = [np.linspace(0, score, GRID[0] * GRID[1]).reshape(GRID) for score in scores]
    grids = np.array([anomaly_map.shape for anomaly_map in maps])
    with ScoreWriter(files.scores, image_ids, {}, grid_sizes=grids, setting=setting) as writer:
        for index, anomaly_map in enumerate(maps):
            writer.write(index, anomaly_map, scores[index], seconds=0.01)
        writer.write_thresholds(THRESHOLD, THRESHOLD)
    with MaskWriter(files.masks, image_ids, {}) as writer:
        for _ in records:
            mask = np.zeros(size, dtype=bool)
            mask[10:30, 20:50] = True
            writer.append(mask, 1.0, [])
    evaluation = evaluation_of(records, scores, category=category, method=method, setting=setting, curves=with_curves)
    write_json(files.evaluation, evaluation)
    return files


def evaluation_of(
    records: Sequence[ImageRecord],
    scores: Sequence[float],
    *,
    category: str,
    method: str,
    setting: str,
    curves: bool = True,
) -> dict[str, Any]:
    """An evaluation with made-up figures, in the shape that the evaluation stage writes."""
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
        "threshold": THRESHOLD,
        "image_threshold": THRESHOLD,
        "localises": True,
        "protocol": PROTOCOL,
        "metrics": metrics if curves else dict.fromkeys(METRICS),
        "confidence": confidence if curves else {metric: [None, None] for metric in METRICS},
        "standard_error": dict.fromkeys(METRICS, 0.02 if curves else None),
        "decision": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.5},
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
                "decision": score > THRESHOLD,
                "marked_regions": 2 if score > 0.4 else 0,
                "marked_share": 0.01 if score > 0.4 else 0.0,
                "note": "",
                "seconds": 0.01,
            }
            for record, score in zip(records, scores, strict=True)
        ],
        "counts": {
            "good": sum(record.label == 0 for record in records),
            "defective": sum(record.label == 1 for record in records),
            "unlabelled": sum(record.label is None for record in records),
            "with_mask": sum(bool(record.mask_path) for record in records),
        },
        "notes": [] if curves else ["No test image is labelled, so there are no metrics."],
        "provenance": {"stage": "evaluate_scores", "model": {"id": "embedded", "weights": None}, "seed": 0},
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
