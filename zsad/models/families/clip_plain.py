"""CLIP's own patch tokens: the outputs of its blocks, raw or in the space of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zsad.models.families.clip_tower import ClipReader, ClipTower

if TYPE_CHECKING:
    from torch import Tensor


class PlainReader(ClipReader):
    """Reads the outputs of chosen blocks.

    APRIL-GAN (Chen et al., 2023) reads them neither normalised nor projected; projected ones pass the final LayerNorm
    and the projection, like only the last block's class token in training.

    Args:
        chosen: the blocks, counted from 0.
        normed: whether the final LayerNorm is applied to tokens that are not projected.
        projected: whether tokens are mapped into the space of texts.
    """

    def __init__(
        self, tower: ClipTower, chosen: Sequence[int], *, channels: int, normed: bool, projected: bool
    ) -> None:
        super().__init__(tower, [str(block) for block in chosen], channels)
        self._chosen, self._normed, self._projected = tuple(chosen), normed, projected

    def _layers_and_vectors(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        state = self._tower.embedded(pixels)
        kept = {}
        for place, block in enumerate(self._tower.blocks):
            state = block(state, None)
            if place in self._chosen:
                kept[place] = self._finished(state[:, 1:])
        return [kept[place] for place in self._chosen], self._tower.vectors(state[:, 0])

    def _finished(self, tokens: Tensor) -> Tensor:
        if self._projected:
            return self._tower.projected(tokens)
        return self._tower.normed(tokens) if self._normed else tokens
