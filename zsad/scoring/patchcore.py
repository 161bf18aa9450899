"""PatchCore: a patch is anomalous if none of a few patches that represent all normal ones is similar to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.lazy import torch
from zsad.scoring.bank import Coreset, JoinedBank, Selection
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.coreset import PROJECTED, approximate_coreset, greedy_coreset
from zsad.scoring.cost import TokenCount, pair_operations
from zsad.scoring.references import ReferenceScorer, Shots
from zsad.scoring.similarity import Metric
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, image_tokens, kept_layers, layer_indices, side_by_side

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter


class Chosen(NamedTuple):
    """The coreset: patches that represent all.

    Attributes:
        coreset: the patches, as vectors in their own unit.
        unit: that unit, in units of the tokens.
    """

    coreset: Coreset
    unit: float


class PatchCore(ReferenceScorer):
    """Score each patch by its Euclidean distance to the nearest of a few patches that cover all normal ones.

    With ``f_p`` the raw tokens of a patch (not unit vectors), the layers side by side, and ``M`` a coreset of those of
    all references, a share ``coreset`` of them chosen by greedy farthest-point selection,

        ``S(p) = min over m in M of |f_p - m|``.

    The image score is that of the patch ``q`` with the greatest ``S`` and its nearest ``m*``, times a weight that is
    small where ``m*`` is itself far from the rest of ``M`` (equation 7 of the paper): with ``N`` the ``neighbours``
    vectors of ``M`` nearest to ``m*``, including itself, or all if ``M`` has fewer,

        ``s = (1 - exp |f_q - m*| / sum over m in N of exp |f_q - m|) S(q)``.

    It is computed in float64 with the greatest distance subtracted in all exponents. Where ``N`` has one vector, the
    weight would be 0 for every image, and ``s = S(q)``. It depends on the unit of the tokens: where distances are much
    below 1, the weight is ``1 - 1 / N`` for every image.

    The authors' code, which made their published figures, departs from their paper; these options follow the code:

    * ``image_score: max``: ``s = S(q)``. On 41 photographs of magnetic tiles (`embedded`, whose tokens are unit
      vectors, 8 references) the weight is 0.895 to 0.906, and the ranks with and without it correlate by .9995.
    * ``distance: squared``: ``S`` is squared, which changes a map only if it is smoothed or enlarged. On the same
      images, enlarged 8 times and smoothed with sigma 4, the ranks of pixels correlate by .9988.
    * ``selection: approximate``: see `approximate_coreset`. On the same images, with 16 references, image scores of the
    two selections
      have a rank correlation of .94 and patches of .54: about the same as two seeds of it (.94 and .53).

    The code rounds the size of the coreset down, here it is rounded up: one more vector. It chooses from all patches at
    once; so does this method if they fit half of ``scoring.memory_mb``, and otherwise piece by piece (209 images of 28
    x 28 patches with 1024 channels take 680 MB, and so ``memory_mb: 1400``). Maps are smoothed (sigma 4 pixels) by the
    evaluation.
    """

    summary: ClassVar[str] = "A patch against a coreset of normal patches by Euclidean distance."
    reference: ClassVar[str] = "PatchCore: Roth et al., CVPR 2022, sections 3.1 to 3.3."
    blind_to: ClassVar[str] = (
        "what is similar to the references: a component that is missing or in a wrong place, or a weakened texture"
    )

    shots: Shots = "all"
    coreset: float = Field(
        0.1, gt=0, le=1, description="Share of the patches of the references that is kept (paper: 0.25, 0.1 or 0.01)."
    )
    selection: Literal["greedy", "approximate"] = Field(
        "greedy",
        description="How the coreset is chosen: greedy, exactly, or approximate, by a random projection to 128 "
        "channels as in the authors' code.",
    )
    selection_seed: int = Field(0, ge=0, description="Random seed of the approximate selection.")
    distance: Literal["euclidean", "squared"] = Field(
        "euclidean", description="Distance of two patches: euclidean (paper) or its square (authors' code)."
    )
    image_score: Literal["reweighted", "max"] = Field(
        "reweighted", description="Image score: reweighted (paper, equation 7) or max of the map (authors' code)."
    )
    neighbours: int = Field(
        9,
        ge=1,
        description="Number of coreset vectors, nearest to the nearest one of a patch, that re-weight its score.",
    )
    layers: Layers = Field(
        None, description="Layers of the backbone to set side by side; null for all that were extracted."
    )

    @property
    def own_image_scores(self) -> bool:
        """True: it computes image scores itself, whatever ``image_score`` of the configuration."""
        return True

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for all pairs of the coreset with reference patches, to choose it, and with test patches.

        One patch of each test image is compared with the coreset once more.
        """
        test, references = tokens["test"], tokens["references"]
        width = test.layers * test.channels
        patches = float(references.images) * references.patches
        kept = patches * self.coreset
        compared = PROJECTED if self.selection == "approximate" else width
        choice = pair_operations(kept * patches, compared) if self.coreset < 1 else 0
        queries = test.images * (test.patches + (self.image_score == "reweighted"))
        return super().operations(tokens) + choice + pair_operations(queries * kept, width)

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of all patches of the references, or of those from which a coreset is chosen at a time."""
        return 4.0 * tokens["references"].values

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Chosen:
        """The coreset."""
        bank = JoinedBank(references, indices, layer_indices(references, self.layers), compute)
        return Chosen(Coreset.of(bank, self.coreset, self._choose), bank.unit)

    def _choose(self, points: torch.Tensor, count: int, metric: Metric) -> torch.Tensor:
        """Positions of the vectors in the coreset."""
        if count == len(points):
            return torch.arange(count, device=points.device)
        select: Selection = greedy_coreset
        if self.selection == "approximate":
            select = partial(approximate_coreset, seed=self.selection_seed)
        chosen: torch.Tensor = select(points, count, metric)
        return chosen

    def store(self, model: Chosen, writer: FittedWriter) -> None:
        """Store the coreset and its unit."""
        writer.write("unit", np.array([model.unit]))
        model.coreset.store(writer)

    def restore(self, reader: FittedReader, compute: Compute) -> Chosen:
        """The coreset."""
        (unit,) = reader.array("unit", np.float64, (1,)).tolist()
        if not unit > 0:
            raise reader.foreign(f"the unit of its vectors is {unit}")
        width = kept_layers(reader, self.layers) * reader.channels
        return Chosen(Coreset.restored(reader, 1, compute, width), unit)

    def score_by(
        self, model: Chosen, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` and ``s`` of each image, in order."""
        layers = layer_indices(features, self.layers)
        kept = model.coreset.only
        (metric,), (points,) = kept.metrics, kept.points
        for index in indices:
            tokens = side_by_side(image_tokens(features, index, layers, compute.device)) / model.unit
            patches = metric.points(tokens)
            _, places = metric.nearest_place(metric.queries(patches), points)
            some = compute.count(3 * 8 * metric.channels)
            pairs = zip(patches.split(some), places.split(some), strict=True)
            distances = torch.cat([_distances(those, points[there], metric) for those, there in pairs])
            highest = int(distances.argmax())
            weight = 1.0
            if self.image_score == "reweighted":
                weight = _weight(
                    patches[highest : highest + 1], points, int(places[highest]), self.neighbours, metric, model.unit
                )
            power = 2 if self.distance == "squared" else 1
            scores = (distances * model.unit) ** power
            anomaly_map = scores.reshape(tokens.shape[:2]).float().cpu().numpy()
            yield ImageScore(index, anomaly_map, image_score=weight * float(scores[highest]))


