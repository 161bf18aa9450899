"""The residual head written out in numpy, float64, one number after the other: what the real one must equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]
SMALL = 1e-5  # that batch normalisation adds to variances


def normalised(values: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """Batch normalisation of ``[channel, row, column]`` by what was learned, not by the batch."""
    result = np.empty_like(values)
    for channel in range(len(values)):
        mean, variance = (weights[f"{name}.running_{each}"][channel] for each in ("mean", "var"))
        centred = (values[channel] - mean) / np.sqrt(variance + SMALL)
        result[channel] = centred * weights[f"{name}.weight"][channel] + weights[f"{name}.bias"][channel]
    return result


def convolved(values: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """A convolution with as many zeros around as keep the grid."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    reach = kernel.shape[2] // 2
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach)))
    side = kernel.shape[2]
    result = np.empty((len(kernel), *values.shape[1:]))
    for out, row, column in np.ndindex(result.shape):
        window = padded[:, row : row + side, column : column + side]
        result[out, row, column] = bias[out] + (window * kernel[out]).sum()
    return result


def finer(values: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """A transposed convolution that puts four numbers in the place of each."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    _, rows, columns = values.shape
    result = np.empty((kernel.shape[1], 2 * rows, 2 * columns))
    for out, row, column in np.ndindex(result.shape):
        below = values[:, row // 2, column // 2]
        result[out, row, column] = bias[out] + (below * kernel[:, out, row % 2, column % 2]).sum()
    return result


def pooled(values: np.ndarray) -> np.ndarray:
    """Of each channel the mean, and the mean of the ten largest."""
    return np.array([channel.mean() + np.sort(channel, axis=None)[-10:].mean() for channel in values])


def linear(values: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    """A product and a bias."""
    return weights[f"{name}.weight"] @ values + weights[f"{name}.bias"]


def rectified(values: np.ndarray) -> np.ndarray:
    """What is above zero."""
    return np.maximum(values, 0)


def logits(patches: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Of the cells ``[2, 4 row, 4 column]`` and of the image ``[2]``, from ``[row, column, channel]``."""
    values = normalised(patches.transpose(2, 0, 1).astype(np.float64), weights, "input_norm")
    cells = values
    for name in ("first", "second"):
        cells = rectified(normalised(convolved(cells, weights, name), weights, f"{name}_norm"))
        cells = finer(cells, weights, f"{name}_finer")
    image = rectified(linear(pooled(values), weights, "image.0"))
    image = linear(rectified(linear(image, weights, "image.2")), weights, "image.4")
    return convolved(cells, weights, "last"), image


def shares(values: np.ndarray) -> np.ndarray:
    """Softmax of the first axis."""
    grown = np.exp(values - values.max(axis=0))
    return grown / grown.sum(axis=0)
