"""The memory bank against plain loops, and what it must do by its definition."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, scores, stored, write_features
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.scoring.bank import AlignedBank, Coreset, FreeBank
from zsad.scoring.compute import Compute
from zsad.scoring.coreset import CANDIDATES, greedy_coreset
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.similarity import Metric
from zsad.scoring.subspace import Subspace


def reference(tokens, references, k, window=None):
    unit = stored(tokens)
    layers, rows, columns, _ = unit.shape
    found = np.zeros((rows, columns))
    for layer in range(layers):
        grids = [stored(image)[layer] for image in references]
        for r, c in np.ndindex(rows, columns):
            distances = []
            for grid in grids:
                at = [
                    ((2 * p + 1) * grid.shape[axis]) // (2 * n) for axis, (p, n) in enumerate(((r, rows), (c, columns)))
                ]
                distances += [
                    1 - unit[layer, r, c] @ grid[i, j]
                    for i, j in np.ndindex(grid.shape[:2])
                    if window is None or max(abs(i - at[0]), abs(j - at[1])) <= window
                ]
            found[r, c] += np.mean(sorted(distances)[:k]) / layers
    return found


@pytest.mark.parametrize("memory", [1, 999, 1 << 30])
@pytest.mark.parametrize("k", [1, 4])
def test_maps_equal_plain_loops_whatever_the_memory(tmp_path, k, memory):
    tokens, references = random_tokens(0, (5, 7), (6, 3)), random_tokens(1, (4, 4), (3, 5))
    found = maps(MemoryBank(shots=2, k=k), tmp_path, Compute(memory=memory), test=tokens, references=references)
    for anomaly_map, image in zip(found, tokens, strict=True):
        assert_close(anomaly_map, reference(image, references, k))


@pytest.mark.parametrize("memory", [1, 1 << 30])
@pytest.mark.parametrize(("window", "k"), [(0, 1), (1, 3), (2, 2)])
def test_a_window_compares_with_the_same_place_and_around_it(tmp_path, window, k, memory):
    tokens, references = random_tokens(2, (5, 7), (6, 3)), random_tokens(3, (5, 7), (4, 9), (6, 3))
    scorer = MemoryBank(shots=3, k=k, window=window, rotations=False)
    found = maps(scorer, tmp_path, Compute(memory=memory), test=tokens, references=references)
    for anomaly_map, image in zip(found, tokens, strict=True):
        assert_close(anomaly_map, reference(image, references, k, window))


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    good, cracked = tile_tokens[:2], tile_tokens[3:]
    found = maps(MemoryBank(shots=2, k=2), tmp_path, test=cracked, references=good)
    for anomaly_map, image in zip(found, cracked, strict=True):
        assert_close(anomaly_map, reference(image, good, 2))


def test_the_order_of_the_references_does_not_matter(tmp_path):
    tokens, references = random_tokens(2, (6, 6)), random_tokens(3, (4, 4), (5, 3), (3, 3))
    straight = maps(MemoryBank(shots=3, k=2), tmp_path, test=tokens, references=references)
    turned = maps(MemoryBank(shots=3, k=2), tmp_path, test=tokens, references=references[::-1])
    assert_close(turned[0], straight[0])


@pytest.mark.parametrize("k", [1, 3])
def test_one_reference_more_even_if_seen_before_raises_no_score(tmp_path, k):
    tokens, references = random_tokens(4, (6, 6)), random_tokens(5, (4, 4), (5, 3))
    before = maps(MemoryBank(shots=2, k=k), tmp_path, test=tokens, references=references)
    after = maps(MemoryBank(shots=3, k=k), tmp_path, test=tokens, references=[*references, references[0]])
    assert (after[0] <= before[0] + 1e-6).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_test_image_that_is_a_reference_scores_zero(tmp_path, precision):
    tokens = random_tokens(6, (6, 5))
    (found,) = maps(MemoryBank(), tmp_path, Compute(precision=precision), test=tokens, references=tokens)
    assert_close(found, 0, size=1)


def test_more_neighbours_than_reference_patches_are_refused(tmp_path):
    tokens = random_tokens(7, (2, 3))
    with pytest.raises(DataError, match="6 patches to compare with, fewer than k = 7; lower 'k'"):
        maps(MemoryBank(k=7), tmp_path, test=tokens, references=tokens)
    with pytest.raises(DataError, match="4 patches to compare with, fewer than k = 5"):
        maps(MemoryBank(k=5, window=1, rotations=False), tmp_path, test=tokens, references=tokens)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 1}, "rotations: false"),
        ({"window": 1, "rotations": "subspacead"}, "rotations: false"),
        ({"window": 1, "rotations": False, "coreset": 0.1}, "leave one of them out"),
    ],
)
def test_options_that_contradict_each_other_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        MemoryBank.build(params, where="methods.memory_bank")


def test_the_setting_and_the_features_name_shots_and_seed():
    scorer = MemoryBank(shots=4, seed=2)
    assert scorer.setting == "few-shot-4"
    assert scorer.feature_sets()["references"].subset == "references-k4-seed2"
    for scorer_class in (MemoryBank, Subspace):
        by_name = scorer_class.build({"rotations": "anomalydino"}, where="m")
        assert by_name.feature_sets()["references"].view == "rotations_anomalydino"
        assert scorer_class(rotations="subspacead").feature_sets()["references"].view == "rotations_subspacead"
        assert scorer_class.build({"rotations": "false"}, where="m").rotations is False
        with pytest.raises(ConfigError, match="must be true, false, 'anomalydino' or 'subspacead'"):
            scorer_class.build({"rotations": "some"}, where="m")
    full = MemoryBank(shots="all", rotations=False)
    assert full.setting == "full-shot"
    assert full.feature_sets()["references"] == ("train", "original")


def test_the_background_scores_zero_and_the_object_as_without_a_mask(tmp_path):
    part = np.zeros((1, 11, 11, 4))
    part[..., 0] = 1
    part[:, 3:8, 3:8] = [0.0, 1.0, 0.3, 0.0]
    part += 0.05 * np.random.default_rng(0).normal(size=part.shape)
    references = random_tokens(8, (4, 4), layers=1, channels=4)
    (whole,) = maps(MemoryBank(), tmp_path, test=[part], references=references)
    (masked,) = maps(MemoryBank(foreground="otsu"), tmp_path, test=[part], references=references)
    assert not masked[:2].any()
    np.testing.assert_array_equal(masked[3:8, 3:8], whole[3:8, 3:8])


# --- coreset ------------------------------------------------------------------------------------------------------


def plain_coreset(vectors, count):
    """Farthest-point selection one by one in float64."""
    gap = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    chosen, gap = [int(gap.argmax())], np.full(len(vectors), np.inf)
    while len(chosen) < count:
        gap = np.minimum(gap, np.linalg.norm(vectors - vectors[chosen[-1]], axis=1))
        chosen.append(int(gap.argmax()))
    return chosen


def clustered(seed, count, channels=8):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(9, channels))[rng.integers(0, 9, count)] + 0.3 * rng.normal(size=(count, channels))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(("count", "share"), [(60, 0.5), (60, 1.0), (3 * CANDIDATES, 0.05), (1, 1.0)])
def test_the_coreset_is_that_of_plain_farthest_point_selection(count, share):
    vectors = clustered(count, count)
    metric = Metric(Compute(), torch.zeros(8))
    points = metric.points(torch.from_numpy(vectors.astype(np.float32)))
    wanted = max(1, int(share * count))
    assert greedy_coreset(points, wanted, metric).tolist() == plain_coreset(vectors, wanted)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_coreset_covers_what_it_is_chosen_from_as_well_as_the_plain_one(precision):
    vectors = clustered(1, 2500)
    metric = Metric(Compute(precision=precision), torch.zeros(8))
    points = metric.points(torch.from_numpy(vectors.astype(np.float32)))
    chosen = greedy_coreset(points, 100, metric).tolist()

    def radius(indices):
        return np.sqrt(((vectors[:, None] - vectors[indices]) ** 2).sum(axis=2).min(axis=1)).max()

    assert len(set(chosen)) == 100
    assert radius(chosen) <= 1.02 * radius(plain_coreset(vectors, 100))


def test_of_equal_vectors_one_is_kept():
    vectors = np.repeat(clustered(2, 3), 5, axis=0)
    metric = Metric(Compute(), torch.zeros(8))
    chosen = greedy_coreset(metric.points(torch.from_numpy(vectors.astype(np.float32))), 10, metric)
    assert sorted(index // 5 for index in chosen.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("memory", [1, 1 << 30])
def test_a_bank_keeps_the_share_of_its_coreset(tmp_path, memory):
    path = write_features(tmp_path / "references.h5", random_tokens(9, (6, 6), (5, 8), (7, 7)))
    with FeatureReader(path) as reader:
        bank = Coreset.of(FreeBank(reader, range(3), [0, 1], Compute(memory=memory)), 0.25)
        kept = bank.least_candidates()
    assert np.ceil(0.25 * 125) <= kept <= np.ceil(0.25 * 36) + np.ceil(0.25 * 40) + np.ceil(0.25 * 49)


@pytest.mark.parametrize("runs", [1, 2, 3])
@pytest.mark.parametrize("kind", ["aligned", "free"])
def test_a_bank_of_one_piece_is_kept_and_one_of_several_is_read_anew(tmp_path, kind, runs):
    references = random_tokens(9, *[(4, 5)] * 3)
    (image,) = random_tokens(14, (4, 5))
    tokens = torch.from_numpy(stored(image)).float()
    with FeatureReader(write_features(tmp_path / "references.h5", references)) as reader:
        whole = 2 * 4 * 5 * 4 * (6 + 2)  # bytes of an image, with what a metric may add to its channels
        compute = Compute(memory=2 * whole * {1: 9, 2: 2, 3: 1}[runs])
        if kind == "aligned":
            bank = AlignedBank(reader, range(3), [0, 1], compute, window=1)
        else:
            bank = FreeBank(reader, range(3), [0, 1], compute)
        first, again = list(bank.pieces()), list(bank.pieces())
        assert bank.piece_count == len(first) == runs
        assert [one is other for one, other in zip(first, again, strict=True)] == [runs == 1] * runs
        found = torch.cat([piece.nearest(tokens[1], 1, 2) for piece in first], dim=2).sort(dim=2).values[..., :2]
    window = 1 if kind == "aligned" else None
    expected = reference(image[1:], [other[1:] for other in references], 2, window)
    assert_close(found.mean(dim=2), expected)


def test_a_whole_coreset_changes_nothing_and_a_small_one_only_raises_scores(tmp_path):
    tokens, references = random_tokens(10, (6, 6)), random_tokens(11, (6, 6), (5, 8))
    plain, whole, small = (
        maps(MemoryBank(shots=2, coreset=share), tmp_path, test=tokens, references=references)[0]
        for share in (None, 1.0, 0.1)
    )
    assert_close(whole, plain)
    assert (small >= plain - 1e-6).all()
    assert small.mean() > plain.mean()


def test_every_image_is_scored_once_when_the_bank_comes_in_pieces(tmp_path):
    tokens, references = random_tokens(12, (4, 4), (3, 5), (2, 2)), random_tokens(13, (4, 4), (4, 4))
    found = scores(MemoryBank(shots=2), tmp_path, Compute(memory=1), test=tokens, references=references)
    assert [score.index for score in found] == [0, 1, 2]
