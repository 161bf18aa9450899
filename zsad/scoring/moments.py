"""Streaming mean and covariance of many vectors, accurate also far from zero."""

from __future__ import annotations

from zsad.lazy import torch
from zsad.scoring.compute import Compute

ROUNDING = 1e-12  # of a mean square: a variance below it is the rounding of float32 tokens
BLOCK_SHARE = 0.25  # of the memory


def fitting_device(device: str) -> str:
    """Where sums in float64 run: the scoring device, or the CPU for ``mps``, which has no float64."""
    return "cpu" if device == "mps" else device


class Moments:
    """Streaming mean and covariance in float64.

    A block of ``k`` vectors with mean ``m`` is added to the ``n`` before it by the pairwise rule of Chan, Golub and
    LeVeque (1983): the sum of squares grows by that about ``m`` and by ``n k / (n + k) (m - mean) (m - mean)^T``.
    Nothing large is ever subtracted, however far from zero the vectors lie.

    Attributes:
        count: number of vectors so far.
        mean: float64 ``[channel]``.
    """

    def __init__(self, channels: int, compute: Compute) -> None:
        self._device = fitting_device(compute.device)
        self._block = compute.count(3 * channels * 8, BLOCK_SHARE)
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64, device=self._device)
        self._scatter = torch.zeros(channels, channels, dtype=torch.float64, device=self._device)

    def add(self, vectors: torch.Tensor) -> None:
        """Add vectors ``[vector, channel]`` of any float format."""
        for block in vectors.split(self._block):
            self._add(block.to(self._device, torch.float64))

    def _add(self, block: torch.Tensor) -> None:
        total = self.count + len(block)
        centre = block.mean(dim=0)
        step = centre - self.mean
        between = step * (self.count * len(block) / total) ** 0.5
        deviations = torch.cat([block - centre, between[None]])
        self._scatter.addmm_(deviations.T, deviations)
        self.mean += step * (len(block) / total)
        self.count = total

    @property
    def covariance(self) -> torch.Tensor:
        """Float64 ``[channel, channel]``, with the divisor ``count - 1``; zero for a single vector."""
        return self._scatter / max(1, self.count - 1)
