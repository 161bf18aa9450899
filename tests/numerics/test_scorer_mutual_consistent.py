"""Mutual scoring without repeated patterns against plain loops, and what it must do by its definition."""

import math

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, scores, stored
from zsad.errors import ConfigError, DataError
from zsad.scoring import mutual_consistent
from zsad.scoring.compute import Compute
from zsad.scoring.consistency import mean_of_the_rest, suspicious_links
from zsad.scoring.mutual import Mutual
from zsad.scoring.mutual_consistent import SHARED_PATTERN, MutualConsistent

SIDE = 8
COPIES = [1, 4, 5, 9, 12]


def varied_tokens(seed, count, *, side=SIDE, channels=24):
    """Images of patches that vary in a few ways, so that each has something like it in every other image."""
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(4, channels))
    shape = (count, 1, side, side)
    return list(rng.normal(size=(*shape, 4)) @ ways + 0.3 * rng.normal(size=(*shape, channels)))


def with_copies(tokens, copies=COPIES, seed=100, size=3):
    """The same anomalous square of patches, with a little noise, somewhere in some images; and where it is."""
    rng = np.random.default_rng(seed)
    odd = 2 * rng.normal(size=(size, size, tokens[0].shape[-1]))
    tokens, where = [image.copy() for image in tokens], [np.zeros(image.shape[1:3], dtype=bool) for image in tokens]
    for index in copies:
        row, column = rng.integers(0, np.array(tokens[index].shape[1:3]) - size + 1)
        square = np.s_[row : row + size, column : column + size]
        tokens[index][0][square] = odd + 0.1 * rng.normal(size=odd.shape)
        where[index][square] = True
    return tokens, where


def aggregated(unit, side):
    rows, columns, _ = unit.shape
    half, pooled = side // 2, np.empty_like(unit)
    for r, c in np.ndindex(rows, columns):
        mean = unit[max(0, r - half) : r + half + 1, max(0, c - half) : c + half + 1].mean(axis=(0, 1))
        pooled[r, c] = mean / np.linalg.norm(mean)
    return pooled


