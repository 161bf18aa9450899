"""Gaussian mixture: an image is anomalous if its pooled embedding is unlikely among those of the references."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.references import ALL, ReferenceScorer, Shots
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, kept_layers, layer_indices, normalise

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

    from zsad.files.fitted import FittedReader, FittedWriter

FEWEST_REFERENCES = 3  # two references span an axis, a third lies off it
SMALLEST_VARIANCE = 1e-6  # of an embedding of length one, on all axes together: needed because references may be equal
RESTARTS = 5  # of the search for the mixture
STEPS = 1000  # iterations of each, at most
MIXTURE = ("weights", "means", "covariances", "precisions_cholesky")  # all arrays of a fitted mixture that are used


class Density(NamedTuple):
    """The density of the references' embeddings, with ``d`` axes of ``D``.

    Attributes:
        mean: float64 ``[D]``.
        axes: float64 ``[d, D]``, orthonormal.
        deviations: float64 ``[d]``, standard deviation of the references along each axis.
        mixture: fitted to coordinates on the axes, divided by the deviations.
        residual_dimensions: effective number of dimensions off the axes.
        residual_variance: variance in each of them.
    """

    mean: np.ndarray
    axes: np.ndarray
    deviations: np.ndarray
    mixture: GaussianMixture
    residual_dimensions: float
    residual_variance: float

    def log_likelihood(self, embedding: np.ndarray) -> float:
        """``log p(x)`` of an embedding ``[D]``, in nats."""
        centred = embedding - self.mean
        coordinates = self.axes @ centred
        residual = centred - coordinates @ self.axes
        along = self.mixture.score_samples([coordinates / self.deviations])[0] - np.log(self.deviations).sum()
        volume = self.residual_dimensions * math.log(2 * math.pi * self.residual_variance)
        return float(along - (volume + residual @ residual / self.residual_variance) / 2)


class GMM(ReferenceScorer):
    """Score each image by the negative log-likelihood of its pooled embedding, fitted to normal references.

    The embedding ``x``, of ``D`` numbers, is the mean patch token or the class token of each layer, scaled to length
    one and put side by side, the whole scaled to length one again. With ``m`` the mean and ``lambda_j`` the variances
    of the ``N`` references along their principal axes, greatest first,

        ``x - m = sum over j <= d of sqrt(lambda_j) z_j u_j + r``,   ``-log p(x) = -log p(z) - log p(r) + const``.

    - ``p(z)`` is a mixture of ``components`` Gaussians in the whitened coordinates of the first ``d`` axes.
    - ``p(r)`` is a spherical Gaussian, as in probabilistic PCA: without it, anomalies in a direction in which the
      references do not differ would be missed. Its variance ``s^2`` and its number of dimensions ``n`` follow from the
      references: ``n s^2`` is their mean ``|r|^2``, and ``n = (sum lambda_j)^2 / sum lambda_j^2`` over ``j > d``, the
      number of equal variances with the same spread.

    ``d`` is ``dimensions``, but at most ``(N - 1) / 2``: fewer references per axis do not determine how far along it a
    new image may lie. ``seed`` also starts the search for the mixture. All computations run on the CPU, since
    embeddings are few.

    Departures. The student project fits one mixture to all categories; here each has its own. Probabilistic PCA has
    ``n = D - d``, which treats thousands of axes with almost no variance as independent evidence, so that ``|r|`` alone
    would decide. The mean ``|r|^2`` is over ``N - 1 - d`` degrees of freedom and not ``N``, because few references lie
    nearer to the axes fitted to them than a new image.
    """

    localises: ClassVar[bool] = False
    summary: ClassVar[str] = "An image's pooled embedding against a Gaussian mixture of those of normal references."
    reference: ClassVar[str] = (
        "The Gaussian mixture of student projects with DINOv3; residual as in probabilistic PCA: Tipping and Bishop, "
        "J. R. Stat. Soc. B 61, 1999."
    )
    blind_to: ClassVar[str] = (
        "a small defect, which hardly moves the mean of an image's patches, and it never localises a defect"
    )

    shots: Shots = ALL
    pooling: Literal["patches", "class"] = Field(
        "patches", description="Embedding of an image: the mean of its patch tokens, or its class token."
    )
    dimensions: int = Field(
        16,
        ge=1,
        description="Number of principal axes d that the mixture sees; at most half of the references less one are "
        "used.",
    )
    components: int = Field(1, ge=1, description="Number of Gaussians of the mixture.")
    covariance: Literal["full", "diag", "tied", "spherical"] = Field(
        "full",
        description="Covariances of the components: full, diagonal (diag), one for all (tied), or a single variance "
        "(spherical).",
    )
    reg_covar: float = Field(
        0.01,
        ge=0,
        description="Regularisation added to the variances of the mixture, relative to the variance of the references "
        "along an axis.",
    )
    layers: Layers = Field(
        None, description="Layers of the backbone whose embeddings are put side by side; null for all."
    )

    def fewest_references(self) -> int:
        """The greater of three and the number of components."""
        return max(FEWEST_REFERENCES, self.components)

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if there are too few references."""
        count, fewest = len(references.image_ids), self.fewest_references()
        if count >= fewest:
            return ""
        return (
            f"a Gaussian mixture with components = {self.components} needs at least {fewest} references, but there are "
            f"{count}; raise 'shots' or add images to train/good"
        )

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Density:
        """The density of the references at ``indices``.

        Raises:
            DataError: they are fewer than 3, or than the components.
        """
        self.check_fit(references, indices)
        embeddings = np.stack(list(self._embeddings(references, indices)))
        return self._density(embeddings[np.lexsort(embeddings.T)])  # sorted, so that their order does not matter

    def store(self, model: Density, writer: FittedWriter) -> None:
        """Store the axes, and the mixture as arrays."""
        writer.write("mean", model.mean)
        writer.write("axes", model.axes)
        writer.write("deviations", model.deviations)
        writer.write("residual", np.array([model.residual_dimensions, model.residual_variance]))
        for name in MIXTURE:
            writer.write(name, getattr(model.mixture, f"{name}_"))

    def restore(self, reader: FittedReader, compute: Compute) -> Density:
        """The density of the references."""
        (axes,) = reader.shape("deviations", np.float64, (None,))
        width = kept_layers(reader, self.layers) * reader.channels
        shapes = {
            "weights": (self.components,),
            "means": (self.components, axes),
            **dict.fromkeys(("covariances", "precisions_cholesky"), self._covariance_shape(axes)),
        }
        mixture = self._mixture()
        for name in MIXTURE:
            # A tied matrix is in column order, which affects the rounding of products with it.
            order: Literal["C", "F"] = "F" if self.covariance == "tied" else "C"
            array = np.asarray(reader.array(name, np.float64, shapes[name]), order=order)
            setattr(mixture, f"{name}_", array)
        residual = reader.array("residual", np.float64, (2,)).tolist()
        return Density(
            reader.array("mean", np.float64, (width,)),
            reader.array("axes", np.float64, (axes, width)),
            reader.array("deviations", np.float64, (axes,)),
            mixture,
            *residual,
        )

    def _covariance_shape(self, axes: int) -> tuple[int, ...]:
        """Shape of the covariances of the mixture."""
        count = self.components
        shapes = {"full": (count, axes, axes), "tied": (axes, axes), "diag": (count, axes), "spherical": (count,)}
        return shapes[self.covariance]

    def _mixture(self) -> GaussianMixture:
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(
            self.components,
            covariance_type=self.covariance,
            reg_covar=self.reg_covar,
            n_init=RESTARTS,
            max_iter=STEPS,
            random_state=self.seed,
        )

    def score_by(
        self, model: Density, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``-log p(x)`` of each image, in nats."""
        for index, embedding in zip(indices, self._embeddings(features, indices), strict=True):
            yield ImageScore(index, None, image_score=-model.log_likelihood(embedding))

    def _embeddings(self, features: TokenSource, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """``x`` of each image, float64 ``[D]``."""
        layers = layer_indices(features, self.layers)
        for pooled in self._pooled(features, indices):
            unit = normalise(torch.from_numpy(pooled[layers]).double())
            yield unit.flatten().numpy() / math.sqrt(len(layers))

    def _pooled(self, features: TokenSource, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The token that represents each image, ``[layer, channel]``."""
        if self.pooling == "class":
            yield from features.cls_tokens()[list(indices)]
        else:
            for index in indices:
                yield features.patch_tokens(index).mean(axis=(1, 2))

    def _density(self, embeddings: np.ndarray) -> Density:
        """The density of embeddings ``[reference, D]``."""
        count, width = embeddings.shape
        kept = min(self.dimensions, (count - 1) // 2, width - 1)
        mean = embeddings.mean(axis=0)
        _, singular_values, axes = np.linalg.svd(embeddings - mean, full_matrices=False)
        variances = np.maximum(singular_values**2 / (count - 1), SMALLEST_VARIANCE / width)
        deviations = np.sqrt(variances[:kept])
        mixture = self._mixture()
        mixture.fit((embeddings - mean) @ axes[:kept].T / deviations)
        left = variances[kept : count - 1]  # N centred vectors span N - 1 dimensions
        residual = left.sum() * (count - 1) / (count - 1 - kept)
        dimensions = left.sum() ** 2 / np.square(left).sum()
        return Density(mean, axes[:kept], deviations, mixture, float(dimensions), float(residual / dimensions))
