"""Scores of a velocity against plain loops, and against closed forms where the velocity is known."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from closeness import assert_close
from zsad.adaptation.training import generator, seeded
from zsad.adaptation.velocity import Velocity
from zsad.scoring.velocity_scores import VELOCITY_SCORES, Measure, VelocityOptions, sample_noise

TIMES = np.linspace(0.1, 0.95, 10)


def network(*, position: int = 0, carries: bool = True) -> Velocity:
    with seeded(1, "test"):
        made = Velocity(4, position, 8, 2, carries=carries)
        torch.nn.init.normal_(made.out.weight, std=0.3)
    return made


def exact(dimensions: int) -> Velocity:
    """The velocity between noise and whitened normal tokens, which a new network has."""
    return Velocity(dimensions, 0, 4, 1, carries=True)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scored(
    measure: Measure,
    made: Velocity,
    tokens: torch.Tensor,
    *,
    noise: torch.Tensor | None = None,
    position: torch.Tensor | None = None,
    averaging: str = "mean",
    euler_steps: int = 1,
) -> np.ndarray:
    noise = drawn(9, 2, tokens.shape[1]) if noise is None else noise
    with torch.no_grad():
        found = VELOCITY_SCORES[measure].of(made, tokens, position, VelocityOptions(noise, averaging, euler_steps))
    assert found.shape == (len(tokens),)
    return found.double().numpy()


def velocity_at(made: Velocity, point: torch.Tensor, time: float, place: torch.Tensor | None) -> torch.Tensor:
    with torch.no_grad():
        return made(point[None], torch.tensor([time]), None if place is None else place[None])[0]


@pytest.mark.parametrize("averaging", ["mean", "median"])
@pytest.mark.parametrize("draws", [1, 3, 4])
@pytest.mark.parametrize("position", [0, 3])
def test_mismatch_is_that_of_plain_loops(position, draws, averaging):
    made, tokens, noise = network(position=position), drawn(2, 5, 4), drawn(3, draws, 4)
    places = drawn(4, 5, position) if position else None
    found = scored("mismatch", made, tokens, noise=noise, position=places, averaging=averaging)
    for row, x1 in enumerate(tokens):
        of_draws = []
        for x0 in noise:
            total = 0.0
            for t in TIMES.tolist():
                point = (1 - t) * x0 + t * x1
                velocity = velocity_at(made, point.float(), t, None if places is None else places[row])
                total += t**2 * float((velocity - (x1 - x0)).square().sum())
            of_draws.append(total / (TIMES**2).sum())
        expected = np.mean(of_draws) if averaging == "mean" else np.median(of_draws)
        assert found[row] == pytest.approx(expected, rel=1e-4)


def test_mismatch_of_a_gaussian_has_its_closed_form():
    """``v - (x_1 - x_0) = (t x_0 - (1 - t) x_1) / c``, ``c = (1 - t)^2 + t^2``, of the exact velocity."""
    tokens, noise = drawn(5, 300, 6), sample_noise(2, 6, generator(0, "noise"))
    found = scored("mismatch", exact(6), tokens, noise=noise)
    c, weights = (1 - TIMES) ** 2 + TIMES**2, TIMES**2 / (TIMES**2).sum()
    of_noise = (weights * TIMES**2 / c**2).sum() * float(noise[0].square().sum())
    of_token = (weights * (1 - TIMES) ** 2 / c**2).sum() * tokens.square().sum(dim=1).numpy()
    np.testing.assert_allclose(found, of_noise + of_token, rtol=1e-4)


def test_what_a_token_shares_with_a_draw_cancels_between_opposite_draws():
    noise = sample_noise(5, 3, generator(2, "noise"))
    assert noise.shape == (5, 3)
    torch.testing.assert_close(noise[1::2], -noise[:4:2])
    assert (noise[0] - noise[2]).abs().max() > 0.1


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_endpoint_is_that_of_plain_steps(steps):
    made, tokens = network(), drawn(6, 5, 4)
    found = scored("endpoint", made, tokens, euler_steps=steps)
    for row, token in enumerate(tokens):
        for number in range(steps):
            token = token - velocity_at(made, token, 1 - (number + 0.5) / steps, None) / steps
        assert found[row] == pytest.approx(float(token.square().sum()), rel=1e-4)


@pytest.mark.parametrize("steps", [1, 100])
@pytest.mark.parametrize("dimensions", [1, 4, 16])
def test_endpoint_of_good_tokens_is_chi_square(dimensions, steps):
    """A hundred steps lose half a per cent of a length, which 2000 tokens do not show; one loses nothing."""
    found = scored("endpoint", exact(dimensions), drawn(7, 2000, dimensions), euler_steps=steps)
    assert kstest(found, chi2(dimensions).cdf).pvalue > 0.01
    assert kstest(found, chi2(dimensions + 1).cdf).pvalue < 0.01


def test_velocity_and_contraction_look_at_the_end():
    made, tokens = network(carries=False), drawn(8, 5, 4)
    ends = torch.stack([velocity_at(made, token, 1.0, None) for token in tokens])
    assert_close(scored("velocity", made, tokens), ends.norm(dim=1).numpy())
    assert_close(scored("contraction", made, tokens), (ends + tokens).norm(dim=1).numpy())


def test_velocity_of_a_gaussian_is_the_distance_to_its_middle():
    tokens = drawn(10, 20, 4)
    assert_close(scored("velocity", exact(4), tokens), tokens.norm(dim=1).numpy())


@pytest.mark.parametrize("measure", get_args(Measure))
def test_each_token_is_scored_by_itself(measure):
    made, tokens = network(), drawn(11, 9, 4)
    whole = scored(measure, made, tokens, euler_steps=3)
    parts = [scored(measure, made, tokens[row : row + 1], euler_steps=3) for row in range(9)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4)


def test_the_registry_has_every_measure():
    assert set(VELOCITY_SCORES) == set(get_args(Measure))
    assert [name for name, score in VELOCITY_SCORES.items() if score.contracts] == ["contraction"]
    passes = {name: score.passes(3, 7) for name, score in VELOCITY_SCORES.items()}
    assert passes == {"mismatch": 30, "contraction": 1, "endpoint": 7, "velocity": 1}