def reference_links(rows, false_alarms, least):
    """Links ``[patch][other image]`` of the rows ``[patch][other image]``, by loops."""
    patches, others = len(rows), len(rows[0])
    candidates, growths = (others + 1) // 2 - 1, int(0.75 * others) - 1
    logs = [[math.log(max(value, least)) for value in row] for row in rows]
    medians = [sorted(row[j] for row in logs)[(patches - 1) // 2] for j in range(others)]
    links = [[False] * others for _ in rows]
    for p, row in enumerate(logs):
        relative = [value - median for value, median in zip(row, medians, strict=True)]
        order = sorted(range(others), key=lambda j: relative[j])
        growth = [(i + 1) * (relative[order[i + 1]] - relative[order[i]]) for i in range(growths)]
        if candidates < 1 or sum(growth) == 0:
            continue
        k = max(range(candidates), key=lambda i: growth[i])
        rest = max(1 - growth[k] / sum(growth), 1e-30)
        if patches * candidates * rest ** (growths - 1) < false_alarms:
            for j in order[: k + 1]:
                links[p][j] = True
    return links


def reference(tokens, interval, sides, squared, false_alarms=0.1):
    count, stages = len(tokens), len(sides) * tokens[0].shape[0]
    tables = {}
    for layer in range(tokens[0].shape[0]):
        for side in sides:
            units = [aggregated(stored(image)[layer], side).reshape(-1, image.shape[-1]) for image in tokens]
            for i, own in enumerate(units):
                others = [other for j, other in enumerate(units) if j != i]
                rows = [[np.linalg.norm(other - patch, axis=1).min() for other in others] for patch in own]
                tables[layer, side, i] = [[d**2 / 2 if squared else d for d in row] for row in rows]
    least = 0.01**2 / 2 if squared else 0.01
    links = {key: reference_links(rows, false_alarms, least) for key, rows in tables.items()}
    number = np.zeros((count, count))
    for (_, _, i), of_image in links.items():
        for row in of_image:
            for j, linked in zip([j for j in range(count) if j != i], row, strict=True):
                number[i, j] += linked
    found = [np.zeros(image[0].shape[0] * image[0].shape[1]) for image in tokens]
    for (layer, side, i), rows in tables.items():
        others = [j for j in range(count) if j != i]
        paired = [min(number[i, j], number[j, i]) / stages >= 1 for j in others]
        for p, row in enumerate(rows):
            linked = links[layer, side, i][p]
            kept = [d for d, link, pair in zip(row, linked, paired, strict=True) if not (link and pair)]
            start = min(int(interval[0] * len(kept)), len(kept) - 1)
            end = max(start + 1, int(interval[1] * len(kept)))
            found[i][p] += np.mean(sorted(kept)[start:end]) / stages
    return [flat.reshape(image.shape[1:3]) for flat, image in zip(found, tokens, strict=True)]


@pytest.mark.parametrize(
    ("interval", "sides", "distance"), [((0.0, 0.3), (1, 3), "euclidean"), ((0.2, 0.8), (1,), "cosine")]
)
def test_maps_equal_plain_loops_where_a_defect_repeats_in_images_of_mixed_sizes(tmp_path, interval, sides, distance):
    tokens = [image[:, : 6 + n % 3, : 7 - n % 2] for n, image in enumerate(varied_tokens(0, 14))]
    tokens, where = with_copies(tokens)
    params = {"interval": interval, "neighbourhoods": sides, "distance": distance}
    plain = maps(Mutual(**params), tmp_path, test=tokens)
    found = maps(MutualConsistent(**params), tmp_path, test=tokens)
    expected = reference(tokens, interval, sides, distance == "cosine")
    for anomaly_map, of_loops in zip(found, expected, strict=True):
        assert_close(anomaly_map, of_loops)
    assert all((found[n] - plain[n])[where[n]].max() > 0.01 for n in COPIES)


def test_maps_of_real_photographs_equal_plain_loops(tmp_path, tile_tokens):
    tokens = [*tile_tokens, tile_tokens[0], *(image[:, :, ::-1] for image in tile_tokens)]
    expected = reference(tokens, (0.0, 0.3), (1, 3), squared=False)
    found = maps(MutualConsistent(neighbourhoods=(1, 3)), tmp_path, test=tokens)
    for anomaly_map, of_loops in zip(found, expected, strict=True):
        assert_close(anomaly_map, of_loops)


def test_a_repeated_defect_stands_out_where_mutual_scoring_calls_it_normal(tmp_path):
    tokens, where = with_copies(varied_tokens(1, 14))
    scorers = {"plain": Mutual(neighbourhoods=(1,)), "found": MutualConsistent(neighbourhoods=(1,))}
    by = {name: scores(scorer, tmp_path, test=tokens) for name, scorer in scorers.items()}
    defect, good = (
        {
            name: np.concatenate([score.anomaly_map[mask == wanted] for score, mask in zip(found, where, strict=True)])
            for name, found in by.items()
        }
        for wanted in (True, False)
    )
    assert defect["plain"].max() < np.median(good["plain"])
    assert defect["found"].min() > good["found"].max()
    np.testing.assert_array_equal(good["found"], good["plain"])
    assert [n for n, score in enumerate(by["found"]) if score.note == SHARED_PATTERN] == COPIES


def test_what_most_images_show_is_normal(tmp_path):
    tokens, _ = with_copies(varied_tokens(2, 14), copies=[0, 1, 2, 4, 5, 7, 8, 10, 13])
    assert_equal_to_mutual(tmp_path, tokens)


@pytest.mark.parametrize("seed", range(3))
def test_without_repetition_it_is_mutual_scoring(tmp_path, seed):
    assert_equal_to_mutual(tmp_path, varied_tokens(seed, 14))


def test_images_that_are_alike_as_wholes_share_no_pattern(tmp_path):
    tokens, rng = varied_tokens(3, 14), np.random.default_rng(3)
    for copy, original in ((1, 0), (5, 0), (7, 6)):
        tokens[copy] = tokens[original] + 0.01 * rng.normal(size=tokens[original].shape)
    light = rng.normal(size=tokens[0].shape[-1])
    assert_equal_to_mutual(tmp_path, [image + light * (n % 3 == 0) for n, image in enumerate(tokens)])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_handful_of_images_is_scored_as_by_mutual_scoring(tmp_path, count):
    tokens, _ = with_copies(varied_tokens(4, count), copies=range(2))
    assert_equal_to_mutual(tmp_path, tokens, false_alarms=1)


def test_duplicates_and_constant_images_equal_plain_loops(tmp_path):
    tokens = [*random_tokens(5, *[(3, 4)] * 5, layers=1), np.ones((1, 2, 5, 6)), np.ones((1, 1, 1, 6))]
    for batch in ([*tokens, *tokens], [np.ones((1, 3, 3, 6))] * 8):
        expected = reference(batch, (0.0, 0.3), (1, 3), squared=False, false_alarms=1)
        found = maps(MutualConsistent(neighbourhoods=(1, 3), false_alarms=1), tmp_path, test=batch)
        for anomaly_map, of_loops in zip(found, expected, strict=True):
            assert_close(anomaly_map, of_loops, size=1)


def test_what_is_rounding_is_the_same_in_either_distance(tmp_path, monkeypatch):
    least = []
    links = mutual_consistent.suspicious_links
    monkeypatch.setattr(mutual_consistent, "suspicious_links", lambda *given: least.append(given[-1]) or links(*given))
    for distance in ("euclidean", "cosine"):
        maps(MutualConsistent(neighbourhoods=(1,), distance=distance), tmp_path, test=varied_tokens(0, 9, side=2))
    euclidean, cosine = sorted(set(least), reverse=True)
    assert (least[0], least[-1]) == (euclidean, cosine) == (0.01, pytest.approx(0.01**2 / 2))


def test_zero_tokens_are_like_constant_ones(tmp_path):
    tokens = random_tokens(5, *[(3, 4)] * 10, layers=1)
    zeros = maps(MutualConsistent(), tmp_path, test=[*tokens, np.zeros((1, 2, 5, 6))])
    for anomaly_map, expected in zip(
        zeros, maps(MutualConsistent(), tmp_path, test=[*tokens, np.ones((1, 2, 5, 6))]), strict=True
    ):
        assert_close(anomaly_map, expected)


def assert_equal_to_mutual(folder, tokens, **params):
    plain = scores(Mutual(), folder, test=tokens)
    for score, expected in zip(scores(MutualConsistent(**params), folder, test=tokens), plain, strict=True):
        assert_close(score.anomaly_map, expected.anomaly_map)
        assert score.note == ""


def test_permuting_the_batch_permutes_scores_and_notes(tmp_path):
    tokens, _ = with_copies(varied_tokens(6, 14))
    tokens, _ = with_copies(tokens, copies=[0, 2, 4, 7], seed=200)
    order = np.random.default_rng(6).permutation(14)
    scorer = MutualConsistent(neighbourhoods=(1, 3))
    straight = scores(scorer, tmp_path, test=tokens)
    assert sum(bool(score.note) for score in straight) == 8
    for score, index in zip(scores(scorer, tmp_path, test=[tokens[n] for n in order]), order, strict=True):
        assert_close(score.anomaly_map, straight[index].anomaly_map)
        assert score.note == straight[index].note


# From a byte, where everything is put aside in a file, over odd sizes, to what holds a few images.
@pytest.mark.parametrize("memory", [1, 1999, 40013])
def test_the_memory_does_not_matter(tmp_path, memory):
    tokens, _ = with_copies(varied_tokens(7, 14, side=5))
    scorer = MutualConsistent(neighbourhoods=(1,))
    expected = maps(scorer, tmp_path, test=tokens)
    assert any(score.note for score in scores(scorer, tmp_path, test=tokens))
    for anomaly_map, whole in zip(maps(scorer, tmp_path, Compute(memory=memory), test=tokens), expected, strict=True):
        assert_close(anomaly_map, whole)


def test_batches_are_scored_by_themselves(tmp_path):
    tokens, _ = with_copies(varied_tokens(8, 28), copies=range(0, 28, 3))
    scorer = MutualConsistent(neighbourhoods=(1,), batch=14, seed=1)
    found = maps(scorer, tmp_path, test=tokens)
    for images in scorer.batches(28):
        alone = maps(MutualConsistent(neighbourhoods=(1,)), tmp_path, test=[tokens[n] for n in images])
        for anomaly_map, n in zip(alone, images, strict=True):
            assert_close(found[n], anomaly_map)


def test_one_image_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 2 test images"):
        maps(MutualConsistent(), tmp_path, test=random_tokens(9, (3, 3)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"false_alarms": 0}, "false_alarms"),
        ({"false_alarms": 1.5}, "false_alarms"),
        ({"online": True}, "unknown parameter 'online'"),
        ({"neighbourhoods": [2]}, "neighbourhoods"),
    ],
)
def test_parameters_without_a_meaning_are_refused(params, message):
    with pytest.raises(ConfigError, match=rf"methods\.mutual_consistent: {message}"):
        MutualConsistent.build(params, where="methods.mutual_consistent")


