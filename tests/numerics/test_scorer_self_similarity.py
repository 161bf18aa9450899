"""Self-similarity against plain loops, and what it must do by its definition."""

import numpy as np
import pytest

from closeness import assert_close
from feature_files import maps, random_tokens, scores, stored
from zsad.errors import DataError
from zsad.scoring.compute import Compute
from zsad.scoring.self_similarity import OBJECT_TOO_SMALL, SelfSimilarity


def reference(tokens, fraction, radius, k=None):
    unit = stored(tokens)
    layers, rows, columns, _ = unit.shape
    places = [(r, c) for r in range(rows) for c in range(columns)]
    others = {p: [q for q in places if max(abs(p[0] - q[0]), abs(p[1] - q[1])) > radius] for p in places}
    k = k or max(1, int(np.ceil(fraction * min(map(len, others.values())))))
    scores = np.zeros((rows, columns))
    for layer in range(layers):
        for p in places:
            cosines = sorted(unit[layer][p] @ unit[layer][q] for q in others[p])
            scores[p] += (1 - np.mean(cosines[-k:])) / layers
    return scores


@pytest.mark.parametrize(("fraction", "radius"), [(0.001, 0), (0.11, 1), (0.3, 2), (1.0, 1)])
def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path, fraction, radius):
    tokens = random_tokens(0, (7, 5), (4, 9), (6, 6))
    found = maps(SelfSimilarity(fraction=fraction, exclusion_radius=radius), tmp_path, test=tokens)
    for anomaly_map, image in zip(found, tokens, strict=True):
        assert_close(anomaly_map, reference(image, fraction, radius))


@pytest.mark.parametrize("k", [1, 4])
def test_a_number_of_neighbours_takes_the_place_of_a_share(tmp_path, k):
    tokens = random_tokens(3, (7, 5), (6, 6))
    found = maps(SelfSimilarity(k=k, fraction=0.5, exclusion_radius=1), tmp_path, test=tokens)
    for anomaly_map, image in zip(found, tokens, strict=True):
        assert_close(anomaly_map, reference(image, None, 1, k))


def test_more_neighbours_than_there_are_patches_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"test/0\.png has 27 patches beyond .*fewer than k = 28; lower 'k'"):
        maps(SelfSimilarity(k=28, exclusion_radius=1), tmp_path, test=random_tokens(4, (6, 6)))


def test_only_the_chosen_layers_count(tmp_path):
    tokens = random_tokens(1, (6, 6), layers=3)
    found = maps(SelfSimilarity(layers=[2, 0], fraction=0.1), tmp_path, test=tokens)
    assert_close(found[0], reference(tokens[0][[2, 0]], 0.1, 2))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_image_scores_zero(tmp_path, value):
    found = maps(SelfSimilarity(), tmp_path, test=[np.full((2, 6, 7, 4), value)])
    assert_close(found[0], 0, size=1)


def test_a_patch_unlike_the_others_scores_highest(tmp_path):
    tokens = np.tile([1.0, 0.1, 0.0], (1, 8, 8, 1))
    tokens[0, 3, 5] = [0.0, 0.0, 1.0]
    (found,) = maps(SelfSimilarity(), tmp_path, test=[tokens])
    assert np.unravel_index(found.argmax(), found.shape) == (3, 5)
    assert found[3, 5] == pytest.approx(1, abs=1e-3)


def test_neighbours_within_the_radius_do_not_hide_a_defect(tmp_path):
    tokens = np.tile([1.0, 0.0], (1, 9, 9, 1))
    tokens[0, 3:6, 3:6] = [0.0, 1.0]
    scorer = SelfSimilarity(fraction=0.001, exclusion_radius=2)
    (found,) = maps(scorer, tmp_path, test=[tokens])
    assert_close(found[3:6, 3:6], 1, size=1)
    (blind,) = maps(scorer.model_copy(update={"exclusion_radius": 0}), tmp_path, test=[tokens])
    assert_close(blind[3:6, 3:6], 0, size=1)


def test_an_image_too_small_for_the_radius_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"test/1\.png has only 5 x 4 patches.*lower 'exclusion_radius'"):
        maps(SelfSimilarity(), tmp_path, test=random_tokens(2, (8, 8), (5, 4)))


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    for anomaly_map, image in zip(maps(SelfSimilarity(k=3), tmp_path, test=tile_tokens), tile_tokens, strict=True):
        assert_close(anomaly_map, reference(image, None, 2, 3))


@pytest.mark.parametrize("memory", [1, 997, 1 << 30])
def test_the_memory_does_not_matter(tmp_path, memory):
    tokens = random_tokens(5, (7, 5), (6, 6))
    expected = maps(SelfSimilarity(), tmp_path, test=tokens)
    for anomaly_map, whole in zip(
        maps(SelfSimilarity(), tmp_path, Compute(memory=memory), test=tokens), expected, strict=True
    ):
        assert_close(anomaly_map, whole)


def picture_of_a_part():
    """An object with one anomalous patch, of which the background holds many copies."""
    rng = np.random.default_rng(6)
    tokens = np.tile([1.0, 0.0, 0.0, 0.0], (1, 14, 14, 1))
    tokens[:, 4:10, 4:10] = [0.0, 1.0, 0.0, 0.0]
    tokens[:, 6, 6] = tokens[:, 0, ::2] = [0.8, 0.0, 0.6, 0.0]
    return tokens + 0.02 * rng.normal(size=tokens.shape)


def test_on_the_foreground_alone_what_the_background_repeats_is_anomalous_and_the_background_scores_zero(tmp_path):
    scorer = SelfSimilarity(k=1, exclusion_radius=1, foreground="otsu")
    (found,) = maps(scorer, tmp_path, test=[picture_of_a_part()])
    assert np.unravel_index(found.argmax(), found.shape) == (6, 6)
    assert not found[2].any()
    (whole,) = maps(scorer.model_copy(update={"foreground": None}), tmp_path, test=[picture_of_a_part()])
    assert whole[6, 6] < found[6, 6] / 10


def test_where_the_object_is_too_small_for_the_radius_the_whole_image_is_the_object_with_a_note(tmp_path):
    tokens = np.tile([1.0, 0.0], (1, 12, 12, 1))
    tokens[:, 5:7, 5:7] = [0.0, 1.0]
    (found,) = scores(SelfSimilarity(foreground="otsu"), tmp_path, test=[tokens])
    assert found.note == OBJECT_TOO_SMALL
    (whole,) = maps(SelfSimilarity(), tmp_path, test=[tokens])
    assert_close(found.anomaly_map, whole)
