"""Self-similarity: a patch is anomalous if few patches of its own image are similar to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from zsad.data.subsets import FeatureSet
from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Scorer, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import SELECTED, TokenCount, pair_operations
from zsad.scoring.foreground import Foreground, find_foreground
from zsad.scoring.similarity import fewest_candidates, self_dissimilarity
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, image_tokens, layer_indices, normalise

OBJECT_TOO_SMALL = "the object is too small to compare its patches, so that the whole image counts as the object"


class SelfSimilarity(Scorer):
    """Score each patch against the other patches of the same image.

    With unit patch features ``f_p`` and ``N(p)`` the most similar patches ``q`` of the image with
    ``max(|row_p - row_q|, |column_p - column_q|) > exclusion_radius``,

        ``S(p) = 1 - mean over q in N(p) of <f_p, f_q>``,

    averaged over the layers. It needs a repetitive surface; everything that occurs once looks anomalous, a defect as
    well as the only screw of an object. ``N(p)`` is a share of the image, not one patch, so that a defect that occurs a
    few times, or spreads over several patches, does not make itself look normal. With ``foreground``, only patches of
    the object are scored and compared; the background is 0. If the object is so small that some patch has too few
    others, the whole image counts as the object, with a note.
    """

    summary: ClassVar[str] = "A patch against the most similar other patches of the same image."
    reference: ClassVar[str] = (
        "Mean distance to the K nearest features of the image: Aota, Tong and Okatani, WACV 2023; "
        "here with an exclusion radius and cosine distance."
    )
    blind_to: ClassVar[str] = (
        "a defect that changes the whole image equally, or repeats in it, so that its patches are similar to each "
        "other; and whatever occurs once, a busbar or a screw, looks anomalous to it"
    )

    k: int | None = Field(
        None, ge=1, description="Number of the most similar patches to average over; null for a share of them all."
    )
    fraction: float = Field(
        0.02,
        gt=0,
        le=1,
        description="Share of the other patches to average over if k is null; more than a defect covers.",
    )
    exclusion_radius: int = Field(
        2, ge=0, description="Patches up to this far away (Chebyshev, in patches) do not count: they overlap the patch."
    )
    foreground: Foreground = None
    layers: Layers = None

    @property
    def setting(self) -> str:
        """One image at a time."""
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for all pairs of patches of an image at each layer, and for the smallest distances."""
        test = tokens["test"]
        pairs = float(test.images) * test.patches**2 * test.layers
        return super().operations(tokens) + pair_operations(pairs, test.channels, SELECTED)

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """A sentence if an image has too few patches for the exclusion radius, or for ``k``."""
        test = images["test"]
        reasons = (self._too_small(image_id, *grid) for image_id, grid in zip(test.image_ids, test.grids, strict=True))
        return super().refusal(images) or next(filter(None, reasons), "")

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order.

        Raises:
            DataError: an image has too few patches for the exclusion radius.
        """
        test = features["test"]
        layers = layer_indices(test, self.layers)
        self.check(features)
        for index in range(len(test)):
            tokens = image_tokens(test, index, layers, compute.device)  # [layer, row, column, channel]
            part, note = find_foreground(test, index, tokens[-1], self.foreground)
            candidates = fewest_candidates(part, self.exclusion_radius)
            if candidates < self._least:
                part, note = torch.ones_like(part), OBJECT_TOO_SMALL
                candidates = fewest_candidates(part, self.exclusion_radius)
            k = self.k or math.ceil(self.fraction * candidates)
            maps = [self_dissimilarity(unit, k, self.exclusion_radius, compute, part) for unit in normalise(tokens)]
            yield ImageScore(index, torch.where(part, torch.stack(maps).mean(dim=0), 0).cpu().numpy(), note)

    @property
    def _least(self) -> int:
        """The fewest others that a patch must have."""
        return self.k or 1

    def _too_small(self, image_id: str, rows: int, columns: int) -> str:
        """A sentence on why an image has too few patches; empty if it has enough."""
        side = 2 * self.exclusion_radius + 1
        candidates = rows * columns - min(rows, side) * min(columns, side)
        if candidates < 1:
            return (
                f"{image_id} has only {rows} x {columns} patches, so that some patch has no other beyond the exclusion "
                f"radius of {self.exclusion_radius}; lower 'exclusion_radius' or raise the backbone's resolution"
            )
        if candidates < self._least:
            return (
                f"{image_id} has {candidates} patches beyond the exclusion radius of a patch, fewer than k = {self.k}; "
                "lower 'k' or 'exclusion_radius', or raise the backbone's resolution"
            )
        return ""
