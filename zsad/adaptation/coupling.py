"""A normalising flow of affine couplings: a density of vectors whose logarithm is exact, given a condition."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import nn

from zsad.adaptation.training import generator, seeded
from zsad.errors import ConfigError

CLAMP: Final = 1.9  # no coupling scales by more than exp(CLAMP), nor by less than exp(-CLAMP)
FEWEST_DIMENSIONS: Final = 2  # one half decides how the other is changed


class CouplingSizes(NamedTuple):
    """Sizes of a `CouplingNetwork`.

    Attributes:
        dimensions: ``d`` of a vector, at least 2.
        condition: width of the condition; 0 for an unconditional density.
        blocks: couplings, one after the other.
        width: of the hidden layer of each.
    """

    dimensions: int
    condition: int
    blocks: int
    width: int


class CouplingNetwork(nn.Module):
    """An invertible map from vectors ``x`` to ``z``, which are Gaussian and independent if the density is right.

    Each of the couplings splits a vector into two halves, keeps one, ``a``, and moves and scales the other, ``b``, by
    the output of a network with one hidden layer for ``a`` and the condition ``c``:

        ``(s, t) = W2 relu(W1 a + Wc c + w1) + w2``,   ``b' = exp(k(s)) b + t``,

    with ``k(s) = (2 alpha / pi) atan(s / alpha)`` and ``alpha = 1.9``, the soft clamp of Ardizzone et al.
    (arXiv 1907.02392). Before every second coupling the dimensions are put into a random order that depends on the
    seed; the next one exchanges the halves, so that two couplings change every dimension. The log-determinant of the
    Jacobian is the sum of all ``k(s)``. ``W2`` and ``w2`` start at zero: an untrained network only reorders, and its
    density is the standard normal density.

    Args:
        sizes: see `CouplingSizes`.
        seed: random seed of the orders and of the initial weights.

    Raises:
        ConfigError: a vector has a single dimension.
    """

    orders: torch.Tensor

    def __init__(self, sizes: CouplingSizes, seed: int) -> None:
        super().__init__()
        if sizes.dimensions < FEWEST_DIMENSIONS:
            raise ConfigError(f"a coupling needs at least 2 dimensions, but there is {sizes.dimensions}")
        self.sizes = sizes
        self.split = sizes.dimensions // 2
        rng = generator(seed, "orders of dimensions")
        orders = [torch.randperm(sizes.dimensions, generator=rng) for _ in range((sizes.blocks + 1) // 2)]
        self.register_buffer("orders", torch.stack(orders))
        with seeded(seed, "couplings"):
            self.couplings = nn.ModuleList(_Coupling(*self._parts(number), sizes) for number in range(sizes.blocks))

    def forward(self, vectors: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """``z`` and ``log|det dz/dx|``.

        Args:
            vectors: ``x [token, d]``.
            condition: ``c [token, condition]``; None if the network takes none.

        Returns:
            ``[token, d]`` and ``[token]``.
        """
        scales = []
        for number, coupling in enumerate(self.couplings):
            exchanged = number % 2 == 1
            if not exchanged:
                vectors = vectors.index_select(1, self.orders[number // 2])
                first, second = vectors[:, : self.split], vectors[:, self.split :]
            log_scale, shift = coupling(second if exchanged else first, condition)
            moved = torch.addcmul(shift, first if exchanged else second, log_scale.exp())
            first, second = (moved, second) if exchanged else (first, moved)
            scales.append(log_scale)
            if exchanged or number == len(self.couplings) - 1:
                vectors = torch.cat([first, second], dim=1)
        return vectors, torch.cat(scales, dim=1).sum(dim=1)

    def inverse(self, latents: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """``x [token, d]`` of ``z [token, d]``."""
        for number in reversed(range(len(self.couplings))):
            exchanged = number % 2 == 1
            first, second = latents[:, : self.split], latents[:, self.split :]
            log_scale, shift = self.couplings[number](second if exchanged else first, condition)
            moved = ((first if exchanged else second) - shift) * (-log_scale).exp()
            latents = torch.cat((moved, second) if exchanged else (first, moved), dim=1)
            if not exchanged:
                latents = latents.index_select(1, self.orders[number // 2].argsort())
        return latents

    def log_likelihood(self, vectors: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """``log p(x | c)`` in nats, ``[token]``."""
        latents, log_determinant = self(vectors, condition)
        constant = 0.5 * self.sizes.dimensions * math.log(2 * math.pi)
        found: torch.Tensor = log_determinant - 0.5 * latents.square().sum(dim=1) - constant
        return found

    @property
    def reorders(self) -> bool:
        """Whether each of its orders has every dimension once, which loaded weights may violate."""
        dimensions = torch.arange(self.sizes.dimensions, device=self.orders.device)
        return bool((self.orders.sort(dim=1).values == dimensions).all())

    def _parts(self, number: int) -> tuple[int, int]:
        """How many dimensions a coupling keeps, and how many it changes."""
        rest = self.sizes.dimensions - self.split
        return (rest, self.split) if number % 2 else (self.split, rest)


class _Coupling(nn.Module):
    """Logarithms of scales, and shifts, of one half, from the kept half and the condition."""

    def __init__(self, kept: int, changed: int, sizes: CouplingSizes) -> None:
        super().__init__()
        self.first = nn.Linear(kept, sizes.width)
        self.conditional = nn.Linear(sizes.condition, sizes.width, bias=False) if sizes.condition else None
        self.last = nn.Linear(sizes.width, 2 * changed)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, kept: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.first(kept)
        if self.conditional is not None:
            hidden = hidden + self.conditional(condition)
        scale, shift = self.last(torch.relu(hidden)).chunk(2, dim=1)
        return (2 * CLAMP / math.pi) * torch.atan(scale / CLAMP), shift
