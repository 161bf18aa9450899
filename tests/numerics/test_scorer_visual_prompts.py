"""UniADet's vectors: scores against plain loops, how they are learned, and what must be refused."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from auxiliary_sets import (
    AUXILIARY,
    CELL,
    GRIDS,
    assert_each_image_is_scored_by_itself,
    made_up_category,
    ready,
    write_weights,
)
from closeness import assert_close
from feature_files import random_tokens
from zsad.adaptation.losses import cross_entropy, dice, focal
from zsad.adaptation.marks import MemoryMarks
from zsad.adaptation.prototypes import Prototypes, TrainingSample, batches_of, loss_of
from zsad.adaptation.training import seeded
from zsad.errors import ConfigError, DataError
from zsad.files.learned import Learned, read_learned, to_bytes, write_learned
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.fusion import Fusion
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.labelled_images import LabelledImages
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.sampled_patches import SampledPatches
from zsad.scoring.token_source import LabelledTokens, MemoryTokens
from zsad.scoring.visual_prompts import VisualPrompts

COMPUTE = Compute()
SHORT = {"epochs": 2, "batch": 4, "normal_patches": 5}
CHANNELS = 6


def categories(**given):
    return [made_up_category(name, seed, **given) for seed, name in enumerate(("plate", "rope"), 1)]


def trained(folder, some=None, **params):
    scorer = VisualPrompts(**SHORT | params)
    return scorer.with_weights(write_weights(folder / "weights.safetensors", scorer, some or categories()))


def scored(scorer, tokens, compute=COMPUTE):
    return list(scorer.score({"test": tokens}, compute))


# --- scores ----------------------------------------------------------------------------------------------------------


def probability(token, rows, temperature):
    token = token.astype(np.float64)
    logits = [token @ row / np.sqrt(token @ token) / np.sqrt(row @ row) / temperature for row in rows]
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return powers[1] / sum(powers)


def reference(tokens, index, learned, layers, temperature):
    """UniADet's forward pass: the map and the score of one image, in float64."""
    image_rows, patch_rows = (learned.tensors[name].astype(np.float64) for name in ("image", "patch"))
    rows, columns = tokens.grid_sizes[index]
    total, score = np.zeros((rows, columns)), 0.0
    for name in layers:
        place, own = tokens.layers.index(name), learned.facts["layers"].index(name)
        of_layer = np.zeros((rows, columns))
        for row in range(rows):
            for column in range(columns):
                patch = tokens.patch_tokens(index)[place, row, column]
                of_layer[row, column] = probability(patch, patch_rows[own], temperature)
        whole = probability(tokens.cls_tokens_of(index)[place], image_rows[own], temperature)
        score += (whole + of_layer.max()) / 2 / len(layers)
        total += of_layer / len(layers)
    return total, score


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
@pytest.mark.parametrize("layers", [None, ["5"], ["9", "2"]])
def test_scores_equal_plain_loops(tmp_path, layers, temperature):
    names = ["2", "5", "9"]
    scorer = trained(tmp_path, categories(layers=names), layers=layers, temperature=temperature)
    tokens = made_up_category("lid", 7, layers=names, images=4).images.tokens
    learned = read_learned(Path(scorer.weights))
    found = scored(scorer, tokens)
    assert [score.index for score in found] == [0, 1, 2, 3]
    for index, score in enumerate(found):
        expected, image_score = reference(tokens, index, learned, layers or names, temperature)
        assert score.anomaly_map.dtype == np.float32
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)
        assert score.image_score == pytest.approx(image_score, abs=1e-5)


def test_some_of_the_layers_that_were_learned_may_be_scored(tmp_path):
    scorer = trained(tmp_path, categories(layers=["2", "5"]))
    tokens = made_up_category("lid", 7, layers=["2", "5"]).images.tokens
    one, other, both = (
        [score.anomaly_map for score in scored(scorer.model_copy(update={"layers": layers}), tokens)]
        for layers in (("2",), ("5",), ("5", "2"))
    )
    for maps in zip(one, other, both, strict=True):
        assert_close((maps[0] + maps[1]) / 2, maps[2], size=1.0)


def test_neither_the_order_nor_the_number_of_test_images_changes_a_score(tmp_path):
    assert_each_image_is_scored_by_itself(trained(tmp_path))


