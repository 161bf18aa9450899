"""MRAD's memory: votes against plain loops, what is remembered, and what must be refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from auxiliary_sets import assert_each_image_is_scored_by_itself, made_up_category, write_weights
from closeness import assert_close
from zsad.adaptation.marks import MemoryMarks
from zsad.errors import DataError
from zsad.files.learned import Learned, read_learned, to_bytes, write_learned
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.prompt_memory import PromptMemory
from zsad.scoring.token_source import LabelledTokens, MemoryTokens

COMPUTE = Compute()
KINDS = ["regions", "patches"]
CHANNELS = 6


def categories(**given):
    return [made_up_category(name, seed, **given) for seed, name in enumerate(("plate", "rope"), 1)]


def trained(folder, some=None, **params):
    scorer = PromptMemory(**params)
    return scorer.with_weights(write_weights(folder / "weights.safetensors", scorer, some or categories()))


def scored(scorer, tokens, compute=COMPUTE):
    return list(scorer.score({"test": tokens}, compute))


# --- scores ----------------------------------------------------------------------------------------------------------


def vote(token, keys, values, temperature):
    """The share of the votes for anomalous, either class weighing the same."""
    token = token.astype(np.float64)
    cosines = [token @ key / np.sqrt(token @ token) / np.sqrt(key @ key) for key in keys]
    anomalous = normal = 0.0
    for cosine, value in zip(cosines, values, strict=True):
        power = math.exp((cosine - max(cosines)) / temperature)
        anomalous += power * value / values.sum()
        normal += power * (1 - value) / (1 - values).sum()
    return anomalous / (normal + anomalous)


def reference(tokens, index, learned, layers, temperature, weight):
    memory = {name: tensor.astype(np.float64) for name, tensor in learned.tensors.items()}
    rows, columns = tokens.grid_sizes[index]
    total, whole = np.zeros((rows, columns)), 0.0
    for name in layers:
        place, own = tokens.layers.index(name), learned.facts["layers"].index(name)
        for row in range(rows):
            for column in range(columns):
                patch = tokens.patch_tokens(index)[place, row, column]
                found = vote(patch, memory["patch_keys"][own], memory["patch_values"], temperature)
                total[row, column] += found / len(layers)
        of_image = tokens.cls_tokens_of(index)[place]
        whole += vote(of_image, memory["image_keys"][own], memory["image_values"], temperature) / len(layers)
    highest = sorted(total.ravel())[-math.ceil(0.01 * rows * columns) :]
    return total, weight * whole + (1 - weight) * sum(highest) / len(highest)


@pytest.mark.parametrize("memory", [1, 10**9])
@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.7), (0.02, 0.0), (0.001, 1.0)])
@pytest.mark.parametrize(("layers", "keys"), [(None, "regions"), (["9", "2"], "patches")])
def test_scores_equal_plain_loops(tmp_path, layers, keys, temperature, weight, memory):
    names = ["2", "5", "9"]
    scorer = trained(
        tmp_path,
        categories(layers=names),
        layers=layers,
        keys=keys,
        temperature=temperature,
        image_weight=weight,
        entries=40,
    )
    tokens = made_up_category("lid", 7, layers=names, images=2, grids=[(4, 3), (11, 10)]).images.tokens
    learned = read_learned(Path(scorer.weights))
    for index, score in enumerate(scored(scorer, tokens, Compute(memory=memory))):
        expected, image_score = reference(tokens, index, learned, layers or names, temperature, weight)
        assert score.index == index
        assert score.anomaly_map.dtype == np.float32
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5 * max(1, 0.01 / temperature))
        assert score.image_score == pytest.approx(image_score, abs=1e-5 * max(1, 0.01 / temperature))


def test_neither_the_order_nor_the_number_of_test_images_changes_a_score(tmp_path):
    assert_each_image_is_scored_by_itself(trained(tmp_path))


def test_a_token_amid_keys_of_both_kinds_has_an_even_score_whatever_their_numbers(tmp_path):
    """Nine keys of either kind or one: the votes of a kind are averaged."""
    rng = np.random.default_rng(0)
    normal, anomalous = np.eye(4)[:2]
    labels = [1, *[0] * 9]
    tokens = MemoryTokens(
        [np.tile(anomalous if label else normal, (1, 2, 3, 1)) for label in labels],
        np.stack([[anomalous if label else normal] for label in labels]) * rng.uniform(1, 5, (10, 1, 1)),
    )
    masks = [np.ones((8, 12), dtype=bool) if label else None for label in labels]
    some = [AuxiliaryCategory("plate", LabelledTokens(tokens, MemoryMarks(labels, masks)))]
    between = MemoryTokens([np.tile(normal + anomalous, (1, 2, 2, 1))], (normal + anomalous)[None, None])
    for keys in KINDS:
        (score,) = scored(trained(tmp_path, some, keys=keys, temperature=0.1), between)
        assert score.image_score == pytest.approx(0.5, abs=1e-6)
        assert_close(score.anomaly_map, np.full((2, 2), 0.5))


@pytest.mark.parametrize("keys", KINDS)
def test_it_finds_what_anomalies_of_other_categories_have_in_common(tmp_path, keys):
    direction = np.random.default_rng(5).normal(size=16)
    given = {"channels": 16, "direction": direction, "images": 24, "strength": 1.5}
    test = made_up_category("lid", 7, **given)
    found = scored(trained(tmp_path, categories(**given), keys=keys, temperature=0.3), test.images.tokens)
    truth, scores = [], []
    for index, (rows, columns) in enumerate(test.images.tokens.grid_sizes.tolist()):
        truth.append(test.images.marks.shares(index, rows, columns).ravel() > 0)
        scores.append(found[index].anomaly_map.ravel())
    assert roc_auc_score(np.concatenate(truth), np.concatenate(scores)) > 0.95
    assert roc_auc_score(test.images.marks.labels, [score.image_score for score in found]) > 0.95


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_a_key_is_the_mean_of_the_anomalous_patches_of_an_image_and_one_of_its_others():
    some = categories()
    learned = PromptMemory().train(some, COMPUTE)
    expected, values = [], []
    for category in some:
        tokens, marks = category.images.tokens, category.images.marks
        for index, (rows, columns) in enumerate(tokens.grid_sizes.tolist()):
            shares = marks.shares(index, rows, columns)
            patches = tokens.patch_tokens(index).astype(np.float64)
            if shares.any():
                expected.append(sum(shares[r, c] * patches[:, r, c] for r, c in np.ndindex(rows, columns)))
                values.append(1)
            expected.append(sum((shares[r, c] == 0) * patches[:, r, c] for r, c in np.ndindex(rows, columns)))
            values.append(0)
    keys = np.stack(expected, axis=1)
    keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
    assert learned.tensors["patch_values"].tolist() == values
    assert learned.tensors["patch_keys"].dtype == np.float16
    np.testing.assert_allclose(learned.tensors["patch_keys"], keys, atol=1e-3)  # a half has 11 bits
    labels = [label for category in some for label in category.images.marks.labels]
    assert learned.tensors["image_values"].tolist() == labels
    whole = np.concatenate([category.images.tokens.cls_tokens() for category in some]).transpose(1, 0, 2)
    whole = whole / np.linalg.norm(whole, axis=-1, keepdims=True)
    np.testing.assert_allclose(learned.tensors["image_keys"], whole, atol=1e-3)
    assert learned.facts["entries"] == {"images": 18, "patches": 18 + 6}
    assert (learned.facts["steps"], learned.facts["parameters"], learned.facts["notes"]) == (0, 0, [])


def places_of(keys, some):
    """For each key of layer 0 which patch it is, by image and place."""
    known = {}
    for category in some:
        tokens = category.images.tokens
        for index in range(len(tokens)):
            patches = tokens.patch_tokens(index)[0].reshape(-1, tokens.channels)
            for place, patch in enumerate(patches / np.linalg.norm(patches, axis=1, keepdims=True)):
                known[category.name, index, place] = patch
    names, vectors = list(known), np.array(list(known.values()))
    distances = np.abs(keys.astype(np.float64)[:, None] - vectors).max(axis=2)
    assert (distances.min(axis=1) < 1e-3).all()
    return [names[index] for index in distances.argmin(axis=1)]


def test_patches_are_remembered_one_by_one_with_their_shares():
    some = categories()
    learned = PromptMemory(keys="patches", entries=60, anomalous_share=0.25).train(some, COMPUTE)
    places = places_of(learned.tensors["patch_keys"][0], some)
    assert len(set(places)) == len(places) == 60
    by_name = {category.name: category.images for category in some}
    shares = []
    for name, index, place in places:
        rows, columns = by_name[name].tokens.grid_sizes[index].tolist()
        shares.append(by_name[name].marks.shares(index, rows, columns).ravel()[place])
    assert learned.tensors["patch_values"].tolist() == shares
    assert sum(share > 0 for share in shares) == 15
    assert {0.25, 1.0} <= set(shares)


@pytest.mark.parametrize(
    ("entries", "share", "expected"),
    [
        (8, 0.5, (4, 4)),
        (8, 0.25, (2, 6)),
        (2, 0.01, (1, 1)),
        (2, 0.99, (1, 1)),
        (10, 0.9, (6, 4)),  # there are no more than 6
        (17, 0.01, (5, 12)),  # and no more than 12 normal ones
        (18, 0.01, (6, 12)),
        (100, 0.5, (6, 12)),
    ],
)
def test_more_keys_than_entries_are_drawn_in_a_given_share(entries, share, expected):
    some = [made_up_category("plate", 1, images=18)]
    learned = PromptMemory(entries=entries, anomalous_share=share).train(some, COMPUTE)
    values = learned.tensors["image_values"]
    assert (int(values.sum()), int((1 - values).sum())) == expected
    assert learned.tensors["image_keys"].shape == (2, sum(expected), CHANNELS)


@pytest.mark.parametrize("keys", KINDS)
def test_one_seed_gives_the_same_bytes_and_another_one_others(keys):
    scorer = PromptMemory(keys=keys, entries=6)
    assert to_bytes(scorer.train(categories(), COMPUTE)) == to_bytes(scorer.train(categories(), COMPUTE))
    other = PromptMemory(keys=keys, entries=6, seed=1).train(categories(), COMPUTE).tensors
    for name in ("image_keys", "patch_keys"):
        assert not np.array_equal(other[name], scorer.train(categories(), COMPUTE).tensors[name])


# --- images without masks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", KINDS)
def test_of_an_image_without_a_mask_the_class_token_alone_is_remembered(keys):
    some = made_up_category("plate", 1, masks=[0, 6])
    learned = PromptMemory(keys=keys).train([some], COMPUTE)
    (note,) = learned.facts["notes"]
    assert note.startswith("1 of 3 anomalous images of the auxiliary data set have no mask: they were used ")
    assert len(learned.tensors["image_values"]) == 9
    tokens = some.images.tokens
    others = MemoryTokens(
        [tokens.half_tokens(index) if index != 3 else -tokens.half_tokens(3) for index in range(9)],
        tokens.cls_tokens(),
        path=tokens.path,
    )
    again = PromptMemory(keys=keys).train([some._replace(images=LabelledTokens(others, some.images.marks))], COMPUTE)
    assert to_bytes(again) == to_bytes(learned)


@pytest.mark.parametrize("keys", KINDS)
def test_without_any_mask_patches_are_compared_with_class_tokens(tmp_path, keys):
    scorer = trained(tmp_path, categories(masks=False), keys=keys)
    learned = read_learned(Path(scorer.weights))
    assert learned.facts["notes"] == [
        "no anomalous image of the auxiliary data set has a mask, so that patches are compared with the keys of "
        "whole images"
    ]
    np.testing.assert_array_equal(learned.tensors["patch_keys"], learned.tensors["image_keys"])
    tokens = made_up_category("lid", 7).images.tokens
    for index, score in enumerate(scored(scorer, tokens)):
        expected, whole = reference(tokens, index, learned, ["0", "1"], 1.0, 1.0)
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)
        assert score.image_score == pytest.approx(whole, abs=1e-5)


# --- settings, cost --------------------------------------------------------------------------------------------------


def test_it_is_asked_of_one_image_at_a_time_and_named_after_the_data_set():
    assert PromptMemory(trained_on="visa").setting == "zero-shot-auxiliary(visa)"
    assert PromptMemory().own_image_scores
    assert list(PromptMemory().feature_sets()) == ["test"]


def test_it_costs_a_product_and_a_power_for_each_key_of_a_full_memory():
    test = TokenCount(images=5, patches=7, layers=3, channels=11)
    votes = sum((2 * 11 + 40) * 13 for _ in range(5 * (7 + 1) * 3))
    scorer = PromptMemory(entries=13)
    assert scorer.operations({"test": test}) == 100 * test.values + votes
    assert scorer.working_bytes({"test": test}) == 4 * (2 * 13 * 3 * 11 + 13 * 7)
    assert scorer.training_operations({"images": test}) == 100 * test.values
    keys, known = 2 * 2 * 13 * 3 * 11, 24 * 5 * 7  # of images and of patches, in halves
    assert scorer.training_bytes({"images": test}) == keys + known


# --- bad input -------------------------------------------------------------------------------------------------------


def test_features_of_other_layers_or_channels_are_refused(tmp_path):
    scorer = trained(tmp_path)
    for other, said in (({"layers": ["0", "2"]}, r"layers: 0, 2 and 0, 1"), ({"channels": 7}, r"channels: 7 and 6")):
        tokens = made_up_category("lid", 7, **other).images.tokens
        with pytest.raises(DataError, match=rf"tokens of lid and the features that .* was learned from .*{said}"):
            scored(scorer, tokens)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patch_keys": None}, "'patch_keys' in .* is absent, but tokens of lid needs float16"),
        ({"image_values": np.ones(3, np.float32)}, r"'image_keys' in .* is float16 \[2, 18, 6\], but .* \[2, 3, 6\]"),
        ({"image_keys": np.ones((2, 18, 6), np.float32)}, r"'image_keys' in .* is float32 \[2, 18, 6\]"),
    ],
)
def test_a_memory_of_another_shape_is_refused(tmp_path, changed, said):
    scorer = trained(tmp_path)
    path = Path(scorer.weights)
    learned = read_learned(path)
    tensors = {name: tensor for name, tensor in {**learned.tensors, **changed}.items() if tensor is not None}
    write_learned(path, Learned(tensors, learned.facts))
    with pytest.raises(DataError, match=said):
        scored(scorer, made_up_category("lid", 7).images.tokens)


@pytest.mark.parametrize(("name", "value", "told"), [("keys", "patches", "regions"), ("seed", 3, 0)])
def test_weights_of_other_keys_or_another_seed_are_refused(tmp_path, name, value, told):
    other = PromptMemory(**{"weights": trained(tmp_path).weights, name: value})
    with pytest.raises(DataError, match=rf"was trained with {name} {told}, not with {value} \(with these weights"):
        scored(other, made_up_category("lid", 7).images.tokens)


def test_weights_of_another_method_are_refused(tmp_path):
    scorer = trained(tmp_path)
    path = Path(scorer.weights)
    learned = read_learned(path)
    write_learned(path, Learned(learned.tensors, {**learned.facts, "method": "visual_prompts"}))
    with pytest.raises(DataError, match="holds weights of 'visual_prompts', not of 'prompt_memory'"):
        scored(scorer, made_up_category("lid", 7).images.tokens)
    write_learned(path, Learned(learned.tensors, {**learned.facts, "layers": None}))
    with pytest.raises(DataError, match="does not name the layers it was trained on"):
        scored(scorer, made_up_category("lid", 7).images.tokens)
