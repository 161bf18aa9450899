"""The coupling flow against a plain one, and what it must do by its definition."""

import math
from pathlib import Path

import numpy as np
import pytest

from closeness import assert_close
from feature_files import stored
from plain_couplings import plain_couplings
from zsad.adaptation.position import POSITION_WIDTH, position_code
from zsad.errors import ConfigError, DamagedFileError, DataError
from zsad.files.fitted import FittedReader, FittedWriter
from zsad.files.learned import from_bytes, to_bytes
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.coupling_flow import CouplingFlow
from zsad.scoring.token_source import MemoryTokens

GRID = (6, 5)
BRIEF = {"steps": 40, "batch": 64, "width": 16, "blocks": 4}


def images(seed, count, *, grid=GRID, channels=6, layers=2):
    """Patches of two kinds, which are alike in mean and covariance with nothing in between."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(0).normal(size=(2, channels))
    chosen = rng.integers(0, 2, size=(count, layers, *grid))
    return list(kinds[chosen] + 0.3 * rng.normal(size=(count, layers, *grid, channels)))


def source(tokens, split="train"):
    return MemoryTokens(tokens, image_ids=[f"{split}/{number:02d}.png" for number in range(len(tokens))])


def fitted(scorer, references, compute=None):
    return scorer.fit(references, range(len(references)), compute or Compute())


def maps(scorer, model, test, compute=None):
    return [one.anomaly_map for one in scorer.score_by(model, test, range(len(test)), compute or Compute())]


def vectors(tokens):
    """Unit tokens of all layers side by side, float64 ``[patch, channel]``."""
    return np.concatenate(list(stored(tokens)), axis=-1).reshape(-1, tokens.shape[0] * tokens.shape[-1])


def whitened(references, dimensions):
    """A change to principal axes of variance one, by a plain singular value decomposition."""
    every = np.concatenate([vectors(image) for image in references])
    mean = every.mean(axis=0)
    _, lengths, axes = np.linalg.svd(every - mean, full_matrices=False)
    variances = lengths**2 / (len(every) - 1)
    scales = np.sqrt(np.maximum(variances[:dimensions], 1e-4 * variances[0]))
    axes = axes[:dimensions] * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))[:dimensions]
    return lambda image: (vectors(image) - mean) @ axes.T / scales


@pytest.mark.parametrize("measure", ["likelihood", "latent"])
@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("dimensions", [3, 8])
def test_maps_equal_a_plain_flow_of_the_same_weights(measure, position, dimensions):
    references, test = images(1, 5), images(2, 2)
    scorer = CouplingFlow(**BRIEF, dimensions=dimensions, position=position, measure=measure, rate=0.02)
    model = fitted(scorer, source(references))
    prefix = "network."
    weights = {
        name.removeprefix(prefix): array for name, array in model.learned.tensors.items() if name.startswith(prefix)
    }
    assert np.abs(weights["couplings.3.last.weight"]).max() > 0.01  # it has learned something
    codes = position_code(*GRID).tolist() if position else [None] * math.prod(GRID)
    coordinates = whitened(references, dimensions)
    for found, image in zip(maps(scorer, model, source(test, "test")), test, strict=True):
        expected = []
        for vector, code in zip(coordinates(image), codes, strict=True):
            z, log_determinant = plain_couplings(weights, 4, vector, code)
            rest = dimensions / 2 * math.log(2 * math.pi) - log_determinant if measure == "likelihood" else 0
            expected.append(z @ z / 2 + rest)
        np.testing.assert_allclose(found, np.reshape(expected, GRID), rtol=2e-3, atol=2e-3)


def curved(seed, count):
    """Patches along a curve: what lies inside its bend is near to the mean of all, and like none of them."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-1, 1, size=(count, 1, *GRID))
    tokens = np.stack([np.full(along.shape, 2.0), 1.5 * along, 1.5 * along**2], axis=-1)
    return list(tokens + 0.03 * rng.normal(size=tokens.shape))


def test_it_learns_more_than_the_mean_and_the_covariance():
    references, test = curved(1, 12), curved(2, 6)
    for image in test[:3]:
        image[0, 2, 2] = [2, 0, 0.6]
    planted = np.zeros((6, *GRID), dtype=bool)
    planted[:3, 2, 2] = True
    scorer = CouplingFlow(steps=300, batch=128, width=32, blocks=4, dimensions=2, rate=0.01)
    found = np.array(maps(scorer, fitted(scorer, source(references)), source(test, "test")))
    assert found[planted].min() > np.quantile(found[~planted], 0.95)
    untrained = CouplingFlow(steps=1, rate=1e-9, dimensions=2)
    before = np.array(maps(untrained, fitted(untrained, source(references)), source(test, "test")))
    assert before[planted].max() < np.quantile(before[~planted], 0.5)
    assert found[~planted].mean() < before[~planted].mean() - 0.1


