"""The coupling network against a plain one in numpy, and what a density must do by its definition."""

import math

import numpy as np
import pytest
import torch

from plain_couplings import ALPHA, plain_couplings
from zsad.adaptation.coupling import CouplingNetwork, CouplingSizes
from zsad.adaptation.training import Schedule, arrays_of, generator, load_arrays, train
from zsad.errors import ConfigError

SHAPES = [  # dimensions, condition, blocks
    (2, 0, 1),
    (2, 3, 2),
    (3, 0, 2),
    (5, 4, 3),
    (6, 2, 8),
    (7, 0, 8),
]


def network(dimensions, condition=0, blocks=8, width=16, seed=0, strength=0.5):
    """One whose last layers are not zero, as after a training."""
    made = CouplingNetwork(CouplingSizes(dimensions, condition, blocks, width), seed)
    draws = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for coupling in made.couplings:
            for parameter in coupling.last.parameters():
                parameter.copy_(strength * torch.randn(parameter.shape, generator=draws))
    return made.eval()


def drawn(count, dimensions, condition=0, seed=7, scale=1.0):
    draws = torch.Generator().manual_seed(seed)
    vectors = scale * torch.randn(count, dimensions, generator=draws)
    return vectors, torch.randn(count, condition, generator=draws) if condition else None


@pytest.mark.parametrize(("dimensions", "condition", "blocks"), SHAPES)
def test_forward_equals_a_plain_one(dimensions, condition, blocks):
    made = network(dimensions, condition, blocks)
    vectors, conditions = drawn(9, dimensions, condition)
    latents, log_determinants = made(vectors, conditions)
    found, arrays = made.log_likelihood(vectors, conditions), arrays_of(made)
    for row in range(len(vectors)):
        given = None if conditions is None else conditions[row].tolist()
        z, total = plain_couplings(arrays, blocks, vectors[row].tolist(), given)
        np.testing.assert_allclose(latents[row].tolist(), z, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_determinants[row].item(), total, rtol=1e-4, atol=1e-5)
        expected = total - z @ z / 2 - dimensions / 2 * math.log(2 * math.pi)
        np.testing.assert_allclose(found[row].item(), expected, rtol=1e-4)


