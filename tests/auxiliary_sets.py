"""Auxiliary data sets in memory, and scorers that were trained on one, for tests of what learns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zsad.adaptation.marks import MemoryMarks
from zsad.files.learned import Learned, write_learned
from zsad.scoring.base import Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import feature_facts
from zsad.scoring.token_source import LabelledTokens, MemoryTokens
from zsad.scoring.trained import FEATURES, TrainedScorer

AUXILIARY = "elsewhere"
CELL = 4  # px of a patch's side
GRIDS = ((6, 8), (7, 5))  # none square


def made_up_category(
    name: str,
    seed: int,
    *,
    direction: np.ndarray | None = None,
    strength: float = 3.0,
    images: int = 9,
    grids: Sequence[tuple[int, int]] = GRIDS,
    layers: Sequence[str] = ("0", "1"),
    channels: int = 6,
    masks: bool | Sequence[int] = True,
    cls_source: str = "class token",
) -> AuxiliaryCategory:
    """A category in which every third image is anomalous, in 2 x 2 patches that are moved in a direction.

    A quarter of two of them is marked, and all of the others.

    Args:
        direction: ``[channel]``; None for one that is the same in all categories.
        masks: of all anomalous images, of none, or of those at these positions.
    """
    rng = np.random.default_rng(seed)
    moved = strength * (direction if direction is not None else np.random.default_rng(0).normal(size=channels))
    look = rng.normal(size=(len(layers), channels))
    tokens, class_tokens, labels, drawn = [], [], [], []
    for index in range(images):
        rows, columns = grids[index % len(grids)]
        patches = look[:, None, None] + rng.normal(size=(len(layers), rows, columns, channels))
        whole = look + rng.normal(size=(len(layers), channels))
        mask = np.zeros((rows * CELL, columns * CELL), dtype=bool)
        if index % 3 == 0:
            top, left = rng.integers(0, rows - 1), rng.integers(0, columns - 1)
            patches[:, top : top + 2, left : left + 2] += moved
            mask[top * CELL : (top + 2) * CELL, left * CELL : (left + 2) * CELL - 3] = True
            whole += moved
        known = masks if isinstance(masks, bool) else index in masks
        labels.append(int(index % 3 == 0))
        drawn.append(mask if index % 3 == 0 and known else None)
        tokens.append(patches)
        class_tokens.append(whole)
    features = MemoryTokens(
        tokens, np.stack(class_tokens), layers=layers, cls_source=cls_source, path=f"tokens of {name}"
    )
    return AuxiliaryCategory(name, LabelledTokens(features, MemoryMarks(labels, drawn)))


def assert_each_image_is_scored_by_itself(scorer: Scorer) -> None:
    """Neither the order nor the number of test images changes a score, to the bit."""
    tokens, order = made_up_category("lid", 7).images.tokens, [4, 0, 7]
    few = MemoryTokens([tokens.half_tokens(index) for index in order], tokens.cls_tokens()[order])
    expected = list(scorer.score({"test": tokens}, Compute()))
    for index, score in zip(order, scorer.score({"test": few}, Compute()), strict=True):
        assert score.image_score == expected[index].image_score
        np.testing.assert_array_equal(score.anomaly_map, expected[index].anomaly_map)


def write_weights(path: Path, scorer: TrainedScorer, categories: Sequence[AuxiliaryCategory]) -> Path:
    """The file of weights of a training, with those facts of the stage that scoring asks for."""
    learned = scorer.train(categories, Compute())
    facts = {
        **learned.facts,
        "method": SCORERS.name_of(scorer),
        "trained_on": AUXILIARY,
        "params": scorer.parameters(),
        FEATURES: feature_facts(categories[0].images.tokens),
    }
    write_learned(path, Learned(learned.tensors, facts))
    return path


def ready(
    scorer: Scorer, folder: Path, *, layers: Sequence[str], channels: int, cls_source: str = "class token"
) -> Scorer:
    """A scorer that can score features of such layers: what must be trained elsewhere is; others as they are."""
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return scorer
    categories = [
        made_up_category(name, seed, layers=layers, channels=channels, cls_source=cls_source)
        for seed, name in enumerate(("plate", "rope"))
    ]
    name = f"{SCORERS.name_of(scorer)}.safetensors"
    return scorer.with_weights(write_weights(folder / name, scorer, categories))
