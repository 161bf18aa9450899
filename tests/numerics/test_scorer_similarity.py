"""Blocked nearest neighbours are those of plain loops in float64, whatever the size of the blocks."""

import numpy as np
import pytest
import torch

from zsad.scoring import similarity
from zsad.scoring.similarity import (
    euclidean_distance,
    fewest_candidates,
    nearest_cosines,
    nearest_cosines_both_ways,
    self_dissimilarity,
)
from zsad.scoring.tokens import normalise


@pytest.fixture(params=[1, 7, 50, 1 << 24])
def any_block(request, monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK_SIMILARITIES", request.param)


def unit(seed, *shape):
    return normalise(torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32)))


@pytest.mark.usefixtures("any_block")
@pytest.mark.parametrize("k", [1, 3, 13])
def test_nearest_cosines_are_the_k_largest_of_all(k):
    queries, bank = unit(0, 11, 5), unit(1, 13, 5)
    expected = np.sort(queries.double().numpy() @ bank.double().numpy().T)[:, ::-1][:, :k]
    found = np.sort(nearest_cosines(queries, bank, k).numpy())[:, ::-1]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.usefixtures("any_block")
def test_one_product_gives_the_nearest_both_ways():
    first, second = unit(2, 9, 4), unit(3, 14, 4)
    cosines = first.double().numpy() @ second.double().numpy().T
    of_first, of_second = nearest_cosines_both_ways(first, second)
    np.testing.assert_allclose(of_first, cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(of_second, cosines.max(axis=0), atol=1e-6)


def test_euclidean_distance_is_that_of_the_vectors():
    first, second = unit(4, 20, 3), unit(5, 20, 3)
    expected = np.linalg.norm(first.double().numpy() - second.double().numpy(), axis=1)
    np.testing.assert_allclose(euclidean_distance((first * second).sum(dim=1)), expected, atol=1e-5)


@pytest.mark.usefixtures("any_block")
@pytest.mark.parametrize(("rows", "columns", "radius", "k"), [(5, 7, 1, 4), (6, 3, 2, 3), (1, 9, 2, 2), (4, 4, 0, 15)])
def test_self_dissimilarity_is_the_mean_distance_to_the_nearest_beyond_the_radius(rows, columns, radius, k):
    tokens = unit(6, rows, columns, 4)
    exact = tokens.double().numpy()
    expected = np.empty((rows, columns))
    for r in range(rows):
        for c in range(columns):
            cosines = [
                exact[r, c] @ exact[i, j]
                for i in range(rows)
                for j in range(columns)
                if max(abs(i - r), abs(j - c)) > radius
            ]
            expected[r, c] = 1 - np.mean(sorted(cosines)[-k:])
    np.testing.assert_allclose(self_dissimilarity(tokens, k, radius), expected, atol=1e-6)


@pytest.mark.parametrize(("rows", "columns", "radius"), [(5, 7, 1), (5, 5, 2), (6, 3, 2), (1, 9, 2), (8, 8, 1)])
def test_fewest_candidates_is_the_least_over_all_patches(rows, columns, radius):
    beyond = [
        sum(max(abs(i - r), abs(j - c)) > radius for i in range(rows) for j in range(columns))
        for r in range(rows)
        for c in range(columns)
    ]
    assert fewest_candidates(rows, columns, radius) == min(beyond)


def test_self_dissimilarity_refuses_more_neighbours_than_there_are():
    with pytest.raises(ValueError, match="beyond radius 2"):
        self_dissimilarity(unit(7, 5, 5, 3), 1, 2)


def test_zero_vectors_become_unit_vectors_that_are_alike():
    zeros = normalise(torch.zeros(2, 5))
    np.testing.assert_allclose(zeros.norm(dim=1), 1, atol=1e-6)
    assert torch.equal(zeros[0], zeros[1])
