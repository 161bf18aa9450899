"""Mirror symmetry: a patch of a symmetric part is odd if its mirror position looks different."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

from pydantic import Field

from zsad.data.subsets import FeatureSet
from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.similarity import cosine_distance, fewest_candidates, self_dissimilarity
from zsad.scoring.tokens import Layers, layer_indices, unit_tokens
from zsad.store import FeatureReader

NOT_SYMMETRIC = "not symmetric"
RARITY_EXCLUSION_RADIUS = 2
SMALLEST_CHANCE = 1e-5  # below it all patches of an image are alike, and so are any two halves


class Axis(NamedTuple):
    """A vertical mirror axis.

    Attributes:
        shift: column ``c + shift`` of the mirrored image shows what lies opposite column ``c`` of the image; 0 puts
            the axis in the middle, and each column more moves it half a patch to the left.
        asymmetry: mean residual of the overlapping patches, as a share of what unrelated patches would give.
    """

    shift: int
    asymmetry: float


class MirrorSymmetry(Scorer):
    """Score each patch against its mirror position, in the features of the mirrored image.

    With ``F(x)[p]`` the unit features of the image, ``M`` the left-right mirror and ``s`` the shift of the axis,

        ``S(p) = 1 - max over |d| <= window of <F(x)[p], F(Mx)[p + s + d]>``.

    ``F(Mx)`` is not flipped back: at ``p`` it shows what lies at the mirror position of ``p``. Two passes and not one
    grid and its flip, because a backbone need not be equivariant to the mirror: for a symmetric image ``Mx = x``, and
    ``S`` is zero whatever the backbone.

    Axis: the shift of the smallest asymmetry ``A(s)``, the mean of ``1 - <F(x)[p], F(Mx)[p + s]>`` over the patches
    that overlap, divided by the mean over all pairs of them, matched or not. A mean and not a median, because a plain
    background can fill more than half of an image, and any axis suits it. ``A`` is 0 for a symmetric image and about 1
    where the sides have nothing to do with each other.

    Gate: where ``A > gate``, the image is not symmetric, and its map is zero with a note: the method abstains.

    Tie-break: a defect and its healthy mirror position differ from each other equally. ``S(p)`` is therefore multiplied
    by ``R(p) / (R(p) + R(q))``, with ``q`` the mirror position of ``p`` and ``R`` the cosine distance of a patch to its
    nearest neighbour elsewhere in the image: the one that is odd by itself gets more of the score.

    Patches whose mirror position lies outside the image get the median of the others.
    """

    summary: ClassVar[str] = "A patch against its mirror position, for parts that are mirror-symmetric left to right."
    reference: ClassVar[str] = (
        "This project's own: the bilateral-symmetry reading of mirroring with foundation-model features; kin of "
        "left-right comparison in medical imaging."
    )

    window: int = Field(1, ge=0, description="Mirror positions up to this many patches off are searched (Chebyshev).")
    max_shift: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="Greatest shift of the axis from the middle, times two, as a share of the width.",
    )
    gate: float = Field(
        0.2, gt=0, le=1, description="Asymmetry above which an image is not symmetric; 0 is perfect, 1 is chance."
    )
    tie_break: bool = Field(True, description="Give more of the score to the odd side of an asymmetric pair.")
    layers: Layers = None

    @property
    def setting(self) -> str:
        """One image at a time."""
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images, as they are and mirrored."""
        return {"test": FeatureSet("test", "original"), "mirrored": FeatureSet("test", "hflip")}

    def score(self, features: Mapping[str, FeatureReader], device: str) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order; zero, with a note, where it is not symmetric."""
        test, mirrored = features["test"], features["mirrored"]
        layers = layer_indices(test, self.layers)
        for index in range(len(test)):
            tokens = _joint(unit_tokens(test, index, layers, device))
            tokens_mirrored = _joint(unit_tokens(mirrored, index, layers, device))
            axis = self._axis(tokens, tokens_mirrored)
            if axis.asymmetry > self.gate:
                yield ImageScore(index, torch.zeros(tokens.shape[:2]).numpy(), NOT_SYMMETRIC)
            else:
                yield ImageScore(index, self._map(tokens, tokens_mirrored, axis.shift).cpu().numpy())

    def _axis(self, tokens: torch.Tensor, tokens_mirrored: torch.Tensor) -> Axis:
        """The axis of least asymmetry; of equals the one nearest to the middle."""
        reach = min(int(self.max_shift * tokens.shape[1]), tokens.shape[1] - 1)
        shifts = sorted(range(-reach, reach + 1), key=abs)
        return min(
            (Axis(shift, _asymmetry(tokens, tokens_mirrored, shift)) for shift in shifts), key=lambda a: a.asymmetry
        )

    def _map(self, tokens: torch.Tensor, tokens_mirrored: torch.Tensor, shift: int) -> torch.Tensor:
        """``S`` with the tie-break, ``[row, column]``."""
        paired = _overlap(tokens.shape[1], shift)
        residual = cosine_distance(_best_cosine(tokens, tokens_mirrored, shift, self.window))[:, paired]
        if self.tie_break:
            residual = residual * _odd_side(tokens, shift)[:, paired]
        scores = residual.median().expand(tokens.shape[:2]).clone()
        scores[:, paired] = residual
        return scores


def _joint(tokens: torch.Tensor) -> torch.Tensor:
    """The layers side by side as one unit vector, ``[row, column, channel]``: its cosines are means over the layers."""
    return tokens.permute(1, 2, 0, 3).flatten(2) / math.sqrt(len(tokens))


def _overlap(columns: int, shift: int) -> slice:
    """The columns ``c`` of a grid for which ``c + shift`` lies in it too."""
    return slice(max(0, -shift), min(columns, columns - shift))


def _asymmetry(tokens: torch.Tensor, tokens_mirrored: torch.Tensor, shift: int) -> float:
    """``A(shift)``: mean distance of mirror pairs, as a share of the mean distance of all pairs."""
    columns = tokens.shape[1]
    left, right = tokens[:, _overlap(columns, shift)], tokens_mirrored[:, _overlap(columns, -shift)]
    residual = cosine_distance((left * right).sum(dim=2)).mean()
    chance = cosine_distance(left.mean(dim=(0, 1)) @ right.mean(dim=(0, 1)))
    return float(residual / chance) if chance > SMALLEST_CHANCE else 0.0


def _best_cosine(tokens: torch.Tensor, tokens_mirrored: torch.Tensor, shift: int, window: int) -> torch.Tensor:
    """Greatest cosine of each patch over the window about its mirror position; -inf where all of it is outside."""
    rows, columns, _ = tokens.shape
    best = tokens.new_full((rows, columns), -torch.inf)
    for down in range(-window, window + 1):
        for along in range(shift - window, shift + window + 1):
            here = _overlap(rows, down), _overlap(columns, along)
            there = _overlap(rows, -down), _overlap(columns, -along)
            cosine = (tokens[here] * tokens_mirrored[there]).sum(dim=2)
            best[here] = torch.maximum(best[here], cosine)
    return best


def _odd_side(tokens: torch.Tensor, shift: int) -> torch.Tensor:
    """Share of a pair's asymmetry that each patch answers for, ``[row, column]`` in [0, 1]; 1/2 outside the overlap."""
    rows, columns, _ = tokens.shape
    share = tokens.new_full((rows, columns), 0.5)
    if fewest_candidates(rows, columns, RARITY_EXCLUSION_RADIUS) > 0:
        rarity = self_dissimilarity(tokens, 1, RARITY_EXCLUSION_RADIUS)
        here, there = _overlap(columns, shift), _overlap(columns, -shift)
        own, other = rarity[:, here], rarity.flip(1)[:, there]
        share[:, here] = torch.where(own + other > 0, own / (own + other), 0.5)
    return share
