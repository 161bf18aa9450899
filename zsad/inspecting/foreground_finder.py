"""Find the object in photographs, in memory, in the same way as the rules `embed_images` and `segment_foreground`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.segmentation.foreground import ForegroundOptions, ObjectMask, object_mask
from zsad.segmentation.registry import SEGMENTERS


class ForegroundFinder:
    """A loaded promptable segmentation model that finds the object.

    Args:
        segmenter: ``family`` and ``params``.
        options: see `ForegroundOptions`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        ConfigError, ModelError: see `SegmenterConfig.load`.
    """

    def __init__(self, segmenter: Mapping[str, Any], options: Mapping[str, Any], device: str) -> None:
        chosen = SEGMENTERS.build(segmenter["family"], segmenter["params"])
        self._options = ForegroundOptions.build(options, where="foreground")
        self._model = chosen.load(device)
        self.model = self._model.model
        self.prepare = self._model.prepare

    def find(self, prepared: np.ndarray, height: int, width: int) -> ObjectMask:
        """The object in a photograph of ``height x width`` pixels, from the output of `prepare`.

        Raises:
            DataError: its embedding is not finite.
            ModelError: the device has too little memory for it.
        """
        (embedding,) = self._model.embed([prepared])
        return object_mask(self._model, embedding, height, width, self._options)


class MemoryMasks:
    """Masks of the object in memory; see `zsad.scoring.token_source.ForegroundMasks`.

    Args:
        masks: one for each photograph.
        names: the identifiers of the photographs.
    """

    def __init__(self, masks: Sequence[ObjectMask], names: Sequence[str]) -> None:
        self.path = Path("masks in memory")
        self.image_ids = list(names)
        self.provenance: dict[str, Any] = {}
        self._masks = masks

    def mask(self, index: int) -> np.ndarray:
        """The mask of one photograph, bool ``[height, width]``."""
        return self._masks[index].mask

    def regions(self, index: int) -> list[dict[str, Any]]:
        """Facts on the object: whether it was found, and if not, why."""
        mask = self._masks[index]
        return [{"accepted": mask.found, "reason": mask.note}]
