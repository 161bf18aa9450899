"""The Gaussian mixture of pooled embeddings against plain loops, and what it must do by its definition."""

import numpy as np
import pytest

from closeness import assert_close
from feature_files import random_tokens, scores, write_features
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.scoring.compute import Compute
from zsad.scoring.gmm import GMM

COMPUTE = Compute()
COVARIANCES = ["full", "diag", "tied", "spherical"]


def images(seed, count, **shape):
    """Images of mixed sizes whose means differ enough to have directions."""
    grids = [(3, 4), (2, 5), (4, 4)] * count
    offsets = np.random.default_rng(seed).normal(size=count)
    tokens = random_tokens(seed, *grids[:count], **shape)
    return [image + offset for image, offset in zip(tokens, offsets, strict=True)]


def found(scorer, folder, test, references, compute=COMPUTE):
    return np.array([score.image_score for score in scores(scorer, folder, compute, test=test, references=references)])


def fitted(scorer, folder, references):
    with FeatureReader(write_features(folder / "fitted.h5", references)) as reader:
        return scorer.fit(reader, range(len(reader)), Compute())


def embedding(tokens):
    means = tokens.astype(np.float16).astype(np.float64).mean(axis=(1, 2))
    return np.concatenate([mean / np.linalg.norm(mean) for mean in means]) / np.sqrt(len(means))


def log_normal(x, covariance):
    return -(len(x) * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + x @ np.linalg.solve(covariance, x)) / 2


def mixture_likelihood(mixture, z):
    """By the definition, from the fitted weights, means and covariances."""
    total = 0.0
    for component, (weight, mean) in enumerate(zip(mixture.weights_, mixture.means_, strict=True)):
        covariance = {
            "full": lambda c: mixture.covariances_[c],
            "tied": lambda _: mixture.covariances_,
            "diag": lambda c: np.diag(mixture.covariances_[c]),
            "spherical": lambda c: mixture.covariances_[c] * np.eye(len(z)),
        }[mixture.covariance_type](component)
        total += weight * np.exp(log_normal(z - mean, covariance))
    return np.log(total)


def reference(test, references, dimensions, likelihood):
    """``-log p`` of each test image; ``likelihood`` gives ``log p(z)`` from the references' coordinates and ``z``."""
    x = np.array([embedding(image) for image in references])
    mean = x.mean(axis=0)
    covariance = sum(np.outer(row - mean, row - mean) for row in x) / (len(x) - 1)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1][: len(x) - 1], axes[:, ::-1][:, : len(x) - 1]
    kept, left = variances[:dimensions], variances[dimensions:]
    coordinates = (x - mean) @ axes[:, :dimensions] / np.sqrt(kept)
    spread = sum(left) ** 2 / sum(left**2)
    variance = sum(left) * (len(x) - 1) / (len(x) - 1 - dimensions) / spread
    expected = []
    for image in test:
        centred = embedding(image) - mean
        along = [centred @ axis for axis in axes.T[:dimensions]]
        residual = centred - sum(part * axis for part, axis in zip(along, axes.T, strict=False))
        log_residual = -(spread * np.log(2 * np.pi * variance) + residual @ residual / variance) / 2
        log_along = likelihood(coordinates, np.array(along) / np.sqrt(kept)) - np.log(kept).sum() / 2
        expected.append(-log_along - log_residual)
    return np.array(expected)


@pytest.mark.parametrize(("count", "dimensions"), [(12, 3), (12, 5), (3, 1)])
def test_one_gaussian_gives_the_closed_form(tmp_path, count, dimensions):
    test, references = images(0, 4), images(1, count)

    def likelihood(coordinates, z):
        return log_normal(z, coordinates.T @ coordinates / count + 0.1 * np.eye(dimensions))

    scorer = GMM(dimensions=dimensions, reg_covar=0.1)
    expected = reference(test, references, dimensions, likelihood)
    np.testing.assert_allclose(found(scorer, tmp_path, test, references), expected, rtol=1e-5)


def test_scores_of_real_photographs_are_the_closed_form(tmp_path, tile_tokens):
    good, cracked = tile_tokens[:3], tile_tokens[3:]
    expected = reference(
        cracked, good, 1, lambda known, z: log_normal(z, np.cov(known.T, bias=True).reshape(1, 1) + 0.01)
    )
    np.testing.assert_allclose(found(GMM(), tmp_path, cracked, good), expected, rtol=1e-5)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_mixture_gives_the_sum_over_its_gaussians(tmp_path, covariance):
    test, references = images(2, 4), images(3, 20)
    scorer = GMM(dimensions=3, components=2, covariance=covariance, reg_covar=0.1)
    density = fitted(scorer, tmp_path, references)
    expected = []
    for image in test:
        centred = embedding(image) - density.mean
        along = np.array([centred @ axis for axis in density.axes])
        residual = centred - sum(part * axis for part, axis in zip(along, density.axes, strict=True))
        z, (n, variance) = along / density.deviations, density[-2:]
        log_residual = -(n * np.log(2 * np.pi * variance) + residual @ residual / variance) / 2
        expected.append(np.log(density.deviations).sum() - mixture_likelihood(density.mixture, z) - log_residual)
    assert len(density.mixture.weights_) == 2
    np.testing.assert_allclose(found(scorer, tmp_path, test, references), expected, rtol=1e-5)


