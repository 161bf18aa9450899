"""The memory bank against plain loops, and what it must do by its definition."""

import numpy as np
import pytest

from feature_files import maps, random_tokens, stored
from zsad.errors import DataError
from zsad.scoring.memory_bank import MemoryBank


def reference(tokens, references, k):
    unit = stored(tokens)
    layers, rows, columns, channels = unit.shape
    scores = np.zeros((rows, columns))
    for layer in range(layers):
        bank = np.concatenate([stored(image)[layer].reshape(-1, channels) for image in references])
        for r in range(rows):
            for c in range(columns):
                distances = sorted(1 - unit[layer, r, c] @ entry for entry in bank)
                scores[r, c] += np.mean(distances[:k]) / layers
    return scores


@pytest.mark.parametrize("k", [1, 4])
def test_maps_equal_plain_loops(tmp_path, k):
    tokens, references = random_tokens(0, (5, 7), (6, 3)), random_tokens(1, (4, 4), (3, 5))
    found = maps(MemoryBank(shots=2, k=k), tmp_path, test=tokens, references=references)
    for anomaly_map, image in zip(found, tokens, strict=True):
        np.testing.assert_allclose(anomaly_map, reference(image, references, k), atol=1e-5)


def test_the_order_of_the_references_does_not_matter(tmp_path):
    tokens, references = random_tokens(2, (6, 6)), random_tokens(3, (4, 4), (5, 3), (3, 3))
    straight = maps(MemoryBank(shots=3, k=2), tmp_path, test=tokens, references=references)
    turned = maps(MemoryBank(shots=3, k=2), tmp_path, test=tokens, references=references[::-1])
    np.testing.assert_allclose(turned[0], straight[0], atol=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_one_reference_more_even_if_seen_before_raises_no_score(tmp_path, k):
    tokens, references = random_tokens(4, (6, 6)), random_tokens(5, (4, 4), (5, 3))
    before = maps(MemoryBank(shots=2, k=k), tmp_path, test=tokens, references=references)
    after = maps(MemoryBank(shots=3, k=k), tmp_path, test=tokens, references=[*references, references[0]])
    assert (after[0] <= before[0] + 1e-6).all()


def test_a_test_image_that_is_a_reference_scores_zero(tmp_path):
    tokens = random_tokens(6, (6, 5))
    np.testing.assert_allclose(maps(MemoryBank(), tmp_path, test=tokens, references=tokens)[0], 0, atol=1e-6)


def test_more_neighbours_than_reference_patches_are_refused(tmp_path):
    tokens = random_tokens(7, (2, 3))
    with pytest.raises(DataError, match="6 patches, fewer than k = 7"):
        maps(MemoryBank(k=7), tmp_path, test=tokens, references=tokens)


def test_the_setting_and_the_features_name_shots_and_seed():
    scorer = MemoryBank(shots=4, seed=2)
    assert scorer.setting == "few-shot-4"
    assert scorer.feature_sets()["references"].subset == "references-k4-seed2"