def test_lengths_of_tokens_do_not_matter(tmp_path):
    scorer = trained(tmp_path)
    tokens = made_up_category("lid", 7).images.tokens
    scaled = MemoryTokens([4 * tokens.patch_tokens(index) for index in range(len(tokens))], 3 * tokens.cls_tokens())
    for score, other in zip(scored(scorer, tokens), scored(scorer, scaled), strict=True):
        assert score.image_score == pytest.approx(other.image_score, abs=1e-6)
        assert_close(other.anomaly_map, score.anomaly_map, size=1.0)


# --- what is learned -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "parameters"), [(1024, 20480), (768, 15360)])
def test_five_layers_of_a_large_network_have_as_many_parameters_as_published(channels, parameters):
    assert sum(values.numel() for values in Prototypes(5, channels).parameters()) == parameters


def test_the_facts_tell_what_was_learned_from(tmp_path):
    learned = VisualPrompts(**SHORT).train(categories(), COMPUTE)
    assert (
        learned.facts["parameters"] == sum(tensor.size for tensor in learned.tensors.values()) == 2 * 2 * 2 * CHANNELS
    )
    assert learned.facts["steps"] == 2 * math.ceil(18 / 4)
    assert learned.facts["layers"] == ["0", "1"]
    assert (learned.facts["images"], learned.facts["anomalous"], learned.facts["unmarked"]) == (18, 6, 0)
    assert learned.facts["notes"] == []


