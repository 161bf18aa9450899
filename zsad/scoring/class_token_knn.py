"""Nearest class tokens: an image is anomalous if no reference image is similar to it as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.similarity import Metric
from zsad.scoring.stored import as_array, as_tensor, stored_type
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, kept_layers, layer_indices, normalise

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

ROTATIONS = 8  # images that this view makes from one image


class Neighbours(NamedTuple):
    """The references: a metric, and their class tokens as its right operands."""

    metric: Metric
    points: torch.Tensor


class ClassTokenKnn(ReferenceScorer):
    """Score each image by the distance of its class token to those of the most similar references.

    With ``c_l(x)`` the unit class token of image ``x`` in layer ``l``, and the distance of two images

        ``d(x, y) = mean over l of (1 - <c_l(x), c_l(y)>)``,

    the score is the mean of ``d(x, y)`` over the ``k`` references ``y`` nearest to ``x``. It compares whole images: it
    detects a wrong or missing component rather than a scratch. With ``rotations`` each reference counts at eight
    angles.
    """

    localises: ClassVar[bool] = False
    summary: ClassVar[str] = "An image's class token against those of the most similar normal references."
    reference: ClassVar[str] = (
        "k nearest neighbours in the full-shot runs of student projects with DINOv3; the first stage of methods that "
        "choose references by their class tokens, e.g. VisionAD and RAD."
    )
    blind_to: ClassVar[str] = (
        "a small defect, which hardly changes the image's class token, and it never localises a defect"
    )

    k: int = Field(1, ge=1, description="Number of nearest references whose distances are averaged.")
    rotations: bool = Field(False, description="Also rotate each reference by 0, 45, ... 315 degrees.")
    layers: Layers = None

    def fewest_references(self) -> int:
        """The number of references with at least ``k`` class tokens."""
        return math.ceil(self.k / (ROTATIONS if self.rotations else 1))

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if there are fewer than ``k`` references."""
        if (count := len(references.image_ids)) >= self.k:
            return ""
        return (
            f"there are {count} class tokens of references to compare with, fewer than k = {self.k}; lower 'k' or "
            "raise 'shots'"
        )

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Neighbours:
        """The class tokens of the references at ``indices``.

        Raises:
            DataError: they are fewer than ``k``.
        """
        self.check_fit(references, indices)
        tokens = self._tokens(references, indices, compute.device)
        metric = Metric(compute, tokens.mean(dim=0))
        return Neighbours(metric, metric.points(tokens))

    def store(self, model: Neighbours, writer: FittedWriter) -> None:
        """Store the class tokens as they are compared."""
        writer.write("centre", as_array(model.metric.centre))
        writer.write("points", as_array(model.points))

    def restore(self, reader: FittedReader, compute: Compute) -> Neighbours:
        """The class tokens of the references."""
        width = kept_layers(reader, self.layers) * reader.channels
        metric = Metric(compute, as_tensor(reader.array("centre", np.float32, (width,)), compute.device))
        points = reader.array("points", stored_type(metric.format), (None, metric.width))
        if len(points) < self.k:
            raise reader.foreign(f"it has {len(points)} class tokens")
        return Neighbours(metric, as_tensor(points, compute.device, metric.format))

    def score_by(
        self, model: Neighbours, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield the score of each image, in ``[0, 2]``."""
        queries = model.metric.queries(model.metric.points(self._tokens(features, indices, compute.device)))
        distances = model.metric.nearest(queries, model.points, self.k).mean(dim=1)
        for index, distance in zip(indices, distances.tolist(), strict=True):
            yield ImageScore(index, None, image_score=distance)

    def _tokens(self, features: TokenSource, indices: Sequence[int], device: str) -> torch.Tensor:
        """The layers of each image side by side as one unit vector, ``[image, layer x channel]``.

        Half the squared distance of two of them is ``d``.
        """
        layers = layer_indices(features, self.layers)
        tokens = torch.from_numpy(features.cls_tokens()[list(indices)][:, layers]).to(device)
        unit: torch.Tensor = normalise(tokens).flatten(1) / len(layers) ** 0.5
        return unit
