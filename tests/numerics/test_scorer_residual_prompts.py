"""The residual prompts against plain loops, what they learn from, and what they must never be compared with."""

import numpy as np
import plain_residual_head as plain
import pytest
import torch

from closeness import assert_close
from feature_files import random_tokens, stored
from zsad.adaptation.marks import MemoryMarks
from zsad.adaptation.residual_shape import BATCH, head_operations, head_values
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DataError
from zsad.files.learned import weights_sha256, write_learned
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.nearest_patches import NearestPatches
from zsad.scoring.residual_examples import ResidualExamples, cell_marks, synthetic_examples
from zsad.scoring.residual_prompts import ResidualPrompts, harmonic_mean
from zsad.scoring.same_features import feature_facts
from zsad.scoring.token_source import LabelledTokens, MemoryTokens
from zsad.scoring.tokens import unit_tokens
from zsad.scoring.trained import TrainedScorer

CHANNELS, LAYERS = 6, 2
SIDE = 16  # pixels of an image along a patch of its grid
FEW = {"steps": 2, "shots": 3}
PLAIN = Compute()


class Images:
    """Made-up tokens of images of one kind of part, some of them with a square of other tokens.

    Args:
        seed: of the object, what all its images share.
    """

    def __init__(self, seed):
        self._centres = np.random.default_rng(seed).normal(size=(4, CHANNELS))

    def tokens(self, seed, *grids, anomalous=()):
        """Tokens and masks, one of each an image; ``anomalous`` are the positions of those with a square."""
        rng = np.random.default_rng(seed)
        tokens, masks = [], []
        for number, (rows, columns) in enumerate(grids):
            image = self._centres[rng.integers(0, 4, (rows, columns))][None].repeat(LAYERS, axis=0)
            image = image + 0.1 * rng.normal(size=image.shape)
            mask = np.zeros((rows * SIDE, columns * SIDE), dtype=bool)
            if number in anomalous:
                row, column = rng.integers(rows - 1), rng.integers(columns - 1)
                image[:, row : row + 2, column : column + 2] += rng.choice([-1.5, 1.5], size=CHANNELS)
                mask[row * SIDE : (row + 2) * SIDE, column * SIDE : (column + 2) * SIDE] = True
            tokens.append(image)
            masks.append(mask if number in anomalous else None)
        return tokens, masks

    def references(self, *grids, made=6):
        """References ``r0``, ``r1``, ..., and images made from one of them each."""
        names = [f"r{number}" for number in range(len(grids))]
        sources = [number % len(grids) for number in range(made)]
        tokens, masks = self.tokens(8, *(grids[number] for number in sources), anomalous=range(made))
        marks = MemoryMarks([1] * made, masks, [(names[number],) for number in sources])
        return MemoryTokens(
            self.tokens(7, *grids)[0], image_ids=names, synthetic=LabelledTokens(MemoryTokens(tokens), marks)
        )

    def category(self, name, *grids, anomalous=(), marked=True):
        """Labelled images of an auxiliary data set and two references."""
        tokens, masks = self.tokens(3, *grids, anomalous=anomalous)
        labels = [int(number in anomalous) for number in range(len(grids))]
        marks = MemoryMarks(labels, masks if marked else [None] * len(grids))
        return AuxiliaryCategory(name, LabelledTokens(MemoryTokens(tokens), marks), self.references((4, 4), (3, 5)))


PART = Images(0)
GRIDS = [(4, 5), (3, 6), (4, 4)]


def brute_force(image, references):
    """Of each patch of a layer, the unit vector of all references that is nearest; unit tokens in, loops inside."""
    nearest = np.empty_like(image)
    for layer, row, column in np.ndindex(image.shape[:3]):
        patches = np.concatenate([other[layer].reshape(-1, image.shape[-1]) for other in references])
        nearest[layer, row, column] = patches[np.argmax(patches @ image[layer, row, column])]
    return nearest


