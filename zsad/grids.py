"""How patches lie over an image, known from its size alone: before a backbone is loaded, and without any library."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

Fit = Literal["short_side", "pad"]


def fitted_grid(height: int, width: int, given: int, fit: Fit = "short_side") -> tuple[int, int]:
    """Rows and columns of a patch grid that covers an image edge to edge.

    Args:
        height, width: the image, pixels.
        given: patches along the side that ``fit`` names: ``short_side`` the short one, ``pad`` the long one.
    """
    known, other = (min, max) if fit == "short_side" else (max, min)
    reference, free = known(height, width), other(height, width)
    # Integers, rounded half up: a floating-point tie could fall differently on two machines.
    wanted = max((2 * free * given + reference) // (2 * reference), 1)
    return (given, wanted) if height == reference else (wanted, given)


class GridRule(NamedTuple):
    """How a backbone lays its patches over images.

    Attributes:
        given: patches along the side that ``fit`` names.
        finer: tokens a patch along each side; 1 but for networks whose kept layers are finer than their patch.
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
        """That of a network; all lengths in pixels.

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
        """How many patches are computed for an image, with a border that makes it square and overlaps of tiles."""
        rows, columns = self.seen_at_once(height, width)
        return self.inputs(height, width) * rows * columns

    def inputs(self, height: int, width: int) -> int:
        """How many inputs of the size `seen_at_once` a network sees of an image: one, or as many as it has tiles."""
        rows, columns = self.size(height, width)
        return 1 if self.tile is None or self.fit == "pad" else self._tiles(rows) * self._tiles(columns)

    def _tiles(self, length: int) -> int:
        """Tiles along a side of the grid."""
        return 1 if length <= self.tile else 1 + -(-(length - self.tile) // (self.tile - self.overlap))

    def seen_at_once(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of what a network sees of an image at a time: the image, its square, or a tile."""
        rows, columns = self.size(height, width)
        if self.fit == "pad":
            return max(rows, columns), max(rows, columns)
        return (rows, columns) if self.tile is None else (min(rows, self.tile), min(columns, self.tile))


class TokenLayout(NamedTuple):
    """What is known of a backbone's tokens before it is loaded.

    Attributes:
        rule: how its patches lie.
        layers: names of the layers that are kept; None if they are not known.
        channels: width of a token.
        debias: directions of the position that are taken out of the tokens.
    """

    rule: GridRule
    layers: tuple[str, ...] | None
    channels: int
    debias: int = 0
