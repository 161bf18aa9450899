"""Mutual scoring against plain loops, and what it must do by its definition."""

import threading
import time

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, scores, stored, write_features
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.files.scores import ScoreReader
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.mutual import FIRST_IMAGE, Mutual
from zsad.scoring.mutual_base import cosines, rescored_by_neighbours
from zsad.scoring.mutual_distances import Stage, distance_rows
from zsad.scoring.score_images import score_images
from zsad.scoring.side_by_side import libraries_in_one_thread

GRIDS = [(5, 4), (3, 6), (4, 4), (5, 3), (2, 7)]


def aggregated(unit, side):
    rows, columns, _ = unit.shape
    half = side // 2
    pooled = np.empty_like(unit)
    for r in range(rows):
        for c in range(columns):
            near = unit[max(0, r - half) : r + half + 1, max(0, c - half) : c + half + 1]
            mean = near.mean(axis=(0, 1))
            pooled[r, c] = mean / np.linalg.norm(mean)
    return pooled


def reference(tokens, interval=(0.0, 0.3), sides=(1, 3, 5), squared=False, sees=lambda i, j: i != j):
    layers = tokens[0].shape[0]
    found = [np.zeros(image.shape[1:3]) for image in tokens]
    for layer in range(layers):
        for side in sides:
            units = [aggregated(stored(image)[layer], side) for image in tokens]
            for i, own in enumerate(units):
                seen = [other for j, other in enumerate(units) if sees(i, j)]
                if not seen:
                    continue
                start = min(int(interval[0] * len(seen)), len(seen) - 1)
                end = max(start + 1, int(interval[1] * len(seen)))
                for r, c in np.ndindex(own.shape[:2]):
                    nearest = sorted(np.linalg.norm(other - own[r, c], axis=2).min() for other in seen)
                    nearest = [distance**2 / 2 if squared else distance for distance in nearest]
                    found[i][r, c] += np.mean(nearest[start:end]) / (layers * len(sides))
    return found


@pytest.mark.parametrize("images", [2, 3, 5])
@pytest.mark.parametrize(
    ("interval", "sides", "distance"), [((0.0, 0.3), (1, 3, 5), "euclidean"), ((0.3, 0.8), (3,), "cosine")]
)
def test_maps_equal_plain_loops_for_images_of_mixed_sizes(tmp_path, images, interval, sides, distance):
    tokens = random_tokens(0, *GRIDS[:images])
    found = maps(Mutual(interval=interval, neighbourhoods=sides, distance=distance), tmp_path, test=tokens)
    for anomaly_map, expected in zip(found, reference(tokens, interval, sides, distance == "cosine"), strict=True):
        assert_close(anomaly_map, expected)


def test_maps_of_real_photographs_equal_plain_loops_also_where_an_image_occurs_twice(tmp_path, tile_tokens):
    tokens = [*tile_tokens[:3], tile_tokens[0]]
    for anomaly_map, expected in zip(maps(Mutual(), tmp_path, test=tokens), reference(tokens), strict=True):
        assert_close(anomaly_map, expected)


# From a byte, where every image is a block and a group by itself, over odd sizes, to two groups of images.
@pytest.mark.parametrize("memory", [1, 1999, 2 * 20 * 5 * 4 * 3, 20011])
@pytest.mark.parametrize("online", [False, True])
def test_the_memory_does_not_matter(tmp_path, memory, online):
    tokens = random_tokens(1, *GRIDS)
    scorer = Mutual(online=online)
    expected = maps(scorer, tmp_path, test=tokens)
    for anomaly_map, whole in zip(maps(scorer, tmp_path, Compute(memory=memory), test=tokens), expected, strict=True):
        assert_close(anomaly_map, whole)


def test_permuting_the_batch_permutes_the_scores(tmp_path):
    tokens, order = random_tokens(2, *GRIDS), [3, 0, 4, 1, 2]
    straight = maps(Mutual(), tmp_path, test=tokens)
    permuted = maps(Mutual(), tmp_path, test=[tokens[index] for index in order])
    for anomaly_map, index in zip(permuted, order, strict=True):
        assert_close(anomaly_map, straight[index])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_image_that_occurs_twice_scores_zero(tmp_path, distance):
    tokens = random_tokens(3, (4, 5), (3, 3), (4, 4))
    found = maps(Mutual(distance=distance), tmp_path, test=[*tokens, tokens[0]])
    assert_close(found[0], 0, size=1)
    assert_close(found[3], 0, size=1)
    assert found[1].min() > 0.01


