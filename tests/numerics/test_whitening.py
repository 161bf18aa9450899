"""Whitening by mean and covariance against numpy, and what it must do with little variance."""

import numpy as np
import pytest
import torch

from zsad.adaptation.whitening import Whitening, whiten
from zsad.errors import DataError


def vectors(seed: int, count: int = 400, channels: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, channels)) @ rng.normal(size=(channels, channels)) + rng.normal(3, 1, channels)


def whitened(samples: np.ndarray, dimensions: int) -> Whitening:
    mean, covariance = samples.mean(axis=0), np.cov(samples.T).reshape(samples.shape[1], -1)
    return whiten(torch.from_numpy(mean), torch.from_numpy(covariance), dimensions)


def coordinates(whitening: Whitening, samples: np.ndarray) -> np.ndarray:
    return whitening.apply(torch.from_numpy(samples).float()).double().numpy()


@pytest.mark.parametrize("dimensions", [1, 3, 7, 20])
def test_coordinates_are_those_on_the_first_principal_axes(dimensions):
    samples = vectors(0)
    found = coordinates(whitened(samples, dimensions), samples)
    centred = samples - samples.mean(axis=0)
    _, singular_values, axes = np.linalg.svd(centred, full_matrices=False)
    kept = min(dimensions, 7)
    expected = centred @ axes[:kept].T / singular_values[:kept] * np.sqrt(len(samples) - 1)
    assert found.shape == (400, kept)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)
    np.testing.assert_allclose(np.cov(found.T).reshape(kept, kept), np.eye(kept), atol=2e-3)


def test_the_sign_of_an_axis_is_that_of_its_largest_entry():
    axes = whitened(vectors(1), 7).axes.numpy()
    assert (axes[np.abs(axes).argmax(axis=0), range(7)] > 0).all()


def test_a_small_variance_counts_as_a_ten_thousandth_of_the_largest():
    covariance = torch.diag(torch.tensor([4.0, 4e-4, 4e-6, 0.0], dtype=torch.float64))
    whitening = whiten(torch.zeros(4, dtype=torch.float64), covariance, 4)
    lengths = whitening.axes.norm(dim=1).tolist()
    assert lengths == pytest.approx([1 / 2, 1 / 0.02, 1 / 0.02, 1 / 0.02])


def test_a_constant_channel_stays_finite_and_what_differs_in_it_stands_out():
    samples = vectors(2)
    samples[:, 3] = 5.0
    whitening = whitened(samples, 7)
    odd = samples[:1].copy()
    odd[0, 3] += 1.0
    deviation = np.sqrt(np.linalg.eigvalsh(np.cov(samples.T))[-1])
    assert np.isfinite(coordinates(whitening, samples)).all()
    moved = coordinates(whitening, odd) - coordinates(whitening, samples[:1])
    assert np.linalg.norm(moved) == pytest.approx(100 / deviation, rel=1e-4)


def test_one_channel_is_enough():
    samples = np.array([[1.0], [2.0], [4.0]])
    found = coordinates(whitened(samples, 128), samples)
    np.testing.assert_allclose(found[:, 0], (samples[:, 0] - 7 / 3) / np.std(samples, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, 1e4])
def test_equal_vectors_are_refused(value):
    samples = np.full((50, 4), value) * (1 + 1e-9 * np.random.default_rng(3).normal(size=(50, 4)))
    with pytest.raises(DataError, match="all patches of the references are equal"):
        whitened(samples, 2)
