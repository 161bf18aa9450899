"""Cost of scoring, estimated before anything is read.

The unit is multiplications and additions of a matrix product. Other work counts as the number of these that a CPU does
in the same time.
"""

from __future__ import annotations

from typing import NamedTuple

VALUE = 100  # a value of a token that is read, converted and normalised
LEAST = 40  # finding the least of a row or column of distances, for each of them
SELECTED = 700  # finding the smallest few
SORTED = 300  # sorting, for each value
RANKED = 1600  # finding the ranks of a value among those of a tile, for each of its values
DECOMPOSITION = 20  # finding the axes of a matrix, for each of its entries and each axis
SHIFTED = 200  # comparing two patches at all shifts of their images


class TokenCount(NamedTuple):
    """The tokens of some images.

    Attributes:
        images: number; each view of an image counts.
        patches: of one image; of the largest where they differ.
        layers: number of scored layers.
        channels: width of a token.
    """

    images: int
    patches: int
    layers: int
    channels: int

    @property
    def image_values(self) -> float:
        """Numbers in the patch tokens of one image."""
        return float(self.patches) * self.layers * self.channels

    @property
    def values(self) -> float:
        """Numbers in the patch tokens of all images."""
        return self.images * self.image_values


def pair_operations(pairs: float, channels: int, finding: int = LEAST) -> float:
    """Operations for the distances of so many pairs of vectors, and for finding the nearest among them."""
    return pairs * (2.0 * channels + finding)


def covariance_operations(tokens: TokenCount, width: int) -> float:
    """Operations for the covariance of vectors of ``width`` channels, one a patch, in float64, and for its axes."""
    return 4.0 * tokens.images * tokens.patches * width**2 + DECOMPOSITION * float(width) ** 3
