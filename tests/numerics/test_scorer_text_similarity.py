"""Patches and images against sentences, by plain loops, and what must be refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import random_tokens
from text_files import class_means, made_up_texts, probability, windowed_tokens
from tiny_texts import linear_state, write_linear_layers
from zsad.errors import ConfigError, DataError
from zsad.scoring.class_embeddings import class_embeddings, of_patches
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.text_similarity import TextSimilarity
from zsad.scoring.token_source import MemoryTokens

COMPUTE = Compute()
GRIDS = [(2, 3), (4, 2), (1, 3)]
LAYERS = 3


def features_of(seed, texts, *, channels=6, width=None, provenance=None):
    """Patches and image vectors of ``width`` channels, zeros beyond, as if they were in the space of the texts."""
    tokens = random_tokens(seed, *GRIDS, layers=LAYERS, channels=channels)
    whole = np.repeat(np.random.default_rng(seed).normal(size=(len(GRIDS), 1, channels)), LAYERS, axis=1)
    inside = np.arange(channels) < (width or channels)
    return MemoryTokens([image * inside for image in tokens], whole * inside, texts=texts, provenance=provenance)


def reference(features, index, texts, averaging, temperature, layers):
    start, stop = texts.patch_part
    classes, of_patches = class_means(texts, averaging), class_means(texts, averaging, (start, stop))
    width = classes.shape[1]
    tokens = features.patch_tokens(index)
    rows, columns = features.grid_sizes[index]
    expected = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            scores = [probability(tokens[layer, row, column, start:stop], of_patches, temperature) for layer in layers]
            expected[row, column] = sum(scores) / len(scores)
    return probability(features.cls_tokens_of(index)[0][:width], classes, temperature), expected


@pytest.mark.parametrize("averaging", ["raw", "normalised"])
@pytest.mark.parametrize(("names", "layers"), [(None, [0, 1, 2]), (["1"], [1]), (["2", "0"], [2, 0])])
@pytest.mark.parametrize(("width", "temperature"), [(6, 0.07), (4, 0.01), (5, 1.0)])
def test_scores_equal_plain_loops(averaging, names, layers, width, temperature):
    texts = made_up_texts(0, width)
    features = features_of(1, texts, width=width)
    scorer = TextSimilarity(averaging=averaging, temperature=temperature, layers=names)
    found = list(scorer.score({"test": features}, COMPUTE))
    assert [score.index for score in found] == [0, 1, 2]
    for index, score in enumerate(found):
        whole, expected = reference(features, index, texts, averaging, temperature, layers)
        assert score.image_score == pytest.approx(whole, abs=1e-5)
        assert score.anomaly_map.dtype == np.float32
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)


@pytest.mark.parametrize("averaging", ["raw", "normalised"])
def test_patches_are_compared_with_their_part_of_the_texts_and_images_with_all(averaging):
    texts = made_up_texts(2, 8, patch_part=(3, 8))
    features = features_of(3, texts, channels=8)
    tokens = [features.patch_tokens(index) * (np.arange(8) >= 3) for index in range(3)]
    of_patches = MemoryTokens(tokens, features.cls_tokens(), texts=texts)
    for index, score in enumerate(TextSimilarity(averaging=averaging).score({"test": of_patches}, COMPUTE)):
        whole, expected = reference(of_patches, index, texts, averaging, 0.07, [0, 1, 2])
        assert score.image_score == pytest.approx(whole, abs=1e-6)
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-6)
    with pytest.raises(DataError, match=r"a patch of 0 in tokens in memory does not lie in the space of the texts"):
        list(TextSimilarity().score({"test": features}, COMPUTE))


@pytest.mark.parametrize("averaging", ["raw", "normalised"])
def test_what_a_sentence_says_to_images_weighs_nothing_in_what_it_says_to_patches(averaging):
    texts = made_up_texts(4, 5, patch_part=(2, 5))
    louder = made_up_texts(4, 5, patch_part=(2, 5))
    louder.embeddings[1, :2] *= 100
    found = class_embeddings(texts, averaging, "cpu")
    assert_close(found, class_means(texts, averaging), share=1e-6)
    assert_close(torch.linalg.vector_norm(found, dim=1), [1, 1], share=1e-6)
    assert_close(of_patches(louder, averaging, "cpu"), of_patches(texts, averaging, "cpu"), share=1e-6)
    assert_close(of_patches(texts, averaging, "cpu"), class_means(texts, averaging, (2, 5)), share=1e-6)


def test_windows_are_no_layers_of_patches():
    texts = made_up_texts(5, 6)
    windowed = windowed_tokens(6, [(3, 4)], channels=6, texts=texts)
    plain = MemoryTokens([windowed.patch_tokens(0)[2:]], windowed.cls_tokens()[:, 2:], layers=["patches"], texts=texts)
    maps = [next(iter(TextSimilarity().score({"test": each}, COMPUTE))).anomaly_map for each in (windowed, plain)]
    np.testing.assert_array_equal(*maps)
    with pytest.raises(DataError, match="layer 'window2' holds windows of the image, not patches"):
        list(TextSimilarity(layers=["window2"]).score({"test": windowed}, COMPUTE))


def test_the_image_score_is_that_of_the_image_vector_or_the_maps():
    features = features_of(7, made_up_texts(8, 6))
    scorers = TextSimilarity(image_from="class_token"), TextSimilarity(image_from="map")
    own, of_map = (next(iter(scorer.score({"test": features}, COMPUTE))) for scorer in scorers)
    assert of_map.image_score is None
    assert [scorer.own_image_scores for scorer in scorers] == [True, False]
    np.testing.assert_array_equal(own.anomaly_map, of_map.anomaly_map)
    highest = ImageScoring(aggregate="max")
    assert highest.complete(own).image_score == own.image_score
    assert highest.complete(of_map).image_score == of_map.anomaly_map.max()


def linear_file(folder: Path, count: int, given: int, width: int):
    """As APRIL-GAN publishes them, and the same as float64 arrays."""
    state = linear_state(count, given, width)
    weights, biases = (
        np.stack([state[f"fc.{layer}.{kind}"].double().numpy() for layer in range(count)])
        for kind in ("weight", "bias")
    )
    return str(write_linear_layers(folder / "linear.pth", state)), weights, biases


@pytest.mark.parametrize("given", [7, 5])
def test_linear_layers_bring_the_tokens_of_their_layer_among_the_texts(tmp_path, given):
    path, weights, biases = linear_file(tmp_path, 3, given, 4)
    texts = made_up_texts(10, 4)
    features = features_of(11, texts, channels=7, width=given)
    whole = features.cls_tokens() * (np.arange(7) < 4)
    features = MemoryTokens([features.patch_tokens(index) for index in range(3)], whole, texts=texts)
    scorer = TextSimilarity(linear_layers=path, trained_on="visa", layers=["0", "1", "2"])
    assert scorer.temperature == 0.01
    classes = class_means(texts, "normalised")
    for index, score in enumerate(scorer.score({"test": features}, COMPUTE)):
        tokens = features.patch_tokens(index)[..., :given].astype(np.float64)
        rows, columns = features.grid_sizes[index]
        for row in range(rows):
            for column in range(columns):
                of_layers = [
                    probability(weights[layer] @ tokens[layer, row, column] + biases[layer], classes, 0.01)
                    for layer in range(3)
                ]
                assert score.anomaly_map[row, column] == pytest.approx(np.mean(of_layers), abs=1e-5)
        assert score.image_score == pytest.approx(probability(whole[index, 0, :4], classes, 0.01), abs=1e-5)


@pytest.mark.parametrize(
    ("count", "given", "width", "reason"),
    [
        (2, 6, 6, "are 2, but the method reads 3 layers of the features"),
        (3, 7, 6, "read tokens of 7 channels, but the features have 6"),
        (3, 6, 5, "lead to 5 channels, but texts have 6"),
    ],
)
def test_linear_layers_for_other_features_are_refused(tmp_path, count, given, width, reason):
    path, *_ = linear_file(tmp_path, count, given, width)
    features = features_of(12, made_up_texts(13, 6))
    with pytest.raises(DataError, match=rf"the linear layers in .*linear.pth {reason}; choose the model"):
        list(TextSimilarity(linear_layers=path, trained_on="visa").score({"test": features}, COMPUTE))


def test_linear_layers_of_narrower_tokens_are_refused(tmp_path):
    path, *_ = linear_file(tmp_path, 3, 5, 6)
    features = features_of(14, made_up_texts(15, 6))
    with pytest.raises(DataError, match="a patch of 0 in tokens in memory does not lie in the space"):
        list(TextSimilarity(linear_layers=path, trained_on="visa").score({"test": features}, COMPUTE))


def test_the_temperature_of_linear_layers_is_theirs_unless_another_is_given():
    assert TextSimilarity().temperature == TextSimilarity(linear_layers=None).temperature == 0.07
    assert TextSimilarity(linear_layers="a.pth", trained_on="visa").temperature == 0.01
    assert TextSimilarity(linear_layers="a.pth", trained_on="visa", temperature=0.5).temperature == 0.5


RAW = {"path": "plain", "projected": False, "normed": False}
LINEAR = {"linear_layers": "a.pth", "trained_on": "visa"}


@pytest.mark.parametrize(
    ("params", "backbone", "is_read"),
    [
        ({}, {"path": "values", "projected": False}, True),
        ({}, {"path": "plain", "projected": True}, True),
        ({}, {"path": "plain"}, True),
        ({}, {"path": "plain", "projected": False}, False),
        ({}, {"path": "windows", "projected": True}, False),
        (LINEAR, RAW, True),
        (LINEAR, {**RAW, "projected": True}, False),
        (LINEAR, {"path": "plain", "normed": False}, False),
        (LINEAR, {"path": "plain", "projected": False}, False),
        (LINEAR, {**RAW, "normed": True}, False),
        (LINEAR, {**RAW, "path": "values"}, False),
    ],
)
def test_features_of_another_path_are_refused(params, backbone, is_read):
    scorer = TextSimilarity(**params)
    assert (scorer.backbone_refusal(backbone) == "") == is_read
    if not is_read:
        features = features_of(16, made_up_texts(17, 6), provenance={"backbone": backbone})
        with pytest.raises(DataError, match=r"is of a backbone that the method cannot read: .* set `path"):
            list(scorer.score({"test": features}, COMPUTE))


def test_features_of_families_without_a_path_are_not_asked():
    features = features_of(18, made_up_texts(19, 6), provenance={"backbone": {"projected": False}})
    assert len(list(TextSimilarity().score({"test": features}, COMPUTE))) == 3


MODEL = {"id": "clip", "revision": "1", "weights_sha256": {"a": "1", "b": "2"}, "dtype": "float32"}


@pytest.mark.parametrize(
    ("other", "odd"),
    [
        ({**MODEL, "dtype": "bfloat16"}, ""),
        ({**MODEL, "weights_sha256": {"a": "1", "c": "3"}}, ""),
        ({}, ""),
        ({**MODEL, "id": "other"}, "other and clip"),
        ({**MODEL, "revision": None}, "clip of revision None and 1"),
        ({**MODEL, "weights_sha256": {"a": "2"}}, "clip with another a"),
        ({"revision": "1"}, "None and clip"),
    ],
)
def test_texts_of_another_model_are_refused(other, odd):
    texts = made_up_texts(20, 6)
    texts.provenance["model"] = other
    features = features_of(21, texts, provenance={"model": MODEL})
    if odd:
        with pytest.raises(DataError, match=rf"come from different models \({odd}.* encode the texts with the model"):
            list(TextSimilarity().score({"test": features}, COMPUTE))
    else:
        assert len(list(TextSimilarity().score({"test": features}, COMPUTE))) == 3


def test_texts_that_are_missing_or_wider_than_the_features_are_refused():
    with pytest.raises(DataError, match="tokens in memory comes without texts"):
        list(TextSimilarity().score({"test": features_of(22, None)}, COMPUTE))
    with pytest.raises(DataError, match="has embeddings of 7 channels and tokens in memory has tokens of 6"):
        list(TextSimilarity().score({"test": features_of(23, made_up_texts(24, 7))}, COMPUTE))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"text_prompts": "a/tokens.pth"}, "text_prompts: a/tokens.pth holds published trained weights; name their"),
        ({"text_prompts": "tokens.pt"}, "holds published trained weights"),
        ({"linear_layers": "linear.pth"}, "linear_layers: linear.pth holds published trained weights"),
        ({"trained_on": "visa"}, "'trained_on' is only for learned text_prompts or layers"),
        ({"trained_on": "visa", "text_prompts": "mine.yaml"}, "only for learned text_prompts or layers; leave it out"),
        ({"trained_on": "a b", "text_prompts": "a.pth"}, "trained_on.* letters, digits"),
        ({"text_prompts": ""}, "text_prompts"),
        ({"temperature": 0}, "temperature"),
    ],
)
def test_what_was_trained_says_on_what(params, reason):
    with pytest.raises(ConfigError, match=reason):
        TextSimilarity.build(params, where="methods.text.params")


def test_the_setting_names_the_data_set_on_which_others_trained():
    assert TextSimilarity().setting == TextSimilarity(text_prompts="mine.yaml").setting == "zero-shot-text"
    learned = TextSimilarity(text_prompts="tokens.pth", trained_on="mvtec_ad")
    linear = TextSimilarity(linear_layers="linear.pth", trained_on="visa")
    assert (learned.setting, linear.setting) == ("zero-shot-auxiliary(mvtec_ad)", "zero-shot-auxiliary(visa)")
    assert (learned.learned_files(), linear.learned_files()) == ({}, {"linear_layers": "linear.pth"})


def test_two_cosines_for_each_patch_and_the_products_of_linear_layers():
    test = TokenCount(images=5, patches=7, layers=3, channels=11)
    read = 100 * 5 * 7 * 3 * 11
    cosines = sum(2 * 2 * 11 for _ in range(5 * 7 * 3))
    products = sum(2 * 11 * 11 for _ in range(5 * 7 * 3))
    assert TextSimilarity().operations({"test": test}) == read + cosines
    linear = TextSimilarity(linear_layers="a.pth", trained_on="visa")
    assert linear.operations({"test": test}) == read + cosines + products
