"""The principal subspace against plain PCA patch by patch, and what it must do by its definition."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, write_features
from zsad.errors import ConfigError
from zsad.files.features import FeatureReader
from zsad.scoring.compute import Compute
from zsad.scoring.moments import Moments, fitting_device
from zsad.scoring.subspace import Subspace

GRIDS = [(5, 4), (3, 7), (4, 4)]


def mean_tokens(image):
    return image.astype(np.float16).astype(np.float64).mean(axis=0)


def reference(tokens, references, explained_variance):
    channels = tokens.shape[-1]
    samples = np.concatenate([mean_tokens(image).reshape(-1, channels) for image in references])
    mean = samples.mean(axis=0)
    _, singular_values, axes = np.linalg.svd(samples - mean)
    shares = np.cumsum(singular_values**2) / np.sum(singular_values**2)
    rank = 1
    while shares[rank - 1] < explained_variance and rank < channels - 1:
        rank += 1
    scores = np.zeros(tokens.shape[1:3])
    for r, c in np.ndindex(scores.shape):
        residual = mean_tokens(tokens)[r, c] - mean
        for axis in axes[:rank]:
            residual = residual - axis * (axis @ residual)
        scores[r, c] = residual @ residual
    return scores


@pytest.mark.parametrize("explained_variance", [0.3, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("chosen", [[0], [1, 0], [2, 0, 1], [1, 1]])
def test_maps_equal_plain_pca_for_images_of_mixed_sizes(tmp_path, chosen, explained_variance):
    tokens, kinds = random_tokens(0, (5, 7), (6, 3), channels=9), random_tokens(1, *GRIDS, channels=9)
    references = [kinds[kind] for kind in chosen]
    found = maps(Subspace(explained_variance=explained_variance), tmp_path, test=tokens, references=references)
    for anomaly_map, image in zip(found, tokens, strict=True):
        np.testing.assert_allclose(anomaly_map, reference(image, references, explained_variance), rtol=1e-5, atol=1e-6)


def test_maps_of_real_photographs_equal_plain_pca(tmp_path, tile_tokens):
    good, cracked = tile_tokens[:3], tile_tokens[3:]
    for anomaly_map, image in zip(maps(Subspace(), tmp_path, test=cracked, references=good), cracked, strict=True):
        np.testing.assert_allclose(anomaly_map, reference(image, good, 0.99), rtol=1e-5, atol=1e-6)


def test_only_the_layers_that_are_named_count(tmp_path):
    tokens, references = random_tokens(2, (5, 7), layers=3), random_tokens(3, *GRIDS, layers=3)
    (found,) = maps(Subspace(layers=[0, 2]), tmp_path, test=tokens, references=references)
    expected = reference(tokens[0][[0, 2]], [image[[0, 2]] for image in references], 0.99)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("memory", [1, 3001, 10**6])
def test_the_memory_does_not_change_the_maps(tmp_path, memory):
    tokens, references = random_tokens(4, (6, 5)), random_tokens(5, *GRIDS)
    (found,) = maps(Subspace(), tmp_path, Compute(memory=memory), test=tokens, references=references)
    np.testing.assert_allclose(found, reference(tokens[0], references, 0.99), rtol=1e-5, atol=1e-6)


def test_the_order_of_the_references_does_not_matter_nor_how_often_each_is_given(tmp_path):
    tokens, references = random_tokens(6, (6, 6)), random_tokens(7, *GRIDS)
    (straight,) = maps(Subspace(), tmp_path, test=tokens, references=references)
    (turned,) = maps(Subspace(), tmp_path, test=tokens, references=[*references, *references][::-1])
    np.testing.assert_allclose(turned, straight, rtol=1e-5)


def test_a_patch_on_the_subspace_scores_zero_and_off_it_the_square_of_its_distance(tmp_path):
    rng = np.random.default_rng(8)
    off = np.array([0, 0, 1, 0, -1, 0])
    directions = np.array([[1, 2, 0, 0, 0, -1], [0, 1, 1, 3, 1, 0]])
    on = [rng.integers(-4, 5, (1, 6, 6, 2)) @ directions + 7 for _ in range(3)]
    found = maps(Subspace(), tmp_path, test=[on[2], on[2] + 3 * off], references=on[:2])
    np.testing.assert_allclose(found[0], 0, atol=1e-9)
    np.testing.assert_allclose(found[1], 9 * 2, rtol=1e-5)


def test_more_explained_variance_raises_no_score(tmp_path):
    tokens, references = random_tokens(9, (6, 6)), random_tokens(10, *GRIDS)
    less, more = (
        maps(Subspace(explained_variance=share), tmp_path, test=tokens, references=references)[0]
        for share in (0.5, 0.95)
    )
    assert (more <= less + 1e-6).all()
    assert (more < less - 1e-3).any()


def test_tokens_far_from_zero_score_as_near_it(tmp_path):
    rng = np.random.default_rng(11)
    images = [rng.integers(-3, 4, (1, 5, 6, 8)) for _ in range(3)]  # whole numbers are exact in float16
    (near,) = maps(Subspace(explained_variance=0.8), tmp_path, test=images[:1], references=images[1:])
    shifted = [image + 1000 for image in images]
    (far,) = maps(Subspace(explained_variance=0.8), tmp_path, test=shifted[:1], references=shifted[1:])
    assert_close(far, near)


def test_doubled_tokens_score_four_times_as_much(tmp_path):
    tokens, references = random_tokens(12, (5, 5)), random_tokens(13, *GRIDS)
    (single,) = maps(Subspace(), tmp_path, test=tokens, references=references)
    doubled = [2 * image for image in tokens], [2 * image for image in references]
    assert_close(maps(Subspace(), tmp_path, test=doubled[0], references=doubled[1])[0], 4 * single)


@pytest.mark.parametrize("patches", [1, 2, 5])
def test_the_subspace_of_few_patches_goes_through_them_and_no_further(tmp_path, patches):
    images = random_tokens(17, (1, patches), channels=9)
    with FeatureReader(write_features(tmp_path / "references.h5", images)) as reader:
        scorer = Subspace(explained_variance=1)
        model = scorer.fit(reader, [0], Compute())
        (score,) = scorer.score_by(model, reader, [0], Compute())
    assert model.rank == patches - 1
    np.testing.assert_allclose(score.anomaly_map, 0, atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1])
@pytest.mark.parametrize("grid", [(1, 1), (7, 5)])
def test_references_without_variance_leave_the_squared_distance_to_them(tmp_path, value, grid):
    constant = np.full((3, *grid, 5), value)
    found = maps(Subspace(), tmp_path, test=[constant, constant + 2], references=[constant, constant])
    np.testing.assert_allclose(found[0], 0, atol=1e-12)
    np.testing.assert_allclose(found[1], 5 * 2**2, rtol=1e-3)  # float16 has steps of 1/512 there


def test_a_constant_image_among_others_is_scored(tmp_path):
    tokens, references = [np.zeros((2, 4, 4, 6))], random_tokens(14, *GRIDS)
    (found,) = maps(Subspace(), tmp_path, test=tokens, references=references)
    np.testing.assert_allclose(found, reference(tokens[0], references, 0.99), rtol=1e-5)


def test_references_are_scored_by_the_others(tmp_path):
    images = random_tokens(15, (4, 5), (5, 3))
    with FeatureReader(write_features(tmp_path / "references.h5", images)) as reader:
        found = list(Subspace().score_references({"references": reader}, Compute()))
    assert [score.index for score in found] == [0, 1]
    for score, image, other in zip(found, images, images[::-1], strict=True):
        np.testing.assert_allclose(score.anomaly_map, reference(image, [other], 0.99), rtol=1e-5, atol=1e-6)


def test_references_are_turned_by_default():
    assert Subspace(shots=4).feature_sets()["references"].view == "rotations"
    assert Subspace(rotations=False).feature_sets()["references"].view == "original"


@pytest.mark.parametrize("share", [0, 1.01])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ConfigError, match=r"methods\.subspace: explained_variance"):
        Subspace.build({"explained_variance": share}, where="methods.subspace")


@pytest.mark.parametrize("memory", [1, 4000, 10**6])
def test_streamed_moments_equal_those_of_all_vectors_together(memory):
    vectors = torch.from_numpy(np.random.default_rng(16).normal(1e6, 1, (70, 7)))
    moments = Moments(7, Compute(memory=memory))
    for part in vectors.split([1, 40, 29]):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, vectors.mean(dim=0), rtol=1e-14)
    np.testing.assert_allclose(moments.covariance, np.cov(vectors.numpy().T), rtol=1e-7, atol=1e-8)


def test_sums_in_float64_run_on_the_cpu_where_the_device_has_none():
    assert {device: fitting_device(device) for device in ("cpu", "cuda", "mps")} == {
        "cpu": "cpu",
        "cuda": "cuda",
        "mps": "cpu",
    }


def test_a_single_vector_has_no_covariance():
    moments = Moments(3, Compute())
    moments.add(torch.tensor([[1.0, 2.0, 3.0]]))
    assert moments.mean.tolist() == [1, 2, 3]
    assert not moments.covariance.any()
