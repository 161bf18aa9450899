"""Blocked nearest neighbours are those of plain loops in float64, whatever the size of the blocks and the format."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from zsad.scoring import similarity
from zsad.scoring.compute import Compute
from zsad.scoring.similarity import Metric, euclidean, fewest_candidates, self_dissimilarity
from zsad.scoring.tokens import normalise

# Of short sums of products, of vectors of length 1. h of 16-bit vectors is that of the rounded vectors, rounded again
# to steps of at most 2**-7; a step is left to the order in which a processor adds up.
TOLERANCE = {"float32": {"atol": 2e-6}, "bfloat16": {"rtol": 2**-6, "atol": 2e-3}}


@pytest.fixture(params=[1, 4 * 7 * 4, 4 * 50 * 4, 1 << 30])
def memory(request):
    return request.param


@pytest.fixture(params=["float32", "bfloat16"])
def precision(request):
    return request.param


def unit(seed, *shape):
    return normalise(torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32)))


def distances(first, second):
    first, second = first.double().numpy(), second.double().numpy()
    return np.array([[np.sum((f - g) ** 2) / 2 for g in second] for f in first])


@pytest.mark.parametrize("k", [1, 3, 13])
def test_the_nearest_are_the_k_smallest_of_all(memory, precision, k):
    queries, bank = unit(0, 11, 5), unit(1, 13, 5)
    metric = Metric(Compute(memory=memory, precision=precision), bank.mean(dim=0))
    found = np.sort(metric.nearest(metric.queries(metric.points(queries)), metric.points(bank), k).numpy())
    np.testing.assert_allclose(found, np.sort(distances(queries, bank))[:, :k], **TOLERANCE[precision])


def test_one_product_gives_the_nearest_both_ways(memory, precision):
    first, second = unit(2, 9, 4), unit(3, 14, 4)
    metric = Metric(Compute(memory=memory, precision=precision), first.mean(dim=0))
    of_first, of_second = metric.nearest_both_ways(metric.queries(metric.points(first)), metric.points(second))
    exact = distances(first, second)
    np.testing.assert_allclose(of_first[0], exact.min(axis=1), **TOLERANCE[precision])
    np.testing.assert_allclose(of_second[0], exact.min(axis=0), **TOLERANCE[precision])


# Blocks of one patch, of some of an image, of one, of two of three, and of all.
@pytest.mark.parametrize("entries", [1, 14 * 4, 14 * 9, 14 * 19, 1 << 20])
@pytest.mark.parametrize("points", [1, 14])
def test_several_images_share_a_product_whatever_its_size(entries, points, precision):
    images, other = [unit(seed, 9, 4) for seed in (20, 21, 22)], unit(23, points, 4)
    itemsize = 4 if precision == "float32" else 2
    metric = Metric(Compute(memory=4 * entries * itemsize, precision=precision), other.mean(dim=0))
    queries = torch.cat([metric.queries(metric.points(image)) for image in images])
    of_images, of_other = metric.nearest_both_ways(queries, metric.points(other), len(images))
    assert of_images.shape == (3, 9)
    assert of_other.shape == (3, points)
    for place, image in enumerate(images):
        exact = distances(image, other)
        np.testing.assert_allclose(of_images[place], exact.min(axis=1), **TOLERANCE[precision])
        np.testing.assert_allclose(of_other[place], exact.min(axis=0), **TOLERANCE[precision])


@pytest.mark.parametrize("by_numpy", [True, False])
@pytest.mark.parametrize("copies", [1, 8])
def test_equal_patches_are_at_zero_exactly_wherever_they_lie(by_numpy, copies, monkeypatch):
    """A few, which are looked for one by one, or most of them, which are looked for together; twins among them."""
    monkeypatch.setattr(similarity, "_by_numpy", lambda _: by_numpy)
    first, other = unit(24, 3, 12, 6), unit(25, 20, 6)
    for image, patches in enumerate(first):
        patches[:copies] = other[image : image + copies]
    other[-1] = other[0]
    metric = Metric(Compute(), other.mean(dim=0))
    queries = torch.cat([metric.queries(metric.points(image)) for image in first])
    of_images, of_other = metric.nearest_both_ways(queries, metric.points(other), 3)
    exact = np.array([distances(image, other) for image in first])
    for found, expected in ((of_images, exact.min(axis=2)), (of_other, exact.min(axis=1))):
        np.testing.assert_array_equal(found.numpy()[expected == 0], 0)
        assert (expected == 0).sum() >= 3 * copies
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_first_of_equal_rows_is_the_place_of_the_least(monkeypatch):
    h = torch.tensor([[[3.0, 0.0], [1.0, 0.0], [1.0, 2.0]], [[5.0, 4.0], [0.0, 4.0], [2.0, 4.0]]])
    image, column, row = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 2, 1, 2])
    for by_numpy in (True, False):
        monkeypatch.setattr(similarity, "_by_numpy", lambda _, answer=by_numpy: answer)
        assert similarity._places_along_columns(h, h.amin(dim=1), image, column).tolist() == [1, 0, 1, 0]
        assert similarity._places_along_rows(h, image, row).tolist() == [1, 0, 0, 0]
        assert similarity._places_along_rows(h, image[:1], row[1:2]).tolist() == [0]


def test_left_operands_turn_into_right_ones_and_back(precision):
    metric = Metric(Compute(precision=precision), unit(26, 6))
    points = metric.points(unit(27, 5, 6))
    assert torch.equal(metric.queries(metric.queries(points)), points)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-4, 1e-2])
def test_euclidean_distances_of_near_duplicates_lose_no_digits(scale):
    first = unit(4, 30, 64)
    second = normalise(first.flip(0) + scale * unit(5, 30, 64))
    metric = Metric(Compute(), first.mean(dim=0))
    found, _ = metric.nearest_both_ways(metric.queries(metric.points(first)), metric.points(second))
    np.testing.assert_allclose(euclidean(found[0]), np.sqrt(2 * distances(first, second).min(axis=1)), atol=1e-6)


@pytest.mark.parametrize("centre", [0.0, 0.1, -3.0])
def test_the_centre_does_not_matter(centre):
    first, second = unit(6, 8, 6), unit(7, 9, 6)
    metric = Metric(Compute(), torch.full((6,), centre))
    found, _ = metric.nearest_both_ways(metric.queries(metric.points(first)), metric.points(second))
    # The products are of vectors as long as the distance to the centre, of which six channels are alike.
    assert_close(found[0], distances(first, second).min(axis=1), size=1 + 6 * centre**2, share=2e-6)


def test_bfloat16_is_precise_in_proportion_where_cosines_would_not_be():
    """Patches that are nearly alike: cosines above 0.99, where bfloat16 has steps of 0.004."""
    common = unit(8, 1, 128)
    first, second = (normalise(common + 0.05 * unit(seed, 40, 128)) for seed in (9, 10))
    exact = distances(first, second)
    assert exact.max() < 0.01
    metric = Metric(Compute(precision="bfloat16"), common[0])
    found, _ = metric.nearest_both_ways(metric.queries(metric.points(first)), metric.points(second))
    np.testing.assert_allclose(found[0], exact.min(axis=1), rtol=0.02)


def test_equal_vectors_are_at_zero_and_all_is_finite_in_every_format(precision):
    tokens = torch.cat([unit(11, 5, 7), torch.zeros(2, 7), torch.ones(2, 7)])
    metric = Metric(Compute(precision=precision), normalise(tokens).mean(dim=0))
    points = metric.points(normalise(tokens))
    found = metric.nearest(metric.queries(points), points, len(tokens))
    assert np.isfinite(found.numpy()).all()
    assert_close(found.amin(dim=1), 0, size=1)


def plain_self_dissimilarity(tokens, k, radius, among):
    rows, columns, _ = tokens.shape
    exact = tokens.double().numpy()
    expected = np.full((rows, columns), np.inf)
    for r, c in np.ndindex(rows, columns):
        found = sorted(
            1 - exact[r, c] @ exact[i, j]
            for i, j in np.ndindex(rows, columns)
            if among[i, j] and max(abs(i - r), abs(j - c)) > radius
        )
        if len(found) >= k:
            expected[r, c] = np.mean(found[:k])
    return expected


@pytest.mark.parametrize(("rows", "columns", "radius", "k"), [(5, 7, 1, 4), (6, 3, 2, 3), (1, 9, 2, 2), (4, 4, 0, 15)])
def test_self_dissimilarity_is_the_mean_distance_to_the_nearest_beyond_the_radius(memory, rows, columns, radius, k):
    tokens = unit(12, rows, columns, 4)
    found = self_dissimilarity(tokens, k, radius, Compute(memory=memory))
    everything = np.ones((rows, columns), dtype=bool)
    assert_close(found, plain_self_dissimilarity(tokens, k, radius, everything))


def test_self_dissimilarity_among_some_patches_compares_with_these_alone():
    tokens, among = unit(13, 6, 7, 4), np.zeros((6, 7), dtype=bool)
    among[1:5, 2:6] = True
    found = self_dissimilarity(tokens, 2, 1, Compute(), torch.from_numpy(among)).numpy()
    assert_close(found[among], plain_self_dissimilarity(tokens, 2, 1, among)[among])


@pytest.mark.parametrize(
    ("rows", "columns", "radius"), [(5, 7, 1), (5, 5, 2), (6, 3, 2), (1, 9, 2), (8, 8, 1), (3, 3, 3)]
)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_fewest_candidates_is_the_least_over_all_patches_that_count(rows, columns, radius, share):
    among = np.random.default_rng(rows).uniform(size=(rows, columns)) < share
    among[0, 0] = True
    beyond = [sum(max(abs(i - r), abs(j - c)) > radius for i, j in np.argwhere(among)) for r, c in np.argwhere(among)]
    assert fewest_candidates(torch.from_numpy(among), radius) == min(beyond)


def test_self_dissimilarity_refuses_more_neighbours_than_there_are():
    with pytest.raises(ValueError, match="beyond radius 2"):
        self_dissimilarity(unit(14, 5, 5, 3), 1, 2, Compute())
