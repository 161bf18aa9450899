"""Gaussian mixture: an image is odd if its pooled embedding is unlikely among those of the references."""

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

FEWEST_REFERENCES = 3  # two span an axis, and a third is off it
SMALLEST_VARIANCE = 1e-6  # of an embedding of length one, on all axes together: references may be equal
RESTARTS = 5  # of the search for the mixture
STEPS = 1000  # of each, at most
MIXTURE = ("weights", "means", "covariances", "precisions_cholesky")  # all that a fitted mixture is asked by


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
    """Score each image by the negative log-likelihood of its pooled embedding, fitted to good references.

    The embedding ``x``, of ``D`` numbers, is the mean patch token or the class token of each layer, scaled to length
    one and put side by side, the whole scaled to length one again. With ``m`` the mean and ``lambda_j`` the variances
    of the ``N`` references along their principal axes, greatest first,

        ``x - m = sum over j <= d of sqrt(lambda_j) z_j u_j + r``,   ``-log p(x) = -log p(z) - log p(r) + const``.

    - ``p(z)`` is a mixture of ``components`` Gaussians in the whitened coordinates of the first ``d`` axes.
    - ``p(r)`` is a spherical Gaussian, as in probabilistic PCA: without it, whatever is odd in a direction in which the
      references do not differ would be missed. Its variance ``s^2`` and its number of dimensions ``n`` follow from the
      references: ``n s^2`` is their mean ``|r|^2``, and ``n = (sum lambda_j)^2 / sum lambda_j^2`` over ``j > d``, the
      number of equal variances that spread as theirs do.

    ``d`` is ``dimensions``, but at most ``(N - 1) / 2``: fewer references per axis cannot tell how far along it a new
    image may lie. ``seed`` starts the search for the mixture as well. All of it runs on the CPU: embeddings are few.

    Departures. The student project fits one mixture to all categories; here each has its own. Probabilistic PCA has
    ``n = D - d``, which takes thousands of axes with next to no variance for as many independent witnesses, so that
    ``|r|`` would decide alone. The mean ``|r|^2`` is over ``N - 1 - d`` degrees of freedom and not ``N``, as few
    references lie nearer to axes that are fitted to them than a new image does.
    """

    localises: ClassVar[bool] = False
    summary: ClassVar[str] = "An image's pooled embedding against a Gaussian mixture of those of good references."
    reference: ClassVar[str] = (
        "The Gaussian mixture of student projects with DINOv3; residual as in probabilistic PCA: Tipping and Bishop, "
        "J. R. Stat. Soc. B 61, 1999."
    )
    blind_to: ClassVar[str] = (
        "a small defect, which hardly moves the mean of an image's patches, and never where a defect is"
    )

    shots: Shots = ALL
    pooling: Literal["patches", "class"] = Field(
        "patches", description="Embedding of an image: the mean of its patch tokens, or its class token."
    )
    dimensions: int = Field(
        16,
        ge=1,
        description="Number of principal axes d that the mixture sees; at most half the references less one are used.",
    )
    components: int = Field(1, ge=1, description="Number of Gaussians of the mixture.")
    covariance: Literal["full", "diag", "tied", "spherical"] = Field(
        "full", description="Covariances: one each, one each along the axes alone, one for all, or a variance each."
    )
    reg_covar: float = Field(
        0.01,
        ge=0,
        description="Added to the variances of the mixture, as a share of the references' own along an axis.",
    )
    layers: Layers = Field(
        None, description="Layers of the backbone whose embeddings are put side by side; null for all."
    )

    def fewest_references(self) -> int:
        """Three, or as many as there are components."""
        return max(FEWEST_REFERENCES, self.components)

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """The references are too few."""
        count, fewest = len(references.image_ids), self.fewest_references()
        if count >= fewest:
            return ""
        return (
            f"a Gaussian mixture with components = {self.components} needs at least {fewest} references to be "
            f"fitted to, and there are {count}; raise 'shots' or add images to train/good"
        )

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Density:
        """The density of the references at ``indices``.

        Raises:
            DataError: they are fewer than 3, or than the components.
        """
        self.check_fit(references, indices)
        embeddings = np.stack(list(self._embeddings(references, indices)))
        return self._density(embeddings[np.lexsort(embeddings.T)])  # sorted: their order must not matter

    def store(self, model: Density, writer: FittedWriter) -> None:
        """Keep the axes, and the mixture as arrays."""
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
            # One matrix for all lies column by column, which decides how products with it are rounded.
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
        """Of what the mixture has of each covariance."""
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
        """The token that stands for each image, ``[layer, channel]``."""
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
