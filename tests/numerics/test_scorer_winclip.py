"""WinCLIP against plain loops over windows and patches, and what it must refuse."""

import re

import numpy as np
import pytest

from closeness import assert_close
from text_files import class_means, made_up_texts, probability, windowed_tokens
from zsad.errors import ConfigError, DataError
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.winclip import WinClip
from zsad.scoring.windows import covered, harmonic_mean, over_patches

GRIDS = [(4, 5), (3, 3), (5, 4)]
COMPUTE = Compute()


def covering(rows, columns, side, row, column):
    """The top left patches of all windows that cover a patch."""
    for top in range(rows - side + 1):
        for left in range(columns - side + 1):
            if top <= row < top + side and left <= column < left + side:
                yield top, left


def spread(scores, side, rows, columns):
    """The harmonic mean over the windows that cover a patch, patch by patch."""
    spread_out = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            over = [scores[window] for window in covering(rows, columns, side, row, column)]
            spread_out[row, column] = len(over) / sum(1 / score for score in over)
    return spread_out


def reference(features, index, texts, averaging, temperature, sides):
    classes = class_means(texts, averaging)
    width = texts.embeddings.shape[1]
    whole = probability(features.cls_tokens_of(index)[0][:width], classes, temperature)
    rows, columns = features.grid_sizes[index]
    inverse, count = np.full((rows, columns), 1 / whole), 1
    for side in sides:
        layer = features.patch_tokens(index)[features.layers.index(f"window{side}")]
        scores = {
            (top, left): probability(layer[top, left, :width], classes, temperature)
            for top in range(rows - side + 1)
            for left in range(columns - side + 1)
        }
        inverse += 1 / spread(scores, side, rows, columns)
        count += 1
    return whole, count / inverse


@pytest.mark.parametrize("averaging", ["raw", "normalised"])
@pytest.mark.parametrize(
    ("sides", "scales"), [((2, 3), None), ((1, 2, 3), None), ((1, 2, 3), (3, 1)), ((3, 2), (2,)), ((3,), None)]
)
def test_scores_equal_plain_loops(sides, scales, averaging):
    texts = made_up_texts(0, 6)
    features = windowed_tokens(1, GRIDS, sides=sides, texts=texts)
    found = list(WinClip(scales=scales, averaging=averaging).score({"test": features}, COMPUTE))
    assert [score.index for score in found] == [0, 1, 2]
    for index, score in enumerate(found):
        whole, expected = reference(features, index, texts, averaging, 0.07, scales or sides)
        assert score.image_score == pytest.approx(whole, abs=1e-6)
        assert score.anomaly_map.dtype == np.float32
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-6)


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_the_temperature_is_that_of_the_softmax(temperature):
    texts = made_up_texts(2, 6)
    features = windowed_tokens(3, [(3, 4)], texts=texts)
    (score,) = WinClip(temperature=temperature).score({"test": features}, COMPUTE)
    whole, expected = reference(features, 0, texts, "raw", temperature, (2, 3))
    assert score.image_score == pytest.approx(whole, abs=1e-5)
    assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)


def test_the_orders_of_averaging_differ():
    texts = made_up_texts(4, 6)
    features = windowed_tokens(5, [(4, 4)], texts=texts)
    raw, normalised = (
        next(iter(WinClip(averaging=averaging).score({"test": features}, COMPUTE)))
        for averaging in ("raw", "normalised")
    )
    assert abs(raw.image_score - normalised.image_score) > 1e-3


def test_the_image_score_is_its_own_and_is_kept():
    features = windowed_tokens(6, [(4, 4)], texts=made_up_texts(7, 6))
    (score,) = WinClip().score({"test": features}, COMPUTE)
    stored = ImageScoring(smoothing=1.0).complete(score)
    assert stored.image_score == score.image_score
    assert not np.array_equal(stored.anomaly_map, score.anomaly_map)


def test_what_lies_beyond_the_windows_of_a_layer_is_not_read():
    texts = made_up_texts(8, 6)
    features = windowed_tokens(9, [(4, 5)], texts=texts)
    tokens = features.patch_tokens(0)
    tokens[0, -1], tokens[0, :, -1], tokens[1, -2:], tokens[1, :, -2:] = 7, -7, 8, -8
    other = MemoryTokens([tokens], features.cls_tokens(), features.image_ids, features.layers, texts=texts)
    maps = [next(iter(WinClip().score({"test": each}, COMPUTE))).anomaly_map for each in (features, other)]
    np.testing.assert_array_equal(*maps)


def test_a_score_of_zero_makes_a_mean_of_zero():
    scores = np.array([[0.5, 0.0], [0.5, 0.5]])
    assert over_patches(scores, 2).tolist() == [[0.5, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5]]
    assert harmonic_mean([0.5, np.array([0.5, 0.0])]).tolist() == [0.5, 0]
    assert harmonic_mean([0.0, np.array([0.5, 0.25])]).tolist() == [0, 0]


