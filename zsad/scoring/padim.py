"""PaDiM: a patch is anomalous if it is improbable under a Gaussian of normal patches at its position."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.gaussians import (
    FittedPositions,
    PositionGaussians,
    StoredPositions,
    Vectors,
    by_position_bytes,
    by_position_operations,
    channels_refusal,
    grids_refusal,
    scored_by,
    select_channels,
)
from zsad.scoring.references import ReferenceScorer, Shots
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, kept_layers

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter


class Padim(ReferenceScorer):
    """Score each patch by its Mahalanobis distance to the patches of normal images at its position.

    With ``x`` the raw tokens of a patch (not unit vectors), the layers side by side and ``channels`` of them sampled at
    random, and ``mu_p`` and ``Sigma_p`` the mean and covariance (divisor ``N - 1``) of those of the ``N`` references at
    the position ``p``,

        ``S(p) = sqrt((x_p - mu_p)^T (Sigma_p + epsilon I)^-1 (x_p - mu_p))``,

    where ``epsilon`` is ``regularisation`` in the unit of the tokens. `mahalanobis` with ``per_position`` is the same
    for unit vectors, with an ``epsilon`` that does not depend on a unit. The inverse is applied by the axes of the
    references, which are fewer than ``N``, see there: the same numbers to 1e-5.

    The authors published no code. The channels are sampled as in the most used implementation
    (github.com/xiahaifeng1995): by `random.sample` of Python with the seed 1024. Its image score is the maximum of the
    map enlarged to the size of the network's input and smoothed with sigma 4 pixels: ``image_score: {aggregate: max,
    patch_pixels: 4, pixel_smoothing: 4}`` with `embedding: padim` of a ResNet.
    """

    summary: ClassVar[str] = "A patch against a Gaussian of the patches of normal reference images at its position."
    reference: ClassVar[str] = "PaDiM: Defard et al., ICPR 2021 workshops, section III."
    blind_to: ClassVar[str] = (
        "a defect that changes patches in the way in which normal ones at the same position differ anyway, such as "
        "another shade, or a weakened texture"
    )

    shots: Shots = "all"
    channels: int | None = Field(
        None,
        ge=1,
        description="Number of channels, sampled at random from those of all layers (ResNet-18: 100, WideResNet-50: "
        "550); null for all.",
    )
    channel_seed: int = Field(1024, ge=0, description="Random seed of the sample of channels.")
    regularisation: float = Field(
        0.01,
        ge=1e-6,
        description="Regularisation added to the diagonal of each covariance, in the squared unit of the tokens.",
    )
    layers: Layers = Field(
        None, description="Layers of the backbone to set side by side; null for all that were extracted."
    )

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for the axes of the references at each position, and for products with them."""
        test, references = tokens["test"], tokens["references"]
        width = self.channels or test.layers * test.channels
        return super().operations(tokens) + by_position_operations(test, references, width)

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the axes of every position."""
        references = tokens["references"]
        return by_position_bytes(references, self.channels or references.layers * references.channels)

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if more channels are wanted than there are, or if the grids differ."""
        return channels_refusal(references, self.layers, self.channels) or grids_refusal(references, scored)

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> PositionGaussians:
        """The Gaussians of all positions.

        Raises:
            ConfigError: more channels are wanted than there are.
            DataError: the grids of the references differ.
        """
        return FittedPositions(references, indices, self._vectors(references), self.regularisation, compute)

    def store(self, model: PositionGaussians, writer: FittedWriter) -> None:
        """Store means, axes and variances of all positions, piece by piece."""
        model.store(writer)

    def restore(self, reader: FittedReader, compute: Compute) -> PositionGaussians:
        """The Gaussians of all positions, read in pieces if they do not fit the memory."""
        width = self.channels or kept_layers(reader, self.layers) * reader.channels
        return StoredPositions(reader, width, compute)

    def score_by(
        self, model: PositionGaussians, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, after the last piece of the model.

        Raises:
            DataError: an image has another grid than the references.
        """
        yield from scored_by(model, self._vectors(features), indices, compute)

    def _vectors(self, reader: TokenSource) -> Vectors:
        return select_channels(reader, self.layers, self.channels, self._drawn, raw=True)

    def _drawn(self, total: int, count: int) -> list[int]:
        return random.Random(self.channel_seed).sample(range(total), count)