def test_zero_and_constant_tokens_are_far_from_nothing_like_them(tmp_path):
    zeros, ones, other = (np.full((1, 3, 3, 4), value) for value in (0.0, 1.0, [1.0, -1.0, 1.0, -1.0]))
    found = maps(Mutual(distance="cosine"), tmp_path, test=[zeros, ones, other])
    assert_close(found[2], 1, size=1)
    assert all(np.isfinite(anomaly_map).all() for anomaly_map in found)


def test_one_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 2 test images"):
        maps(Mutual(), tmp_path, test=random_tokens(4, (3, 3)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        *(({"neighbourhoods": sides}, "neighbourhoods") for sides in ([2], [1, 4], [-1], [])),
        *(({"interval": interval}, "interval") for interval in ([0.3, 0.3], [0.5, 0.1], [0, 1.5], [0.1])),
        ({"rescoring": [0]}, "rescoring"),
        ({"batch": 1}, "batch"),
    ],
)
def test_parameters_without_a_meaning_are_refused(params, message):
    with pytest.raises(ConfigError, match=rf"methods\.mutual: {message}"):
        Mutual.build(params, where="methods.mutual")


def test_online_an_image_is_compared_with_those_before_it_in_a_drawn_order(tmp_path):
    tokens = random_tokens(5, *GRIDS)
    scorer = Mutual(online=True, seed=3)
    (order,) = scorer.batches(5)
    assert sorted(order) == [0, 1, 2, 3, 4] != order
    expected = reference(tokens, sees=lambda i, j: order.index(j) < order.index(i))
    for index, score in enumerate(scores(scorer, tmp_path, test=tokens)):
        assert_close(score.anomaly_map, expected[index])
        assert (score.note == FIRST_IMAGE) == (index == order[0])
        assert score.anomaly_map.any() == (index != order[0])


def test_batches_are_drawn_and_scored_by_themselves(tmp_path):
    tokens = random_tokens(6, *GRIDS)
    scorer = Mutual(batch=3, seed=1)
    batches = scorer.batches(5)
    assert sorted(map(len, batches)) == [2, 3]
    of = {index: number for number, batch in enumerate(batches) for index in batch}
    expected = reference(tokens, sees=lambda i, j: i != j and of[i] == of[j])
    for anomaly_map, plain in zip(maps(scorer, tmp_path, test=tokens), expected, strict=True):
        assert_close(anomaly_map, plain)


@pytest.mark.parametrize(("count", "batch"), [(5, 2), (7, 3), (2, 2), (9, 100), (100, 7)])
def test_every_image_is_in_one_batch_of_two_or_more(count, batch):
    batches = Mutual(batch=batch).batches(count)
    assert sorted(index for images in batches for index in images) == list(range(count))
    assert min(map(len, batches)) >= 2
    assert max(map(len, batches)) <= max(batch, 3)
    assert Mutual(batch=batch, seed=1).batches(count) != batches or len(batches) == 1


def test_rescoring_averages_over_the_nearest_images_by_class_token():
    rng = np.random.default_rng(7)
    tokens, before = rng.normal(size=(6, 4)), rng.uniform(size=6)
    visible = np.ones((6, 6), dtype=bool)
    visible[2, 3:] = False
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    expected = np.zeros(6)
    for i in range(6):
        order = sorted((j for j in range(6) if visible[i, j]), key=lambda j: -unit[i] @ unit[j])
        for k in (1, 2, 4):
            weights = {j: max(0.0, unit[i] @ unit[j]) for j in order[:k]}
            expected[i] += sum(weights[j] * before[j] for j in weights) / sum(weights.values()) / 3
    assert_close(rescored_by_neighbours(before, cosines(tokens), (1, 2, 4), visible), expected)
    np.testing.assert_array_equal(rescored_by_neighbours(before, cosines(tokens), (), visible), before)
    np.testing.assert_allclose(rescored_by_neighbours(before, cosines(tokens), (1,), visible), before)


def test_equal_images_get_equal_scores_by_rescoring_and_zero_class_tokens_keep_theirs():
    tokens = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    found = rescored_by_neighbours(np.array([1.0, 3.0, 8.0]), cosines(tokens), (2,), np.ones((3, 3), dtype=bool))
    np.testing.assert_allclose(found, [2.0, 2.0, 8.0])