@pytest.mark.parametrize(("dimensions", "condition", "blocks"), SHAPES)
def test_the_log_determinant_is_that_of_the_jacobian(dimensions, condition, blocks):
    made = network(dimensions, condition, blocks).double()
    vectors, conditions = drawn(5, dimensions, condition)
    vectors, conditions = vectors.double(), None if conditions is None else conditions.double()
    _, found = made(vectors, conditions)
    for row in range(len(vectors)):
        given = None if conditions is None else conditions[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(lambda x, c=given: made(x[None], c)[0][0], vectors[row])
        np.testing.assert_allclose(found[row].item(), torch.linalg.slogdet(jacobian).logabsdet.item(), atol=1e-9)


@pytest.mark.parametrize(
    ("scale", "dtype"),
    # A saturated coupling scales by 6.7, eight of them by millions: far out that needs float64 on the way back.
    [(1e-6, torch.float32), (1.0, torch.float32), (100.0, torch.float64)],
    ids=["small", "usual", "far out"],
)
@pytest.mark.parametrize(("dimensions", "condition", "blocks"), SHAPES)
def test_the_inverse_undoes_the_forward(dimensions, condition, blocks, scale, dtype):
    made = network(dimensions, condition, blocks, strength=0.2).to(dtype)
    vectors, conditions = drawn(50, dimensions, condition, scale=scale)
    vectors, conditions = vectors.to(dtype), None if conditions is None else conditions.to(dtype)
    with torch.no_grad():
        back = made.inverse(made(vectors, conditions)[0], conditions)
        forth = made(made.inverse(vectors, conditions), conditions)[0]
    assert float((back - vectors).abs().max()) <= 1e-4
    assert float((forth - vectors).abs().max()) <= 1e-4


def test_extreme_values_stay_finite_and_come_back():
    made = network(6, 2, 8, strength=0.05)
    vectors = torch.tensor([[1e6] * 6, [-1e6] * 6, [0.0] * 6, [1e6, -1e6, 0, 1e-6, 1, -1]])
    conditions = torch.zeros(len(vectors), 2)
    with torch.no_grad():
        latents, log_determinants = made(vectors, conditions)
        likelihoods = made.log_likelihood(vectors, conditions)
        back = made.inverse(latents, conditions)
    assert all(bool(found.isfinite().all()) for found in (latents, log_determinants, likelihoods))
    assert float(log_determinants.abs().max()) <= ALPHA * 8 * 3  # every coupling changes three dimensions
    np.testing.assert_allclose(back, vectors, rtol=1e-4, atol=200)  # 200 of a million


def test_no_coupling_scales_by_more_than_the_clamp():
    made = network(2, 0, 1, strength=1e4)
    vectors, _ = drawn(200, 2)
    _, log_determinants = made(vectors, None)
    assert 0.9 * ALPHA < float(log_determinants.detach().abs().max()) <= ALPHA * (1 + 1e-6)


@pytest.mark.parametrize("dimensions", [2, 3, 8, 9])
def test_an_untrained_network_is_the_standard_normal_density(dimensions):
    made = CouplingNetwork(CouplingSizes(dimensions, 0, 8, 8), seed=3)
    vectors, _ = drawn(20, dimensions)
    expected = torch.distributions.Normal(0, 1).log_prob(vectors).sum(dim=1)
    torch.testing.assert_close(made.log_likelihood(vectors, None), expected)


@pytest.mark.parametrize("dimensions", [2, 3, 7, 128])
def test_two_couplings_change_every_dimension(dimensions):
    made = network(dimensions, 0, 2)
    vectors = torch.zeros(1, dimensions)
    jacobian = torch.autograd.functional.jacobian(lambda x: made(x, None)[0], vectors)[0, :, 0]
    assert (np.abs(jacobian.numpy() - np.round(jacobian.numpy())) > 1e-6).any(axis=0).all()


@pytest.mark.parametrize("condition", [0, 3])
def test_the_density_integrates_to_one(condition):
    made = network(2, condition, 4, strength=0.3).double()
    side = torch.linspace(-15, 15, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    conditions = torch.full((len(grid), condition), 0.4, dtype=torch.float64) if condition else None
    with torch.no_grad():
        density = made.log_likelihood(grid, conditions).exp()
    assert float(density.sum() * (side[1] - side[0]) ** 2) == pytest.approx(1, abs=1e-3)


def test_gradients_are_those_of_finite_differences():
    made = network(3, 2, 3, width=4).double()
    vectors, conditions = (each.double() for each in drawn(4, 3, 2))
    made.log_likelihood(vectors, conditions).mean().backward()
    step = 1e-6
    for parameter in made.parameters():
        flat, gradients = parameter.data.view(-1), parameter.grad.view(-1)
        for index in range(len(flat)):
            sides = []
            for move in (step, -2 * step):
                flat[index] += move
                sides.append(made.log_likelihood(vectors, conditions).mean().item())
            flat[index] += step
            assert gradients[index].item() == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-4, abs=1e-7)


def ring(count, seed):
    """Eight narrow Gaussians on a circle, with mean zero and variance one along every axis."""
    draws = torch.Generator().manual_seed(seed)
    angles = torch.randint(8, (count,), generator=draws) * (math.pi / 4)
    centres = torch.stack([angles.cos(), angles.sin()], dim=1)
    points = centres + 0.1 * torch.randn(count, 2, generator=draws)
    return points / math.sqrt(0.5 + 0.01)


def fitted(points, steps=150):
    made = CouplingNetwork(CouplingSizes(2, 0, 4, 32), seed=0)
    draws = generator(0, "batches")

    def loss_at(step):
        return -made.log_likelihood(points[torch.randint(len(points), (256,), generator=draws)], None).mean()

    train(made, loss_at, Schedule(steps, 5e-3), label="toy")
    return made


def test_a_trained_network_beats_one_gaussian_on_what_it_has_not_seen():
    made, seen, held_out = fitted(ring(2000, 0)), ring(2000, 0), ring(2000, 1)
    gaussian = torch.distributions.MultivariateNormal(seen.mean(dim=0), seen.T.cov())
    with torch.no_grad():
        learned = made.log_likelihood(held_out, None)
        back = made.inverse(made(held_out, None)[0], None)
    gain = learned - gaussian.log_prob(held_out)
    assert float(gain.mean()) > 5 * float(gain.std()) / math.sqrt(len(gain))  # five standard errors, and
    assert float(gain.mean()) > 0.2  # of about 0.9 nats that there are to be had
    assert float((back - held_out).abs().max()) < 1e-4


def test_a_trained_density_integrates_to_one():
    made = fitted(ring(1000, 0), steps=60).double()
    side = torch.linspace(-6, 6, 481, dtype=torch.float64)
    with torch.no_grad():
        density = made.log_likelihood(torch.cartesian_prod(side, side), None).exp()
    assert float(density.sum() * (side[1] - side[0]) ** 2) == pytest.approx(1, abs=0.01)


def test_one_seed_gives_one_network_and_another_seed_another():
    first, again, other = (arrays_of(CouplingNetwork(CouplingSizes(9, 2, 8, 8), seed)) for seed in (1, 1, 2))
    assert all(array.tobytes() == again[name].tobytes() for name, array in first.items())
    assert any(array.tobytes() != other[name].tobytes() for name, array in first.items())


def test_the_draws_of_others_go_on_undisturbed():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    CouplingNetwork(CouplingSizes(4, 0, 8, 8), seed=5)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_weights_bring_their_orders_along():
    made = network(8, 2, 4)
    other = CouplingNetwork(made.sizes, seed=99)
    load_arrays(other, arrays_of(made))
    vectors, conditions = drawn(6, 8, 2)
    torch.testing.assert_close(other(vectors, conditions), made(vectors, conditions), rtol=0, atol=0)


def test_a_single_dimension_is_refused():
    with pytest.raises(ConfigError, match="at least 2 dimensions, but there is 1"):
        CouplingNetwork(CouplingSizes(1, 0, 8, 8), seed=0)
