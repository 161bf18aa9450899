"""Mirror symmetry: a patch of a symmetric object is anomalous if its mirrored or rotated counterpart differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from zsad.data.subsets import FeatureSet
from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.cost import SHIFTED, TokenCount, pair_operations
from zsad.scoring.similarity import fewest_candidates, self_dissimilarity
from zsad.scoring.symmetry import Alignment, Image, aligned, at_partner, residuals, tilts
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, layer_indices, unit_tokens

NOT_SYMMETRIC = "not symmetric"
RARITY_EXCLUSION_RADIUS = 2
NOTED_TILT = 5  # degrees; notes, which are counted by their text, round tilts up to a multiple of it

Symmetry = Literal["horizontal", "vertical", "half_turn", "3_fold", "4_fold", "5_fold", "6_fold"]

VIEWS_OF: dict[Symmetry, tuple[str, ...]] = {
    "horizontal": ("hflip",),
    "vertical": ("vflip",),
    "half_turn": ("rot180",),
    "3_fold": ("rot120", "rot240"),
    "4_fold": ("rot090", "rot270"),
    "5_fold": ("rot072", "rot288"),
    "6_fold": ("rot060", "rot300"),
}


class MirrorSymmetry(Scorer):
    """Score each patch against the positions that the symmetries of the object map it to, in transformed images.

    With ``F(x)[p]`` the unit features of the image, ``g`` a reflection or a rotation about the middle of the frame, and
    ``s`` the shift (rows and columns) that results from another axis or centre of the object,

        ``S_g(p) = 1 - max over |d| <= window of <F(x)[p], F(gx)[p + s + d]>``.

    ``F(gx)`` is not transformed back by ``g``: at ``p`` it shows the position that ``g`` maps to ``p``. Each ``gx`` has
    its own pass through the backbone, because a flipped grid would require an equivariant backbone: for a symmetric
    image ``gx = x``, and ``S_g`` is zero for any backbone. Several layers are joined as one vector.

    Transforms: ``hflip``, ``vflip`` and the rotation by 180 degrees; a k-fold rotation has two, by ``360 / k`` degrees
    in both directions. Patches whose partner lies outside the image do not count: beyond a shift, or in the corners of
    a rotated image. With two transforms, the partners of both must lie inside.

    Shift: the one of least asymmetry ``A_g``, the mean of ``1 - <F(x)[p], F(gx)[p + s]>`` over the patches that count,
    divided by the mean over all pairs of them, matched or not. It is a mean, not a median, because a plain background
    can fill more than half of an image, and fits any axis. ``A_g`` is 0 for a symmetric image and about 1 for unrelated
    sides. All shifts along both axes are tried; a reflection with a shift along its axis is a glide reflection, e.g. of
    the teeth of a zip.

    Tilt: a reflection about an axis tilted by ``t`` is the upright reflection followed by a rotation by ``2 t``, so
    that ``F(gx)`` is resampled, bilinearly, on a grid that is rotated by ``2 t`` about the middle. The axis is tested
    every 2.5 degrees up to ``max_tilt``; the shift along it then is at most as long as the tilt causes, which excludes
    glide reflections. Resampled features are smoother and so nearer to all others. A tilt is therefore used only if its
    asymmetry is clearly below that of the upright axis, both without and with the same smoothing: sampled as far
    between patches as with the tilt, but at most half a patch from the position itself. Rotations have no axis and no
    tilt.

    Gate: a transform with ``A_g > gate`` is not used, nor is a k-fold rotation without both of its transforms. If none
    is left, the map is zero with a note: the method abstains. Otherwise the note names the symmetries.

    Tie-break: a defect and its healthy partner ``q`` differ from each other equally. ``S_g(p)`` is therefore multiplied
    by ``R(p) / (R(p) + R(q))``, with ``R`` the cosine distance of a patch to its nearest neighbour elsewhere in the
    image: the one that is unusual within the image gets more of the score.

    ``S(p)`` is the least ``S_g(p)`` over all transforms used. With two or more transforms this resolves ties by itself:
    only the defect differs from all of its partners. Patches without a partner get the median of the others.

    With ``P`` patches of ``D`` channels and the default ``max_shift``, a transform costs ``P^2 D`` operations for the
    shifts and half as many for the chance level, a tilt a tenth to a third of both, the tie-break ``2 P^2 D``. The
    tokens of the image and of all transforms used are in memory.
    """

    summary: ClassVar[str] = (
        "A patch against its counterparts under the reflections and rotations of a symmetric object."
    )
    reference: ClassVar[str] = (
        "This project's own: bilateral symmetry with foundation-model features; related to left-right comparison in "
        "medical imaging."
    )
    blind_to: ClassVar[str] = (
        "a defect that is as symmetric as the object or changes the whole image equally; and any defect if the object "
        "is not symmetric, where it abstains"
    )

    symmetries: tuple[Symmetry, ...] = Field(
        ("horizontal", "vertical", "half_turn"),
        min_length=1,
        description="Symmetries to test: horizontal (left to right), vertical (top to bottom), half_turn, and the "
        "rotations 3_fold to 6_fold.",
    )
    window: int = Field(1, ge=0, description="Partners up to this many patches off are searched (Chebyshev).")
    max_shift: float = Field(
        0.25,
        ge=0,
        le=0.5,
        description="Greatest shift along either axis, as a share of the side; a mirror axis or the centre of a half "
        "turn may lie half as far from the middle.",
    )
    max_tilt: float = Field(
        10.0,
        ge=0,
        le=45,
        description="Greatest angle of a mirror axis from the vertical or horizontal, degrees; 0 for none.",
    )
    gate: float = Field(
        0.2, gt=0, le=1, description="Asymmetry above which a symmetry is not used; 0 is perfect, 1 is chance."
    )
    tie_break: bool = Field(True, description="Give more of the score to the more unusual side of an asymmetric pair.")
    layers: Layers = None

    @field_validator("symmetries")
    @classmethod
    def _once(cls, symmetries: tuple[Symmetry, ...]) -> tuple[Symmetry, ...]:
        if len(set(symmetries)) < len(symmetries):
            raise ValueError("name each symmetry only once")
        return symmetries

    @property
    def setting(self) -> str:
        """One image at a time."""
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images, and their transformed views for the symmetries by the name of the view."""
        views = [view for symmetry in self.symmetries for view in VIEWS_OF[symmetry]]
        return {"test": FeatureSet("test"), **{view: FeatureSet("test", view) for view in views}}

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for all pairs of patches of an image and its transformed images, at each tilt, and for ties."""
        test = tokens["test"]
        aligned = (len(tokens) - 1) * (1 + len(tilts(self.max_tilt))) + self.tie_break
        pairs = float(test.images) * test.patches**2 * aligned
        return super().operations(tokens) + pair_operations(pairs, test.layers * test.channels, SHIFTED)

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order; zero, with a note, where no symmetry is found."""
        test = features["test"]
        layers = layer_indices(test, self.layers)
        for index in range(len(test)):
            tokens = _joint(test, index, layers, compute)
            image = Image.of(tokens, compute)
            found = {}
            for symmetry in self.symmetries:
                views = ((view, _joint(features[view], index, layers, compute)) for view in VIEWS_OF[symmetry])
                found[symmetry] = self._alignments(image, views)
            rarity = _rarity(tokens, compute) if self.tie_break and any(found.values()) else None
            scores = {_noted(name, views): self._scores(image, rarity, views) for name, views in found.items() if views}
            scores = {name: values for name, values in scores.items() if values.isfinite().any()}
            note = f"symmetric: {', '.join(scores)}" if scores else NOT_SYMMETRIC
            anomaly_map = _least(list(scores.values())) if scores else tokens.new_zeros(tokens.shape[:2])
            yield ImageScore(index, anomaly_map.cpu().numpy(), note)

    def _alignments(self, image: Image, views: Iterable[tuple[str, torch.Tensor]]) -> list[Alignment]:
        """The aligned transformed images of a symmetry; none if one of them does not pass the gate."""
        alignments = []
        for view, tokens in views:
            alignment = aligned(image, view, tokens, self.max_shift, self.max_tilt)
            if alignment.shift.asymmetry > self.gate:
                return []
            alignments.append(alignment)
        return alignments

    def _scores(self, image: Image, rarity: torch.Tensor | None, alignments: Sequence[Alignment]) -> torch.Tensor:
        """The least ``S_g`` with the tie-break, ``[row, column]``; infinite if a partner is missing."""
        scores, missing = [], torch.zeros_like(alignments[0].valid)
        for alignment in alignments:
            residual = residuals(image, alignment, self.window)
            missing |= residual.isinf()
            scores.append(residual if rarity is None else residual * _unusual_side(rarity, alignment))
        return torch.stack(scores).amin(dim=0).masked_fill(missing, torch.inf)