def test_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(0)

    def unit(*shape):
        values = torch.tensor(rng.normal(size=shape))
        return values / values.norm(dim=-1, keepdim=True)

    counts = torch.tensor([[1.0, 1, 3, 0], [2, 2, 2, 2]], dtype=torch.float64)
    shares = torch.tensor([[1.0, 0.25, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    drawn = TrainingSample(unit(3, 2, CHANNELS), torch.tensor([1, 0, 1]), unit(2, 2, 4, CHANNELS), shares, counts)
    prototypes = Prototypes(2, CHANNELS).double()
    loss_of(prototypes, drawn, 0.07).backward()
    step = 1e-7
    for values in prototypes.parameters():
        assert values.grad.abs().max() > 0
        for place in np.ndindex(*values.shape):
            found = []
            for sign in (1, -2, 1):
                with torch.no_grad():
                    values[place] += sign * step
                    found.append(float(loss_of(prototypes, drawn, 0.07)))
            expected = (found[0] - found[1]) / (2 * step)
            assert float(values.grad[place]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_training_is_adamw_on_the_sum_of_three_losses():
    """Step by step in float64, from the first values of the seed; all images and patches are in each step."""
    epochs, rate, decay, temperature = 10, 0.05, 0.01, 0.07
    category = made_up_category("plate", 1, images=6)
    scorer = VisualPrompts(epochs=epochs, batch=6, rate=rate, normal_patches=100)
    learned = scorer.train([category], COMPUTE)
    with seeded(0, "prototypes"):
        rows = [(0.02 * torch.randn(2, 2, CHANNELS)).double() for _ in range(2)]
    tokens, marks = category.images.tokens, category.images.marks

    def logits(vectors, of_state):
        vectors = torch.as_tensor(vectors.astype(np.float64))
        cosines = [
            (vectors * row).sum(dim=-1) / vectors.norm(dim=-1) / row.norm() for row in of_state
        ]  # normal, anomalous
        return torch.stack(cosines, dim=-1) / temperature

    def loss(image_rows, patch_rows):
        total = 0
        for index, (height, width) in enumerate(tokens.grid_sizes.tolist()):
            whole = torch.stack([logits(tokens.cls_tokens_of(index)[layer], image_rows[layer]) for layer in (0, 1)])
            patches = tokens.patch_tokens(index).reshape(2, -1, CHANNELS)
            maps = torch.stack([logits(patches[layer], patch_rows[layer]) for layer in (0, 1)])[None]
            shares = torch.as_tensor(marks.shares(index, height, width).reshape(1, -1)).double()
            total = total + cross_entropy(whole[None], torch.tensor([marks.labels[index]]))
            total = total + focal(maps, shares, torch.ones_like(shares)) + dice(maps, shares, torch.ones_like(shares))
        return total / len(tokens)

    first, second = [0.0, 0.0], [0.0, 0.0]  # moments
    for step in range(epochs):
        rows = [values.detach().requires_grad_() for values in rows]
        gradients = torch.autograd.grad(loss(*rows), rows)
        now = rate * (0.1 + 0.9 * (1 + math.cos(math.pi * step / (epochs - 1))) / 2)
        for place, gradient in enumerate(gradients):
            first[place] = 0.9 * first[place] + 0.1 * gradient
            second[place] = 0.999 * second[place] + 0.001 * gradient**2
            mean, square = first[place] / (1 - 0.9 ** (step + 1)), second[place] / (1 - 0.999 ** (step + 1))
            rows[place] = (1 - now * decay) * rows[place] - now * mean / (square.sqrt() + 1e-8)
    for name, expected in zip(("image", "patch"), rows, strict=True):
        assert_close(learned.tensors[name], expected.detach().numpy(), share=1e-4)


def test_one_seed_gives_the_same_bytes_and_another_one_others():
    scorer = VisualPrompts(**SHORT)
    content = to_bytes(scorer.train(categories(), COMPUTE))
    torch.manual_seed(99)  # draws of others
    assert to_bytes(scorer.train(categories(), COMPUTE)) == content
    other = VisualPrompts(**SHORT, seed=1).train(categories(), COMPUTE)
    assert not np.array_equal(other.tensors["image"], scorer.train(categories(), COMPUTE).tensors["image"])


def test_memory_changes_nothing_that_is_learned():
    scorer = VisualPrompts(**SHORT)
    assert to_bytes(scorer.train(categories(), Compute(memory=1500))) == to_bytes(scorer.train(categories(), COMPUTE))


class Counting(MemoryTokens):
    """Tokens that count how often they are read."""

    reads = 0

    def half_tokens(self, index):
        self.reads += 1
        return super().half_tokens(index)


@pytest.mark.parametrize(("memory", "reads"), [(10**9, 9), (1, 2 * 9)])
def test_patches_are_read_again_where_memory_does_not_hold_them(memory, reads):
    given = made_up_category("plate", 1)
    tokens = Counting([given.images.tokens.half_tokens(index) for index in range(9)], given.images.tokens.cls_tokens())
    VisualPrompts(**SHORT).train(
        [given._replace(images=LabelledTokens(tokens, given.images.marks))], Compute(memory=memory)
    )
    assert tokens.reads == reads


def marked_patches(category, found):
    """Whether each patch is anomalous in any pixel, and its score, over all images."""
    truth, scores = [], []
    for index, (rows, columns) in enumerate(category.images.tokens.grid_sizes.tolist()):
        truth.append(category.images.marks.shares(index, rows, columns).ravel() > 0)
        scores.append(found[index].anomaly_map.ravel())
    return np.concatenate(truth), np.concatenate(scores)


def test_it_learns_what_anomalies_of_other_categories_have_in_common(tmp_path):
    """A direction of all anomalies is found in a category whose normal images look otherwise."""
    direction = np.random.default_rng(5).normal(size=16)
    given = {"channels": 16, "direction": direction, "images": 15, "strength": 1.5}
    test = made_up_category("lid", 7, **given)
    areas = {}
    for epochs in (1, 15):
        found = scored(trained(tmp_path, categories(**given), epochs=epochs, rate=0.03), test.images.tokens)
        truth, scores = marked_patches(test, found)
        areas[epochs] = roc_auc_score(truth, scores)
    assert areas[15] > 0.95 > areas[1]
    assert roc_auc_score(test.images.marks.labels, [score.image_score for score in found]) > 0.95


def test_anomalies_without_anything_in_common_teach_nothing_about_where(tmp_path):
    rng = np.random.default_rng(3)
    some = [made_up_category(str(seed), seed, channels=64, direction=rng.normal(size=64) * 0.3) for seed in range(8)]
    test = made_up_category("lid", 70, channels=64, direction=rng.normal(size=64) * 0.3, images=60)
    truth, scores = marked_patches(test, scored(trained(tmp_path, some, epochs=15), test.images.tokens))
    assert 0.2 < roc_auc_score(truth, scores) < 0.8


# --- what steps see --------------------------------------------------------------------------------------------------


def test_each_image_is_seen_once_an_epoch_in_another_order():
    batches = batches_of(10, 4, 3, seed=0)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [[number for batch in batches[start : start + 3] for number in batch] for start in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert batches_of(10, 4, 3, seed=0) == batches != batches_of(10, 4, 3, seed=1)


@pytest.mark.parametrize("normal", [1, 5, 1000])
def test_all_anomalous_patches_are_drawn_and_some_others_stand_for_the_rest(normal):
    category = made_up_category("plate", 1)
    images = LabelledImages([category], None)
    numbers = [0, 1, 2, 3]
    drawn = SampledPatches(images, normal, 0, COMPUTE).sample(numbers)
    for place, number in enumerate(numbers):
        rows, columns = GRIDS[number % 2]
        shares = category.images.marks.shares(number, rows, columns).ravel()
        tokens = category.images.tokens.patch_tokens(number).reshape(2, -1, CHANNELS)
        tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
        counts = drawn.counts[place].numpy()
        size = int((counts > 0).sum())
        wanted = min(normal, int((shares == 0).sum()))
        assert size == (shares > 0).sum() + wanted
        assert counts.sum() == pytest.approx(rows * columns)
        own = drawn.shares[place, :size].numpy()
        assert sorted(own[own > 0]) == sorted(shares[shares > 0])
        assert np.unique(counts[:size][own > 0]).tolist() in ([], [1.0])
        seen = set()
        for patch in range(size):  # each is a patch of the image with its share, and none twice
            match = np.isclose(tokens, drawn.patch_tokens[place, :, patch].numpy()[:, None], atol=1e-6).all(axis=(0, 2))
            assert match.sum() == 1
            assert shares[match][0] == own[patch]
            seen.add(int(match.argmax()))
        assert len(seen) == size
    assert drawn.labels.tolist() == [1, 0, 0, 1]


def test_of_no_patches_class_tokens_alone_are_seen():
    drawn = SampledPatches(LabelledImages(categories(), None), 0, 0, COMPUTE).sample([0, 3])
    assert (len(drawn.class_tokens), len(drawn.patch_tokens), len(drawn.shares)) == (2, 0, 0)


def test_what_is_drawn_of_an_image_depends_on_its_name_and_the_seed_alone():
    plate, rope = categories()
    alone = SampledPatches(LabelledImages([rope], None), 5, 0, COMPUTE).sample([2])
    together = SampledPatches(LabelledImages([plate, rope], None), 5, 0, COMPUTE).sample([0, 9 + 2])
    width = alone.patch_tokens.shape[2]
    torch.testing.assert_close(alone.patch_tokens[0], together.patch_tokens[1, :, :width], rtol=0, atol=0)
    other = SampledPatches(LabelledImages([rope], None), 5, 1, COMPUTE).sample([2])
    assert not torch.equal(alone.patch_tokens, other.patch_tokens)


# --- images without masks --------------------------------------------------------------------------------------------


def with_other_patches(category, indices):
    """The same class tokens and marks, and other patches in some images."""
    tokens = category.images.tokens
    rng = np.random.default_rng(0)
    patches = [
        rng.normal(size=tokens.half_tokens(index).shape) if index in indices else tokens.half_tokens(index)
        for index in range(len(tokens))
    ]
    others = MemoryTokens(patches, tokens.cls_tokens(), layers=tokens.layers, path=tokens.path)
    return category._replace(images=LabelledTokens(others, category.images.marks))


def test_of_an_image_without_a_mask_the_class_token_alone_is_learned_from():
    scorer = VisualPrompts(**SHORT)
    some = made_up_category("plate", 1, masks=[0, 6])
    learned = scorer.train([some], COMPUTE)
    assert learned.facts["notes"] == [
        "1 of 3 anomalous images of the auxiliary data set have no mask: they were used only as whole images"
    ]
    assert to_bytes(scorer.train([with_other_patches(some, [3])], COMPUTE)) == to_bytes(learned)
    marked = scorer.train([with_other_patches(some, [0])], COMPUTE)
    np.testing.assert_array_equal(marked.tensors["image"], learned.tensors["image"])
    assert not np.array_equal(marked.tensors["patch"], learned.tensors["patch"])


def test_a_mask_in_which_nothing_is_marked_is_as_none():
    category = made_up_category("plate", 1, masks=[0])
    marks = category.images.marks
    blank = [np.zeros((24, 24), dtype=bool) if index in (3, 6) else marks._masks[index] for index in range(9)]
    other = category._replace(images=LabelledTokens(category.images.tokens, MemoryMarks(marks.labels, blank)))
    scorer = VisualPrompts(**SHORT)
    assert to_bytes(scorer.train([other], COMPUTE)) == to_bytes(scorer.train([category], COMPUTE))


def test_without_any_mask_patches_are_compared_with_what_is_known_of_images(tmp_path):
    some = categories(masks=False)
    scorer = trained(tmp_path, some)
    learned = read_learned(Path(scorer.weights))
    assert learned.facts["notes"] == [
        "no anomalous image of the auxiliary data set has a mask, so that patches are compared with the vectors "
        "learned for whole images"
    ]
    assert learned.facts["parameters"] == learned.tensors["image"].size
    np.testing.assert_array_equal(learned.tensors["patch"], learned.tensors["image"])
    others = [with_other_patches(category, range(9)) for category in some]
    found = [to_bytes(VisualPrompts(**SHORT).train(each, COMPUTE)) for each in (some, others)]
    assert found[0] == found[1]
    tokens = made_up_category("lid", 7).images.tokens
    for index, score in enumerate(scored(scorer, tokens)):
        expected, _ = reference(tokens, index, learned, ["0", "1"], 0.07)
        assert_close(score.anomaly_map, expected, size=1.0, share=1e-5)
        both = zip(tokens.cls_tokens_of(index), learned.tensors["image"], strict=True)
        assert score.image_score == pytest.approx(sum(probability(*each, 0.07) for each in both) / 2, abs=1e-5)


# --- settings, cost --------------------------------------------------------------------------------------------------


def test_the_setting_names_the_data_set():
    assert VisualPrompts(trained_on="visa").setting == "zero-shot-auxiliary(visa)"
    assert VisualPrompts().own_image_scores
    assert VisualPrompts().needs() == (1, 0, 0)


def test_with_a_memory_bank_of_the_same_layers_it_is_few_shot_and_says_on_what_it_was_trained():
    members = [VisualPrompts(trained_on="visa", layers=["5", "11"]), MemoryBank(shots=4, layers=["5", "11"])]
    fusion = Fusion(methods=("visual_prompts", "memory_bank"))
    assert fusion.setting_of([member.setting for member in members]) == "few-shot-4+auxiliary(visa)"


def test_it_costs_two_products_a_patch():
    test = TokenCount(images=5, patches=7, layers=3, channels=11)
    products = sum(2 * 2 * 11 for _ in range(5 * 7 * 3))
    assert VisualPrompts().operations({"test": test}) == 100 * test.values + products


@pytest.mark.parametrize(("patches", "drawn"), [(100, 10), (7, 7)])
def test_a_training_reads_all_tokens_and_sees_the_drawn_ones_each_epoch(patches, drawn):
    images = TokenCount(images=21, patches=patches, layers=3, channels=11)
    scorer = VisualPrompts(epochs=4, batch=8, normal_patches=5)
    seen = sum(100 * 3 * 11 for _epoch in range(4) for _patch in range(21 * drawn))
    steps = sum(4e8 for _epoch in range(4) for _step in (8, 8, 5))
    read = sum(100 * 3 * 11 for _patch in range(21 * patches))
    assert scorer.training_operations({"images": images}) == read + seen + steps
    kept, step = 2 * 21 * drawn * 3 * 11, 12 * 8 * drawn * 3 * 11
    assert scorer.training_bytes({"images": images}) == pytest.approx(kept + step)
    few = scorer.training_bytes({"images": images._replace(images=2)})
    assert few == pytest.approx((2 + 12) * 2 * drawn * 3 * 11)


# --- bad input -------------------------------------------------------------------------------------------------------


def only(category, label):
    """The images of a label."""
    tokens, marks = category.images.tokens, category.images.marks
    indices = [index for index, its in enumerate(marks.labels) if its == label]
    chosen = MemoryTokens([tokens.half_tokens(index) for index in indices], tokens.cls_tokens()[indices])
    return AuxiliaryCategory(
        category.name, LabelledTokens(chosen, MemoryMarks([label] * len(indices), [marks._masks[i] for i in indices]))
    )


def test_one_category_may_lack_a_kind():
    plate, rope = categories()
    VisualPrompts(**SHORT).train([only(plate, 0), only(rope, 1)], COMPUTE)


def test_a_layer_that_features_lack_is_refused():
    with pytest.raises(ConfigError, match="the features have no layer '7'; choose from: 0, 1"):
        VisualPrompts(layers=["7"]).train(categories(), COMPUTE)


def test_a_loss_that_is_no_number_is_reported():
    with pytest.raises(DataError, match="the loss is no longer finite after"):
        VisualPrompts(**SHORT, temperature=1e-45).train(categories(), COMPUTE)


def test_features_of_other_layers_or_channels_or_another_backbone_are_refused(tmp_path):
    scorer = trained(tmp_path)
    for other, said in (
        ({"layers": ["0", "2"]}, r"layers: 0, 2 and 0, 1"),
        ({"channels": 7}, r"channels: 7 and 6"),
        ({"cls_source": "mean of patch tokens"}, r"mean of patch tokens and class token"),
    ):
        tokens = made_up_category("lid", 7, **other).images.tokens
        with pytest.raises(DataError, match=rf"tokens of lid and the features that .* was learned from .*{said}"):
            scored(scorer, tokens)


def of_resolution(resolution):
    given = made_up_category("plate", 1)
    tokens = given.images.tokens
    seen = MemoryTokens(
        [tokens.half_tokens(index) for index in range(len(tokens))],
        tokens.cls_tokens(),
        provenance={"backbone": {"family": "embedded", "resolution": resolution}},
    )
    return given._replace(images=LabelledTokens(seen, given.images.marks))


def test_features_of_another_resolution_are_refused(tmp_path):
    scorer = trained(tmp_path, [of_resolution(448)])
    scored(scorer, of_resolution(448).images.tokens)
    with pytest.raises(DataError, match=r"resolution: 512 and 448"):
        scored(scorer, of_resolution(512).images.tokens)


def test_a_layer_of_which_nothing_was_learned_is_refused(tmp_path):
    scorer = trained(tmp_path, layers=["1"])
    tokens = made_up_category("lid", 7).images.tokens
    scored(scorer, tokens)
    with pytest.raises(DataError, match=r"trained on layers 1, but .* must be scored by layer '0'; train the method"):
        scored(scorer.model_copy(update={"layers": None}), tokens)


@pytest.mark.parametrize(("name", "value", "told"), [("temperature", 0.1, 0.07), ("seed", 3, 0)])
def test_another_temperature_or_seed_than_that_of_the_training_is_refused(tmp_path, name, value, told):
    scorer = trained(tmp_path)
    other = VisualPrompts(**SHORT | {"weights": scorer.weights, name: value})
    said = rf"was trained with {name} {told}, not with {value} \(with these weights, leave '{name}' out\)"
    with pytest.raises(DataError, match=said):
        scored(other, made_up_category("lid", 7).images.tokens)


def edited(scorer, tensors=None, **facts):
    path = Path(scorer.weights)
    learned = read_learned(path)
    write_learned(path, Learned(dict(learned.tensors) if tensors is None else tensors, {**learned.facts, **facts}))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"image": np.ones((2, 2, 6), np.float32)}, "'patch' in .* is absent, but tokens of lid needs"),
        (
            {name: np.ones((2, 2, 5), np.float32) for name in ("image", "patch")},
            r"float32 \[2, 2, 5\], but .* \[2, 2, 6\]",
        ),
        ({name: np.ones((2, 2, 6)) for name in ("image", "patch")}, r"is float64 \[2, 2, 6\]"),
    ],
)
def test_vectors_of_another_shape_are_refused(tmp_path, tensors, said):
    scorer = trained(tmp_path)
    edited(scorer, tensors)
    with pytest.raises(DataError, match=said):
        scored(scorer, made_up_category("lid", 7).images.tokens)


@pytest.mark.parametrize("facts", [{"layers": []}, {"layers": "0"}, {"localises": 1}])
def test_weights_that_do_not_say_what_they_are_of_are_refused(tmp_path, facts):
    scorer = trained(tmp_path)
    edited(scorer, **facts)
    with pytest.raises(DataError, match="does not name the layers it was trained on"):
        scored(scorer, made_up_category("lid", 7).images.tokens)


def test_weights_of_another_method_or_data_set_are_refused(tmp_path):
    scorer = trained(tmp_path)
    tokens = made_up_category("lid", 7).images.tokens
    with pytest.raises(DataError, match=f"was trained on '{AUXILIARY}', not on 'visa'"):
        scored(VisualPrompts(weights=scorer.weights, trained_on="visa"), tokens)
    edited(scorer, method="flow")
    with pytest.raises(DataError, match="holds weights of 'flow', not of 'visual_prompts'"):
        scored(scorer, tokens)
    with pytest.raises(DataError, match="the method has no weights yet: train it"):
        scored(VisualPrompts(), tokens)


def test_others_may_have_it_ready(tmp_path):
    scorer = ready(VisualPrompts(), tmp_path, layers=["a"], channels=4)
    tokens = random_tokens(0, (3, 4), (CELL, 2), layers=1, channels=4)
    assert len(scored(scorer, MemoryTokens(tokens, np.ones((2, 1, 4)), layers=["a"]))) == 2
    assert ready(MemoryBank(), tmp_path, layers=["a"], channels=4) == MemoryBank()
