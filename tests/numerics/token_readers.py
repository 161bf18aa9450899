"""Readers of tokens of small checkpoints, and what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from zsad.models.checkpoint import find_checkpoint
from zsad.models.families import TokenReader


def reader_of(folder: Path, layers: Sequence[int], *, normed: bool = True, projected: bool = False) -> TokenReader:
    """The reader of a checkpoint."""
    found = find_checkpoint(str(folder), None)
    network = found.load("sdpa", projected=projected)
    return found.family.reader(
        network, found.config, layers=tuple(layers), normed=normed, projected=projected, name="tiny"
    )


def read(reader: TokenReader, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch and class tokens."""
    with torch.inference_mode():
        return reader(pixels)


def random_pixels(height: int, width: int, images: int = 2) -> torch.Tensor:
    """Some images ``[image, colour, row, column]``."""
    return torch.randn(images, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def as_image(pixels: torch.Tensor) -> np.ndarray:
    """One of them as the plain forward passes take it, float64 ``[row, column, colour]``."""
    image: np.ndarray = pixels.permute(1, 2, 0).double().numpy()
    return image