def test_vectors_that_are_as_far_from_damage_as_can_be_score_nothing_and_no_nan():
    texts = made_up_texts(10, 6, states=(0, 1))
    normal, anomalous = texts.embeddings / np.linalg.norm(texts.embeddings, axis=1, keepdims=True)
    features = windowed_tokens(11, [(3, 3)], texts=texts)
    tokens = features.patch_tokens(0)
    tokens[0, :2, :2, :6] = normal - anomalous
    other = MemoryTokens([tokens], features.cls_tokens(), features.image_ids, features.layers, texts=texts)
    (score,) = WinClip(temperature=1e-4).score({"test": other}, COMPUTE)
    assert score.anomaly_map.tolist() == np.zeros((3, 3)).tolist()


def test_each_patch_is_covered_by_as_many_windows_as_loops_count():
    for rows, columns, side in [(4, 6, 2), (3, 3, 3), (5, 3, 1)]:
        expected = [[len(list(covering(rows, columns, side, r, c))) for c in range(columns)] for r in range(rows)]
        assert covered(np.ones((rows - side + 1, columns - side + 1)), side).tolist() == expected


@pytest.mark.parametrize(
    ("layers", "grids", "scales", "reason"),
    [
        (["4", "5"], [(3, 3)], None, "the features have no windows, .* `path: windows`"),
        (["window", "windows2", "patches"], [(3, 3)], None, "the features have no windows"),
        (["window2", "window3", "patches"], [(3, 3)], (2, 4), r"no windows of 4 x 4 patches, but of 2, 3; change"),
        (["window2", "window3", "patches"], [(3, 3), (5, 2)], None, "b has 5 x 2 patches, .* window of 3 x 3"),
        (["window2", "window3", "patches"], [(3, 3), (5, 2)], (2,), ""),
        (["window2", "window10", "patches"], [(9, 9)], None, "a has 9 x 9 patches, .* window of 10 x 10"),
        (None, [(3, 3), (2, 3)], (2,), ""),
        (None, [(3, 3), (2, 3)], (3,), "b has 2 x 3 patches"),
        (None, [(1, 1)], None, ""),
    ],
)
def test_features_without_such_windows_are_refused(layers, grids, scales, reason):
    shown = Shown(["a", "b"][: len(grids)], grids, layers, 8)
    found = WinClip(scales=scales).refusal({"test": shown})
    assert re.search(reason, found) if reason else not found


def test_scoring_refuses_what_is_refused_beforehand():
    features = windowed_tokens(12, [(2, 3)], texts=made_up_texts(13, 6))
    with pytest.raises(DataError, match=r"test/0.png has 2 x 3 patches"):
        list(WinClip().score({"test": features}, COMPUTE))


def test_windows_of_another_width_than_the_texts_are_refused():
    features = windowed_tokens(14, [(3, 3)], texts=made_up_texts(15, 5))
    with pytest.raises(
        DataError,
        match=r"the image vector of test/0.png .* not lie in the space of the texts, .* 5 "
        "chann",
    ):
        list(WinClip().score({"test": features}, COMPUTE))
    whole = features.cls_tokens() * (np.arange(8) < 5)
    narrow = MemoryTokens(
        [features.patch_tokens(0)], whole, features.image_ids, features.layers, texts=made_up_texts(15, 5)
    )
    with pytest.raises(DataError, match=r"layer 'window2' of .* not lie in the space of the texts"):
        list(WinClip().score({"test": narrow}, COMPUTE))


@pytest.mark.parametrize("scales", [[], [0], [1.5], "all"])
def test_scales_that_are_no_sides_of_windows_are_refused(scales):
    with pytest.raises(ConfigError, match="scales"):
        WinClip.build({"scales": scales}, where="here")


def test_the_setting_and_what_is_read():
    assert WinClip().setting == "zero-shot-text"
    assert WinClip(text_prompts="a.pth", trained_on="visa").setting == "zero-shot-auxiliary(visa)"
    assert WinClip().feature_sets() == {"test": ("test", "original")}
    assert (WinClip.localises, WinClip.text_role, WinClip().learned_files()) == (True, "test", {})
    assert (WinClip.reads_windows, WinClip().own_image_scores) == (True, True)


def test_two_cosines_for_each_vector_and_each_value_is_read():
    test = TokenCount(images=5, patches=7, layers=3, channels=11)
    cosines = sum(2 * 2 * 11 for _ in range(5 * 7 * 3))
    assert WinClip().operations({"test": test}) == 100 * 5 * 7 * 3 * 11 + cosines