def inputs_of(tokens, nearest, kind):
    residual = np.abs(tokens - nearest)
    return {"residual": residual, "sum": tokens + residual}.get(kind, np.concatenate([tokens, residual], axis=-1))


def reference(image, references, tensors, kind, combine):
    """Map and image score, in float64."""
    tokens = stored(image)
    nearest = brute_force(tokens, [stored(other) for other in references])
    cells, images = [], []
    for patches in inputs_of(tokens, nearest, kind):
        of_cells, of_image = plain.logits(patches, tensors)
        cells.append(plain.shares(of_cells)[1])
        images.append(plain.shares(of_image)[1])
    rows, columns = tokens.shape[1:3]
    likely = np.mean(cells, axis=0).reshape(rows, 4, columns, 4).mean(axis=(1, 3))
    distance = (1 - (tokens * nearest).sum(axis=-1)).mean(axis=0)
    anomaly_map = likely if combine == "head" else 2 / (1 / likely + 1 / np.maximum(distance, 1e-300))
    return anomaly_map, 2 / (1 / np.mean(images) + 1 / anomaly_map.max())


@pytest.mark.parametrize("memory", [1, 2000, 1 << 30])
def test_the_nearest_patches_are_those_of_brute_force_whatever_the_memory(memory):
    images, references = random_tokens(0, (5, 7), (2, 3)), random_tokens(1, (4, 4), (3, 5), (1, 1))
    compute = Compute(memory=memory)
    known = NearestPatches(MemoryTokens(references), [0, 1, 2], [1, 0], compute)
    assert known.together(35) >= 1
    asked = [unit_tokens(MemoryTokens(images), index, [1, 0], "cpu") for index in range(2)]
    for given, image, found in zip(asked, images, known.find(asked), strict=True):
        expected = brute_force(stored(image)[[1, 0]], [stored(other)[[1, 0]] for other in references])
        for layer in range(2):
            assert_close(known.tokens(found, layer).reshape(given[layer].shape).numpy(), expected[layer])


def test_references_that_are_left_out_are_never_nearest():
    images, references = random_tokens(2, (3, 3), (3, 3)), random_tokens(3, (2, 2), (2, 2), (2, 2))
    known = NearestPatches(MemoryTokens(references), [0, 1, 2], [0, 1], PLAIN)
    asked = [unit_tokens(MemoryTokens(images), index, [0, 1], "cpu") for index in range(2)]
    first, second = known.find(asked, [{0, 2}, {1}])
    assert set(first.images.flatten().tolist()) == {1}
    assert set(second.images.flatten().tolist()) == {0, 2}
    with pytest.raises(ValueError, match="no reference is left"):
        known.find(asked, [{0}, {0, 1, 2}])


def test_of_patches_that_are_as_near_the_first_image_counts():
    tokens = random_tokens(4, (3, 2))
    known = NearestPatches(MemoryTokens(tokens * 3), [1, 2, 0], [0], PLAIN)
    (found,) = known.find([unit_tokens(MemoryTokens(tokens), 0, [0], "cpu")])
    assert found.images.unique().tolist() == [1]
    assert found.places[0].tolist() == list(range(6))


@pytest.mark.parametrize("combine", ["harmonic", "head"])
@pytest.mark.parametrize("kind", ["residual", "concatenated", "sum"])
def test_maps_and_image_scores_equal_plain_loops(kind, combine):
    references, (images, _) = PART.references(*GRIDS), PART.tokens(1, (3, 2), (2, 5), anomalous=[1])
    scorer = ResidualPrompts(input=kind, combine=combine, **FEW)
    model = scorer.fit(references, range(3), PLAIN)
    normal = [references.patch_tokens(index) for index in range(3)]
    for score in scorer.score_by(model, MemoryTokens(images), range(2), PLAIN):
        expected = reference(images[score.index], normal, model.learned.tensors, kind, combine)
        assert_close(score.anomaly_map, expected[0], share=1e-4)  # a distance is a difference of two near vectors
        assert score.image_score == pytest.approx(expected[1], rel=1e-4)
        assert score.anomaly_map.dtype == np.float32


