"""The foreground mask against a plain version, and what it must do by its definition."""

import cv2
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from zsad.errors import ConfigError
from zsad.scoring.foreground import foreground_mask
from zsad.scoring.memory_bank import MemoryBank


def picture(seed=0, rows=14, columns=16, scale=20.0, noise=0.02):
    """A part of one kind of tokens in the middle of a background of another."""
    rng = np.random.default_rng(seed)
    tokens = np.tile(rng.normal(size=6), (rows, columns, 1))
    inside = np.zeros((rows, columns), dtype=bool)
    inside[3:11, 4:13] = True
    tokens[inside] = rng.normal(size=6)
    return torch.from_numpy(scale * (tokens + noise * rng.normal(size=tokens.shape))).float(), inside


def published(tokens, threshold, border=0.2, least=0.35):
    """AnomalyDINO's recipe, with scikit-learn's principal component."""
    rows, columns, channels = tokens.shape
    component = PCA(1, svd_solver="full").fit_transform(tokens.reshape(-1, channels).numpy())[:, 0]
    mask = (component > threshold).reshape(rows, columns)
    middle = mask[
        int(rows * border) : rows - int(rows * border), int(columns * border) : columns - int(columns * border)
    ]
    if middle.sum() <= least * middle.size:
        mask = (-component > threshold).reshape(rows, columns)
    kernel = np.ones((3, 3), np.uint8)
    return cv2.morphologyEx(cv2.dilate(mask.astype(np.uint8), kernel), cv2.MORPH_CLOSE, kernel).astype(bool)


@pytest.mark.parametrize("seed", range(6))
def test_a_number_gives_the_published_mask(seed):
    tokens, inside = picture(seed)
    found = foreground_mask(tokens, 10.0).numpy()
    np.testing.assert_array_equal(found, published(tokens, 10.0))
    assert found[inside].all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [1e-2, 1.0, 100.0])
def test_otsu_finds_the_part_whatever_the_unit_of_the_tokens(seed, scale):
    tokens, inside = picture(seed, scale=scale)
    grown = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    np.testing.assert_array_equal(foreground_mask(tokens, "otsu").numpy(), grown)


def test_flipping_the_image_flips_the_mask():
    tokens, _ = picture(7, noise=0.3)
    torch.testing.assert_close(foreground_mask(tokens.flip(1), "otsu"), foreground_mask(tokens, "otsu").flip(1))


@pytest.mark.parametrize("rule", [None, "otsu", 10.0])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_where_all_patches_are_alike_the_whole_image_is_the_part(rule, value):
    assert foreground_mask(torch.full((5, 6, 3), value), rule).all()


def test_where_nothing_exceeds_the_threshold_the_whole_image_is_the_part():
    assert foreground_mask(picture()[0], 1e9).all()


@pytest.mark.parametrize("wrong", [-1, "otsy", "nan", [1]])
def test_a_rule_that_is_none_gets_one_sentence(wrong):
    with pytest.raises(ConfigError, match=r"m: foreground = .* is not usable: it must be a number"):
        MemoryBank.build({"foreground": wrong}, where="m")


def test_rules_may_come_as_text():
    assert MemoryBank.build({"foreground": "10"}, where="m").foreground == 10.0
    assert MemoryBank.build({"foreground": "otsu"}, where="m").foreground == "otsu"
