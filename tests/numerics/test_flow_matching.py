"""A velocity network, its losses and its pairs against plain formulas, and what it learns of a known distribution."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from closeness import assert_close
from zsad.adaptation.pairing import CHUNK, pair_noise
from zsad.adaptation.position import POSITION_WIDTH, position_code
from zsad.adaptation.training import Schedule, generator, seeded, train
from zsad.adaptation.velocity import Velocity, contraction_loss, even_times, transport_loss


def network(
    dimensions: int = 3, position: int = 0, *, carries: bool = True, width: int = 8, blocks: int = 2
) -> Velocity:
    """One whose weights are all drawn, those of its last layer too."""
    with seeded(0, "test"):
        made = Velocity(dimensions, position, 8, 2, carries=carries)
        torch.nn.init.normal_(made.out.weight, std=0.5)
        torch.nn.init.normal_(made.out.bias, std=0.5)
        for block in made.blocks:
            torch.nn.init.normal_(block.norm.weight)
    return made


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layer_norm(values: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5) * weight + bias


def plain_velocity(made: Velocity, token: np.ndarray, time: float, position: np.ndarray | None) -> np.ndarray:
    """Of one token, number by number as the class says."""
    w = {name: value.double().numpy() for name, value in made.state_dict().items()}
    frequencies = [200 ** (pair / 31) for pair in range(32)]
    code = [math.sin(f * time) for f in frequencies] + [math.cos(f * time) for f in frequencies]
    hidden = w["token.weight"] @ token + w["time.weight"] @ np.array(code) + w["time.bias"]
    if position is not None:
        hidden = hidden + w["position.weight"] @ position
    for block in range(len(made.blocks)):
        part = f"blocks.{block}."
        inner = layer_norm(hidden, w[part + "norm.weight"], w[part + "norm.bias"])
        inner = w[part + "first.weight"] @ inner + w[part + "first.bias"]
        hidden = hidden + w[part + "second.weight"] @ (inner / (1 + np.exp(-inner))) + w[part + "second.bias"]
    velocity = w["out.weight"] @ hidden + w["out.bias"]
    if made.carries:
        velocity = velocity + (2 * time - 1) / ((1 - time) ** 2 + time**2) * token
    return velocity


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("position", [0, 5])
@pytest.mark.parametrize("dimensions", [1, 4])
def test_the_velocity_is_that_of_plain_formulas(dimensions, position, carries):
    made = network(dimensions, position, carries=carries)
    tokens, times = drawn(1, 6, dimensions), torch.rand(6, generator=torch.Generator().manual_seed(2))
    places = drawn(3, 6, position) if position else None
    found = made(tokens, times, places).detach()
    for row in range(6):
        place = None if places is None else places[row].double().numpy()
        expected = plain_velocity(made, tokens[row].double().numpy(), float(times[row]), place)
        assert_close(found[row], expected, size=float(found.abs().max()), share=1e-4)  # sines of angles up to 200


def test_a_new_network_carries_noise_to_noise_and_learns_from_there():
    made = Velocity(3, 0, 8, 2, carries=True)
    tokens = drawn(4, 5, 3)
    assert made(tokens, torch.full((5,), 0.5)).abs().max() == 0
    torch.testing.assert_close(made(tokens, torch.ones(1)), tokens)
    torch.testing.assert_close(made(tokens, torch.zeros(1)), -tokens)
    assert Velocity(3, 0, 8, 2, carries=False)(tokens, torch.ones(1)).abs().max() == 0


@pytest.mark.parametrize("loss", ["transport", "contraction"])
def test_gradients_are_those_of_finite_differences(loss):
    made = network(position=2).double()
    made.frequencies = made.frequencies.double()
    tokens, noise, places = (drawn(seed, 7, width).double() for seed, width in ((5, 3), (6, 3), (7, 2)))
    times = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)

    def value() -> torch.Tensor:
        if loss == "transport":
            return transport_loss(made, tokens, noise, times, places)
        return contraction_loss(made, tokens, times, places)

    value().backward()
    rng = np.random.default_rng(8)
    for parameter in made.parameters():
        flat = parameter.data.view(-1)
        place = int(rng.integers(len(flat)))
        kept, step = float(flat[place]), 1e-5
        with torch.no_grad():
            flat[place] = kept + step
            above = float(value())
            flat[place] = kept - step
            below = float(value())
            flat[place] = kept
        assert parameter.grad is not None
        assert float(parameter.grad.view(-1)[place]) == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


def test_the_transport_loss_is_the_mean_square_to_the_way_from_noise_to_token():
    made = network()
    tokens, noise, times = drawn(9, 4, 3), drawn(10, 4, 3), torch.tensor([0.0, 0.2, 0.7, 1.0])
    total = 0.0
    for x1, x0, t in zip(tokens, noise, times, strict=True):
        velocity = made(((1 - t) * x0 + t * x1)[None], t[None])[0]
        total += float((velocity - (x1 - x0)).detach().square().sum())
    assert float(transport_loss(made, tokens, noise, times, None).detach()) == pytest.approx(total / 12, rel=1e-5)


def test_the_contraction_loss_is_the_mean_square_to_the_origin():
    made = network()
    tokens, times = drawn(11, 4, 3), torch.tensor([0.0, 0.2, 0.7, 1.0])
    total = sum(
        float((made(x[None], t[None])[0] + x).square().detach().sum()) for x, t in zip(tokens, times, strict=True)
    )
    assert float(contraction_loss(made, tokens, times, None).detach()) == pytest.approx(total / 12, rel=1e-5)


def test_times_are_even():
    times = even_times(50, generator(0, "times"))
    assert (times * 50).floor().tolist() == list(range(50))
    assert len({round(float(t) * 50 % 1, 4) for t in times}) > 40


def cost(tokens: torch.Tensor, noise: torch.Tensor) -> float:
    return float((tokens - noise).square().sum())


@pytest.mark.parametrize(("pairing", "best"), [("optimal", min), ("worst", max)])
def test_pairs_of_few_are_the_best_of_all(pairing, best):
    for seed in range(5):
        tokens, noise = drawn(seed, 6, 2), drawn(100 + seed, 6, 2)
        found = pair_noise(tokens, noise, pairing)
        expected = best(cost(tokens, noise[list(order)]) for order in itertools.permutations(range(6)))
        assert cost(tokens, found) == pytest.approx(expected, rel=1e-5)
        assert sorted(found.tolist()) == sorted(noise.tolist())


@pytest.mark.parametrize(("pairing", "maximize"), [("optimal", False), ("worst", True)])
def test_pairs_of_a_batch_are_those_of_its_chunks(pairing, maximize):
    tokens, noise = drawn(12, 2 * CHUNK + 30, 5), drawn(13, 2 * CHUNK + 30, 5)
    found = pair_noise(tokens, noise, pairing)
    for start in range(0, len(tokens), CHUNK):
        mine, some = tokens[start : start + CHUNK].double(), noise[start : start + CHUNK].double()
        table = (mine[:, None] - some[None]).square().sum(dim=2).numpy()
        rows, columns = linear_sum_assignment(table, maximize=maximize)
        assert cost(mine, found[start : start + CHUNK].double()) == pytest.approx(table[rows, columns].sum(), rel=1e-6)


def test_independent_pairs_stay_as_they_are_drawn():
    noise = drawn(14, 9, 2)
    assert pair_noise(drawn(15, 9, 2), noise, "independent") is noise


def test_a_code_of_positions_is_that_of_plain_sines():
    code = position_code(3, 5).numpy()
    assert code.shape == (15, POSITION_WIDTH) == (15, 32)
    waves = [0.5 * 16 ** (number / 7) for number in range(8)]
    for row, column in itertools.product(range(3), range(5)):
        expected = [
            turn(2 * math.pi * wave * place)
            for place in ((row + 0.5) / 3, (column + 0.5) / 5)
            for turn in (math.sin, math.cos)
            for wave in waves
        ]
        np.testing.assert_allclose(code[row * 5 + column], expected, atol=1e-5)


def test_positions_of_a_large_grid_are_distinguished():
    code = position_code(40, 40)
    distances = torch.cdist(code, code) + 10 * torch.eye(1600)
    assert float(distances.min()) > 0.05


MIXING = np.array([[1.1, 0.0], [0.5, 0.8]])  # tokens are rows ``z MIXING``
MEAN = np.array([0.5, -0.3])


def exact_velocity(points: np.ndarray, time: float) -> np.ndarray:
    """``E[x_1 - x_0 | x_t] = mean + (t S - (1 - t)) C^-1 (x - t mean)`` where ``x_1`` has the covariance ``S``.

    ``C = (1 - t)^2 + t^2 S`` is the covariance of ``x_t``, and ``t S - (1 - t)`` that of ``x_1 - x_0`` with it.
    """
    spread = MIXING.T @ MIXING
    cross = time * spread - (1 - time) * np.eye(2)
    within = (1 - time) ** 2 * np.eye(2) + time**2 * spread
    return MEAN + (points - time * MEAN) @ np.linalg.solve(within, cross)


def opposite(noise: np.ndarray, seeds: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Other noise and seeds of tokens, as likely, that lead through the same ``x_t`` from the opposite side.

    Reflected in the space of all that leads there; without such pairs a training takes far longer to forget its draws.
    """
    together = np.concatenate([noise, seeds], axis=1)
    for row, time in enumerate(times):
        leads = np.concatenate([(1 - time) * np.eye(2), time * MIXING.T], axis=1)  # of both to x_t
        along = np.linalg.pinv(leads) @ leads @ together[row]
        together[row] = 2 * along - together[row]
    return together[:, :2], together[:, 2:]