@pytest.mark.parametrize("others", [13, 40])
def test_distances_by_the_law_of_similarity_scaling_raise_few_false_alarms(others):
    rng = np.random.default_rng(10)
    number = 0
    for _ in range(100):  # powers of uniform numbers obey the law exactly
        distances = torch.from_numpy(rng.uniform(size=(100, others)) ** (1 / 8)).float()
        number += int(suspicious_links(distances, 1.0, least=1e-6).any(dim=1).sum())
    assert 20 < number < 120  # 100 expected at most


def test_a_jump_links_a_patch_to_the_images_before_it_whatever_the_unit():
    rng = np.random.default_rng(11)
    distances = torch.from_numpy(rng.uniform(size=(30, 20)) ** (1 / 8)).float()
    distances[7, [2, 5, 19, 11]] *= 0.1
    expected = torch.zeros(30, 20, dtype=torch.bool)
    expected[7, [2, 5, 19, 11]] = True
    for unit in (distances, 3 * distances, distances**2 / 2):
        assert torch.equal(suspicious_links(unit, 0.1, least=1e-6), expected)


@pytest.mark.parametrize("others", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("patches", [1, 2, 5])
def test_equal_distances_of_any_number_link_nothing(patches, others):
    for value in (0.0, 0.5):
        assert not suspicious_links(torch.full((patches, others), value), 1.0, least=0.01).any()


def test_a_mean_of_the_rest_equals_a_mean_over_the_images_that_are_left():
    rng = np.random.default_rng(12)
    distances, left_out = rng.uniform(size=(40, 9)).astype(np.float32), rng.uniform(size=(40, 9)) < 0.5
    left_out[:, 4] = False
    for interval in ((0.0, 0.3), (0.3, 0.8), (0.9, 1.0)):
        for row, out, found in zip(distances, left_out, mean_of_the_rest(distances, left_out, interval), strict=True):
            kept = sorted(row[~out].tolist())
            start = min(int(interval[0] * len(kept)), len(kept) - 1)
            assert found == pytest.approx(np.mean(kept[start : max(start + 1, int(interval[1] * len(kept)))]))


def test_bfloat16_finds_the_same_images(tmp_path):
    tokens, _ = with_copies(varied_tokens(13, 14))
    for precision in ("float32", "bfloat16"):
        found = scores(MutualConsistent(), tmp_path, Compute(precision=precision), test=tokens)
        assert [n for n, score in enumerate(found) if score.note] == COPIES