def test_the_harmonic_mean_is_zero_where_either_is():
    one, other = torch.tensor([0.0, 0.0, 1.0, 0.5]), torch.tensor([0.0, 1.0, 0.0, 0.25])
    assert harmonic_mean(one, other).tolist() == pytest.approx([0, 0, 0, 1 / 3])


def test_only_the_layers_that_are_named_count():
    references, (images, _) = PART.references(*GRIDS), PART.tokens(1, (3, 2))
    scorer = ResidualPrompts(layers=[1], **FEW)
    model = scorer.fit(references, range(3), PLAIN)
    (score,) = scorer.score_by(model, MemoryTokens(images), [0], PLAIN)
    normal = [references.patch_tokens(index)[[1]] for index in range(3)]
    expected, _ = reference(images[0][[1]], normal, model.learned.tensors, "residual", "harmonic")
    assert_close(score.anomaly_map, expected, share=1e-4)


def test_neither_the_order_of_images_nor_the_memory_changes_a_score():
    references, (images, _) = PART.references(*GRIDS), PART.tokens(1, *GRIDS * 2, anomalous=[1, 4])
    scorer, test = ResidualPrompts(**FEW), MemoryTokens(images)
    model = scorer.fit(references, range(3), PLAIN)
    together = list(scorer.score_by(model, test, range(6), PLAIN))
    backwards = list(scorer.score_by(model, test, [5, 4, 3, 2, 1, 0], PLAIN))[::-1]
    for one, other in zip(together, backwards, strict=True):
        assert one.anomaly_map.tobytes() == other.anomaly_map.tobytes()
        assert (one.index, one.image_score) == (other.index, other.image_score)
    little = Compute(memory=5000)
    pieces = model._replace(known=NearestPatches(references, range(3), range(LAYERS), little))
    for one, other in zip(together, scorer.score_by(pieces, test, range(6), little), strict=True):
        assert_close(other.anomaly_map, one.anomaly_map, share=1e-4)


def test_one_seed_gives_the_same_bytes_and_another_others():
    references = PART.references(*GRIDS)
    first, second, third = (
        ResidualPrompts(seed=seed, **FEW).fit(references, range(3), PLAIN).learned for seed in (1, 1, 2)
    )
    assert weights_sha256(first.tensors) == weights_sha256(second.tensors) != weights_sha256(third.tensors)
    assert first.facts == second.facts


def single_directions(count, sources):
    """References and images made from some of them, of which every token names the reference that it is of."""
    axes = np.eye(count + 1)
    grids = [np.broadcast_to(axes[number], (1, 2, 2, count + 1)) for number in range(count)]
    made = [grids[one] for one, *_ in sources]
    names = [tuple(f"r{number}" for number in numbers) for numbers in sources]
    marks = MemoryMarks([1] * len(made), [np.ones((8, 8), dtype=bool)] * len(made), names)
    return MemoryTokens(
        grids,
        image_ids=[f"r{number}" for number in range(count)],
        synthetic=LabelledTokens(MemoryTokens(made), marks),
    )


def examples_of(references, indices):
    known = NearestPatches(references, indices, [0], PLAIN)
    return synthetic_examples(references, indices, known, torch.Generator().manual_seed(0))


def test_no_image_is_compared_with_what_it_was_made_from_and_no_reference_with_itself():
    references = single_directions(3, [(0,), (1, 2), (2,), (1,)])
    examples = ResidualExamples(examples_of(references, [0, 1, 2]), [0], 4, "cpu")
    own = [{0}, {1, 2}, {2}, {1}, {0}, {1}, {2}]  # four that are made, and the references themselves
    assert examples.labels == [1, 1, 1, 1, 0, 0, 0]
    for index, sources in enumerate(own):
        tokens, nearest = examples.pair(index, 0)
        assert int(tokens[0, 0].argmax()) in sources
        assert int(nearest[0, 0].argmax()) not in sources
        assert bool(examples.cells(index).eq(examples.labels[index]).all())


