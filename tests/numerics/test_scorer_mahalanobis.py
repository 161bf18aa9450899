"""The Mahalanobis distance against plain loops, in both its forms, and what it must do by its definition."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, stored, write_features
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.scoring.compute import Compute
from zsad.scoring.mahalanobis import Mahalanobis

GRIDS = [(5, 4), (3, 7), (4, 4)]
BOTH = pytest.mark.parametrize("per_position", [False, True])


def vectors(image, drawn=None):
    layers, rows, columns, channels = image.shape
    joined = np.empty((rows, columns, layers * channels))
    for layer, unit in enumerate(stored(image)):
        joined[:, :, layer * channels : (layer + 1) * channels] = unit
    return joined if drawn is None else joined[:, :, drawn]


def covariance(samples):
    deviations = samples - samples.mean(axis=0)
    return sum(np.outer(deviation, deviation) for deviation in deviations) / max(1, len(samples) - 1)


def reference(image, references, *, per_position, regularisation=0.01, drawn=None):
    known = [vectors(other, drawn) for other in references]
    channels = known[0].shape[2]
    patches = np.concatenate([other.reshape(-1, channels) for other in known])
    epsilon = regularisation * np.trace(covariance(patches)) / channels
    tested = vectors(image, drawn)
    scores = np.zeros(tested.shape[:2])
    for r, c in np.ndindex(scores.shape):
        samples = np.stack([other[r, c] for other in known]) if per_position else patches
        inverse = np.linalg.inv(covariance(samples) + epsilon * np.eye(channels))
        difference = tested[r, c] - samples.mean(axis=0)
        scores[r, c] = np.sqrt(difference @ inverse @ difference)
    return scores


@pytest.mark.parametrize("regularisation", [0.01, 1e-4])
@pytest.mark.parametrize("chosen", [[0], [1, 0], [2, 0, 1], [1, 1]])
def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path, chosen, regularisation):
    tokens, kinds = random_tokens(0, (5, 7), (6, 3)), random_tokens(1, *GRIDS)
    references = [kinds[kind] for kind in chosen]
    scorer = Mahalanobis(regularisation=regularisation)
    for anomaly_map, image in zip(maps(scorer, tmp_path, test=tokens, references=references), tokens, strict=True):
        expected = reference(image, references, per_position=False, regularisation=regularisation)
        np.testing.assert_allclose(anomaly_map, expected, rtol=1e-5)


@pytest.mark.parametrize("chosen", [[0], [1, 0], [2, 0, 1], [1, 1], [0, 2, 2]])
def test_maps_by_position_equal_plain_loops_for_new_images_and_for_the_references(tmp_path, chosen):
    *tokens, first, second, third = random_tokens(2, *[(4, 5)] * 5)
    references = [[first, second, third][kind] for kind in chosen]
    found = maps(Mahalanobis(per_position=True), tmp_path, test=[*tokens, first], references=references)
    for anomaly_map, image in zip(found, [*tokens, first], strict=True):
        expected = reference(image, references, per_position=True)
        assert_close(anomaly_map, expected)


@BOTH
def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens, per_position):
    *good, cracked = [image[:, :6, :6] for image in tile_tokens[:4]]
    (found,) = maps(Mahalanobis(per_position=per_position), tmp_path, test=[cracked], references=good)
    np.testing.assert_allclose(found, reference(cracked, good, per_position=per_position), rtol=1e-5)


@BOTH
def test_drawn_channels_may_be_fewer_than_the_references(tmp_path, per_position):
    tokens, *references = random_tokens(3, *[(3, 4)] * 8)
    scorer = Mahalanobis(per_position=per_position, channels=5, channel_seed=7)
    (found,) = maps(scorer, tmp_path, test=[tokens], references=references)
    drawn = np.random.default_rng(7).permutation(12)[:5]
    expected = reference(tokens, references, per_position=per_position, drawn=drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@BOTH
def test_drawing_all_channels_is_drawing_none(tmp_path, per_position):
    tokens, *references = random_tokens(4, *[(3, 4)] * 3)
    every, drawn = (
        maps(Mahalanobis(per_position=per_position, channels=count), tmp_path, test=[tokens], references=references)[0]
        for count in (None, 12)
    )
    np.testing.assert_allclose(drawn, every, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("memory", [1, 3001, 10**6])
def test_the_memory_does_not_change_the_maps(tmp_path, per_position, memory):
    *tokens, first, second, third = random_tokens(5, *[(5, 3)] * 5)
    references = [first, second, third]
    found = maps(
        Mahalanobis(per_position=per_position), tmp_path, Compute(memory=memory), test=tokens, references=references
    )
    for anomaly_map, image in zip(found, tokens, strict=True):
        expected = reference(image, references, per_position=per_position)
        np.testing.assert_allclose(anomaly_map, expected, rtol=1e-5)


@BOTH
def test_the_order_of_the_references_does_not_matter(tmp_path, per_position):
    tokens, *references = random_tokens(6, *[(5, 5)] * 5)
    scorer = Mahalanobis(per_position=per_position)
    (straight,) = maps(scorer, tmp_path, test=[tokens], references=references)
    (turned,) = maps(scorer, tmp_path, test=[tokens], references=references[::-1])
    np.testing.assert_allclose(turned, straight, rtol=1e-5)


@BOTH
def test_the_scale_of_a_layer_does_not_matter(tmp_path, per_position):
    images = random_tokens(7, *[(4, 4)] * 3)
    scaled = [image * np.array([8, 0.5])[:, None, None, None] for image in images]
    scorer = Mahalanobis(per_position=per_position)
    (plain,) = maps(scorer, tmp_path, test=images[:1], references=images[1:])
    (found,) = maps(scorer, tmp_path, test=scaled[:1], references=scaled[1:])
    np.testing.assert_allclose(found, plain, rtol=1e-5)


@BOTH
def test_the_order_and_signs_of_the_channels_do_not_matter(tmp_path, per_position):
    images = random_tokens(8, *[(4, 4)] * 4)
    turned = [image[..., [3, 0, 5, 1, 4, 2]] * np.array([1, -1, 1, 1, -1, -1]) for image in images]
    scorer = Mahalanobis(per_position=per_position)
    (plain,) = maps(scorer, tmp_path, test=images[:1], references=images[1:])
    (found,) = maps(scorer, tmp_path, test=turned[:1], references=turned[1:])
    np.testing.assert_allclose(found, plain, rtol=1e-5)


@BOTH
def test_the_mean_of_the_references_scores_zero(tmp_path, per_position):
    images = random_tokens(9, *[(4, 3)] * 3)
    mean = np.mean([vectors(image) for image in images], axis=0).reshape(12, 12)
    if not per_position:
        mean = np.broadcast_to(mean.mean(axis=0), mean.shape)
    with FeatureReader(write_features(tmp_path / "references.h5", images)) as reader:
        model = Mahalanobis(per_position=per_position).fit(reader, range(3), Compute())
    (piece,) = model.pieces()
    squares = piece.squared_distances(torch.from_numpy(mean.astype(np.float32)), Compute())
    np.testing.assert_allclose(squares, 0, atol=1e-10)


def test_a_single_reference_scores_zero_by_position(tmp_path):
    images = random_tokens(10, (4, 6), (4, 6))
    found = maps(Mahalanobis(per_position=True), tmp_path, test=images, references=images[:1])
    assert_close(found[0], 0, size=1)
    assert found[1].min() > 0.1


@BOTH
@pytest.mark.parametrize("count", [1, 3])
def test_references_without_variance_leave_a_distance_in_the_unit_of_a_channel(tmp_path, per_position, count):
    constant = np.broadcast_to([0.1, 0.3, 0, 0.2], (2, 5, 3, 4))
    other = np.broadcast_to([0.1, 0, 0.3, 0.2], (2, 5, 3, 4))
    found = maps(
        Mahalanobis(per_position=per_position), tmp_path, test=[constant, other], references=[constant] * count
    )
    assert_close(found[0], 0, size=1)
    distance = np.linalg.norm(vectors(other)[0, 0] - vectors(constant)[0, 0])
    np.testing.assert_allclose(found[1], distance / np.sqrt(0.01 / 4), rtol=1e-5)


@BOTH
def test_zero_tokens_have_finite_scores(tmp_path, per_position):
    zeros, image = np.zeros((2, 4, 4, 6)), random_tokens(11, (4, 4))[0]
    for references in ([zeros], [image], [zeros, image]):
        found = maps(
            Mahalanobis(per_position=per_position, channels=3), tmp_path, test=[zeros, image], references=references
        )
        assert all(np.isfinite(anomaly_map).all() for anomaly_map in found)


@BOTH
def test_references_are_scored_by_the_others(tmp_path, per_position):
    images = random_tokens(12, (4, 5), (4, 5), (4, 5))
    with FeatureReader(write_features(tmp_path / "references.h5", images)) as reader:
        found = list(Mahalanobis(per_position=per_position).score_references({"references": reader}, Compute()))
    assert [score.index for score in found] == [0, 1, 2]
    for score in found:
        others = [image for index, image in enumerate(images) if index != score.index]
        expected = reference(images[score.index], others, per_position=per_position)
        np.testing.assert_allclose(score.anomaly_map, expected, rtol=1e-5)


def test_an_image_of_another_grid_is_refused_by_position(tmp_path):
    tokens, references = random_tokens(13, (4, 4), (4, 5)), random_tokens(14, (4, 4))
    with pytest.raises(DataError, match=r"test/1\.png has 4 x 5 patches .* has 4 x 4, .*per_position: false"):
        maps(Mahalanobis(per_position=True), tmp_path, test=tokens, references=references)


def test_references_of_different_grids_are_refused_by_position(tmp_path):
    tokens, references = random_tokens(15, (3, 4)), random_tokens(16, (3, 4), (4, 3))
    with pytest.raises(DataError, match=r"has 4 x 3 patches and the reference .* has 3 x 4"):
        maps(Mahalanobis(per_position=True), tmp_path, test=tokens, references=references)


def test_more_channels_than_there_are_are_refused(tmp_path):
    tokens = random_tokens(17, (3, 4))
    with pytest.raises(ConfigError, match="there are 12 channels, fewer than the 13 wanted; lower 'channels'"):
        maps(Mahalanobis(channels=13), tmp_path, test=tokens, references=tokens)


def test_turned_references_by_position_are_refused():
    with pytest.raises(ConfigError, match=r"methods\.padim: .*no common positions; set 'rotations: false'"):
        Mahalanobis.build({"per_position": True, "rotations": True}, where="methods.padim")


def test_no_regularisation_is_refused():
    with pytest.raises(ConfigError, match=r"methods\.padim: regularisation"):
        Mahalanobis.build({"regularisation": 0}, where="methods.padim")


def test_references_are_turned_only_if_configured():
    assert Mahalanobis(shots=4).feature_sets()["references"].view == "original"
    assert Mahalanobis(rotations=True).feature_sets()["references"].view == "rotations"
