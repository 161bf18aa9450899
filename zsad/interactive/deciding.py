"""What is called defective, by a threshold rule on scores in memory or in a file."""

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
    """Say which images are called defective, without any label, as the workflow would with the same scores.

    Args:
        scores: of the images that are looked at together: what `zsad.score` or `zsad.read_scores` gave; a list of
            anomaly maps ``[row, column]`` on their patch grids; or image scores ``[image]``, of a method without maps.
        rule: one of those that ``zsad methods`` lists; or a rule of one's own.
        params: of the rule, e.g. ``{"alpha": 0.05}``.
        references: the same of good images, each scored as if it were none of the references.
        setting: how much the method may see, e.g. ``"zero-shot-batch"``.

    Returns:
        ``decided``, bool ``[image]``; the thresholds that the highest value of a map must exceed for that (``region``)
        and that say how far a marked region reaches (``pixel``), float64 ``[image]``; p-values or numbers of false
        alarms (``significance``, ``measure``); the share of good images that is called defective by the rule's own
        account (``nominal``); and ``remarks``. See `zsad.deciding.base.Verdicts`.

    Raises:
        ArrayError: there are no images, a score is not finite, or the rule needs maps and there are none.
        ConfigError: there is no such rule or parameter.
        DataError: the rule looks at references, and there are too few.

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
        raise ArrayError("there are no images to decide on; give the scores of at least one")
    evidence = Evidence(maps, image_scores, good_maps, good_scores, setting)
    if chosen.needs_maps and not maps:
        mend = type(chosen).without_maps or "choose another rule"
        raise ArrayError(f"{type(chosen).__name__} looks at maps, and there are image scores alone; {mend}")
    return chosen.decide(evidence)


def _evidence(scores: Scored, whose: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Maps, float32 each, none of a method without them, and image scores, float64 ``[image]``.

    Raises:
        ArrayError: they are neither, or not finite.
    """
    if isinstance(scores, ScoreReader):
        indices = range(len(scores)) if scores.localises else ()
        return [scores.anomaly_map(index) for index in indices], np.asarray(scores.image_scores, np.float64)
    if not isinstance(scores, Sequence | np.ndarray):
        raise ArrayError(
            f"the scores of {whose} are a {type(scores).__name__}; give what zsad.score or zsad.read_scores gave, maps "
            "[row, column], or numbers"
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
                f"map {place} of {whose} is of {anomaly_map.dtype} and shape {anomaly_map.shape}; give numbers "
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
        raise ArrayError(f"the scores of {whose} are not numbers; give one an image, or maps [row, column]") from None
    if not np.isfinite(numbers).all():
        raise ArrayError(f"score {int(np.argmin(np.isfinite(numbers)))} of {whose} is not finite")
    return numbers
