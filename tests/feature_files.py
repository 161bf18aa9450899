"""Feature files of given or random tokens, for the tests of the scorers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zsad.files.features import FeatureReader, FeatureWriter
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute

PLAIN = Compute()


def random_tokens(seed: int, *grids: tuple[int, int], layers: int = 2, channels: int = 6) -> list[np.ndarray]:
    """One array ``[layer, row, column, channel]`` a grid, clustered: some patches are alike, some are not."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, channels))
    tokens = []
    for rows, columns in grids:
        cluster = rng.integers(0, 4, (layers, rows, columns))
        tokens.append(centres[cluster] + 0.5 * rng.normal(size=(layers, rows, columns, channels)))
    return tokens


def write_features(
    path: Path,
    tokens: Sequence[np.ndarray],
    ids: Sequence[str] | None = None,
    *,
    cls_tokens: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    **provenance,
) -> Path:
    """Write tokens ``[layer, row, column, channel]``, one array an image; layers are named 0, 1, ... by default."""
    layers, channels = tokens[0].shape[0], tokens[0].shape[-1]
    writer = FeatureWriter(
        path,
        ids or [f"test/{index}.png" for index in range(len(tokens))],
        provenance,
        layers=range(layers) if names is None else names,
        channels=channels,
        grid_sizes=np.array([image.shape[1:3] for image in tokens]),
        cls_source="mean of patch tokens",
    )
    with writer:
        for index, image in enumerate(tokens):
            writer.write(index, image, image.mean(axis=(1, 2)) if cls_tokens is None else cls_tokens[index])
    return path


def stored(tokens: np.ndarray) -> np.ndarray:
    """Unit tokens as a file gives them back, rounded to float16, in float64."""
    rounded = tokens.astype(np.float16).astype(np.float64)
    return rounded / np.linalg.norm(rounded, axis=-1, keepdims=True)


def scores(scorer: Scorer, folder: Path, compute: Compute = PLAIN, **roles: Sequence[np.ndarray]) -> list[ImageScore]:
    """The scores of all test images, in order, from tokens by role."""
    readers = {role: FeatureReader(write_features(folder / f"{role}.h5", tokens)) for role, tokens in roles.items()}
    try:
        return sorted(scorer.score(readers, compute), key=lambda score: score.index)
    finally:
        for reader in readers.values():
            reader.close()


def maps(scorer: Scorer, folder: Path, compute: Compute = PLAIN, **roles: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The maps of all test images, in order, from tokens by role."""
    return [score.anomaly_map for score in scores(scorer, folder, compute, **roles)]
