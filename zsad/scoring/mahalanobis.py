"""Mahalanobis: a patch is anomalous if it is improbable under a Gaussian of normal patches, global or by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from zsad.lazy import torch
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, covariance_operations
from zsad.scoring.gaussians import (
    FittedPositions,
    Gaussians,
    GlobalGaussian,
    StoredPositions,
    Vectors,
    by_position_bytes,
    by_position_operations,
    channels_refusal,
    grids_refusal,
    scored_by,
    select_channels,
)
from zsad.scoring.moments import ROUNDING
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, kept_layers

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter


class Mahalanobis(ReferenceScorer):
    """Score each patch by its Mahalanobis distance to the patches of normal images.

    With ``x``, of ``D`` channels, the unit patch features of the layers side by side, and ``mu`` and ``Sigma`` the mean
    and covariance of reference patches,

        ``S(p) = sqrt((x_p - mu)^T (Sigma + epsilon I)^-1 (x_p - mu))``.

    ``mu`` and ``Sigma`` are of all patches of all references, or, with ``per_position``, only of the patches at the
    position ``p``: PaDiM, for aligned objects. The layers become unit vectors because their lengths differ by large
    factors; ``epsilon``, one number for all channels, would dominate the short ones.

    PaDiM as published, with raw tokens and another ``epsilon``, is `padim`: its ``epsilon`` is 0.01 in the unit of its
    features. Here it is ``regularisation`` times the variance of a channel over all patches of all references, the mean
    over the channels, in both forms: it does not depend on a unit, nor on how few references there are. A position seen
    once has ``Sigma = 0`` and the Euclidean distance ``|x - mu| / sqrt(epsilon)``. Where the references do not vary at
    all, the mean square of a unit vector's channel replaces their variance.

    PaDiM samples some channels at random to keep ``Sigma_p [position, D, D]`` small. This is not necessary: with ``N``
    references ``Sigma_p`` has rank ``r < N``, and with its axes ``V [D, r]`` and variances ``l``, ``y = x - mu`` and
    ``z = V^T y``,

        ``S^2 = |y - V z|^2 / epsilon + sum over i of z_i^2 / (l_i + epsilon)``,

    which takes ``D min(N, D)`` numbers a position. Those that do not fit the memory are fitted in pieces, each compared
    with all images. Fits are computed in float64, distances in float32 whatever the number format, which keeps ``S`` to
    about 1e-6 of itself, and to 1e-5 at the least ``regularisation``.
    """

    summary: ClassVar[str] = "A patch against a Gaussian of the patches of normal reference images."
    reference: ClassVar[str] = (
        "PaDiM: Defard et al., ICPR 2021 workshops, section III, with 'per_position'; one Gaussian for all positions "
        "is this project's variant for objects that are not aligned."
    )
    blind_to: ClassVar[str] = (
        "a defect that changes patches in the way in which normal ones differ anyway, such as another shade, a "
        "weakened texture, or, without 'per_position', a normal component in a wrong place"
    )

    per_position: bool = Field(
        False,
        description="One Gaussian for each position of the patch grid, for aligned objects; false for one global "
        "Gaussian.",
    )
    regularisation: float = Field(
        0.01,
        ge=1e-6,
        description="Regularisation added to the diagonal of each covariance, relative to the mean variance of a "
        "channel.",
    )
    channels: int | None = Field(
        None,
        ge=1,
        description="Number of channels, sampled at random from those of all layers (PaDiM: 100 or 550); null for all.",
    )
    channel_seed: int = Field(
        0, ge=0, description="Random seed of the sample of channels; samples of one seed are nested."
    )
    rotations: bool = Field(False, description="Also rotate each reference by 0, 45, ... 315 degrees.")
    layers: Layers = Field(
        None, description="Layers of the backbone to set side by side; null for all that were extracted."
    )

    @model_validator(mode="after")
    def _positions_stay(self) -> Self:
        if self.per_position and self.rotations:
            raise ValueError("rotated references have no common positions; set 'rotations: false' with 'per_position'")
        return self

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for one covariance and its axes, or for the axes at each position, and for products with them."""
        test, references = tokens["test"], tokens["references"]
        width = self.channels or test.layers * test.channels
        if self.per_position:
            return super().operations(tokens) + by_position_operations(test, references, width)
        products = 2.0 * test.images * test.patches * width**2
        return super().operations(tokens) + covariance_operations(references, width) + products

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the axes of every position."""
        references = tokens["references"]
        width = self.channels or references.layers * references.channels
        return by_position_bytes(references, width) if self.per_position else 0.0

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if more channels are wanted than there are, or with ``per_position`` if the grids differ."""
        if reason := channels_refusal(references, self.layers, self.channels):
            return reason
        return grids_refusal(references, scored) if self.per_position else ""

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Gaussians:
        """The Gaussian, or those of all positions.

        Raises:
            ConfigError: more channels are wanted than there are.
            DataError: with ``per_position``, the grids of the references differ.
        """
        vectors = self._vectors(references)
        if self.per_position:
            epsilon = self._epsilon(_variance(vectors, indices), references.channels)
            return FittedPositions(references, indices, vectors, epsilon, compute)
        epsilon_of = partial(self._epsilon, channels=references.channels)
        return GlobalGaussian.fitted(references, indices, vectors, epsilon_of, compute)

    def _epsilon(self, variance: float, channels: int) -> float:
        """The regularisation of a diagonal, from the mean variance of a channel and the channels of a unit vector."""
        mean_square = 1 / channels
        return self.regularisation * (variance if variance > ROUNDING * mean_square else mean_square)

    def store(self, model: Gaussians, writer: FittedWriter) -> None:
        """Store the mean and the whitening, or means, axes and variances of all positions, piece by piece."""
        model.store(writer)

    def restore(self, reader: FittedReader, compute: Compute) -> Gaussians:
        """The Gaussian, or those of all positions, read in pieces if they do not fit the memory."""
        width = self.channels or kept_layers(reader, self.layers) * reader.channels
        return (StoredPositions if self.per_position else GlobalGaussian.restored)(reader, width, compute)

    def score_by(
        self, model: Gaussians, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, after the last piece of the model.

        Raises:
            DataError: with ``per_position``, an image has another grid than the references.
        """
        yield from scored_by(model, self._vectors(features), indices, compute)

    def _vectors(self, reader: TokenSource) -> Vectors:
        return select_channels(reader, self.layers, self.channels, self._drawn)

    def _drawn(self, total: int, count: int) -> list[int]:
        return sorted(np.random.default_rng(self.channel_seed).permutation(total)[:count].tolist())


def _variance(vectors: Vectors, indices: Sequence[int]) -> float:
    """The variance of a channel over all patches of some images, the mean over the channels."""
    total, squares, count = torch.zeros(vectors.width, dtype=torch.float64), 0.0, 0
    for index in progress(indices, total=len(indices), label="measuring the variance"):
        of_image = vectors.of(index, "cpu").double()
        total += of_image.sum(dim=0)
        squares += float(of_image.square().sum())
        count += len(of_image)
    # for unit vectors in float64 this difference is accurate enough: see `ROUNDING`
    return (squares - float(total.square().sum()) / count) / (max(1, count - 1) * len(total))
