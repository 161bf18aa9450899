"""The scoring stage: from feature files to one method's maps, image scores and label-free threshold."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.device import resolve_device
from zsad.errors import DataError
from zsad.progress import progress
from zsad.provenance import inherited
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.thresholds.base import ThresholdRule
from zsad.store import FeatureReader, ScoreWriter

logger = logging.getLogger(__name__)


def score_images(
    *,
    features: Mapping[str, Path],
    scorer: Scorer,
    image_scoring: ImageScoring,
    threshold_rule: ThresholdRule,
    device: str,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Score the test images of a category by one method and write the score file.

    The seconds of an image are the scoring time of the whole category divided by its images, whatever the method.

    Args:
        features: feature files by the roles that ``scorer.feature_sets()`` names.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        output: the score file, written whole or not at all.
        provenance: what is known of the job; the stage adds the rest.

    Raises:
        ConfigError: the device does not exist, or the features lack a layer that the method names.
        DataError: too few images for the method, or feature files that do not belong together.
    """
    device = resolve_device(device)
    with ExitStack() as stack:
        readers = {role: stack.enter_context(FeatureReader(path)) for role, path in features.items()}
        _check_together(scorer, readers)
        test = readers["test"]
        start = time.perf_counter()
        scores = progress(scorer.score(readers, device), total=len(test), label="scoring")
        maps, notes = _in_order(scores, test.image_ids)
        seconds = time.perf_counter() - start
        maps = [image_scoring.smoothed(anomaly_map) for anomaly_map in maps]
        threshold = threshold_rule.threshold(maps)
        details = {
            "setting": scorer.setting,
            "scorer": _described(scorer),
            "image_scoring": _described(image_scoring),
            "threshold_rule": _described(threshold_rule),
            "features": {role: _feature_provenance(scorer, role, reader) for role, reader in readers.items()},
            "device": device,
            "seconds": seconds,
        }
        with ScoreWriter(
            output,
            test.image_ids,
            {**inherited(test.provenance), **provenance, **details},
            grid_sizes=test.grid_sizes,
            setting=scorer.setting,
        ) as writer:
            for index, (anomaly_map, note) in enumerate(zip(maps, notes, strict=True)):
                score = image_scoring.image_score(anomaly_map)
                writer.write(index, anomaly_map, score, seconds=seconds / len(test), note=note)
            writer.write_threshold(threshold)
    logger.info("scored %d images in %.1f s, threshold %.4g", len(maps), seconds, threshold)


def _check_together(scorer: Scorer, readers: Mapping[str, FeatureReader]) -> None:
    """Check that the files are those that the scorer needs, of one backbone, and show the same test images."""
    wanted = scorer.feature_sets()
    if readers.keys() != wanted.keys():
        raise ValueError(f"the scorer reads {sorted(wanted)}, but {sorted(readers)} were given")
    test = readers["test"]
    for role, reader in readers.items():
        if (reader.layers, reader.channels) != (test.layers, test.channels):
            raise DataError(f"{reader.path} and {test.path} come from different backbones; delete both and run again")
        if wanted[role].subset != wanted["test"].subset:
            continue
        if reader.image_ids != test.image_ids or not np.array_equal(reader.grid_sizes, test.grid_sizes):
            raise DataError(f"{reader.path} and {test.path} do not show the same images; delete both and run again")


def _in_order(scores: Iterable[ImageScore], image_ids: list[str]) -> tuple[list[np.ndarray], list[str]]:
    """Maps and notes in the order of the images.

    Raises:
        ValueError: the scorer gave an image twice, or none of an image.
    """
    found: dict[int, ImageScore] = {}
    for score in scores:
        if score.index in found:
            raise ValueError(f"the scorer scored image {score.index} twice")
        found[score.index] = score
    if found.keys() != set(range(len(image_ids))):
        raise ValueError(f"the scorer scored {len(found)} images, there are {len(image_ids)}")
    ordered = [found[index] for index in range(len(image_ids))]
    return [score.anomaly_map for score in ordered], [score.note for score in ordered]


def _described(part: Scorer | ImageScoring | ThresholdRule) -> dict[str, Any]:
    return {"class": type(part).__name__, "params": part.parameters()}


def _feature_provenance(scorer: Scorer, role: str, reader: FeatureReader) -> dict[str, Any]:
    """Where a role's features come from; with the ids of its images where they are not the test images."""
    feature_set = scorer.feature_sets()[role]
    described: dict[str, Any] = {**inherited(reader.provenance), **feature_set._asdict()}
    if feature_set.subset != scorer.feature_sets()["test"].subset:
        described["image_ids"] = reader.image_ids
    return described
