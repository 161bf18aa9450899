"""The scoring stage: from feature files to one method's maps, image scores and label-free thresholds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.subsets import base_id
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreWriter
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.thresholds.base import Evidence, ThresholdRule

FOREGROUND_KEYS = ("segmenter", "options")  # of the provenance of masks of the part

logger = logging.getLogger(__name__)


def score_images(
    *,
    features: Mapping[str, Path],
    scorer: Scorer,
    image_scoring: ImageScoring,
    threshold_rule: ThresholdRule,
    compute: Compute,
    output: Path,
    provenance: Mapping[str, Any],
    foregrounds: Mapping[str, Path] = {},
) -> None:
    """Score the test images of a category by one method and write the score file.

    The seconds of an image are the scoring time of the whole category divided by its images, whatever the method.

    Args:
        features: feature files by the roles that ``scorer.feature_sets()`` names.
        compute: device, memory and number format.
        output: the score file, written whole or not at all.
        provenance: what is known of the job; the stage adds the rest.
        foregrounds: mask files of the part, where ``scorer.wants_foreground``: by the roles of the feature files whose
            images are scored, ``"test"`` and, for a threshold rule that looks at references, ``"references"``.

    Raises:
        ConfigError: the features lack a layer that the method names.
        DataError: too few images for the method, or files that do not belong together.
    """
    with ExitStack() as stack:
        masks = {role: stack.enter_context(MaskReader(path)) for role, path in foregrounds.items()}
        readers = {role: stack.enter_context(FeatureReader(path, masks.get(role))) for role, path in features.items()}
        _check_together(scorer, readers)
        _check_foregrounds(scorer, threshold_rule, readers, masks)
        test = readers["test"]
        start = time.perf_counter()
        patches = test.grid_sizes.prod(axis=1).tolist()
        scores = progress(scorer.score(readers, compute), total=len(test), label="scoring", work=patches)
        maps, image_scores, notes = _taken(_in_order(scores, test.image_ids), image_scoring)
        image_scores = scorer.rescored(image_scores, readers)
        seconds = time.perf_counter() - start
        evidence = Evidence(_given(maps), image_scores)
        if threshold_rule.needs_references:
            of_references = list(scorer.score_references(readers, compute))
            reference_maps, reference_scores, _ = _taken(of_references, image_scoring)
            evidence = evidence._replace(reference_maps=_given(reference_maps), reference_scores=reference_scores)
        thresholds = threshold_rule.thresholds(evidence)
        details = {
            "setting": scorer.setting,
            "scorer": _described(scorer),
            "image_scoring": _described(image_scoring),
            "threshold_rule": _described(threshold_rule),
            "features": {role: _feature_provenance(scorer, role, reader) for role, reader in readers.items()},
            "device": compute.device,
            "number_format": str(compute.format).removeprefix("torch."),
            "seconds": seconds,
        }
        with ScoreWriter(
            output,
            test.image_ids,
            {**inherited(test.provenance), **provenance, **details},
            grid_sizes=test.grid_sizes,
            setting=scorer.setting,
            localises=scorer.localises,
        ) as writer:
            for index, (anomaly_map, score, note) in enumerate(zip(maps, image_scores, notes, strict=True)):
                whole = np.full(test.grid_sizes[index], score) if anomaly_map is None else anomaly_map
                writer.write(index, whole, score, seconds=seconds / len(test), note=note)
            writer.write_thresholds(*thresholds)
    logger.info("scored %d images in %.1f s, thresholds %.4g and %.4g", len(maps), seconds, *thresholds)


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


def _check_foregrounds(
    scorer: Scorer,
    threshold_rule: ThresholdRule,
    readers: Mapping[str, FeatureReader],
    masks: Mapping[str, MaskReader],
) -> None:
    """Check that the masks are those that the scorer needs, and that no image that is scored lacks one."""
    scored = {"test", "references"} if threshold_rule.needs_references else {"test"}
    wanted = sorted(scored & readers.keys()) if scorer.wants_foreground else []
    if sorted(masks) != wanted:
        raise ValueError(f"the scorer reads masks of {wanted}, but those of {sorted(masks)} were given")
    for role, reader in masks.items():
        known = set(reader.image_ids)
        missing = sorted({base_id(image_id) for image_id in readers[role].image_ids} - known)
        if missing:
            raise DataError(
                f"{reader.path} has no masks of {len(missing)} images in {readers[role].path}, first '{missing[0]}'; "
                "delete it and run again"
            )


def _in_order(scores: Iterable[ImageScore], image_ids: list[str]) -> list[ImageScore]:
    """The scores in the order of the images.

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
    return [found[index] for index in range(len(image_ids))]


def _taken(
    scores: Sequence[ImageScore], image_scoring: ImageScoring
) -> tuple[list[np.ndarray | None], np.ndarray, list[str]]:
    """Maps as they are stored (None from a scorer that does not localise), image scores (float64), and notes."""
    maps: list[np.ndarray | None] = []
    image_scores = []
    for score in scores:
        anomaly_map = None if score.anomaly_map is None else image_scoring.smoothed(score.anomaly_map)
        maps.append(anomaly_map)
        image_scores.append(score.image_score if anomaly_map is None else image_scoring.image_score(anomaly_map))
    return maps, np.array(image_scores, dtype=np.float64), [score.note for score in scores]


def _given(maps: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Those that there are: all, or none of a scorer that does not localise."""
    return [anomaly_map for anomaly_map in maps if anomaly_map is not None]


def _described(part: Scorer | ImageScoring | ThresholdRule) -> dict[str, Any]:
    return {"class": type(part).__name__, "params": part.parameters()}


def _feature_provenance(scorer: Scorer, role: str, reader: FeatureReader) -> dict[str, Any]:
    """Where a role's features come from; with the ids of its images where they are not the test images."""
    feature_set = scorer.feature_sets()[role]
    described: dict[str, Any] = {**inherited(reader.provenance), **feature_set._asdict()}
    if feature_set.subset != scorer.feature_sets()["test"].subset:
        described["image_ids"] = reader.image_ids
    if reader.foreground is not None:
        described["foreground"] = {key: reader.foreground.provenance.get(key) for key in FOREGROUND_KEYS}
    return described
