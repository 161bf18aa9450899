"""Evaluations with made-up figures, and the tables that are collected from them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from zsad.evaluation.ranking import RANKING_METRICS
from zsad.evaluation.tables import collect_tables
from zsad.store import write_json

OUTPUTS = {
    "metrics_csv": "metrics.csv",
    "images_csv": "images.csv",
    "refinement_csv": "refinement.csv",
    "markdown": "tables.md",
    "latex": "tables.tex",
}


def score_document(
    category: str,
    method: str,
    value: float | None,
    *,
    setting: str = "zero-shot-single",
    error: float | None = 0.02,
    notes: Sequence[str] = (),
    group: str = "",
) -> dict[str, Any]:
    """An evaluation in which every metric is ``value``."""
    known = value is not None
    return {
        "dataset": "demo",
        "category": category,
        "method": method,
        "backbone": "embedded",
        "group": group,
        "setting": setting,
        "image_threshold": 0.5,
        "metrics": dict.fromkeys(RANKING_METRICS, value),
        "confidence": dict.fromkeys(RANKING_METRICS, [value - 0.1, value + 0.1] if known else [None, None]),
        "standard_error": dict.fromkeys(RANKING_METRICS, error if known else None),
        "decision": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.5},
        "mask": {"precision": 0.4, "recall": 0.4, "f1": 0.4, "iou": 0.25},
        "images": [
            image("test/good/000.png", 0, "good", 0.25),
            image("test/spot/001.png", 1, "spot", 0.75),
            image("test/spot/000.png", 1, "spot", 0.75),
        ],
        "notes": list(notes),
    }


def image(image_id: str, label: int | None, defect_type: str, score: float) -> dict[str, Any]:
    """An image of an evaluation of scores."""
    return {
        "image_id": image_id,
        "label": label,
        "defect_type": defect_type,
        "score": score,
        "decision": score > 0.5,
        "note": "",
        "seconds": 0.5,
    }


def mask_document(
    category: str, method: str, value: float | None, refiner: str = "guided", notes: Sequence[str] = ()
) -> dict[str, Any]:
    """An evaluation of masks in which every metric is ``value``, without effects."""
    return {
        "category": category,
        "method": method,
        "refiner": refiner,
        "mask": dict.fromkeys(("precision", "recall", "f1", "iou"), value),
        "effects": [],
        "images": [],
        "notes": list(notes),
    }


class Run:
    """Tables in a folder, collected from evaluations that are given as JSON documents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs = {name: folder / file for name, file in OUTPUTS.items()}

    def collect(
        self, scores: Sequence[Mapping], masks: Sequence[Mapping] = (), oracles: Sequence[Mapping] = ()
    ) -> Self:
        """Write the documents and collect them."""
        paths: dict[str, list[Path]] = {}
        for kind, documents in (("score_metrics", scores), ("mask_metrics", masks), ("oracle_metrics", oracles)):
            paths[kind] = [self.folder / f"{kind}{number}.json" for number in range(len(documents))]
            for path, document in zip(paths[kind], documents, strict=True):
                write_json(path, document)
        collect_tables(**paths, **self.outputs)
        return self

    def rows(self, name: str = "metrics_csv") -> list[dict[str, str]]:
        """The rows of one of the CSV files."""
        with open(self.outputs[name], encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def text(self, name: str) -> str:
        """One of the files as text."""
        return self.outputs[name].read_text(encoding="utf-8")
