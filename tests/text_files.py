"""Sentences with embeddings that were made up, and features in their space, for the tests of what asks about texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.scoring.base import Scorer
from zsad.scoring.token_source import MemoryTokens


class MadeUpTexts(NamedTuple):
    """What `zsad.files.texts.TextReader` offers."""

    path: Path
    sentences: list[str]
    states: np.ndarray
    embeddings: np.ndarray
    patch_part: tuple[int, int]
    provenance: dict[str, Any]


MIXED = (0, 1, 0, 1, 1, 0, 0)


def made_up_texts(
    seed: int, channels: int, *, patch_part: tuple[int, int] | None = None, states: Sequence[int] = MIXED
) -> MadeUpTexts:
    """Sentences of both states, in no order, whose embeddings have lengths between 1 and 10."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(len(states), channels))
    embeddings *= rng.uniform(1, 10, (len(states), 1)) / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return MadeUpTexts(
        Path("texts in memory"),
        [f"sentence {number}" for number in range(len(states))],
        np.array(states, dtype=np.int8),
        embeddings.astype(np.float32),
        patch_part or (0, channels),
        {"part_name": "thing"},
    )


def asked_of(scorer: Scorer, channels: int) -> MadeUpTexts | None:
    """Sentences for a scorer that asks about some."""
    return made_up_texts(0, channels) if scorer.text_role else None


def layers_for(scorer: Scorer, count: int) -> list[str]:
    """Names of so many layers that a scorer can read: windows of 2, 3, ... patches and patches, if it asks for them."""
    if scorer.reads_windows:
        return [*(f"window{side}" for side in range(2, count + 1)), "patches"]
    return [str(layer) for layer in range(count)]


def class_means(texts: MadeUpTexts, averaging: str, part: tuple[int, int] | None = None) -> np.ndarray:
    """The mean of each state, sentence by sentence, ``[state, channel]`` of length 1, of some channels or all."""
    embeddings = texts.embeddings[:, slice(*(part or (None,)))].astype(np.float64)
    means = []
    for state in (0, 1):
        total = np.zeros(embeddings.shape[1])
        for embedding, its in zip(embeddings, texts.states, strict=True):
            if its == state:
                total += embedding / np.sqrt(embedding @ embedding) if averaging == "normalised" else embedding
        means.append(total / np.sqrt(total @ total))
    return np.array(means)


def probability(vector: np.ndarray, classes: np.ndarray, temperature: float) -> float:
    """Softmax of the cosines of one vector, of the second class."""
    vector = vector.astype(np.float64)
    logits = [vector @ each / np.sqrt(vector @ vector) / np.sqrt(each @ each) / temperature for each in classes]
    powers = [np.exp(logit - max(logits)) for logit in logits]
    return powers[1] / sum(powers)


def windowed_tokens(
    seed: int,
    grids: Sequence[tuple[int, int]],
    *,
    sides: Sequence[int] = (2, 3),
    channels: int = 8,
    width: int = 6,
    split: str = "test",
    texts: MadeUpTexts | None = None,
) -> MemoryTokens:
    """Features of the path of windows: windows of ``width`` channels, and patches of ``channels``."""
    rng = np.random.default_rng(seed)
    images, whole = [], []
    for rows, columns in grids:
        layers = np.zeros((len(sides) + 1, rows, columns, channels))
        for place, side in enumerate(sides):
            shape = (rows - side + 1, columns - side + 1, width)
            layers[place, : shape[0], : shape[1], :width] = rng.normal(size=shape)
        layers[-1] = rng.normal(size=(rows, columns, channels))
        images.append(layers)
        vector = np.zeros(channels)
        vector[:width] = rng.normal(size=width)
        whole.append(np.tile(vector, (len(sides) + 1, 1)))
    names = [f"{split}/{number}.png" for number in range(len(grids))]
    layers_named = [*(f"window{side}" for side in sides), "patches"]
    return MemoryTokens(images, np.array(whole), names, layers_named, texts=texts)
