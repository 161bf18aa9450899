"""What methods on whitened tokens make of references before they train: what is kept, drawn, held out and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from feature_files import random_tokens, stored
from fitted_files import fitted_file
from zsad.errors import ConfigError, DamagedFileError, DataError
from zsad.files.learned import Learned, from_bytes, to_bytes
from zsad.scoring import stored_weights
from zsad.scoring.compute import Compute
from zsad.scoring.fitted import load_fitted
from zsad.scoring.flow import Flow
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.whitened import AXES, MEAN, MOST_TOKENS, FittedWhitened, Pool, joined_tokens

GRIDS = [(5, 4), (3, 7), (4, 4), (6, 2)]
QUICK = {"steps": 3, "width": 8, "batch": 16}


def references(*grids: tuple[int, int], seed: int = 0, ids: list[str] | None = None, **shape: int) -> MemoryTokens:
    images = random_tokens(seed, *(grids or GRIDS), **shape)
    return MemoryTokens(images, image_ids=ids or [f"train/{place}.png" for place in range(len(images))])


def joined(image: np.ndarray, layers: list[int]) -> np.ndarray:
    """Unit tokens of layers side by side, in float64, one row a patch."""
    return np.concatenate([stored(image[layer]) for layer in layers], axis=-1).reshape(
        -1, len(layers) * image.shape[-1]
    )


def fitted(scorer: Flow, source: MemoryTokens, compute: Compute = Compute()) -> FittedWhitened:  # noqa: B008
    return scorer.fit(source, range(len(source)), compute)


def pool_of(scorer: Flow, source: MemoryTokens, model: FittedWhitened) -> Pool:
    return scorer._pool(source, range(len(source)), model.whitening, MOST_TOKENS, Compute())


@pytest.mark.parametrize("layers", [None, ["2", "0"]])
def test_tokens_are_whitened_by_the_moments_of_all_references(layers):
    scorer, images = Flow(**QUICK, dimensions=5, layers=layers), random_tokens(0, *GRIDS, layers=3)
    model = fitted(scorer, MemoryTokens(images))
    samples = np.concatenate([joined(image, [2, 0] if layers else [0, 1, 2]) for image in images])
    np.testing.assert_allclose(model.whitening.mean, samples.mean(axis=0), rtol=1e-5, atol=1e-6)
    values, axes = np.linalg.eigh(np.cov(samples.T))
    expected = (axes / np.sqrt(values))[:, ::-1][:, :5]
    found = model.whitening.axes.numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_every_patch_is_in_the_pool_once_with_its_place():
    source, scorer = references(layers=1), Flow(**QUICK)
    model = fitted(scorer, source)
    pool = pool_of(scorer, source, model)
    expected = {}
    for index, grid in enumerate(GRIDS):
        tokens = model.whitening.apply(joined_tokens(source, index, [0], "cpu"))
        expected |= {tuple(row.half().tolist()): place for place, row in enumerate(tokens)}
        assert len(tokens) == grid[0] * grid[1]
    found = {tuple(row.tolist()): int(place) for row, place in zip(pool.tokens, pool.places, strict=True)}
    assert found == expected
    assert pool.tokens.dtype == torch.float16
    assert pool.places.tolist() != sorted(pool.places.tolist())  # in a random order


def test_of_many_patches_some_are_drawn_by_the_seed():
    source = references(layers=1)
    model = fitted(Flow(**QUICK), source)

    def some(seed: int) -> list[list[float]]:
        scorer = Flow(**QUICK, seed=seed)
        return scorer._pool(source, range(4), model.whitening, 10, Compute()).tokens.tolist()

    whole = pool_of(Flow(**QUICK), source, model).tokens.tolist()
    assert len(some(0)) == 10
    assert all(row in whole for row in some(0))
    assert some(0) == some(0) != some(1)


SHARES = [(0.0, 5, 0), (0.1, 2, 1), (0.1, 5, 1), (0.25, 8, 2), (0.99, 3, 2)]


@pytest.mark.parametrize(("share", "count", "held"), SHARES)
def test_a_share_of_the_references_is_held_out_with_all_their_views(share, count, held):
    ids = [f"train/{place}.png{angle}" for place in range(count) for angle in ("", "@045", "@090")]
    source = references(*[(2, 2)] * len(ids), ids=ids)
    kept, left_out = Flow(**QUICK, hold_out=share)._split(source, range(len(ids)))
    owners = [{ids[index].split("@")[0] for index in part} for part in (kept, left_out)]
    assert sorted(kept + left_out) == list(range(len(ids)))
    assert not owners[0] & owners[1]
    assert len(owners[1]) == held


def test_what_is_held_out_depends_on_the_seed_and_not_on_the_order():
    ids = [f"train/{place}.png" for place in range(8)]

    def held(order: list[str], seed: int) -> set[str]:
        source = references(*[(2, 2)] * 8, ids=order)
        return {order[index] for index in Flow(**QUICK, hold_out=0.25, seed=seed)._split(source, range(8))[1]}

    assert held(ids, 0) == held(ids[::-1], 0)
    assert len({frozenset(held(ids, seed)) for seed in range(5)}) > 1


def test_the_order_of_the_references_does_not_matter_nor_the_memory():
    images, ids = random_tokens(0, *GRIDS), [f"train/{place}.png" for place in range(4)]
    one = fitted(Flow(**QUICK), MemoryTokens(images, image_ids=ids))
    other = fitted(Flow(**QUICK), MemoryTokens(images[::-1], image_ids=ids[::-1]))
    assert to_bytes(one.learned) == to_bytes(other.learned)
    little = fitted(Flow(**QUICK), MemoryTokens(images, image_ids=ids), Compute(memory=1000))
    for name, tensor in one.learned.tensors.items():
        np.testing.assert_allclose(little.learned.tensors[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_training_is_reported_by_its_seed_steps_and_digest():
    scorer = Flow(**QUICK, seed=4)
    model = fitted(scorer, references())
    told = scorer.training(model)
    assert (told["seed"], told["steps"]) == (4, model.learned.facts["steps"])
    assert told["parameters"] == sum(
        array.size for name, array in model.learned.tensors.items() if name not in (MEAN, AXES)
    )
    assert len(told["weights_sha256"]) == 64
    assert "seconds" not in told


def test_one_reference_is_refused():
    with pytest.raises(DataError, match=r"training needs at least 2 references, since a single one .* but there is 1"):
        fitted(Flow(**QUICK), references((9, 9)))


def test_turned_views_of_one_reference_are_still_one():
    with pytest.raises(DataError, match="at least 2 references"):
        fitted(Flow(**QUICK), references((9, 9), (9, 9), ids=["train/0.png", "train/0.png@045"]))


def test_fewer_patches_than_dimensions_are_refused():
    message = "whitening to 12 dimensions needs more patches than that, but the references have 12; lower 'dimensions'"
    with pytest.raises(DataError, match=message):
        fitted(Flow(**QUICK), references((2, 3), (2, 3)))
    assert fitted(Flow(**QUICK, dimensions=11), references((2, 3), (2, 3))).whitening.dimensions == 11


def test_equal_patches_are_refused():
    with pytest.raises(DataError, match="all patches of the references are equal"):
        fitted(Flow(**QUICK), MemoryTokens([np.full((1, 4, 4, 3), 0.7)] * 3))


def test_constant_channels_are_reported_and_what_differs_in_one_stands_out(caplog):
    images = random_tokens(1, (6, 6), (6, 6), (6, 6), layers=1)
    for image in images:
        image[..., 2] = 0.0
    test = images[2].copy()
    test[0, 3, 4, 2] = 0.5
    scorer = Flow(**QUICK)
    caplog.set_level("INFO")
    model = fitted(scorer, MemoryTokens(images))
    assert "1 of 6 channels are constant in all references" in caplog.text
    (score,) = scorer.score_by(model, MemoryTokens([test]), [0], Compute())
    assert np.unravel_index(score.anomaly_map.argmax(), (6, 6)) == (3, 4)


def test_one_channel_works():
    """Of layers side by side; a unit vector of one channel says no more than its sign."""
    images = [np.where(image > 0, 1.0, -1.0) for image in random_tokens(2, (6, 6), (6, 6), channels=1, layers=1)]
    scorer = Flow(**QUICK)
    model = fitted(scorer, MemoryTokens(images))
    assert model.whitening.dimensions == 1
    (score,) = scorer.score_by(model, MemoryTokens(images), [1], Compute())
    assert np.isfinite(score.anomaly_map).all()


@pytest.mark.parametrize("position", [True, False])
def test_another_grid_is_refused_where_positions_count(position):
    scorer, source = Flow(**QUICK, position=position), references((5, 4), (5, 4), (5, 4))
    model = fitted(scorer, source)
    other = references((4, 5), seed=1, ids=["test/9.png"])
    if position:
        with pytest.raises(DataError, match=r"test/9\.png has 4 x 5 patches but the references 5 x 4: .*'position: f"):
            list(scorer.score_by(model, other, [0], Compute()))
        with pytest.raises(DataError, match=r"test/9\.png has 4 x 5 patches but train/0\.png 5 x 4"):
            scorer.check({"test": other, "references": source})
        with pytest.raises(DataError, match=r"train/1\.png has 3 x 7 patches but train/0\.png 5 x 4"):
            fitted(scorer, references())
    else:
        assert len(list(scorer.score_by(model, other, [0], Compute()))) == 1


def test_positions_of_turned_references_are_refused():
    with pytest.raises(ConfigError, match="rotated references have no common positions"):
        Flow.build({"position": True, "rotations": True}, where="methods.flow")


def test_references_are_turned_if_configured():
    assert Flow(rotations=True).feature_sets()["references"].view == "rotations"
    assert Flow().feature_sets()["references"].view == "original"


def test_two_fits_score_the_references_and_each_needs_two():
    assert Flow.folds == 2
    assert Flow().needs().train == 2
    assert Flow().needs(scores_references=True).train == 4


def changed(learned: Learned, **tensors: np.ndarray | None) -> Learned:
    kept = {**learned.tensors, **tensors}
    return Learned({name: tensor for name, tensor in kept.items() if tensor is not None}, learned.facts)


DAMAGE = {
    "another width": lambda learned: changed(learned, **{MEAN: np.zeros(5, np.float32)}),
    "other axes": lambda learned: changed(learned, **{AXES: np.zeros((12, 5), np.float32)}),
    "no axes": lambda learned: changed(learned, **{AXES: None}),
    "no numbers": lambda learned: changed(learned, **{MEAN: np.full(12, np.nan, np.float32)}),
    "another network": lambda learned: changed(learned, **{"network.out.bias": np.zeros(3, np.float32)}),
    "half a network": lambda learned: changed(learned, **{"network.out.bias": None}),
    "a place": lambda learned: learned._replace(facts={**learned.facts, "grid": [6, 7]}),
    "no grid": lambda learned: learned._replace(facts={**learned.facts, "grid": [0, -3]}),
    "words": lambda learned: learned._replace(facts={**learned.facts, "grid": "large"}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_weights_of_something_else_are_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, source = Flow(**QUICK), references()
    monkeypatch.setattr(stored_weights, "to_bytes", lambda learned: to_bytes(DAMAGE[damage](learned)))
    path = fitted_file(tmp_path / "model.h5", source, scorer, Compute())
    with pytest.raises(DamagedFileError, match=r"is not a model of this version of zsad|numbers that are not finite"):
        load_fitted(path, Compute())


def test_a_model_keeps_its_weights_as_a_file_of_learned_weights(tmp_path: Path) -> None:
    scorer, source = Flow(**QUICK), references()
    path = fitted_file(tmp_path / "model.h5", source, scorer, Compute())
    with load_fitted(path, Compute()) as model:
        content = model._reader.array("weights", np.uint8, (None,)).tobytes()
    learned = from_bytes(content, path)
    expected = fitted(scorer, source).learned
    assert learned.facts == expected.facts
    assert {name: array.tobytes() for name, array in learned.tensors.items()} == {
        name: array.tobytes() for name, array in expected.tensors.items()
    }
