"""Coordinates of tokens on the principal axes of normal tokens, which have mean zero and variance one there."""

from __future__ import annotations

from typing import NamedTuple

from zsad.errors import DataError
from zsad.lazy import torch

SMALLEST_SHARE = 1e-4  # of the largest variance along an axis: smaller variances are not amplified further
ROUNDING = 1e-12  # of a mean square: a variance below it is the rounding of float32 tokens


class Whitening(NamedTuple):
    """Transformation to whitened coordinates.

    Attributes:
        mean: float32 ``[channel]``.
        axes: float32 ``[channel, dimension]``, each divided by the standard deviation along it.
    """

    mean: torch.Tensor
    axes: torch.Tensor

    @property
    def dimensions(self) -> int:
        """Number of axes."""
        return self.axes.shape[1]

    def apply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Coordinates of vectors ``[vector, channel]``: float32 ``[vector, dimension]``."""
        return (vectors - self.mean) @ self.axes


def whiten(mean: torch.Tensor, covariance: torch.Tensor, dimensions: int) -> Whitening:
    """The whitening of vectors with these moments, on the axes of greatest variance.

    A variance below 1e-4 of the largest counts as that much: so along an axis in which normal vectors do not vary, e.g.
    a constant channel, others differ by a finite amount.

    Args:
        mean: float64 ``[channel]``.
        covariance: float64 ``[channel, channel]``.
        dimensions: number of axes; all if there are no more.

    Raises:
        DataError: the vectors are all equal.
    """
    variances, axes = torch.linalg.eigh(covariance)  # in ascending order
    kept = min(dimensions, len(mean))
    variances, axes = variances.flip(0)[:kept], axes.flip(1)[:, :kept]
    largest = variances[0]
    if largest <= ROUNDING * mean.square().sum() or largest <= 0:
        raise DataError("all patches of the references are equal, so no method can learn from them; check the images")
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()  # the sign of an axis is arbitrary
    scaled = axes * signs / variances.clamp(min=SMALLEST_SHARE * float(largest)).sqrt()
    return Whitening(mean.float(), scaled.float().contiguous())
