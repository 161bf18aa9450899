"""Flip consistency against plain loops, and what it must do by its definition."""

import numpy as np

from closeness import assert_close
from feature_files import maps, random_tokens, stored
from zsad.scoring.flip_consistency import FlipConsistency


def check_against_plain_loops(folder, tokens, mirrored):
    found = maps(FlipConsistency(), folder, test=tokens, mirrored=mirrored)
    for anomaly_map, seen, seen_mirrored in zip(found, map(stored, tokens), map(stored, mirrored), strict=True):
        layers, rows, columns, _ = seen.shape
        expected = np.zeros((rows, columns))
        for layer in range(layers):
            for r in range(rows):
                for c in range(columns):
                    expected[r, c] += (1 - seen[layer, r, c] @ seen_mirrored[layer, r, columns - 1 - c]) / layers
        assert_close(anomaly_map, expected)


def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path):
    check_against_plain_loops(tmp_path, random_tokens(0, (5, 7), (4, 3)), random_tokens(1, (5, 7), (4, 3)))


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    check_against_plain_loops(tmp_path, tile_tokens, [image[:, ::-1] for image in tile_tokens])


def test_mirroring_the_input_mirrors_the_map(tmp_path):
    tokens, mirrored = random_tokens(2, (5, 8)), random_tokens(3, (5, 8))
    (straight,) = maps(FlipConsistency(), tmp_path, test=tokens, mirrored=mirrored)
    (turned,) = maps(FlipConsistency(), tmp_path, test=mirrored, mirrored=tokens)
    assert_close(turned, straight[:, ::-1])


def test_a_backbone_that_is_equivariant_to_the_mirror_scores_zero_whatever_the_image(tmp_path):
    tokens = random_tokens(4, (6, 7))
    (found,) = maps(FlipConsistency(), tmp_path, test=tokens, mirrored=[tokens[0][:, :, ::-1]])
    assert_close(found, 0, size=1)


def test_zero_tokens_score_zero(tmp_path):
    zeros = [np.zeros((1, 3, 3, 4))]
    assert_close(maps(FlipConsistency(), tmp_path, test=zeros, mirrored=zeros)[0], 0, size=1)
