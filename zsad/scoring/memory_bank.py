"""Memory bank: a patch is odd if no patch of a few reference images looks like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from zsad.data.subsets import FeatureSet, references
from zsad.errors import DataError
from zsad.lazy import torch
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.similarity import cosine_distance, nearest_cosines
from zsad.scoring.tokens import Layers, layer_indices, unit_tokens
from zsad.store import FeatureReader


class MemoryBank(Scorer):
    """Score each patch by its distance to the nearest patches of ``shots`` good images.

    With unit patch features ``f_p`` of the test image and the bank ``B`` of all patch features of the references,

        ``S(p) = mean over the k nearest b in B of (1 - <f_p, b>)``,

    averaged over the layers. With ``rotations``, the bank holds each reference at eight angles, so that a part may lie
    at any angle. The bank is the one thing held in memory, at 4 bytes a value.
    """

    summary: ClassVar[str] = "A patch against all patches of a few good reference images."
    reference: ClassVar[str] = "AnomalyDINO: Damm et al., WACV 2025, section 3 (without its foreground mask)."

    shots: int = Field(1, ge=1, description="Number of reference images, drawn from the training images.")
    seed: int = Field(0, ge=0, description="Seed of the draw; draws of one seed are nested.")
    k: int = Field(1, ge=1, description="Number of nearest reference patches whose distances are averaged.")
    rotations: bool = Field(True, description="Turn each reference by 0, 45, ... 315 degrees as well.")
    layers: Layers = None

    @property
    def setting(self) -> str:
        """``few-shot-K`` with ``K = shots``."""
        return f"few-shot-{self.shots}"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images and the drawn references."""
        view = "rotations" if self.rotations else "original"
        return {"test": FeatureSet("test"), "references": FeatureSet(references(self.shots, self.seed), view)}

    def score(self, features: Mapping[str, FeatureReader], device: str) -> Iterator[ImageScore]:
        """Yield ``S`` of each image, in order.

        Raises:
            DataError: the references have fewer than ``k`` patches.
        """
        test = features["test"]
        layers = layer_indices(test, self.layers)
        bank = _bank(features["references"], layers, device)  # [layer, entry, channel]
        if bank.shape[1] < self.k:
            raise DataError(f"the references have {bank.shape[1]} patches, fewer than k = {self.k}; lower 'k'")
        for index in range(len(test)):
            tokens = unit_tokens(test, index, layers, device)  # [layer, row, column, channel]
            maps = [self._distances(layer, entries) for layer, entries in zip(tokens, bank, strict=True)]
            yield ImageScore(index, torch.stack(maps).mean(dim=0).cpu().numpy())

    def _distances(self, tokens: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
        """``S`` of one layer, ``[row, column]``."""
        nearest = nearest_cosines(tokens.flatten(0, 1), entries, self.k)
        return cosine_distance(nearest).mean(dim=1).reshape(tokens.shape[:2])


def _bank(reader: FeatureReader, layers: Sequence[int], device: str) -> torch.Tensor:
    """The patches of all images side by side, ``[layer, entry, channel]``."""
    images = [unit_tokens(reader, index, layers, device).flatten(1, 2) for index in range(len(reader))]
    return torch.cat(images, dim=1)
