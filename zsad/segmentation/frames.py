"""Frames: conversion of images, coordinates and masks to the square input of a model, and back.

Everything rounds as the models' own libraries do. Images are resized by Pillow's bilinear filter, which antialiases: so
does ``segment_anything``; the processors of ``transformers`` and the authors of SAM 2 and SAM 3 call torchvision's
antialiased bilinear filter on tensors, which differs from it by rounding (a grey level at most).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from zsad.lazy import torch
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zsad.segmentation.base import MASK_PROMPT_RANGE

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Frame(ABC):
    """Base class of square inputs.

    Attributes:
        side: side of the square, pixels.
        mean, std: of the colours in ``[0, 1]`` by which a model normalises them.
    """

    side: int
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD

    @abstractmethod
    def filled(self, height: int, width: int, side: int) -> tuple[int, int]:
        """Rows and columns that an image fills, from the top left, of a square of ``side`` cells."""

    @abstractmethod
    def upscaled(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Low-resolution logits ``[mask, candidate, row, column]`` of the square at the size of the image."""

    def resized(self, image: np.ndarray) -> np.ndarray:
        """A uint8 image ``[height, width, 3]`` resized to its size in the square."""
        height, width = image.shape[:2]
        rows, columns = self.filled(height, width, self.side)
        return np.array(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR))

    def pixels(self, resized: Sequence[np.ndarray], device: str) -> torch.Tensor:
        """Resized images, normalised, in squares: float32 ``[image, 3, side, side]``; zero where there is no image."""
        mean, std = (torch.tensor(colour, device=device)[:, None, None] for colour in (self.mean, self.std))
        squares = torch.zeros(len(resized), 3, self.side, self.side, device=device)
        for square, image in zip(squares, resized, strict=True):
            rows, columns = image.shape[:2]
            colours = torch.tensor(image, device=device).permute(2, 0, 1)
            square[:, :rows, :columns] = (colours.float() / 255 - mean) / std
        return squares

    def coordinates(self, positions: np.ndarray, height: int, width: int) -> np.ndarray:
        """Positions ``[..., 2]``, ``(x, y)`` in pixels of the image, in pixels of the square; float32."""
        rows, columns = self.filled(height, width, self.side)
        return (np.asarray(positions, np.float64) * (columns / width, rows / height)).astype(np.float32)

    def mask_prompt(self, mask: np.ndarray, height: int, width: int, side: int) -> torch.Tensor:
        """Logits ``[row, column]`` of the image on the grid of a model's mask input, float32 ``[side, side]``.

        Outside the image they have the lowest allowed value.
        """
        rows, columns = self.filled(height, width, side)
        logits = torch.tensor(np.asarray(mask, np.float32))[None, None]
        square = torch.full((side, side), -MASK_PROMPT_RANGE)
        square[:rows, :columns] = _bilinear(logits, rows, columns, antialias=True)[0, 0]
        return square


class PaddedFrame(Frame):
    """The long side is resized to that of the square, and the rest of the square is padding (SAM, SAM-HQ)."""

    def filled(self, height: int, width: int, side: int) -> tuple[int, int]:
        """Rows and columns that an image fills, from the top left, of a square of ``side`` cells."""
        scale = side / max(height, width)
        return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)

    def upscaled(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Low-resolution logits ``[mask, candidate, row, column]`` of the square at the size of the image."""
        rows, columns = self.filled(height, width, self.side)
        return _bilinear(_bilinear(logits, self.side, self.side)[..., :rows, :columns], height, width)


class StretchedFrame(Frame):
    """The image is resized to the whole square, whatever its shape (SAM 2, SAM 3)."""

    def filled(self, height: int, width: int, side: int) -> tuple[int, int]:
        """Rows and columns that an image fills: all of them."""
        return side, side

    def upscaled(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Low-resolution logits ``[mask, candidate, row, column]`` of the square at the size of the image."""
        return _bilinear(logits, height, width)


def _bilinear(grids: torch.Tensor, rows: int, columns: int, *, antialias: bool = False) -> torch.Tensor:
    return torch.nn.functional.interpolate(
        grids, (rows, columns), mode="bilinear", align_corners=False, antialias=antialias
    )
