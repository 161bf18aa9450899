"""Memory banks: the patches of reference images, in pieces that fit the memory, and nearest-neighbour search."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from zsad.lazy import torch
from zsad.scoring.compute import Compute
from zsad.scoring.coreset import greedy_coreset
from zsad.scoring.similarity import Metric, smallest
from zsad.scoring.stored import as_array, as_tensor, store_tokens, stored_type
from zsad.scoring.token_source import PatchSource
from zsad.scoring.tokens import image_tokens, side_by_side, unit_tokens

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

FOUND_SHARE = 0.2  # of the memory, for distances at different places of a window
BANK_SHARE = 0.5  # of the memory, for the pieces of a bank; products take the rest

Selection = Callable[["torch.Tensor", int, Metric], "torch.Tensor"]
"""Chooses a given number of right operands of a metric and returns their positions, like `greedy_coreset`."""


class Piece:
    """Base class of pieces of a bank: some of the references, in memory."""

    @abstractmethod
    def nearest(self, tokens: torch.Tensor, layer: int, k: int) -> torch.Tensor:
        """Cosine distances of the patches of an image to the nearest patches of the piece.

        Args:
            tokens: unit vectors of one layer, ``[row, column, channel]``.
            layer: which of the bank's layers, counted from 0.

        Returns:
            float32 ``[row, column, k or fewer]``, in no particular order.
        """


class Bank:
    """Base class of memory banks: the patches of reference images.

    Attributes:
        piece_count: how many pieces there are.
    """

    @property
    @abstractmethod
    def piece_count(self) -> int:
        """How many pieces there are."""

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """The bank piece by piece."""

    @abstractmethod
    def least_candidates(self) -> int:
        """The least number of bank patches that a patch is compared with."""

    @abstractmethod
    def store(self, writer: FittedWriter) -> None:
        """Store the bank in a model file."""


class ImageBank(Bank):
    """All patches of reference images.

    Args:
        source: the references.
        indices: positions of its images.
        layers: positions of the layers.
    """

    def __init__(self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute) -> None:
        self.source, self.indices, self.layers, self.compute = source, list(indices), list(layers), compute
        self._kept: Piece | None = None
        self._runs: list[list[int]] = []

    @property
    def piece_count(self) -> int:
        """How many pieces there are."""
        return len(self._runs) if self._kept is None else 1

    def pieces(self) -> Iterator[Piece]:
        """The bank piece by piece; a single piece stays in memory, several are read again each time."""
        if self._kept is not None:
            yield self._kept
        else:
            yield from map(self._piece, self._runs)

    def store(self, writer: FittedWriter) -> None:
        """Store the tokens, image by image: half the size of the operands, which are equal when computed again."""
        store_tokens(writer, self.source, self.indices, self.layers)

    @abstractmethod
    def _piece(self, run: Sequence[int]) -> Piece:
        """A piece with some of the images."""

    def _split(self, bytes_a_patch: int) -> list[list[int]]:
        """The images in runs that fit the memory, at least one image each."""
        largest = int(self.source.grid_sizes.prod(axis=1)[self.indices].max())
        size = self.compute.count(largest * bytes_a_patch * len(self.layers), BANK_SHARE)
        return [self.indices[start : start + size] for start in range(0, len(self.indices), size)]

    def _vectors(self, index: int) -> torch.Tensor:
        """The vectors of an image that are compared, float32 ``[layer, row, column, channel]``: unit tokens."""
        return unit_tokens(self.source, index, self.layers, self.compute.device)


class FreeBank(ImageBank):
    """A bank of patches, compared at any position.

    Attributes:
        metrics: how distances are measured, one a layer.
    """

    _kept: FreePiece | None

    def __init__(self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute) -> None:
        super().__init__(source, indices, layers, compute)
        centres = self._vectors(self.indices[0]).flatten(1, 2).mean(dim=1)
        self.metrics = [Metric(compute, centre) for centre in centres]
        self._entries = int(source.grid_sizes.prod(axis=1)[self.indices].sum())
        self._runs = self._split(self.metrics[0].point_bytes)
        if len(self._runs) == 1:
            self._kept = self._piece(self._runs[0])

    def pieces(self) -> Iterator[FreePiece]:
        """The bank piece by piece; a single piece stays in memory, several are read again each time."""
        yield from map(self._piece, self._runs) if self._kept is None else [self._kept]

    def least_candidates(self) -> int:
        """All patches."""
        return self._entries

    def _piece(self, run: Sequence[int]) -> FreePiece:
        images = [self._vectors(index) for index in run]
        points = [
            torch.cat([metric.points(tokens[layer]) for tokens in images]) for layer, metric in enumerate(self.metrics)
        ]
        return FreePiece(self.metrics, points)


class JoinedBank(FreeBank):
    """A bank of patches, compared at any position, as raw vectors of all layers side by side, in a common unit.

    Attributes:
        unit: divisor of all vectors: a power of two, which causes no rounding, near the length of the vectors of the
            first image about their mean. Squares of lengths then fit every number format.
    """

    def __init__(self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute) -> None:
        self.unit = 1.0
        first = side_by_side(image_tokens(source, indices[0], layers, compute.device)).flatten(0, 1)
        self.unit = _power_of_two(float((first - first.mean(dim=0)).square().sum(dim=1).mean().sqrt()))
        super().__init__(source, indices, layers, compute)

    def _vectors(self, index: int) -> torch.Tensor:
        """The vectors of an image that are compared, float32 ``[1, row, column, layer * channel]``."""
        return side_by_side(image_tokens(self.source, index, self.layers, self.compute.device))[None] / self.unit

    def _split(self, bytes_a_patch: int) -> list[list[int]]:
        """The images in runs that fit the memory: the layers of a patch are one vector."""
        return super()._split(math.ceil(bytes_a_patch / len(self.layers)))


class Coreset(Bank):
    """A coreset: a few patches that cover all, compared at any position.

    Args:
        metrics: how distances are measured, one a layer.
        points: for each layer, right operands of its metric, ``[entry, width]``; the same number in each.
    """

    piece_count = 1

    def __init__(self, metrics: Sequence[Metric], points: Sequence[torch.Tensor]) -> None:
        self._metrics, self._points = metrics, points

    @classmethod
    def of(cls, bank: FreeBank, share: float, choose: Selection = greedy_coreset) -> Self:
        """Join the coresets of all pieces, a share of each, with one piece at a time in memory."""
        kept: list[list[torch.Tensor]] = [[] for _ in bank.metrics]
        for piece in bank.pieces():
            for layer, points in enumerate(piece.points):
                count = max(1, math.ceil(share * len(points) - 1e-9))
                kept[layer].append(points[choose(points, count, bank.metrics[layer])])
        return cls(bank.metrics, [torch.cat(points) for points in kept])

    @classmethod
    def restored(cls, reader: FittedReader, layers: int, compute: Compute, channels: int | None = None) -> Self:
        """Restore the coreset of so many layers; ``channels`` of each, if different from those of a token."""
        centres = reader.array("centres", np.float32, (layers, channels or reader.channels))
        metrics = [Metric(compute, as_tensor(centre, compute.device)) for centre in centres]
        number_format = metrics[0].format
        points = [
            reader.array(f"points{layer}", stored_type(number_format), (None, metric.width))
            for layer, metric in enumerate(metrics)
        ]
        return cls(metrics, [as_tensor(each, compute.device, number_format) for each in points])

    @property
    def only(self) -> FreePiece:
        """All of it."""
        return FreePiece(self._metrics, self._points)

    def pieces(self) -> Iterator[Piece]:
        """All of it."""
        yield self.only

    def least_candidates(self) -> int:
        """The size of the coreset."""
        return min(map(len, self._points))

    def store(self, writer: FittedWriter) -> None:
        """Store the operands as they are compared."""
        writer.write("centres", as_array(torch.stack([metric.centre for metric in self._metrics])))
        for layer, points in enumerate(self._points):
            writer.write(f"points{layer}", as_array(points))


class FreePiece(Piece):
    """A piece of patches that are compared at any position.

    Attributes:
        metrics: how distances are measured, one a layer.
        points: for each layer, right operands of its metric, ``[entry, width]``.
    """

    def __init__(self, metrics: Sequence[Metric], points: Sequence[torch.Tensor]) -> None:
        self.metrics, self.points = metrics, points

    def nearest(self, tokens: torch.Tensor, layer: int, k: int) -> torch.Tensor:
        """The nearest of all patches, by matrix products."""
        metric, points = self.metrics[layer], self.points[layer]
        nearest = metric.nearest(metric.queries(metric.points(tokens)), points, min(k, len(points)))
        return nearest.reshape(*tokens.shape[:2], -1)


class AlignedBank(ImageBank):
    """A bank of patches that are compared only at about the same position, up to ``window`` patches off."""

    def __init__(
        self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute, window: int
    ) -> None:
        super().__init__(source, indices, layers, compute)
        self._window = window
        self._runs = self._split(source.channels * 4)
        if len(self._runs) == 1:
            self._kept = self._piece(self._runs[0])

    def least_candidates(self) -> int:
        """The number in a corner of the image, where it is smallest."""
        grids = self.source.grid_sizes[self.indices].tolist()
        return sum(window_candidates(rows, columns, self._window) for rows, columns in grids)

    def _piece(self, run: Sequence[int]) -> AlignedPiece:
        return AlignedPiece([self._vectors(index) for index in run], self._window, self.compute)


class AlignedPiece(Piece):
    """The grids of some references; ``images``: unit tokens ``[layer, row, column, channel]``, one tensor an image."""

    def __init__(self, images: Sequence[torch.Tensor], window: int, compute: Compute) -> None:
        self._images, self._window, self._compute = images, window, compute

    def nearest(self, tokens: torch.Tensor, layer: int, k: int) -> torch.Tensor:
        """The nearest at the position of a patch and around it; grids of different sizes are aligned."""
        rows, columns, _ = tokens.shape
        nearest = tokens.new_empty(rows, columns, 0)
        for image in self._images:
            reference, found = image[layer], []
            together = self._compute.count(2 * 4 * rows * columns, FOUND_SHARE)
            row, column = (
                _place(size, other, tokens.device)
                for size, other in zip((rows, columns), reference.shape[:2], strict=True)
            )
            down_reach, along_reach = (min(self._window, size - 1) for size in reference.shape[:2])
            for down in range(-down_reach, down_reach + 1):
                for along in range(-along_reach, along_reach + 1):
                    at_row, at_column = row + down, column + along
                    inside_rows = (at_row >= 0) & (at_row < reference.shape[0])
                    inside_columns = (at_column >= 0) & (at_column < reference.shape[1])
                    there = reference[at_row.clamp(0, reference.shape[0] - 1)]
                    there = there[:, at_column.clamp(0, reference.shape[1] - 1)]
                    h = (tokens - there).square().sum(dim=2) / 2
                    found.append(h.masked_fill(~(inside_rows[:, None] & inside_columns), torch.inf))
                    if len(found) == together:
                        nearest, found = _with(nearest, found, k), []
            nearest = _with(nearest, found, k) if found else nearest
        return nearest


def _with(nearest: torch.Tensor, found: Sequence[torch.Tensor], k: int) -> torch.Tensor:
    """Merge the ``k`` nearest so far, ``[row, column, k or fewer]``, with further distances ``[row, column]``."""
    return smallest(torch.cat([nearest, torch.stack(list(found), dim=2)], dim=2), k)


def window_candidates(rows: int, columns: int, window: int) -> int:
    """Patches in the window of a corner of a grid, a quarter of which lies in the image."""
    return min(rows, window + 1) * min(columns, window + 1)


def _power_of_two(length: float) -> float:
    """The power of two nearest to a length; 1 for length 0."""
    return float(2.0 ** round(math.log2(length))) if length > 0 else 1.0


def _place(size: int, other: int, device: torch.device) -> torch.Tensor:
    """Map positions along a side of ``size`` patches to a side of ``other`` patches."""
    return ((2 * torch.arange(size, device=device) + 1) * other) // (2 * size)
