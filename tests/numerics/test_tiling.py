"""Tiles cover a grid, and their tokens are blended as a slow loop over the tokens blends them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from closeness import assert_close
from zsad.features.tiling import Tile, TilePlan, tile_starts

PLANS = [
    TilePlan(9, 14, tile=4, overlap=1),
    TilePlan(8, 8, tile=4, overlap=0),
    TilePlan(5, 16, tile=6, overlap=3),
    TilePlan(7, 7, tile=6, overlap=5),
    TilePlan(4, 3, tile=9, overlap=2),
]


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "expected"),
    [
        (8, 4, 0, [0, 4]),
        (9, 4, 0, [0, 4, 5]),
        (9, 4, 1, [0, 3, 5]),
        (10, 4, 2, [0, 2, 4, 6]),
        (4, 4, 3, [0]),
        (3, 4, 1, [0]),
        (5, 4, 3, [0, 1]),
    ],
)
def test_tiles_follow_each_other_and_the_last_ends_with_the_grid(
    length: int, tile: int, overlap: int, expected: list[int]
) -> None:
    assert tile_starts(length, tile, overlap) == expected


@pytest.mark.parametrize("plan", PLANS)
def test_every_patch_is_covered_and_no_tile_leaves_the_grid(plan: TilePlan) -> None:
    covered = np.zeros((plan.rows, plan.columns), int)
    for tile in plan.tiles():
        assert tile.row + tile.rows <= plan.rows
        assert tile.column + tile.columns <= plan.columns
        covered[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns] += 1
    assert covered.min() >= 1
    if plan.overlap == 0 and plan.rows % plan.tile == plan.columns % plan.tile == 0:
        assert covered.max() == 1


def weight_by_hand(plan: TilePlan, tile: Tile, row: int, column: int) -> float:
    """The share of a tile in a patch of the grid: distances to the tile's inner edges, in units of the overlap."""
    along = []
    for position, start, length, whole in (
        (row, tile.row, tile.rows, plan.rows),
        (column, tile.column, tile.columns, plan.columns),
    ):
        before = (position - start + 1) / (plan.overlap + 1) if start > 0 else 1
        after = (start + length - position) / (plan.overlap + 1) if start + length < whole else 1
        along.append(min(before, after, 1))
    return along[0] * along[1]


@pytest.mark.parametrize("plan", PLANS)
def test_blending_is_a_weighted_mean_over_the_tiles_of_a_patch(plan: TilePlan) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = {tile: torch.randn(2, 3, tile.rows, tile.columns, 4, generator=generator) for tile in plan.tiles()}
    classes = {tile: torch.randn(2, 3, 4, generator=generator) for tile in plan.tiles()}
    blended, cls = plan.blended(lambda tile: (tokens[tile], classes[tile]))
    assert blended.shape == (2, 3, plan.rows, plan.columns, 4)
    for row, column in itertools.product(range(plan.rows), range(plan.columns)):
        total, shares = torch.zeros(2, 3, 4), 0.0
        for tile, part in tokens.items():
            if 0 <= row - tile.row < tile.rows and 0 <= column - tile.column < tile.columns:
                share = weight_by_hand(plan, tile, row, column)
                total += share * part[:, :, row - tile.row, column - tile.column]
                shares += share
        assert_close(blended[:, :, row, column], total / shares)
    assert_close(cls, sum(classes.values()) / len(classes))


@pytest.mark.parametrize("plan", PLANS)
def test_what_the_tiles_agree_on_is_left_as_it_is(plan: TilePlan) -> None:
    whole = torch.randn(1, 2, plan.rows, plan.columns, 3, generator=torch.Generator().manual_seed(1))

    def cut(tile: Tile) -> tuple[torch.Tensor, torch.Tensor]:
        part = whole[:, :, tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]
        return part.half(), part.mean(dim=(2, 3))

    blended, _ = plan.blended(cut)
    assert blended.dtype == torch.float32
    assert_close(blended, whole.half().float())


def test_weights_fall_towards_other_tiles_alone() -> None:
    plan = TilePlan(10, 4, tile=4, overlap=1)
    weights = {tile.row: plan.weights(tile)[:, 0].tolist() for tile in plan.tiles()}
    assert weights == {0: [1, 1, 1, 0.5], 3: [0.5, 1, 1, 0.5], 6: [0.5, 1, 1, 1]}