def test_image_scores_in_the_file_are_rescored_and_maps_are_not(tmp_path):
    tokens = random_tokens(8, *GRIDS)
    path = write_features(tmp_path / "test.h5", tokens)
    found = {}
    for name, numbers in (("plain", ()), ("rescored", (1, 2))):
        score_images(
            features={"test": path},
            scorer=Mutual(rescoring=numbers),
            image_scoring=ImageScoring(),
            compute=Compute(),
            output=tmp_path / f"{name}.h5",
            provenance={},
        )
        with ScoreReader(tmp_path / f"{name}.h5") as reader:
            found[name] = reader.image_scores, [reader.anomaly_map(index) for index in range(5)]
    with FeatureReader(path) as reader:
        expected = Mutual(rescoring=(1, 2)).rescored(found["plain"][0].astype(np.float64), {"test": reader})
    assert_close(found["rescored"][0], expected)
    for first, second in zip(found["plain"][1], found["rescored"][1], strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("layers", "last"), [(None, 2), (("0", "1"), 1), (("2", "0"), 0)])
def test_images_are_rescored_by_the_class_tokens_of_the_last_layer_within_their_batch(tmp_path, layers, last):
    tokens = random_tokens(10, *GRIDS, layers=3)
    before = np.random.default_rng(11).uniform(size=len(tokens))
    scorer = Mutual(rescoring=(1, 2), layers=layers, batch=3, seed=1)
    with FeatureReader(write_features(tmp_path / "test.h5", tokens)) as reader:
        found = scorer.rescored(before, {"test": reader})
    cls_tokens = [image.mean(axis=(1, 2))[last] for image in tokens]  # as `write_features` has them
    unit = [token / np.linalg.norm(token) for token in cls_tokens]
    for batch in scorer.batches(len(tokens)):
        for image in batch:
            other = max((one for one in batch if one != image), key=lambda one: unit[image] @ unit[one])
            weight = max(0, unit[image] @ unit[other])
            pair = (before[image] + weight * before[other]) / (1 + weight)
            assert_close(found[image], (before[image] + pair) / 2)


def test_bfloat16_ranks_as_float32_does(tmp_path):
    tokens = random_tokens(9, *[(8, 8)] * 6, channels=64)
    tokens[3][:, 2:4, 3:5] *= -1
    exact, rounded = (maps(Mutual(), tmp_path, Compute(precision=p), test=tokens) for p in ("float32", "bfloat16"))
    for first, second in zip(exact, rounded, strict=True):
        np.testing.assert_allclose(second, first, rtol=5e-3, atol=2e-3)
    assert np.array(rounded).reshape(6, -1).max(axis=1).argmax() == 3


@pytest.mark.parametrize("earlier_only", [False, True])
@pytest.mark.parametrize("memory", [1, 3000, 10**9], ids=["image by image", "some", "all"])
def test_the_shares_of_the_work_add_up_to_all_of_it(tmp_path, memory, earlier_only):
    path = write_features(tmp_path / "f.h5", random_tokens(0, *GRIDS))
    shares = []
    with FeatureReader(path) as reader:
        stage = Stage(0, 1)
        compute = Compute(memory=memory)
        options = {"earlier_only": earlier_only, "advance": shares.append}
        list(distance_rows(reader, range(len(GRIDS)), stage, "euclidean", compute, **options))
    assert len(shares) >= len(GRIDS) - 1
    assert min(shares) > 0
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("memory", [10**9, 10_000])
def test_the_number_of_threads_changes_no_bit(tmp_path, memory):
    tokens = random_tokens(8, *[(6, 7)] * 5, (3, 4), *[(6, 7)] * 3, channels=40)
    tokens[7] = tokens[1].copy()  # whose distances are measured again
    found = {}
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found[number] = maps(Mutual(), tmp_path / str(number), compute=Compute("cpu", memory), test=tokens)
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for number in (2, 3):
        assert [each.tobytes() for each in found[number]] == [each.tobytes() for each in found[1]]


def test_threads_side_by_side_keep_the_order_and_end_with_the_block_even_if_it_fails():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with libraries_in_one_thread() as side_by_side:
            assert (side_by_side.threads, torch.get_num_threads()) == (3, 1)
            assert side_by_side.map(lambda item: item**2, range(7)) == [0, 1, 4, 9, 16, 25, 36]
            assert len(set(side_by_side.map(lambda _: (time.sleep(0.05), threading.get_ident())[1], range(3)))) == 3
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError):
            _fail_within()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def _fail_within():
    with libraries_in_one_thread() as side_by_side:
        side_by_side.map(lambda item: 1 / item, [1, 0])
