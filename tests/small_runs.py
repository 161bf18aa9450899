"""Results folders of finished runs on made-up scores: measured and collected by the stages, without a workflow."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from decision_files import write_decisions
from evaluation_files import OUTPUTS
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.masks import mask_sha256
from zsad.evaluation.evaluate_masks import evaluate_masks
from zsad.evaluation.evaluate_scores import evaluate_scores
from zsad.evaluation.options import EvaluationOptions
from zsad.files.masks import MaskWriter
from zsad.files.provenance import library_versions
from zsad.files.scores import ScoreWriter
from zsad.maps import at_image_size
from zsad.tables.collect_tables import collect_tables

HEIGHT, WIDTH, GRID = 16, 24, (4, 6)
REFINER = "guided"
REPLICATES = 60
THRESHOLD = 0.9

Category = Sequence[ImageRecord]


def images_with_masks(folder: Path, good: int, defective: int) -> list[ImageRecord]:
    """Test images of a category, the defective ones with masks on the disk."""
    records = []
    for number in range(good + defective):
        kind = "good" if number < good else "spot"
        image_id = f"test/{kind}/{number:03}.png"
        mask = folder / f"{number:03}_mask.png"
        if kind == "spot":
            truth = np.zeros((HEIGHT, WIDTH), np.uint8)
            truth[4:12, 4 + number % 3 : 16] = 255
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(truth).save(mask)
        marked = (str(mask), mask_sha256(mask)) if kind == "spot" else ("", "")
        sha256 = f"{zlib.crc32(f'{folder.name}/{image_id}'.encode()):064x}"
        label = int(kind == "spot")
        records.append(
            ImageRecord(image_id, f"data/{image_id}", "test", label, kind, marked[0], HEIGHT, WIDTH, sha256, marked[1])
        )
    return sorted(records, key=lambda record: record.image_id)


def write_run(
    folder: Path,
    categories: Mapping[str, Category],
    methods: Mapping[str, float],
    *,
    groups: Mapping[str, str] | None = None,
    code: str = "0" * 12,
    params: Mapping[str, Any] | None = None,
    localises: bool = True,
    refined: bool = False,
    **options: Any,
) -> Path:
    """Write a results folder, and return it.

    Args:
        methods: how strongly each marks defects, against noise of 1; the noise of an image is its own in every method.
        groups: by a method the one that it is a seed of.
        code: the hash of the module that resamples images, as it is recorded.
        params: of the scorer, as they are recorded.
        refined: whether there are masks by `REFINER`, too.
        options: of the evaluation.
    """
    evaluation = EvaluationOptions(**{"bootstrap": REPLICATES, **options})
    provenance = {
        "stage": "evaluate_scores",
        "params": {"options": evaluation.parameters(), "saturation": None},
        "versions": library_versions(),
        "code": {"zsad/evaluation/bootstrap.py": code},
    }
    files: dict[str, list[Path]] = {name: [] for name in ("score_metrics", "score_draws", "mask_metrics", "mask_draws")}
    for category, records in categories.items():
        place = folder / category
        for kind in ("metrics", "draws", "scores", "decisions", "masks"):
            (place / kind).mkdir(parents=True, exist_ok=True)
        write_manifest(place / "manifest.csv", records)
        (place / "images.csv").touch()
        for method, strength in methods.items():
            maps = _write_method(place, method, records, strength, params or {}, localises=localises)
            if refined:
                _write_masks(place / f"masks/{method}.{REFINER}.h5", records, maps)
            read = {
                "manifest": place / "manifest.csv",
                "scores": place / f"scores/{method}.h5",
                "decisions": place / f"decisions/{method}.h5",
                "category": category,
                "method": method,
                "options": evaluation,
                "provenance": provenance,
            }
            names = {"dataset": folder.name, "backbone": "embedded", "group": (groups or {}).get(method, "")}
            files["score_metrics"].append(place / f"metrics/{method}.json")
            files["score_draws"].append(place / f"draws/{method}.h5")
            evaluate_scores(**read, **names, output=files["score_metrics"][-1], draws=files["score_draws"][-1])
            if refined:
                files["mask_metrics"].append(place / f"metrics/{method}.{REFINER}.json")
                files["mask_draws"].append(place / f"draws/{method}.{REFINER}.h5")
                evaluate_masks(
                    **read,
                    refiner=REFINER,
                    masks=place / f"masks/{method}.{REFINER}.h5",
                    output=files["mask_metrics"][-1],
                    draws=files["mask_draws"][-1],
                )
    (folder / "tables").mkdir()
    collect_tables(**files, **{name: folder / "tables" / file for name, file in OUTPUTS.items()})
    return folder


def map_of(method: str, record: ImageRecord, strength: float) -> np.ndarray:
    """The anomaly map of an image: noise, and ``strength`` where the defects lie."""
    rng = np.random.default_rng(zlib.crc32(f"{method}{record.path}{record.sha256}".encode()))
    anomaly_map = rng.normal(size=GRID)
    if record.label == 1:
        anomaly_map[1:3, 1:4] += strength * rng.uniform(0, 1)
    return anomaly_map.astype(np.float32)


def _write_method(
    place: Path, method: str, records: Category, strength: float, params: Mapping[str, Any], *, localises: bool
) -> list[np.ndarray]:
    """Write scores and decisions, and return the maps."""
    ids, maps = [record.image_id for record in records], [map_of(method, record, strength) for record in records]
    if not localises:
        maps = [np.full(GRID, one.max(), np.float32) for one in maps]
    made_by = {"scorer": {"class": "Made", "params": dict(params)}, "model": {"id": "tiny"}}
    grids = np.array([GRID] * len(ids))
    with ScoreWriter(
        place / f"scores/{method}.h5", ids, made_by, grid_sizes=grids, setting="zero-shot-single", localises=localises
    ) as scores:
        for index, anomaly_map in enumerate(maps):
            scores.write(index, anomaly_map, float(anomaly_map.max()))
    write_decisions(place / f"decisions/{method}.h5", place / f"scores/{method}.h5", THRESHOLD)
    return maps


def _write_masks(path: Path, records: Category, maps: Sequence[np.ndarray]) -> None:
    with MaskWriter(path, [record.image_id for record in records], {}) as masks:
        for anomaly_map in maps:
            mask = at_image_size(anomaly_map, HEIGHT, WIDTH) > 1.2
            masks.append(mask, 1.0, [{"box": [0, 0, 1, 1], "score": 1.0, "accepted": True, "reason": "kept"}])
