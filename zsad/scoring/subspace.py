"""Subspace: a patch is anomalous if it lies off the linear subspace of normal patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.progress import progress
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, covariance_operations
from zsad.scoring.moments import ROUNDING, Moments
from zsad.scoring.references import ReferenceScorer, Rotations
from zsad.scoring.stored import as_array, as_tensor
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, image_tokens, layer_indices

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

ALL_VARIANCE = 1 - 1e-12  # a sum of shares may be below one by rounding


class Complement(NamedTuple):
    """The orthogonal complement of the subspace.

    Attributes:
        mean: ``mu``, float32 ``[channel]``.
        basis: ``U``, float32 ``[channel, D - r]``, an orthonormal basis of the complement.
    """

    mean: torch.Tensor
    basis: torch.Tensor

    @property
    def rank(self) -> int:
        """``r``, the number of dimensions of the subspace."""
        return self.basis.shape[0] - self.basis.shape[1]

    def residuals(self, tokens: torch.Tensor, compute: Compute) -> torch.Tensor:
        """``|U^T (x - mu)|^2`` of tokens ``[token, channel]``: float32 ``[token]``."""
        blocks = tokens.split(compute.count(3 * len(self.mean) * 4))
        return torch.cat([((block - self.mean) @ self.basis).square().sum(dim=1) for block in blocks])


class Subspace(ReferenceScorer):
    """Score each patch by its distance to the principal subspace of the patches of normal images.

    With ``x``, of ``D`` channels, the mean over the chosen layers of a patch's raw tokens (not unit vectors), ``mu``
    the mean of all patches of the references, and ``V [D, r]`` the first principal axes of their covariance, as many as
    hold ``explained_variance``,

        ``S(p) = |(x_p - mu) - V V^T (x_p - mu)|^2``.

    With ``U [D, D - r]`` the other axes this is ``|U^T (x_p - mu)|^2``, one product without differences of large
    numbers. The covariance and its axes are computed in float64, image by image; ``U^T (x_p - mu)`` in float32 whatever
    the number format, which keeps ``S`` to about 1e-6 of itself.

    One axis is always excluded, that of the least variance: otherwise every patch would score 0. References that do not
    vary have no axes, and ``S`` is the squared distance to them. The authors' code includes that axis if
    ``explained_variance`` is 1, and scores 0; below 1 it is the same.

    With ``rotations`` each reference is used at eight angles, or with ``rotations: subspacead`` at 30 random ones as in
    the authors' code, which uses none for the transistor of MVTec AD; the effect is described in `zsad.features.views`.
    Their image score is the mean of the top 1 % of the pixels of the map, enlarged to the size of the network's input
    and blurred: ``image_score: {rounding: down, patch_pixels: 14, pixel_smoothing: 0.81}``, see
    `zsad.scoring.image_level`. Their references are the first of a shuffled list, here a random sample by ``seed``:
    other images.
    """

    summary: ClassVar[str] = "A patch against the principal subspace of all patches of a few normal reference images."
    reference: ClassVar[str] = "SubspaceAD: Lendering et al., CVPR 2026, arXiv 2602.23013."
    blind_to: ClassVar[str] = (
        "a defect that looks like a mixture of what normal patches show, such as another shade or a weaker texture, or "
        "a normal component in a wrong place"
    )

    explained_variance: float = Field(
        0.99, gt=0, le=1, description="Share of the variance of the reference patches that the subspace holds at least."
    )
    rotations: Rotations = True
    layers: Layers = None

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for the covariance and its axes, and for products of test patches with as many axes."""
        test = tokens["test"]
        products = 2.0 * test.images * test.patches * test.channels**2
        return super().operations(tokens) + covariance_operations(tokens["references"], test.channels) + products

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Complement:
        """The complement of the subspace."""
        layers = layer_indices(references, self.layers)
        moments = Moments(references.channels, compute)
        patches = references.grid_sizes.prod(axis=1)[list(indices)].tolist()
        for index in progress(indices, total=len(indices), label="fitting the subspace", work=patches):
            moments.add(_mean_tokens(references, index, layers, compute.device).flatten(0, 1))
        variances, axes = torch.linalg.eigh(moments.covariance)  # in ascending order
        rank = self._rank(variances.flip(0).clamp(min=0), moments)
        basis = axes[:, : len(variances) - rank]
        return Complement(*(part.to(compute.device, torch.float32) for part in (moments.mean, basis.contiguous())))

    def _rank(self, variances: torch.Tensor, moments: Moments) -> int:
        """``r``, from the variances along the axes in descending order; at most ``n - 1`` for ``n`` patches."""
        total = variances.sum()
        if total <= ROUNDING * moments.mean.square().sum():
            return 0
        shares = variances.cumsum(0) / total
        enough = int((shares < min(self.explained_variance, ALL_VARIANCE)).sum()) + 1
        return min(enough, len(variances) - 1)

    def store(self, model: Complement, writer: FittedWriter) -> None:
        """Store ``mu`` and ``U``."""
        writer.write("mean", as_array(model.mean))
        writer.write("basis", as_array(model.basis))

    def restore(self, reader: FittedReader, compute: Compute) -> Complement:
        """The complement of the subspace."""
        mean = reader.array("mean", np.float32, (reader.channels,))
        basis = reader.array("basis", np.float32, (reader.channels, None))
        return Complement(as_tensor(mean, compute.device), as_tensor(basis, compute.device))

    def score_by(
        self, model: Complement, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order."""
        layers = layer_indices(features, self.layers)
        for index in indices:
            tokens = _mean_tokens(features, index, layers, compute.device)  # [row, column, channel]
            residuals = model.residuals(tokens.flatten(0, 1), compute)
            yield ImageScore(index, residuals.reshape(tokens.shape[:2]).cpu().numpy())


def _mean_tokens(reader: TokenSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """Tokens of one image averaged over layers, float32 ``[row, column, channel]``."""
    return image_tokens(reader, index, layers, device).mean(dim=0)