def test_a_fit_to_some_references_leaves_out_what_is_made_from_others():
    references = single_directions(4, [(0,), (1,), (0, 3), (0, 2), (2,)])
    examples = examples_of(references, [0, 2])  # what is made of both has nothing to be compared with
    assert [(example.label, example.place, set(example.without)) for example in examples] == [
        (1, 0, {0}),
        (1, 4, {2}),
        (0, 0, {0}),
        (0, 2, {2}),
    ]


def test_views_of_a_reference_are_as_little_compared_with_as_itself():
    references = single_directions(3, [(0,)])
    references.image_ids = ["r0", "r0@045", "r1"]
    made, normal = examples_of(references, [0, 1, 2])
    assert made.without == {0, 1}
    assert normal.without == ({2} if normal.place == 2 else {0, 1})


def test_as_many_references_as_made_images_are_drawn():
    references = single_directions(5, [(0,), (1,)])
    normal = [example.place for example in examples_of(references, range(5)) if not example.label]
    assert len(set(normal)) == 2


@pytest.mark.parametrize("sources", [[], [(0, 1)], [("r9",)]])
def test_references_with_nothing_to_learn_from_are_refused(sources):
    references = single_directions(2, [numbers for numbers in sources if "r9" not in numbers] or [(0, 1)])
    if sources and "r9" in sources[0]:
        references.synthetic.marks.made_from[0] = ("r9",)
    with pytest.raises(DataError, match="can be compared with another of them; raise 'synthetic_images' or 'shots'"):
        ResidualPrompts(**FEW).fit(references, [0, 1], PLAIN)


def test_references_without_synthetic_images_are_refused():
    with pytest.raises(DataError, match="tokens in memory has no synthetic anomalies, which the method"):
        ResidualPrompts(**FEW).fit(MemoryTokens(PART.tokens(0, *GRIDS)[0]), range(3), PLAIN)


def test_a_cell_is_anomalous_above_half_normal_at_nothing_and_ignored_between():
    shares = np.array([[0.0, 0.01, 0.5], [0.51, 1.0, 0.0]], dtype=np.float32)
    assert cell_marks(shares, (2, 3)).tolist() == [[0, -1, -1], [1, 1, 0]]
    assert cell_marks(None, (1, 2)).tolist() == [[-1, -1]]


def auroc(scores, labels):
    scores, labels = np.asarray(scores).ravel(), np.asarray(labels).ravel()
    return np.mean([[one > other for other in scores[labels == 0]] for one in scores[labels == 1]])


def test_it_learns_from_anomalies_that_are_made_to_find_others():
    references, grids = PART.references(*[(6, 6)] * 3, made=12), [(6, 6)] * 12
    images, masks = PART.tokens(5, *grids, anomalous=range(6))
    scorer = ResidualPrompts(shots=3, steps=40, rate=3e-3, combine="head")
    model = scorer.fit(references, range(3), PLAIN)
    scores = list(scorer.score_by(model, MemoryTokens(images), range(12), PLAIN))
    assert auroc([score.image_score for score in scores], [mask is not None for mask in masks]) > 0.9
    marked = [mask[::SIDE, ::SIDE] for mask in masks[:6]]
    assert auroc([score.anomaly_map for score in scores[:6]], marked) > 0.9


def trained(scorer, categories, path):
    """With what it learns, as the stage of training keeps it."""
    learned = scorer.train(categories, PLAIN)
    features = feature_facts(categories[0].images.tokens)
    write_learned(path, learned._replace(facts={**learned.facts, "features": features}))
    return scorer.with_weights(path)


def auxiliary(**params):
    return ResidualPrompts(learns_from="auxiliary", **{"shots": 1, "steps": 2, **params})


