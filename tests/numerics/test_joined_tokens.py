"""The tokens of a joint against plain loops in float64: its cosine is the weighted mean of its members' cosines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from closeness import assert_close
from feature_files import PLAIN, maps, random_tokens, write_features
from zsad.features.embedded import Embedded
from zsad.features.join_features import join_features
from zsad.features.joined_tokens import joined, joined_vectors, resampled
from zsad.features.joint import Joint, Member
from zsad.files.features import FeatureReader
from zsad.maps import at_image_size
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.self_similarity import SelfSimilarity

HALF = 2**-10  # steps of float16, as files store tokens
# Grids of three members, layers and channels of each: equal, nested, and such that neither divides the other.
GRIDS = {
    "one grid": ([(4, 6), (4, 6), (4, 6)], [2, 1, 3], [5, 7, 4]),
    "twice as fine": ([(3, 4), (6, 8), (6, 8)], [1, 2, 1], [6, 5, 8]),
    "no multiples": ([(5, 3), (4, 2), (7, 5)], [2, 1, 2], [4, 6, 3]),
    "the first is the finest": ([(8, 9), (1, 1), (3, 9)], [1, 1, 2], [5, 4, 6]),
}
SHARES = [0.2, 0.5, 0.3]


def unit(vector: np.ndarray) -> np.ndarray:
    length = math.sqrt(sum(float(value) ** 2 for value in vector))
    return np.asarray(vector, dtype=np.float64) / length if length else np.full(len(vector), len(vector) ** -0.5)


def at_centre(grid: np.ndarray, row: int, column: int, rows: int, columns: int) -> np.ndarray:
    """The unit vectors of a grid, interpolated at the centre of a cell of another that covers the same image."""
    height, width = grid.shape[:2]
    down = min(max((row + 0.5) / rows * height - 0.5, 0), height - 1)
    right = min(max((column + 0.5) / columns * width - 0.5, 0), width - 1)
    value = np.zeros(grid.shape[-1])
    for r in range(height):
        for c in range(width):
            value += max(0, 1 - abs(down - r)) * max(0, 1 - abs(right - c)) * unit(grid[r, c])
    return unit(value)


def members_of(case: str, seed: int = 3) -> list[np.ndarray]:
    grids, layers, channels = GRIDS[case]
    sizes = zip(grids, layers, channels, strict=True)
    tokens = [
        random_tokens(seed + i, grid, layers=depth, channels=width)[0] for i, (grid, depth, width) in enumerate(sizes)
    ]
    # Members and layers differ manyfold in length.
    return [
        member * 10.0**place * (1 + 3 * np.arange(len(member)))[:, None, None, None]
        for place, member in enumerate(tokens)
    ]


@pytest.mark.parametrize("case", GRIDS)
def test_the_cosine_of_a_joint_is_the_weighted_mean_of_those_of_its_members(case: str) -> None:
    members = members_of(case)
    rows, columns = max(GRIDS[case][0], key=lambda grid: grid[0] * grid[1])
    tokens = joined(members, SHARES)
    assert tokens.shape == (1, rows, columns, sum(member.shape[0] * member.shape[-1] for member in members))
    assert tokens.dtype == np.float32
    places = [(row, column) for row in range(rows) for column in range(columns)]
    plain = [[[at_centre(layer, *place, rows, columns) for layer in member] for place in places] for member in members]
    flat = tokens[0].reshape(len(places), -1)
    expected = np.zeros((len(places), len(places)))
    for share, vectors in zip(SHARES, plain, strict=True):
        for one in range(len(places)):
            for other in range(len(places)):
                cosines = [float(a @ b) for a, b in zip(vectors[one], vectors[other], strict=True)]
                expected[one, other] += share * sum(cosines) / len(cosines)
    assert_close(flat @ flat.T, expected)


def test_each_member_is_as_long_as_its_share_says_and_no_layer_drowns_another() -> None:
    members = members_of("no multiples")
    tokens, start = joined(members, SHARES)[0], 0
    for member, share in zip(members, SHARES, strict=True):
        for _ in member:
            end = start + member.shape[-1]
            assert_close((tokens[..., start:end] ** 2).sum(axis=-1), np.full((7, 5), share / len(member)))
            start = end


def test_class_tokens_are_joined_in_the_same_way() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        [scale * rng.normal(size=(layers, 6)) for layers, scale in ((2, 1), (1, 90), (3, 5))] for _ in range(2)
    )
    cosines = [
        np.mean([unit(a) @ unit(b) for a, b in zip(left, right, strict=True)])
        for left, right in zip(one, other, strict=True)
    ]
    vectors = [joined_vectors(vectors, SHARES) for vectors in (one, other)]
    assert vectors[0].shape == (1, 36)
    assert_close(vectors[0][0] @ vectors[1][0], float(np.dot(SHARES, cosines)), size=1)


@pytest.mark.parametrize(("rows", "columns"), [(8, 10), (7, 9), (4, 5), (3, 5)])
def test_tokens_are_resampled_as_maps_are(rows: int, columns: int) -> None:
    tokens = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32)
    expected = np.stack([at_image_size(tokens[..., channel], rows, columns) for channel in range(3)], axis=-1)
    # OpenCV finds places in float32, which is a step of 2^-22 of ten columns.
    assert_close(resampled(tokens, rows, columns), expected)


def test_mirrored_tokens_give_mirrored_joints() -> None:
    members = members_of("no multiples")
    mirrored = joined([member[:, :, ::-1] for member in members], SHARES)
    assert_close(mirrored[:, :, ::-1], joined(members, SHARES))


def test_a_token_without_a_direction_gets_the_one_that_scorers_give_it() -> None:
    tokens = np.zeros((1, 2, 2, 4))
    tokens[0, 0, 0] = [0, 3, 0, 4]
    expected = np.full((2, 2, 4), 0.5)
    expected[0, 0] = [0, 0.6, 0, 0.8]
    assert_close(joined([tokens, tokens], [0.5, 0.5])[0], np.tile(expected * 0.5**0.5, 2))


def joint_of(count: int, weights: Sequence[float] | None = None) -> Joint:
    members = [
        Member(name=f"m{place}", family="embedded", params={"resolution": 64 + 8 * place}) for place in range(count)
    ]
    return Joint(members=members, weights=weights)


def joined_file(folder: Path, members: Sequence[Sequence[np.ndarray]], weights: Sequence[float] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    files = [write_features(folder / f"m{place}.h5", tokens) for place, tokens in enumerate(members)]
    output = folder / "joint.h5"
    join_features(
        features=files, joint=joint_of(len(files), weights), output=output, provenance={"stage": "join_features"}
    )
    return output


def test_the_file_holds_each_image_on_its_own_finest_grid_in_float16(tmp_path: Path) -> None:
    sizes = [(4, 6), (3, 3)], [(2, 3), (5, 5)], [(4, 6), (5, 5)]
    members = [random_tokens(place, *grids, layers=1 + place) for place, grids in enumerate(sizes)]
    with FeatureReader(joined_file(tmp_path, members, weights=[1, 2, 5])) as reader:
        assert reader.grid_sizes.tolist() == [[4, 6], [5, 5]]
        assert (reader.layers, reader.channels, reader.cls_source) == (["joint"], 36, "mean of patch tokens")
        for index in range(2):
            stored = [tokens[index].astype(np.float16) for tokens in members]
            expected = joined(stored, [1 / 8, 2 / 8, 5 / 8])
            assert_close(reader.patch_tokens(index), expected, share=HALF)
            means = [tokens[index].mean(axis=(1, 2)) for tokens in members]
            assert_close(reader.cls_tokens()[index], joined_vectors(means, [1 / 8, 2 / 8, 5 / 8]))


def test_a_backbone_joined_with_itself_scores_as_it_does_alone(tmp_path: Path) -> None:
    same = random_tokens(5, (6, 6), (6, 6), layers=1)
    alone = maps(SelfSimilarity(), tmp_path, test=same)
    doubled = joined_file(tmp_path / "doubled", [same, [3 * tokens for tokens in same]])
    with FeatureReader(doubled) as reader:
        together = [score.anomaly_map for score in SelfSimilarity().score({"test": reader}, PLAIN)]
    for one, other in zip(together, alone, strict=True):
        assert_close(one, other, size=1, share=HALF)


def test_what_one_member_alone_sees_is_seen_by_the_joint(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    flat = [np.ones((1, 8, 8, 6)) + 0.05 * rng.normal(size=(1, 8, 8, 6)) for _ in range(4)]
    seen = [tokens[:, ::2, ::2].copy() for tokens in flat]
    seen[0][0, 1, 2] = [-1, 1, -1, 1, -1, 1]
    references, tests = ([members[half] for members in (flat, seen)] for half in (slice(2, 4), slice(0, 2)))
    files = {
        role: joined_file(tmp_path / role, members) for role, members in (("references", references), ("test", tests))
    }
    with FeatureReader(files["test"]) as test, FeatureReader(files["references"]) as bank:
        found = next(iter(MemoryBank(shots=2).score({"test": test, "references": bank}, PLAIN))).anomaly_map
    assert found.shape == (8, 8)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert row // 2 == 1
    assert column // 2 == 2
    assert found.max() > 5 * np.median(found)


def test_the_layout_that_is_known_beforehand_is_that_of_the_file(tmp_path: Path) -> None:
    backbones = [Embedded(resolution=64), Embedded(resolution=96, stride=4), Embedded(resolution=160)]
    members = [Member(name=str(place), family="embedded", params=b.parameters()) for place, b in enumerate(backbones)]
    layout = Joint(members=members).known_layout()
    for height, width in ((60, 60), (50, 130), (200, 64)):
        tokens = [b.known_layout().rule.size(height, width) for b in backbones]
        made = joined([np.ones((1, *grid, 33)) for grid in tokens], [1 / 3] * 3)
        assert made.shape == (len(layout.layers), *layout.rule.size(height, width), layout.channels)
