"""Decide which images are defective, by a threshold rule on scores in memory or in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.errors import ArrayError
from zsad.files.scores import ScoreReader
from zsad.interactive.parts import rule_named
from zsad.scoring.base import ImageScore

Scored = Sequence[ImageScore] | Sequence[np.ndarray] | Sequence[float] | np.ndarray | ScoreReader
MAP_AXES = 2


def decide(
    scores: Scored,
    rule: str | ThresholdRule = "suitable",
    params: Mapping[str, Any] | None = None,
    *,
    references: Scored = (),
    setting: str = "",
) -> Verdicts:
    """Decide which images are called defective, without labels, as the workflow does with the same scores.

    Args:
        scores: scores of the images of one batch: the result of `zsad.score` or `zsad.read_scores`; a list of anomaly
            maps ``[row, column]`` on their patch grids; or image scores ``[image]``, of a method without maps.
        rule: one that ``zsad methods`` lists; or your own rule.
        params: parameters of the rule, e.g. ``{"alpha": 0.05}``.
        references: the same for normal images, each scored by the other references.
        setting: the setting of the method, e.g. ``"zero-shot-batch"``.

    Returns:
        ``decided``, bool ``[image]``; the thresholds of the highest value of a map (``region``) and of the patches of a
        marked region (``pixel``), float64 ``[image]``; p-values or numbers of false alarms (``significance``,
        ``measure``); the share of normal images that the rule expects to call defective (``nominal``); and
        ``remarks``. See `zsad.deciding.base.Verdicts`.

    Raises:
        ArrayError: there are no images, a score is not finite, or the rule needs maps and there are none.
        ConfigError: there is no such rule or parameter.
        DataError: the rule needs references, and there are too few.

    >>> rng = np.random.default_rng(0)
    >>> maps = [rng.exponential(size=(16, 16)) for _ in range(20)]
    >>> maps[3][4:6, 8:10] += 30
    >>> found = decide(maps)
    >>> bool(found.decided[3]), found.measure, found.nominal
    (True, 'p_value', 0.1)
    >>> decide([0.2, 0.9], references=[0.3, 0.1, 0.4, 0.2]).significance
    array([0.8, 0.2])
    """
    chosen = rule_named(rule, params)
    maps, image_scores = _evidence(scores, "the images")
    good_maps, good_scores = _evidence(references, "the references")
    if not len(image_scores):
        raise ArrayError("there are no images to decide on; give the scores of at least one image")
    evidence = Evidence(maps, image_scores, good_maps, good_scores, setting)
    if chosen.needs_maps and not maps:
        fix = type(chosen).without_maps or "choose another rule"
        raise ArrayError(f"{type(chosen).__name__} needs maps, but there are only image scores; {fix}")
    return chosen.decide(evidence)


def _evidence(scores: Scored, whose: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Maps, float32 each, empty for a method without maps, and image scores, float64 ``[image]``.

    Raises:
        ArrayError: they are neither, or not finite.
    """
    if isinstance(scores, ScoreReader):
        indices = range(len(scores)) if scores.localises else ()
        return [scores.anomaly_map(index) for index in indices], np.asarray(scores.image_scores, np.float64)
    if not isinstance(scores, Sequence | np.ndarray):
        raise ArrayError(
            f"the scores of {whose} are a {type(scores).__name__}; give the result of zsad.score or zsad.read_scores, "
            "maps [row, column], or numbers"
        )
    given = list(scores)
    results = [one for one in given if isinstance(one, ImageScore)]
    if results and len(results) == len(given):
        maps = [one.anomaly_map for one in results if one.anomaly_map is not None]
        return _maps(maps, whose), _numbers([one.image_score for one in results], whose)
    if all(np.ndim(one) == 0 for one in given):
        return [], _numbers(given, whose)
    maps = _maps(given, whose)
    return maps, np.array([one.max() for one in maps], dtype=np.float64)


def _maps(given: Sequence[Any], whose: str) -> list[np.ndarray]:
    maps = []
    for place, one in enumerate(given):
        anomaly_map = np.asarray(one)
        if anomaly_map.ndim != MAP_AXES or not anomaly_map.size or anomaly_map.dtype.kind not in "fiu":
            raise ArrayError(
                f"map {place} of {whose} has type {anomaly_map.dtype} and shape {anomaly_map.shape}; give numbers "
                "[row, column]"
            )
        if not np.isfinite(anomaly_map).all():
            raise ArrayError(f"map {place} of {whose} has a value that is not finite")
        maps.append(anomaly_map.astype(np.float32))
    return maps


def _numbers(given: Sequence[Any], whose: str) -> np.ndarray:
    try:
        numbers = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArrayError(f"the scores of {whose} are not numbers; give one per image, or maps [row, column]") from None
    if not np.isfinite(numbers).all():
        raise ArrayError(f"score {int(np.argmin(np.isfinite(numbers)))} of {whose} is not finite")
    return numbers