def test_an_untrained_flow_scores_as_one_gaussian_does():
    references, test = images(1, 5), images(2, 1)
    scorer = CouplingFlow(steps=1, rate=1e-12, dimensions=8, blocks=4, width=16)
    (found,) = maps(scorer, fitted(scorer, source(references)), source(test, "test"))
    squares = np.square(whitened(references, 8)(test[0])).sum(axis=1)
    np.testing.assert_allclose(found.ravel(), squares / 2 + 4 * math.log(2 * math.pi), rtol=1e-3)


def test_one_seed_gives_the_same_bytes_and_another_seed_others():
    references = source(images(1, 4))
    first, again, other = (
        to_bytes(fitted(CouplingFlow(**BRIEF, dimensions=4, seed=seed), references).learned) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("position", [False, True])
def test_neither_the_order_nor_the_number_of_test_images_matters(position):
    references, test = source(images(1, 4)), source(images(2, 5), "test")
    scorer = CouplingFlow(**BRIEF, position=position)
    model = fitted(scorer, references)
    together = maps(scorer, model, test)
    for index in (4, 0, 2):
        (alone,) = (one.anomaly_map for one in scorer.score_by(model, test, [index], Compute()))
        assert alone.tobytes() == together[index].tobytes()


def test_the_order_of_the_references_does_not_matter():
    tokens = images(1, 5)
    names = [f"train/{number}.png" for number in range(5)]
    order = [3, 0, 4, 2, 1]
    straight = MemoryTokens(tokens, image_ids=names)
    turned = MemoryTokens([tokens[index] for index in order], image_ids=[names[index] for index in order])
    scorer = CouplingFlow(**BRIEF)
    assert to_bytes(fitted(scorer, straight).learned) == to_bytes(fitted(scorer, turned).learned)


@pytest.mark.parametrize("memory", [1, 12_345])
def test_scores_do_not_depend_on_the_memory(memory):
    references, test = source(images(1, 4)), source(images(2, 2), "test")
    scorer = CouplingFlow(**BRIEF, position=True)
    expected = maps(scorer, fitted(scorer, references), test)
    model = fitted(scorer, references, Compute(memory=memory))
    assert_close(np.array(maps(scorer, model, test, Compute(memory=memory))), np.array(expected))


def test_the_position_shows_what_is_in_a_wrong_place():
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(2, 6))

    def part(seed):
        tokens = 0.2 * np.random.default_rng(seed).normal(size=(1, 4, 8, 6))
        tokens[:, :, :4] += left
        tokens[:, :, 4:] += right
        return tokens

    references, odd = [part(seed) for seed in range(8)], part(99)
    odd[0, 1, 1], odd[0, 1, 6] = odd[0, 1, 6].copy(), odd[0, 1, 1].copy()
    swapped = np.zeros((4, 8), dtype=bool)
    swapped[1, 1] = swapped[1, 6] = True
    found = {}
    for position in (False, True):
        brief = BRIEF | {"steps": 200, "batch": 128}
        scorer = CouplingFlow(**brief, dimensions=6, position=position, rate=0.01)
        (found[position],) = maps(scorer, fitted(scorer, source(references)), source([odd], "test"))
    assert found[True][swapped].min() > found[True][~swapped].max() + 3
    assert found[False][swapped].min() < found[False][~swapped].max()


def test_a_constant_channel_gives_finite_scores_and_a_patch_that_differs_there_stands_out():
    references, test = images(1, 4), images(2, 1)
    for image in (*references, *test):
        image[..., 2] = 0
    changed = test[0].copy()
    changed[:, 3, 3, 2] = 0.5
    scorer = CouplingFlow(**(BRIEF | {"steps": 150}), dimensions=12, rate=5e-3)
    model = fitted(scorer, source(references))
    same, other = maps(scorer, model, source([test[0], changed], "test"))
    assert np.isfinite(same).all()
    assert np.isfinite(other).all()
    assert other[3, 3] > 2 * same.max()


def test_what_it_learned_is_recorded():
    scorer = CouplingFlow(**BRIEF, dimensions=4, seed=5)
    model = fitted(scorer, source(images(1, 4)))
    told = scorer.training(model)
    half, width = 2, 16
    assert told["parameters"] == 4 * ((half + 1) * width + (width + 1) * 2 * half)
    assert told["seed"] == 5
    assert 1 <= told["steps"] <= 40
    assert len(told["weights_sha256"]) == 64
    assert from_bytes(to_bytes(model.learned), Path("memory")).facts == dict(model.learned.facts)