def test_opposite_draws_meet():
    noise, seeds = np.random.default_rng(16).normal(size=(2, 5, 2))
    times = np.linspace(0.1, 0.9, 5)
    others, other_seeds = opposite(noise, seeds, times)
    t = times[:, None]
    np.testing.assert_allclose(
        (1 - t) * others + t * other_seeds @ MIXING, (1 - t) * noise + t * seeds @ MIXING, atol=1e-12
    )
    np.testing.assert_allclose((others**2 + other_seeds**2).sum(axis=1), (noise**2 + seeds**2).sum(axis=1))
    assert np.abs(others - noise).max() > 0.1


def share_off(made: Velocity) -> float:
    """How far a velocity lies from the exact one, as a share of it, over all that lies on the paths."""
    rng = np.random.default_rng(1)
    off = size = 0.0
    for time in np.linspace(0.02, 0.98, 25):
        points = (1 - time) * rng.normal(size=(2000, 2)) + time * (MEAN + rng.normal(size=(2000, 2)) @ MIXING)
        expected = exact_velocity(points, time)
        with torch.no_grad():
            found = made(torch.from_numpy(points).float(), torch.full((1,), float(time))).numpy()
        off, size = off + ((found - expected) ** 2).sum(), size + (expected**2).sum()
    return math.sqrt(off / size)


def test_the_learned_velocity_of_a_gaussian_is_the_exact_one():
    draws, rng, count = generator(0, "gaussian"), np.random.default_rng(0), 4096
    times = even_times(count, draws).double().numpy()
    noise, seeds = rng.normal(size=(2, count, 2))
    others, other_seeds = opposite(noise, seeds, times)
    starts = torch.from_numpy(np.stack([noise, others], axis=1)).float()
    ends = torch.from_numpy(MEAN + np.stack([seeds, other_seeds], axis=1) @ MIXING).float()
    both = torch.from_numpy(np.stack([times, times], axis=1)).float()
    with seeded(0, "weights"):
        made = Velocity(2, 0, 48, 1, carries=True)

    def loss_at(step: int) -> torch.Tensor:
        rows = torch.randint(count, (512,), generator=draws)
        return transport_loss(made, ends[rows].flatten(0, 1), starts[rows].flatten(0, 1), both[rows].flatten(), None)

    assert share_off(made) > 0.2
    train(made, loss_at, Schedule(600, 1e-2, "one_cycle", decay=0.0, average=0.99), label="learning")
    assert share_off(made) < 0.02