def _joint(reader: TokenSource, index: int, layers: Sequence[int], compute: Compute) -> torch.Tensor:
    """The layers side by side as one unit vector, ``[row, column, channel]``: its cosines are means over the layers."""
    tokens = unit_tokens(reader, index, layers, compute.device)
    return tokens.permute(1, 2, 0, 3).flatten(2) / math.sqrt(len(tokens))


def _rarity(tokens: torch.Tensor, compute: Compute) -> torch.Tensor:
    """``R``, float32 ``[row, column]``; equal for all patches of a grid too small for a neighbour elsewhere."""
    everywhere = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if fewest_candidates(everywhere, RARITY_EXCLUSION_RADIUS) < 1:
        return torch.ones_like(tokens[..., 0])
    return self_dissimilarity(tokens, 1, RARITY_EXCLUSION_RADIUS, compute)


def _unusual_side(rarity: torch.Tensor, alignment: Alignment) -> torch.Tensor:
    """Share of its pair's difference that each patch gets, ``[row, column]`` in [0, 1]."""
    rows, columns = rarity.shape
    partner = at_partner(alignment.shown.round().long(), alignment.shift, 0)
    other = rarity[partner[..., 0].clamp(0, rows - 1), partner[..., 1].clamp(0, columns - 1)]
    return torch.where(rarity + other > 0, rarity / (rarity + other), 0.5)


def _noted(symmetry: Symmetry, alignments: Sequence[Alignment]) -> str:
    """The symmetry and its coarse tilt, for the note."""
    tilt = max(abs(alignment.tilt) for alignment in alignments)
    most = NOTED_TILT * math.ceil(tilt / NOTED_TILT)
    return f"{symmetry} (tilted by up to {most} degrees)" if tilt else symmetry


def _least(scores: list[torch.Tensor]) -> torch.Tensor:
    """``S``, ``[row, column]``: the least of all symmetries; the median of the others where it is infinite for all.

    Args:
        scores: ``[row, column]`` for each symmetry, infinite where undefined.
    """
    least = torch.stack(scores).amin(dim=0)
    return torch.where(least.isinf(), least[least.isfinite()].median(), least)