def _distances(points: torch.Tensor, others: torch.Tensor, metric: Metric) -> torch.Tensor:
    """Euclidean distances of right operands, pair by pair or of one to all, from differences, which keep all digits.

    Returns:
        float64 ``[pair]``.
    """
    vectors, other = points[:, : metric.channels].double(), others[:, : metric.channels].double()
    apart: torch.Tensor = torch.linalg.vector_norm(vectors - other, dim=1)
    return apart


def _weight(
    patch: torch.Tensor, points: torch.Tensor, nearest: int, neighbours: int, metric: Metric, unit: float
) -> float:
    """The weight of the score of a patch.

    Args:
        patch: right operand of the patch, ``[1, width]``.
        points: right operands of the coreset.
        nearest: position of the one nearest to the patch.
        neighbours: number of vectors nearest to that one.
        unit: of lengths.
    """
    if min(neighbours, len(points)) == 1:
        return 1.0
    apart = metric.product(metric.queries(points[nearest : nearest + 1]), points)[0].float()
    apart[nearest] = -torch.inf  # before equal vectors
    near = apart.topk(min(neighbours, len(points)), largest=False).indices
    exponents = _distances(patch, points[near], metric) * unit
    shares = torch.softmax(exponents, dim=0)
    return 1 - float(shares[near == nearest])