def test_what_is_learned_elsewhere_is_applied_with_a_single_reference(tmp_path):
    categories = [Images(seed).category(f"part{seed}", *[(5, 6)] * 8, anomalous=[1, 3, 4, 6]) for seed in (11, 12, 13)]
    scorer = trained(auxiliary(steps=40, rate=3e-3), categories, tmp_path / "weights.safetensors")
    references = MemoryTokens(PART.tokens(7, (6, 6))[0])
    images, masks = PART.tokens(5, *[(6, 6)] * 10, anomalous=range(5))
    model = scorer.fit(references, [0], PLAIN)
    scores = list(scorer.score_by(model, MemoryTokens(images), range(10), PLAIN))
    marked = [mask[::SIDE, ::SIDE] for mask in masks[:5]]
    assert auroc([score.anomaly_map for score in scores[:5]], marked) > 0.9
    told = scorer.training(model)
    assert (told["seed"], told["steps"]) == (0, 40)
    assert told["weights_sha256"] == weights_sha256(model.learned.tensors)
    assert told["parameters"] == sum(
        tensor.size
        for name, tensor in model.learned.tensors.items()
        if "running" not in name and "batches_tracked" not in name
    )


def test_without_masks_the_image_head_alone_learns_and_the_map_is_the_distance(tmp_path):
    category = Images(11).category("part", *[(3, 4)] * 4, anomalous=[0, 1], marked=False)
    scorer = trained(auxiliary(combine="head"), [category], tmp_path / "weights.safetensors")
    references, (images, _) = MemoryTokens(PART.tokens(7, (6, 6))[0]), PART.tokens(5, (3, 3))
    model = scorer.fit(references, [0], PLAIN)
    (score,) = scorer.score_by(model, MemoryTokens(images), [0], PLAIN)
    tokens = stored(images[0])
    nearest = brute_force(tokens, [stored(references.patch_tokens(0))])
    assert_close(score.anomaly_map, (1 - (tokens * nearest).sum(axis=-1)).mean(axis=0), share=1e-4)
    assert scorer.training(model)["notes"] == [
        "no anomalous image of the auxiliary data set has a mask, so that the map is the distance to the nearest "
        "normal patch"
    ]


def test_an_auxiliary_category_without_references_is_refused():
    category = Images(11).category("part", (3, 4), (3, 4), anomalous=[0])._replace(references=None)
    with pytest.raises(DataError, match="category 'part' of the auxiliary data set has no references"):
        auxiliary().train([category], PLAIN)


def test_weights_of_a_head_that_saw_something_else_are_refused(tmp_path):
    category = Images(11).category("part", (3, 4), (3, 4), anomalous=[0])
    given = trained(auxiliary(input="sum"), [category], tmp_path / "weights.safetensors").weights
    references = MemoryTokens(PART.tokens(7, (6, 6))[0])
    with pytest.raises(DataError, match="was trained with input sum, not with residual "):
        auxiliary(input="residual", weights=given).fit(references, [0], PLAIN)
    with pytest.raises(DataError, match="the method has no weights yet"):
        auxiliary().fit(references, [0], PLAIN)
    wider = MemoryTokens([np.ones((LAYERS, 2, 2, CHANNELS + 1))])
    with pytest.raises(DataError, match=rf"different backbones \(channels: {CHANNELS + 1} and {CHANNELS}\)"):
        auxiliary(input="sum", weights=given).fit(wider, [0], PLAIN)


@pytest.mark.parametrize(("names", "is_refused"), [(["a"], True), (["a", "a@045"], True), (["a", "b"], False)])
def test_two_references_are_needed_where_anomalies_are_made_of_them(names, is_refused):
    shown = Shown(names, [(3, 3)] * len(names), ["0"], 4)
    assert ("at least 2 references" in ResidualPrompts(shots=2).fit_refusal(shown, shown)) == is_refused
    assert auxiliary().fit_refusal(shown, shown) == ""


