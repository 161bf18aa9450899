"""Evaluations with made-up figures, and the tables that are collected from them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from zsad.files.draws import write_draws
from zsad.files.json_files import write_json
from zsad.names import ALL_METRICS, MASK_METRICS
from zsad.tables.collect_tables import collect_tables

DRAWS = 200
OUTPUTS = {
    "metrics_csv": "metrics.csv",
    "defect_types_csv": "defect_types.csv",
    "comparisons_csv": "comparisons.csv",
    "images_csv": "images.csv",
    "decisions_csv": "decisions.csv",
    "refinement_csv": "refinement.csv",
    "markdown": "tables.md",
    "latex": "tables.tex",
    "checksums": "tables.sha256",
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
    protocol: str = "native",
) -> dict[str, Any]:
    """An evaluation in which every metric is ``value``, or for masks 0.4.

    Its ``draws`` are ``error`` times those of the category, which all methods share, about the value.
    """
    values = dict.fromkeys(ALL_METRICS, value)
    if value is not None:
        values |= dict.fromkeys(MASK_METRICS, 0.4) | {"mask_iou": 0.25, "decision_f1": 0.5}
    measured = measured_document(values, category, error)
    return {
        "dataset": "demo",
        "category": category,
        "method": method,
        "backbone": "embedded",
        "group": group,
        "setting": setting,
        "protocol": protocol,
        "decision": decision_document(),
        **measured,
        "by_type": [{"defect_type": "spot", "images": 2, **measured_document(values, category, error)}],
        "images": [
            image("test/good/000.png", 0, "good", 0.25),
            image("test/spot/001.png", 1, "spot", 0.75),
            image("test/spot/000.png", 1, "spot", 0.75),
        ],
        "notes": list(notes),
    }


def decision_document(called: int = 2, images: int = 3, **changes: Any) -> dict[str, Any]:
    """What an evaluation says of decisions, besides how right they are."""
    told = {"rule": "conformal", "measure": "p_value", "nominal": 0.05, "remarks": [], "localises": True}
    return {**told, "called": called, "images": images, **changes}


def measured_document(values: Mapping[str, float | None], category: str, error: float | None) -> dict[str, Any]:
    """Metrics with limits, and the draws behind these where there is an ``error``."""
    known = {name: value for name, value in values.items() if value is not None and error is not None}
    draws = {name: value + error * draws_of(category) for name, value in known.items()}
    limits = {name: np.percentile(drawn, [2.5, 97.5]).tolist() for name, drawn in draws.items()}
    return {
        "metrics": dict(values),
        "confidence": {name: limits.get(name, [None, None]) for name in values},
        "draws": draws,
    }


def draws_of(category: str) -> np.ndarray:
    """The same for every method of a category, and with mean 0."""
    drawn = np.random.default_rng(list(category.encode())).normal(size=DRAWS)
    return drawn - drawn.mean()


def image(image_id: str, label: int | None, defect_type: str, score: float) -> dict[str, Any]:
    """An image of an evaluation of scores."""
    return {
        "image_id": image_id,
        "label": label,
        "defect_type": defect_type,
        "score": score,
        "peak": score + 0.1,
        "decision": score + 0.1 > 0.5,
        "region_threshold": 0.5,
        "pixel_threshold": 0.4,
        "p_value": 0.05 if score + 0.1 > 0.5 else 1.0,
        "false_alarms": None,
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
        "protocol": "native",
        **measured_document(dict.fromkeys(MASK_METRICS, value), category, 0.02),
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
        self,
        scores: Sequence[Mapping],
        masks: Sequence[Mapping] = (),
        oracles: Sequence[Mapping] = (),
        textures: Sequence[str] = (),
        published: str = "",
        swept: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """Write the documents and collect them."""
        self.arguments: dict[str, Any] = {**self.outputs, "textures": textures, "published": published}
        self.arguments |= {} if swept is None else {"swept": swept}
        for kind, documents in (("score", scores), ("mask", masks), ("oracle", oracles)):
            metrics = [self.folder / f"{kind}_metrics{number}.json" for number in range(len(documents))]
            draws = [path.with_suffix(".h5") for path in metrics]
            for path, of_draws, document in zip(metrics, draws, documents, strict=True):
                write_json(path, {key: value for key, value in document.items() if key != "draws"})
                write_draws(of_draws, document.get("draws", {}), {})
            self.arguments |= {f"{kind}_metrics": metrics, f"{kind}_draws": draws}
        collect_tables(**self.arguments)
        return self

    def copy(self, folder: Path) -> Run:
        """The same in another folder."""

        def moved(value: Any) -> Any:
            if isinstance(value, list):
                return [moved(each) for each in value]
            return folder / value.relative_to(self.folder) if isinstance(value, Path) else value

        shutil.copytree(self.folder, folder)
        run = Run(folder)
        run.arguments = {name: moved(value) for name, value in self.arguments.items()}
        run.documents = self.documents
        return run

    def rows(self, name: str = "metrics_csv") -> list[dict[str, str]]:
        """The rows of one of the CSV files."""
        with open(self.outputs[name], encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def text(self, name: str) -> str:
        """One of the files as text."""
        return self.outputs[name].read_text(encoding="utf-8")
