"""Text-based scores of an image and of its windows for WinCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zsad.lazy import torch
from zsad.scoring.class_embeddings import anomaly_probability, image_vector, in_space
from zsad.scoring.windows import harmonic_mean, over_patches, window_layers, windows_of

if TYPE_CHECKING:
    from zsad.scoring.token_source import TokenSource


def score_by_texts(
    features: TokenSource, index: int, classes: torch.Tensor, scales: Sequence[int] | None, temperature: float
) -> tuple[float, np.ndarray]:
    """``s_0`` and ``S``, float64 ``[row, column]``, of one image; see `zsad.scoring.winclip.WinClip`.

    Args:
        classes: unit vectors ``[state, channel]``.
        scales: sides of the windows; None for all.
    """
    channels = classes.shape[1]
    whole = anomaly_probability(image_vector(features, index, channels), classes, temperature)
    layers = features.half_tokens(index)
    means = []
    for side, place in window_layers(features.layers, scales).items():
        vectors = torch.from_numpy(windows_of(layers[place], side)).float()
        vectors = in_space(vectors, (0, channels), f"layer '{features.layers[place]}' of {features.path}")
        means.append(over_patches(anomaly_probability(vectors, classes, temperature), side))
    return float(whole), harmonic_mean([float(whole), *means])
