"""Memory bank: a patch is anomalous if no patch of a few reference images is similar to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from zsad.errors import DataError
from zsad.lazy import torch
from zsad.scoring.bank import AlignedBank, Bank, Coreset, FreeBank, ImageBank, window_candidates
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import LEAST, SELECTED, VALUE, TokenCount, pair_operations
from zsad.scoring.foreground import Foreground, find_foreground
from zsad.scoring.references import ReferenceScorer, Rotations
from zsad.scoring.similarity import smallest
from zsad.scoring.stored import StoredTokens
from zsad.scoring.token_source import PatchSource, TokenSource
from zsad.scoring.tokens import Layers, image_tokens, kept_layers, layer_indices, normalise

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

NEAREST_SHARE = 0.25  # of the memory, for the nearest so far


class MemoryBank(ReferenceScorer):
    """Score each patch by its distance to the nearest patches of normal images.

    With unit patch features ``f_p`` of the test image and the bank ``B`` of all patch features of the references,

        ``S(p) = mean over the k nearest b in B of (1 - <f_p, b>)``,

    averaged over the layers. With ``rotations``, the bank holds each reference at eight angles, so that objects may
    have any orientation. ``coreset`` keeps a share of the bank that covers it, chosen by PatchCore's greedy selection.
    With ``window``, the bank of a patch has only reference patches at most so many patches from its position, for
    aligned objects. With ``foreground``, patches of the background score 0; the references are not masked, as
    published.

    AnomalyDINO as in its authors' code is ``rotations: anomalydino`` (half a pixel off the middle) and ``draw:
    consecutive`` (of seed ``s`` the files from ``s * shots`` on) with ``image_score: {rounding: down}``, and for its
    masked categories ``foreground: 10``. The effects of these are described in `zsad.features.views`,
    `zsad.scoring.image_level` and `zsad.scoring.foreground.foreground_mask`; randomly sampled references are other
    images. PatchCore as published, with Euclidean distances of raw tokens, is `patchcore`.

    A bank that does not fit the memory is read in pieces, each compared with all images; a coreset is then chosen from
    each piece.
    """

    summary: ClassVar[str] = "A patch against all patches of a few normal reference images."
    reference: ClassVar[str] = (
        "AnomalyDINO: Damm et al., WACV 2025, section 3; coreset of PatchCore: Roth et al., CVPR 2022, section 3.2; "
        "window of RAD: arXiv 2601.22763."
    )
    blind_to: ClassVar[str] = (
        "what is similar to the references: a component that is missing or in a wrong place, unless 'window' compares "
        "positions, or a weakened texture"
    )

    k: int = Field(1, ge=1, description="Number of nearest reference patches whose distances are averaged.")
    rotations: Rotations = True
    coreset: float | None = Field(
        None, gt=0, le=1, description="Share of the bank that is kept; PatchCore keeps 0.01 to 0.25; null for all."
    )
    window: int | None = Field(
        None, ge=0, description="Greatest distance of a reference patch from the position of the patch; null for any."
    )
    foreground: Foreground = None
    layers: Layers = None

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        if self.window is not None and self.rotations:
            raise ValueError("a window needs aligned objects; set 'rotations: false' with it")
        if self.window is not None and self.coreset is not None:
            raise ValueError("a coreset does not keep the positions that a window needs; leave one of them out")
        return self

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for all pairs of test patches and the bank at each layer, and for choosing a coreset.

        In a window, each pair is a difference of two vectors, not a product.
        """
        test, references = tokens["test"], tokens["references"]
        patches = float(references.images) * references.patches
        kept = patches * (self.coreset or 1)
        choice = pair_operations(kept * patches * test.layers, test.channels) if self.coreset else 0
        queries = float(test.images) * test.patches * test.layers
        if self.window is None:
            comparison = pair_operations(queries * kept, test.channels, LEAST if self.k == 1 else SELECTED)
        else:
            side = 2 * self.window + 1
            comparison = queries * references.images * side**2 * (VALUE * test.channels + SELECTED)
        return super().operations(tokens) + choice + comparison

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the bank, or of the piece from which a coreset is chosen at a time."""
        return 4.0 * tokens["references"].values

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if the references have fewer than ``k`` patches; only `fit` finds too small a coreset."""
        if self.window is not None:
            candidates = sum(window_candidates(*grid, self.window) for grid in references.grids)
        else:
            # The coreset of each piece is rounded up, and a piece has at least one image.
            share, pieces = (1, 0) if self.coreset is None else (self.coreset, len(references.grids))
            candidates = math.floor(share * references.patches) + pieces
        return _too_few_patches(candidates, self.k)

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Bank:
        """The bank.

        Raises:
            DataError: the references have fewer than ``k`` patches.
        """
        layers = layer_indices(references, self.layers)
        if self.coreset is not None:
            bank: Bank = Coreset.of(FreeBank(references, indices, layers, compute), self.coreset)
        else:
            bank = self._bank(references, indices, layers, compute)
        if reason := _too_few_patches(bank.least_candidates(), self.k):
            raise DataError(reason)
        return bank

    def _bank(self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute) -> ImageBank:
        """All patches of some of the references."""
        if self.window is None:
            return FreeBank(source, indices, layers, compute)
        return AlignedBank(source, indices, layers, compute, self.window)

    def store(self, model: Bank, writer: FittedWriter) -> None:
        """Store the tokens of the references, or the coreset."""
        model.store(writer)

    def restore(self, reader: FittedReader, compute: Compute) -> Bank:
        """The bank, read in pieces if it does not fit the memory."""
        if self.coreset is not None:
            return Coreset.restored(reader, kept_layers(reader, self.layers), compute)
        tokens = StoredTokens(reader, kept_layers(reader, self.layers))
        return self._bank(tokens, range(len(tokens)), range(tokens.layer_count), compute)

    def score_by(
        self, model: Bank, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order, by groups of images if the bank is in pieces."""
        for some in self._groups(model, features, indices, compute):
            yield from self._scored(model, features, some, compute)

    def _groups(
        self, model: Bank, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[list[int]]:
        """Groups of images whose nearest distances fit the memory; all images if the bank is one piece."""
        layers = len(layer_indices(features, self.layers))
        patches = features.grid_sizes.prod(axis=1).tolist()
        most = compute.count(4 * layers * self.k, NEAREST_SHARE) if model.piece_count > 1 else math.inf
        group: list[int] = []
        held = 0
        for index in indices:
            if group and held + patches[index] > most:
                yield group
                group, held = [], 0
            group.append(index)
            held += patches[index]
        yield group

    def _scored(
        self, model: Bank, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        layers = layer_indices(features, self.layers)
        nearest: dict[int, torch.Tensor] = {}  # [layer, row, column, k]
        for number, piece in enumerate(model.pieces(), start=1):
            for index in indices:
                tokens = image_tokens(features, index, layers, compute.device)
                found = torch.stack(
                    [piece.nearest(unit, layer, self.k) for layer, unit in enumerate(normalise(tokens))]
                )
                if index in nearest:
                    found = torch.cat([nearest[index], found], dim=3)
                nearest[index] = smallest(found, self.k)
                if number == model.piece_count:
                    scores = nearest.pop(index).mean(dim=(0, 3))
                    part, note = find_foreground(features, index, tokens[-1], self.foreground)
                    yield ImageScore(index, torch.where(part, scores, 0).cpu().numpy(), note)


def _too_few_patches(candidates: int, k: int) -> str:
    if candidates >= k:
        return ""
    return f"the references have {candidates} patches to compare with, fewer than k = {k}; lower 'k'"