def test_what_is_held_out_ends_the_training():
    """A few dozen patches of noise can only be learned by heart."""
    rng = np.random.default_rng(0)
    references = source([rng.normal(size=(1, 4, 4, 8)) for _ in range(4)])
    brief = {"steps": 200, "batch": 64, "width": 64, "rate": 0.01}
    stopped, went_on = (
        fitted(CouplingFlow(**brief, hold_out=hold_out), references).learned.facts for hold_out in (0.25, 0)
    )
    assert stopped["steps"] < 100
    assert went_on["steps"] == 200
    assert went_on["loss"] < stopped["held_out"] - 0.5


@pytest.mark.parametrize("position", [False, True])
def test_the_cost_of_a_token_is_that_of_its_products_and_of_what_is_done_to_each_value(position):
    scorer = CouplingFlow(width=16, blocks=4, position=position)
    once = 0
    for _coupling in range(4):
        read = 3 + (POSITION_WIDTH if position else 0)
        once += sum(2 * read for _ in range(16)) + sum(2 * 16 for _ in range(2 * 3))
        once += 40 * (16 + 2 * 6)
    assert scorer.token_operations(6) == (3 * once, once)


def test_more_to_score_and_more_steps_cost_more():
    tokens = {"test": TokenCount(5, 7, 1, 6), "references": TokenCount(4, 6, 1, 6)}
    more = tokens | {"test": TokenCount(6, 7, 1, 6)}
    once = CouplingFlow(width=16).token_operations(6)[1]
    base = CouplingFlow(width=16).operations(tokens)
    assert CouplingFlow(width=16).operations(more) - base >= 7 * once
    assert CouplingFlow(width=16, steps=2000).operations(tokens) - base >= 1000 * 1024 * 3 * once


@pytest.mark.parametrize(
    "orders", [[[0, 1, 2, 2], [3, 2, 1, 0]], [[0, 1, 2, 4], [3, 2, 1, 0]]], ids=["twice", "beyond"]
)
def test_orders_that_are_none_are_refused_where_a_model_is_read(tmp_path, orders):
    scorer = CouplingFlow(**BRIEF, dimensions=4)
    model = fitted(scorer, source(images(1, 3)))
    tensors = {**model.learned.tensors, "network.orders": np.array(orders)}
    for learned in (model.learned, model.learned._replace(tensors=tensors)):
        path = tmp_path / "model.h5"
        with FittedWriter(path, ["0"], {}, layers=["0", "1"], channels=6, cls_source="class token") as writer:
            scorer.store(model._replace(learned=learned), writer)
        with FittedReader(path) as reader:
            if learned is model.learned:
                assert scorer.restore(reader, Compute()).learned.facts == dict(model.learned.facts)
                continue
            with pytest.raises(DamagedFileError, match="no valid orders of the dimensions"):
                scorer.restore(reader, Compute())


REFUSED = {
    "one reference": (source(images(1, 1)), {}, "at least 2 references"),
    "few patches": (source(images(1, 2, grid=(2, 2), channels=16)), {}, "32 dimensions needs more patches"),
    "one channel": (source(images(1, 3, channels=1, layers=1)), {}, "at least 2 channels"),
    "equal patches": (source([np.ones((1, 5, 5, 6))] * 3), {}, "are equal, so no method can learn"),
    "mixed grids": (
        source([*images(1, 2), *images(2, 1, grid=(5, 6))]),
        {"position": True},
        "train/02.png has 5 x 6 patches but .* 6 x 5",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_references_are_refused_in_one_sentence(case):
    references, params, reason = REFUSED[case]
    with pytest.raises(DataError, match=reason) as refused:
        fitted(CouplingFlow(**BRIEF, **params), references)
    assert "\n" not in str(refused.value)


def test_another_grid_is_refused_with_a_position_before_and_while_it_is_scored():
    references, test = source(images(1, 3)), source(images(2, 1, grid=(7, 5)), "test")
    scorer = CouplingFlow(**BRIEF, position=True)
    shown = {"test": Shown.of(test), "references": Shown.of(references)}
    assert "7 x 5" in scorer.refusal(shown)
    with pytest.raises(DataError, match=r"test/00.png has 7 x 5 patches .* 6 x 5"):
        maps(scorer, fitted(scorer, references), test)
    assert maps(CouplingFlow(**BRIEF), fitted(CouplingFlow(**BRIEF), references), test)[0].shape == (7, 5)


@pytest.mark.parametrize(
    "params",
    [{"dimensions": 1}, {"blocks": 0}, {"width": 0}, {"noise": -0.1}, {"measure": "density"}, {"noise": math.nan}],
    ids=str,
)
def test_bad_parameters_are_refused(params):
    from zsad.scoring.registry import SCORERS

    with pytest.raises(ConfigError, match=next(iter(params))):
        SCORERS.build("coupling_flow", params)
