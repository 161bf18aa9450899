"""Where the part is in photographs, found as the rules `embed_images` and `segment_foreground` find it, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.segmentation.foreground import ForegroundOptions, ObjectMask, object_mask
from zsad.segmentation.registry import SEGMENTERS


class PartFinder:
    """A promptable segmentation model that is loaded.

    Args:
        segmenter: ``family`` and ``params``.
        options: see `ForegroundOptions`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        ConfigError, ModelError: see `SegmenterConfig.load`.
    """

    def __init__(self, segmenter: Mapping[str, Any], options: Mapping[str, Any], device: str) -> None:
        part = SEGMENTERS.build(segmenter["family"], segmenter["params"])
        self._options = ForegroundOptions.build(options, where="foreground")
        self._model = part.load(device)
        self.model = self._model.model
        self.prepare = self._model.prepare

    def part(self, prepared: np.ndarray, height: int, width: int) -> ObjectMask:
        """The part in a photograph of ``height x width`` pixels, from what `prepare` made of it.

        Raises:
            DataError: its embedding is not finite.
            ModelError: the device has too little memory for it.
        """
        (embedding,) = self._model.embed([prepared])
        return object_mask(self._model, embedding, height, width, self._options)


class MemoryMasks:
    """Masks of the part in memory; see `zsad.scoring.token_source.ForegroundMasks`.

    Args:
        parts: one a photograph.
        names: the identifiers of the photographs.
    """

    def __init__(self, parts: Sequence[ObjectMask], names: Sequence[str]) -> None:
        self.path = Path("masks in memory")
        self.image_ids = list(names)
        self.provenance: dict[str, Any] = {}
        self._parts = parts

    def mask(self, index: int) -> np.ndarray:
        """bool ``[height, width]`` of one photograph."""
        return self._parts[index].mask

    def regions(self, index: int) -> list[dict[str, Any]]:
        """The part: whether it was found, and why not."""
        part = self._parts[index]
        return [{"accepted": part.found, "reason": part.note}]
