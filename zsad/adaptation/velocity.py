"""A network for the velocity of a token on its path from noise, and its losses."""

from __future__ import annotations

import math

import torch

TIME_PAIRS = 32
LOWEST, HIGHEST = 1.0, 200.0  # angular frequencies of the sines and cosines of a time


class Velocity(torch.nn.Module):
    """A residual network ``v(x, t, position)`` on whitened tokens.

    ``h = A x + B code(t) + C position + b``; each block adds ``M silu(L layernorm(h))``; then
    ``v = g(t) x + O h + o``, where ``O`` and ``o`` begin at zero. ``code(t)`` are 32 sines and cosines, of angular
    frequencies 1 to 200 in geometric steps.

    With ``carries``, ``g(t) = (2 t - 1) / ((1 - t)^2 + t^2)``, the velocity between noise and tokens that are as
    normally distributed as the noise: whitened tokens have the same first two moments, and the network learns the rest.
    Else ``g = 0``.

    Args:
        dimensions: number of dimensions of a token.
        position: width of the position code; 0 for none.
        width: of ``h``.
        blocks: number of blocks.
        carries: see above.
    """

    frequencies: torch.Tensor

    def __init__(self, dimensions: int, position: int, width: int, blocks: int, *, carries: bool) -> None:
        super().__init__()
        self.carries = carries
        steps = torch.logspace(math.log10(LOWEST), math.log10(HIGHEST), TIME_PAIRS, dtype=torch.float64)
        self.register_buffer("frequencies", steps.float(), persistent=False)
        self.token = torch.nn.Linear(dimensions, width, bias=False)
        self.time = torch.nn.Linear(2 * TIME_PAIRS, width)
        self.position = torch.nn.Linear(position, width, bias=False) if position else None
        self.blocks = torch.nn.ModuleList(_Block(width) for _ in range(blocks))
        self.out = torch.nn.Linear(width, dimensions)
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, tokens: torch.Tensor, times: torch.Tensor, position: torch.Tensor | None = None) -> torch.Tensor:
        """``v``, float32 ``[token, dimension]``.

        Args:
            tokens: ``[token, dimension]``.
            times: ``[token]``, or one time for all.
            position: ``[token, number]`` for a network with positions.
        """
        learned = self.learned(self.token(tokens) + self.placed(position) + self.timed(times))
        return learned + self.gain(times)[:, None] * tokens

    def placed(self, position: torch.Tensor | None) -> torch.Tensor | float:
        """``C position``, ``[token, width]``; zero without one."""
        return 0.0 if self.position is None or position is None else self.position(position)

    def timed(self, times: torch.Tensor) -> torch.Tensor:
        """``B code(t) + b`` of times ``[time]``: ``[time, width]``."""
        angles = times[:, None] * self.frequencies
        found: torch.Tensor = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        return found

    def gain(self, times: torch.Tensor) -> torch.Tensor:
        """``g(t)`` of times ``[time]``."""
        if not self.carries:
            return torch.zeros_like(times)
        return (2 * times - 1) / ((1 - times).square() + times.square())

    def learned(self, hidden: torch.Tensor) -> torch.Tensor:
        """``O h + o`` after all blocks, from ``h`` before them."""
        for block in self.blocks:
            hidden = block(hidden)
        found: torch.Tensor = self.out(hidden)
        return found


class _Block(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.first = torch.nn.Linear(width, width)
        self.second = torch.nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = hidden + self.second(torch.nn.functional.silu(self.first(self.norm(hidden))))
        return found


def transport_loss(
    network: Velocity, tokens: torch.Tensor, noise: torch.Tensor, times: torch.Tensor, position: torch.Tensor | None
) -> torch.Tensor:
    """``|v(x_t, t) - (x_1 - x_0)|^2`` on ``x_t = (1 - t) x_0 + t x_1``, a mean over tokens and dimensions.

    Noise ``x_0`` lies at 0 and tokens ``x_1`` at 1 (Lipman et al., ICLR 2023; Liu et al., ICLR 2023).
    """
    share = times[:, None]
    velocities: torch.Tensor = network((1 - share) * noise + share * tokens, times, position)
    return (velocities - (tokens - noise)).square().mean()


def contraction_loss(
    network: Velocity, tokens: torch.Tensor, times: torch.Tensor, position: torch.Tensor | None
) -> torch.Tensor:
    """``|v(x, t) + x|^2``, a mean over tokens and dimensions: tokens move to the origin (arXiv 2510.18328)."""
    velocities: torch.Tensor = network(tokens, times, position)
    return (velocities + tokens).square().mean()


def even_times(count: int, rng: torch.Generator) -> torch.Tensor:
    """Times in 0...1, one in each of ``count`` equal parts, in ascending order (Kingma et al., NeurIPS 2021)."""
    return (torch.arange(count) + torch.rand(count, generator=rng)) / count
