"""Patch grids of images, from the image size alone: without loading a backbone or any library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Self

Fit = Literal["short_side", "pad", "square"]
WINDOW = "window"  # begins the names of layers that hold windows of an image: "window2", "window3"
PATCHES = "patches"  # the layer of plain patch tokens beside them


def fitted_grid(height: int, width: int, given: int, fit: Fit = "short_side") -> tuple[int, int]:
    """Rows and columns of a patch grid that covers an image edge to edge.

    Args:
        height, width: the image, pixels.
        given: patches along the side that ``fit`` names: ``short_side`` the short one, ``pad`` the long one,
            ``square`` both.
    """
    if fit == "square":
        return given, given
    known, other = (min, max) if fit == "short_side" else (max, min)
    reference, free = known(height, width), other(height, width)
    # Integers, rounded half up: a floating-point tie could be rounded differently on two machines.
    wanted = max((2 * free * given + reference) // (2 * reference), 1)
    return (given, wanted) if height == reference else (wanted, given)


class GridRule(NamedTuple):
    """The rule by which a backbone places its patches over images.

    Attributes:
        given: patches along the side that ``fit`` names.
        finer: tokens a patch along each side; 1 except for networks whose kept layers are finer than their patch.
        fit: see `fitted_grid`.
        tile, overlap: of the tiles that a larger grid is cut into, tokens; None for none.
    """

    given: int
    finer: int = 1
    fit: Fit = "short_side"
    tile: int | None = None
    overlap: int = 0

    @classmethod
    def of_network(cls, resolution: int, patch: int, stride: int, fit: Fit, tile: int | None, overlap: int) -> Self:
        """The rule of a network; all lengths in pixels.

        Args:
            stride: between tokens of the layers that are kept.
        """
        tokens = None if tile is None else max(1, tile // stride)
        return cls(max(1, resolution // patch), patch // stride, fit, tokens, overlap // stride)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of ``height x width`` pixels."""
        rows, columns = fitted_grid(height, width, self.given, self.fit)
        return rows * self.finer, columns * self.finer

    def computed(self, height: int, width: int) -> int:
        """How many patches are computed for an image, including padding to a square and overlaps of tiles."""
        rows, columns = self.seen_at_once(height, width)
        return self.inputs(height, width) * rows * columns

    def inputs(self, height: int, width: int) -> int:
        """How many inputs of the size `seen_at_once` an image needs: one, or one for each tile."""
        rows, columns = self.size(height, width)
        if self.tile is None or self.fit == "pad":
            return 1
        return self._tiles(rows, self.tile) * self._tiles(columns, self.tile)

    def _tiles(self, length: int, tile: int) -> int:
        """Tiles along a side of the grid."""
        return 1 if length <= tile else 1 + -(-(length - tile) // (tile - self.overlap))

    def seen_at_once(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of one network input: the image, its square, or a tile."""
        rows, columns = self.size(height, width)
        if self.fit == "pad":
            return max(rows, columns), max(rows, columns)
        return (rows, columns) if self.tile is None else (min(rows, self.tile), min(columns, self.tile))


def finest(grids: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The rows and columns of the grid with the most patches; the first of several."""
    return max(grids, key=math.prod)


class JointRule(NamedTuple):
    """The rule of joined tokens of several backbones: on the finest of their grids, image by image."""

    members: tuple[GridRule | JointRule, ...]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of ``height x width`` pixels."""
        return finest(rule.size(height, width) for rule in self.members)

    def computed(self, height: int, width: int) -> int:
        """How many patches the joined grid has; those that the members compute are not counted."""
        return math.prod(self.size(height, width))

    def seen_at_once(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of one input: the whole image."""
        return self.size(height, width)


class TokenLayout(NamedTuple):
    """Facts about a backbone's tokens before it is loaded.

    Attributes:
        rule: rule of its patch grid.
        layers: names of the layers that are kept; None if they are not known.
        channels: width of a token.
        debias: number of position directions removed from the tokens.
        members: the layouts of the joined backbones; empty for a single backbone.
    """

    rule: GridRule | JointRule
    layers: tuple[str, ...] | None
    channels: int
    debias: int = 0
    members: tuple[TokenLayout, ...] = ()

    @property
    def depth(self) -> int:
        """How many layers are kept; 1 where their names are not known."""
        return 1 if self.layers is None else len(self.layers)


JOINT_LAYER = "joint"


def joined_layout(members: Sequence[TokenLayout]) -> TokenLayout | None:
    """The layout of joined tokens: one layer, with all layers of the members side by side.

    Returns:
        None if the number of layers of a member is unknown.
    """
    return None if any(layout.layers is None for layout in members) else assumed_joined_layout(members)


def assumed_joined_layout(members: Sequence[TokenLayout]) -> TokenLayout:
    """The same; a member with unknown layers is assumed to have one."""
    rule = JointRule(tuple(layout.rule for layout in members))
    channels = sum(layout.depth * layout.channels for layout in members)
    return TokenLayout(rule, (JOINT_LAYER,), channels, members=tuple(members))