def test_how_many_references_it_needs():
    assert ResidualPrompts(shots=1).needs().train == 2
    assert ResidualPrompts(shots=3).needs().train == 3
    assert ResidualPrompts(shots=1).needs(scores_references=True).train == 4  # two in each half
    assert auxiliary().needs().train == 1


def test_what_it_sees_stands_in_its_setting_and_its_features():
    here, there = ResidualPrompts(shots=4, seed=3), auxiliary(shots=4, seed=3, trained_on="visa")
    assert (here.setting, there.setting) == ("few-shot-4", "few-shot-4+auxiliary(visa)")
    assert ResidualPrompts(shots="all").setting == "full-shot"
    assert auxiliary(shots="all", trained_on="visa").setting == "full-shot+auxiliary(visa)"
    drawn = FeatureSet("references-k4-seed3")
    assert here.feature_sets() == {
        "test": FeatureSet("test"),
        "references": drawn,
        "synthetic": FeatureSet("synthetic-k4-seed3-n40-cpns"),
    }
    assert there.feature_sets() == {"test": FeatureSet("test"), "references": drawn}
    assert there.training_sets() == {"images": FeatureSet("test"), "references": drawn}
    assert here.training_sets() == {}
    assert (here.learns_elsewhere, there.learns_elsewhere) == (False, True)
    assert here.own_image_scores


@pytest.mark.parametrize("given", [{"weights": "some.safetensors"}, {"trained_on": "visa"}])
def test_weights_without_an_auxiliary_data_set_are_refused(given):
    (name,) = given
    with pytest.raises(
        ConfigError, match=f"'{name}' is only for training on an auxiliary data set; also set 'learns_from"
    ):
        ResidualPrompts.build(given, where="methods.way")


@pytest.mark.parametrize(("kind", "width"), [("residual", 11), ("concatenated", 22)])
def test_it_costs_all_pairs_of_patches_and_the_head_there_and_back(kind, width):
    test, references = TokenCount(5, 7, 3, 11), TokenCount(4, 6, 3, 11)
    made = TokenCount(2, 8, 3, 11)
    value, pair = 100, 2 * 11 + 40
    compared = sum(4 * 6 for _ in range(5 * 7 * 3)) * pair
    heads = sum(head_operations(width) for _ in range(5 * 7 * 3))
    read = value * (test.values + references.values)
    scorer = ResidualPrompts(input=kind, steps=9)
    there = auxiliary(input=kind).operations({"test": test, "references": references})
    assert there == pytest.approx(read + compared + heads)
    learned = sum(4 * 6 for _ in range((2 + 2) * 8 * 3)) * pair + 9 * BATCH * 8 * 3 * head_operations(width)
    both = {"test": test, "references": references, "synthetic": made}
    assert scorer.operations(both) == pytest.approx(there + value * made.values + learned)
    assert scorer.working_bytes(both) == 4 * (references.values + BATCH * 8 * head_values(width))


@pytest.mark.parametrize(("images", "steps", "drawn"), [(50, 9, BATCH * 9), (8, 9, 8)])
@pytest.mark.parametrize(("shots", "beside"), [(2, 2), ("all", 6)])
def test_training_elsewhere_costs_the_pairs_of_what_is_drawn_and_the_steps(images, steps, drawn, shots, beside):
    shown, references = TokenCount(images, 7, 3, 11), TokenCount(6, 5, 3, 11)
    scorer = auxiliary(shots=shots, steps=steps)
    tokens = {"images": shown, "references": references}
    pairs = sum(beside * 5 for _ in range(drawn * 7 * 3)) * (2 * 11 + 40)
    learned = 3 * steps * BATCH * 7 * head_operations(11)
    read = TrainedScorer.training_operations(scorer, tokens)
    assert scorer.training_operations(tokens) == pytest.approx(read + pairs + learned)
    assert scorer.training_bytes(tokens) == 4 * (references.values + BATCH * 7 * head_values(11))