def test_pooled_patches_are_the_class_token_where_that_is_their_mean(tmp_path):
    test, references = images(4, 3), images(5, 9)
    patches, classes = (
        found(GMM(pooling=pooling, dimensions=2), tmp_path, test, references) for pooling in ("patches", "class")
    )
    np.testing.assert_allclose(patches, classes, rtol=0.01)  # patch tokens are stored in half precision


@pytest.mark.parametrize("components", [1, 3])
def test_the_order_of_the_references_does_not_matter(tmp_path, components):
    test, references = images(6, 4), images(7, 12)
    scorer = GMM(components=components, dimensions=3)
    straight = found(scorer, tmp_path, test, references)
    turned = found(scorer, tmp_path, test, [*references[5:], *references[4::-1]])
    np.testing.assert_allclose(turned, straight, rtol=1e-6)


@pytest.mark.parametrize("memory", [1, 12_345])
def test_neither_the_memory_nor_the_other_test_images_matter(tmp_path, memory):
    test, references = images(8, 3), images(9, 8)
    together = found(GMM(), tmp_path, test, references)
    for image, expected in zip(test, together, strict=True):
        assert_close(found(GMM(), tmp_path, [image], references, Compute(memory=memory)), [expected])


def test_what_is_anomalous_where_the_references_do_not_differ_is_found(tmp_path):
    rng = np.random.default_rng(10)

    def image(along, across):
        tokens = 0.02 * rng.normal(size=(1, 4, 4, 6))
        tokens[..., :3] += [1.0, along, across]
        return tokens

    references = [image(along, 0) for along in np.linspace(-0.1, 0.1, 12)]
    usual = [image(0.04, 0), image(-0.08, 0)]
    odd = [image(0.04, across) for across in (0.1, 0.2, 0.4)]
    result = found(GMM(dimensions=1), tmp_path, [*usual, *odd], references)
    assert result[:2].max() + 10 < result[2]
    assert (np.diff(result[2:]) > 0).all()


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_equal_references_make_anything_else_unlikely(tmp_path):
    image, other = images(11, 1)[0], images(12, 1)[0]
    same, different = found(GMM(components=2), tmp_path, [image, other], [image] * 4)
    assert np.isfinite([same, different]).all()
    assert different > same + 100


def test_constant_images_and_zeros_have_a_score(tmp_path):
    constant = [np.full((2, 2, 3, 6), value) for value in (0.0, 1.0, -1.0)]
    assert np.isfinite(found(GMM(), tmp_path, constant, [*images(13, 2), constant[0]])).all()


def test_few_references_lower_the_number_of_axes(tmp_path):
    for count, expected in [(3, 1), (6, 2), (9, 4)]:
        assert fitted(GMM(), tmp_path, images(14, count)).axes.shape == (expected, 12)
    assert fitted(GMM(), tmp_path, images(14, 40)).axes.shape == (11, 12)


def test_each_reference_is_scored_by_a_fit_to_others(tmp_path):
    references = images(15, 6)
    with FeatureReader(write_features(tmp_path / "references.h5", references)) as reader:
        crossed = list(GMM(dimensions=1).score_references({"references": reader}, Compute()))
    assert sorted(score.index for score in crossed) == list(range(6))
    others = [references[0], *references[2:]]
    first = next(score.image_score for score in crossed if score.index == 1)
    assert_close(first, found(GMM(dimensions=1), tmp_path, references[1:2], others)[0])


@pytest.mark.parametrize(("components", "count", "fewest"), [(1, 2, 3), (5, 4, 5)])
def test_too_few_references_are_refused(tmp_path, components, count, fewest):
    message = f"needs at least {fewest} references, but there are {count}; raise 'shots'"
    with pytest.raises(DataError, match=message):
        found(GMM(components=components), tmp_path, images(16, 1), images(17, count))


def test_an_unknown_covariance_is_refused():
    with pytest.raises(ConfigError, match=r"methods\.gmm: covariance = 'round' is not valid"):
        GMM.build({"covariance": "round"}, where="methods.gmm")


def test_it_takes_all_training_images_by_default():
    assert GMM().setting == "full-shot"
    assert GMM().feature_sets()["references"].subset == "train"
    assert GMM(shots=8, seed=1).feature_sets()["references"].subset == "references-k8-seed1"
    assert not GMM.localises
