"""Nearest class tokens against plain loops, and what the score must do by its definition."""

import numpy as np
import pytest

from closeness import assert_close
from feature_files import random_tokens, scores, write_features
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute

COMPUTE = Compute()


def images(seed, count, **shape):
    grids = [(2, 2), (1, 3), (2, 3)] * count
    return random_tokens(seed, *grids[:count], **shape)


def found(scorer, folder, test, references, compute=COMPUTE):
    results = scores(scorer, folder, compute, test=test, references=references)
    assert all(result.anomaly_map is None for result in results)
    return np.array([result.image_score for result in results])


def class_tokens(image):
    """Those that `write_features` stores, as unit vectors ``[layer, channel]``."""
    means = image.mean(axis=(1, 2)).astype(np.float32).astype(np.float64)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def reference(image, references, k):
    distances = []
    for other in references:
        pairs = zip(class_tokens(image), class_tokens(other), strict=True)
        distances.append(np.mean([1 - own @ its for own, its in pairs]))
    return np.mean(sorted(distances)[:k])


@pytest.mark.parametrize("k", [1, 3, 5])
def test_scores_equal_plain_loops(tmp_path, k):
    test, references = images(0, 4, layers=3), images(1, 5, layers=3)
    expected = [reference(image, references, k) for image in test]
    assert_close(found(ClassTokenKnn(k=k), tmp_path, test, references), expected)


def test_scores_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    good, cracked = tile_tokens[:3], tile_tokens[3:]
    expected = [reference(image, good, 2) for image in cracked]
    assert_close(found(ClassTokenKnn(k=2), tmp_path, cracked, good), expected)


@pytest.mark.parametrize("memory", [1, 777, 10**12])
def test_the_memory_does_not_matter(tmp_path, memory):
    test, references = images(2, 5), images(3, 7)
    expected = found(ClassTokenKnn(k=2), tmp_path, test, references)
    limited = found(ClassTokenKnn(k=2), tmp_path, test, references, Compute(memory=memory))
    assert_close(limited, expected)


def test_the_order_of_the_references_does_not_matter(tmp_path):
    test, references = images(4, 3), images(5, 6)
    straight = found(ClassTokenKnn(k=2), tmp_path, test, references)
    assert_close(found(ClassTokenKnn(k=2), tmp_path, test, references[::-1]), straight)


@pytest.mark.parametrize("k", [1, 3])
def test_one_reference_more_even_if_seen_before_raises_no_score(tmp_path, k):
    test, references = images(6, 5), images(7, 4)
    before = found(ClassTokenKnn(k=k), tmp_path, test, references)
    after = found(ClassTokenKnn(k=k), tmp_path, test, [*references, references[0]])
    assert (after <= before + 1e-6).all()


def test_a_test_image_that_is_a_reference_scores_zero_and_others_do_not(tmp_path):
    references = images(8, 4)
    same, other = found(ClassTokenKnn(), tmp_path, [references[2], *images(9, 1)], references)
    assert same == pytest.approx(0, abs=1e-6)
    assert other > 0.01


def test_the_length_of_a_class_token_does_not_matter(tmp_path):
    test, references = images(10, 2), images(11, 3)
    straight = found(ClassTokenKnn(), tmp_path, test, references)
    longer = found(ClassTokenKnn(), tmp_path, [4 * image for image in test], references)
    assert_close(longer, straight)


def test_zero_tokens_are_alike_and_opposite_ones_are_two_apart(tmp_path):
    zeros, ones = np.zeros((2, 2, 2, 4)), np.ones((2, 1, 2, 4))
    assert_close(found(ClassTokenKnn(), tmp_path, [zeros, ones, -ones], [zeros]), [0, 0, 2])


def test_only_the_named_layers_count(tmp_path):
    test, references = images(12, 2, layers=2), images(13, 3, layers=2)
    expected = [reference(image[1:], [other[1:] for other in references], 1) for image in test]
    assert_close(found(ClassTokenKnn(layers=[1]), tmp_path, test, references), expected)


def test_each_reference_is_compared_with_others_alone(tmp_path):
    references = images(14, 3)
    with FeatureReader(write_features(tmp_path / "references.h5", references)) as reader:
        crossed = list(ClassTokenKnn().score_references({"references": reader}, Compute()))
    for score in crossed:
        others = references[: score.index] + references[score.index + 1 :]
        assert score.image_score == pytest.approx(reference(references[score.index], others, 1), abs=1e-6)
    assert len(crossed) == 3


def test_more_neighbours_than_references_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"there are 2 class tokens .* fewer than k = 3; lower 'k' or raise 'shots'"):
        found(ClassTokenKnn(k=3), tmp_path, images(15, 1), images(16, 2))


def test_the_features_name_shots_seed_and_view():
    scorer = ClassTokenKnn(shots=4, seed=2)
    assert scorer.setting == "few-shot-4"
    assert scorer.feature_sets()["references"] == ("references-k4-seed2", "original")
    assert ClassTokenKnn(shots="all", rotations=True).feature_sets()["references"] == ("train", "rotations")
    assert not ClassTokenKnn.localises
