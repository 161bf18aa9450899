"""Scores of a token by a learned velocity, by name: greater is more anomalous."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from zsad.lazy import torch

if TYPE_CHECKING:
    from zsad.adaptation.velocity import Velocity

Measure = Literal["mismatch", "contraction", "endpoint", "velocity"]
Averaging = Literal["mean", "median"]
TIMES = 10
FIRST_TIME, LAST_TIME = 0.1, 0.95


class VelocityOptions(NamedTuple):
    """Options of a velocity score.

    Attributes:
        noise: float32 ``[draw, dimension]``, the same for all tokens.
        averaging: over the noise samples.
        euler_steps: number of steps from a token back to noise.
    """

    noise: torch.Tensor
    averaging: Averaging
    euler_steps: int


class VelocityScore(NamedTuple):
    """A velocity score.

    Attributes:
        contracts: whether the velocity is trained to contract tokens, and not to carry noise to them.
        of: the score, float32 ``[token]``, of a network, tokens ``[token, dimension]``, their positions, and the
            options.
        passes: number of evaluations of the network, with so many noise samples and Euler steps.
    """

    contracts: bool
    of: Callable[[Velocity, torch.Tensor, torch.Tensor | None, VelocityOptions], torch.Tensor]
    passes: Callable[[int, int], int]


def sample_noise(draws: int, dimensions: int, generator: torch.Generator) -> torch.Tensor:
    """Sample noise ``[draw, dimension]``; every second vector is the opposite of the one before.

    The random correlation of a token and a noise vector cancels between the two.
    """
    half = torch.randn((draws + 1) // 2, dimensions, generator=generator)
    return torch.stack([half, -half], dim=1).flatten(0, 1)[:draws]


def mismatch(
    network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, asked: VelocityOptions
) -> torch.Tensor:
    """``|v(x_t, t) - (x_1 - x_0)|^2`` of a token ``x_1``, a mean over times weighted by ``t^2``, then over noise.

    On the straight path ``x_t = (1 - t) x_0 + t x_1`` at ten times from 0.1 to 0.95. The network's first layer is
    linear, so that tokens and noise pass it once and not once for each time.
    """
    times = torch.linspace(FIRST_TIME, LAST_TIME, TIMES, device=tokens.device)
    weights = (times.square() / times.square().sum()).tolist()
    entered, entered_noise = network.token(tokens), network.token(asked.noise)
    placed, timed, gains = network.placed(position), network.timed(times), network.gain(times).tolist()
    found = []
    for noise, noise_in in zip(asked.noise, entered_noise, strict=True):
        total = torch.zeros(len(tokens), device=tokens.device)
        for t, weight, gain, time_in in zip(times.tolist(), weights, gains, timed, strict=True):
            learned = network.learned(entered * t + placed + ((1 - t) * noise_in + time_in))
            off = learned.add_(tokens, alpha=gain * t - 1).add_(gain * (1 - t) * noise + noise)
            total.add_(off.square_().sum(dim=1), alpha=weight)
        found.append(total)
    return _averaged(torch.stack(found), asked.averaging)


def contraction(
    network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, asked: VelocityOptions
) -> torch.Tensor:
    """``|v(x, 1) + x|`` (arXiv 2510.18328)."""
    return _lengths(network(tokens, torch.ones(1, device=tokens.device), position) + tokens)


def endpoint(
    network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, asked: VelocityOptions
) -> torch.Tensor:
    """``|z|^2`` of the noise ``z`` that Euler steps of equal length lead back to.

    Each uses the velocity in the middle of its time. At the very end ``t = 1`` the exact velocity is ``x`` for all
    tokens, since noise has mean zero: a single step from there would lead all of them to zero.
    """
    step = 1 / asked.euler_steps
    for number in range(asked.euler_steps):
        middle = torch.full((1,), 1 - (number + 0.5) * step, device=tokens.device)
        tokens = tokens - step * network(tokens, middle, position)
    return tokens.square().sum(dim=1)


def velocity(
    network: Velocity, tokens: torch.Tensor, position: torch.Tensor | None, asked: VelocityOptions
) -> torch.Tensor:
    """``|v(x, 1)|``."""
    return _lengths(network(tokens, torch.ones(1, device=tokens.device), position))


def _lengths(vectors: torch.Tensor) -> torch.Tensor:
    """Lengths of vectors ``[token, dimension]``."""
    return vectors.square().sum(dim=1).sqrt()


def _averaged(values: torch.Tensor, averaging: Averaging) -> torch.Tensor:
    """Average over noise samples ``[draw, token]``; the median of an even number is the mean of the middle two."""
    if averaging == "mean":
        return values.mean(dim=0)
    ordered = values.sort(dim=0).values
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


VELOCITY_SCORES: Mapping[Measure, VelocityScore] = {
    "mismatch": VelocityScore(False, mismatch, lambda draws, steps: draws * TIMES),
    "contraction": VelocityScore(True, contraction, lambda draws, steps: 1),
    "endpoint": VelocityScore(False, endpoint, lambda draws, steps: steps),
    "velocity": VelocityScore(False, velocity, lambda draws, steps: 1),
}
