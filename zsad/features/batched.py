"""Compute tokens of batches of prepared images on a device, in halves if its memory is too small."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch

from zsad.errors import ConfigError, ModelError, first_line
from zsad.features.base import Extractor, Tokens
from zsad.features.transfer import Transfer
from zsad.models.config_sense import COMPILERS
from zsad.models.memory import is_out_of_memory, release

logger = logging.getLogger(__name__)

# Default number of patches computed at a time. On a CPU larger batches gain nothing once a matrix product is large
# enough for all cores; a GPU needs far more to be busy.
PATCHES_AT_A_TIME = {"cpu": 1024, "mps": 8192, "cuda": 32768}


class BatchedExtractor(Extractor):
    """A network on a device.

    Args:
        name: of the model, for messages.
        remedy: the fix if the memory is too small for one image, as the end of a sentence.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        batch: images at a time; None for a number that suits the device.
    """

    def __init__(self, *, name: str, remedy: str, device: str, batch: int | None) -> None:
        self.device = device
        self._name, self._remedy = name, remedy
        self._limit = batch
        self._transfer = Transfer(device)

    @abstractmethod
    def tokens_of_images(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens of images on the device.

        Args:
            images: uint8 ``[image, 3, height, width]``, prepared.

        Returns:
            Patch tokens ``[image, layer, row, column, channel]`` and class tokens ``[image, layer, channel]``, float32.
        """

    def computed_at_once(self, height: int, width: int) -> int:
        """Patches that the network computes at a time for a prepared image of ``height x width`` pixels."""
        return self.computed_patches(height, width)

    def capacity(self, height: int, width: int) -> int:
        """How many prepared images to compute at a time; fewer after the device ran out of memory."""
        if self._limit is not None:
            return self._limit
        return max(PATCHES_AT_A_TIME[self.device] // self.computed_at_once(height, width), 1)

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        """Start on prepared images of one size; in halves if the device has too little memory for all at once.

        Raises:
            ModelError: the device has too little memory for one of them.
        """
        started: list[Callable[[], Tokens]] = []
        waiting = list(prepared)
        size = len(waiting)
        while waiting:
            part = self._started_if_it_fits(waiting[:size])
            if part is not None:
                started.append(part)
                del waiting[:size]
                continue
            release(self.device)
            if size == 1:
                raise ModelError(self._too_little_memory(*waiting[0].shape[:2]))
            size = self._limit = (min(size, len(waiting)) + 1) // 2
            logger.info("%s is out of memory: from now on at most %d images at a time", self.device, size)
        return started[0] if len(started) == 1 else lambda: _joined([part() for part in started])

    def _started_if_it_fits(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens] | None:
        """Start on images; None if the device is out of memory, with all memory of the attempt released."""
        try:
            with torch.inference_mode():
                return self._transfer.download(*self.tokens_of_images(self._transfer.upload(prepared)))
        except (RuntimeError, MemoryError) as error:
            if _is_of_compiler(error):
                raise ConfigError(
                    f"model '{self._name}' cannot be compiled here ({first_line(error)}); set extraction.compile to "
                    "false, or install a C++ compiler"
                ) from None
            if not is_out_of_memory(error):
                raise
        return None

    def _too_little_memory(self, height: int, width: int) -> str:
        return (
            f"model '{self._name}' runs out of memory on {self.device} with a single image of {width} x {height} "
            f"pixels; {self._remedy}"
        )


def _joined(parts: Sequence[Tokens]) -> Tokens:
    return Tokens(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _is_of_compiler(error: Exception) -> bool:
    # Importing its error classes takes a second, and few runs compile.
    return type(error).__module__.startswith(COMPILERS)
