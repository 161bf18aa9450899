"""Gaussians of the patches of reference images, global or by position, in pieces that fit the memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from zsad.errors import ConfigError, DataError
from zsad.lazy import torch
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import DECOMPOSITION, TokenCount
from zsad.scoring.moments import Moments
from zsad.scoring.stored import as_array, as_tensor
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import image_tokens, layer_indices, patch_layers, side_by_side, unit_tokens

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

PIECE_SHARE = 0.5  # of the memory, for the Gaussians of some positions; tokens take the rest


class Vectors(NamedTuple):
    """The patches of images as vectors, the layers side by side: ``x`` of `Mahalanobis`.

    Attributes:
        channels: selected channels of all layers side by side; None for all.
        raw: whether layers keep the length from the backbone instead of being unit vectors.
    """

    reader: TokenSource
    layers: Sequence[int]
    channels: Sequence[int] | None
    raw: bool = False

    @property
    def width(self) -> int:
        """``D``."""
        return len(self.layers) * self.reader.channels if self.channels is None else len(self.channels)

    def of(self, index: int, device: str) -> torch.Tensor:
        """The patches of one image, row by row: float32 ``[patch, channel]``."""
        tokens = (image_tokens if self.raw else unit_tokens)(self.reader, index, self.layers, device)
        joined = side_by_side(tokens).flatten(0, 1)
        return joined if self.channels is None else joined[:, list(self.channels)]


def select_channels(
    reader: TokenSource,
    names: Sequence[str] | None,
    channels: int | None,
    draw: Callable[[int, int], Sequence[int]],
    *,
    raw: bool = False,
) -> Vectors:
    """Make vectors of the patches of images, with the number of channels that a scorer needs.

    Args:
        names: names of the layers; None for all.
        channels: number of channels; None for all.
        draw: selects channels, given their total and the wanted number.
        raw: see `Vectors`.

    Raises:
        ConfigError: more channels are wanted than there are.
    """
    layers = layer_indices(reader, names)
    if channels is None:
        return Vectors(reader, layers, None, raw)
    total = len(layers) * reader.channels
    if channels > total:
        raise ConfigError(too_few_channels(total, channels))
    return Vectors(reader, layers, draw(total, channels), raw)


class Piece:
    """The Gaussians of some positions.

    Attributes:
        positions: positions of patches, counted row by row.
    """

    positions: slice

    @abstractmethod
    def squared_distances(self, vectors: torch.Tensor, compute: Compute) -> torch.Tensor:
        """``S^2`` of the patches at these positions, ``[position, channel]``: float32 ``[position]``."""


class Gaussians:
    """Base class of Gaussians fitted to the references.

    Attributes:
        piece_count: how many pieces there are.
    """

    piece_count: int = 1

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """The Gaussians of all positions, piece by piece."""

    @abstractmethod
    def store(self, writer: FittedWriter) -> None:
        """Store them in a model file."""

    def check(self, features: TokenSource, indices: Sequence[int]) -> None:
        """Check that images can be compared with the references.

        Raises:
            DataError: they cannot be compared.
        """


class GlobalGaussian(Gaussians, Piece):
    """One Gaussian for all patches.

    Args:
        mean: ``mu``, float32 ``[channel]``.
        whitening: ``W``, float32 ``[channel, channel]``, with ``W^T W = (Sigma + epsilon I)^-1``.
    """

    positions = slice(None)

    def __init__(self, mean: torch.Tensor, whitening: torch.Tensor) -> None:
        self.mean, self._whitening = mean, whitening

    @classmethod
    def fitted(
        cls,
        references: TokenSource,
        indices: Sequence[int],
        vectors: Vectors,
        epsilon: Callable[[float], float],
        compute: Compute,
    ) -> Self:
        """Fit the Gaussian to the patches of some references.

        Args:
            epsilon: function from the mean variance of a channel to the regularisation of the diagonal.
        """
        moments = Moments(vectors.width, compute)
        patches = references.grid_sizes.prod(axis=1)[list(indices)].tolist()
        for index in progress(indices, total=len(indices), label="fitting the Gaussian", work=patches):
            moments.add(vectors.of(index, compute.device))
        covariance = moments.covariance
        covariance.diagonal().add_(epsilon(float(covariance.diagonal().mean())))
        root = torch.linalg.cholesky(covariance)
        whitening = torch.linalg.solve_triangular(root, torch.eye(len(root)).to(root), upper=False)
        return cls(*(part.to(compute.device, torch.float32) for part in (moments.mean, whitening)))

    @classmethod
    def restored(cls, reader: FittedReader, width: int, compute: Compute) -> Self:
        """Restore the Gaussian of so many channels from a model file."""
        columns = reader.array("whitening_columns", np.float32, (width, width))
        mean = reader.array("mean", np.float32, (width,))
        return cls(as_tensor(mean, compute.device), as_tensor(columns, compute.device).T)

    def store(self, writer: FittedWriter) -> None:
        """Store both; ``W`` in column order, as in memory, because the order affects the rounding of products."""
        writer.write("mean", as_array(self.mean))
        writer.write("whitening_columns", as_array(self._whitening.T))

    def pieces(self) -> Iterator[Piece]:
        """The Gaussian itself."""
        yield self

    def squared_distances(self, vectors: torch.Tensor, compute: Compute) -> torch.Tensor:
        """``|W y|^2``."""
        blocks = vectors.split(compute.count(3 * len(self.mean) * 4))
        return torch.cat([((block - self.mean) @ self._whitening.T).square().sum(dim=1) for block in blocks])


class PositionGaussians(Gaussians):
    """A Gaussian for each position of the patch grid, in pieces that fit the memory; a single piece is kept.

    Args:
        grid: rows and columns of the patch grid.
        reference: identifier of a reference, for messages.
        count: number of references.
        width: number of channels.
        epsilon: see `PositionPiece`.
    """

    def __init__(
        self, grid: np.ndarray, reference: str, count: int, width: int, epsilon: float, compute: Compute
    ) -> None:
        self._grid, self._reference, self._count, self._width = grid, reference, count, width
        self._epsilon, self._compute = epsilon, compute
        patches = int(grid.prod())
        numbers = (count + 2 * min(count, width)) * width
        size = compute.count(numbers * 4, PIECE_SHARE)
        self._runs = [slice(start, min(start + size, patches)) for start in range(0, patches, size)]
        self.piece_count = len(self._runs)
        self._kept = self._piece(self._runs[0]) if self.piece_count == 1 else None

    def pieces(self) -> Iterator[PositionPiece]:
        """The Gaussians piece by piece; several are computed again each time."""
        yield from map(self._piece, self._runs) if self._kept is None else [self._kept]

    def check(self, features: TokenSource, indices: Sequence[int]) -> None:
        """Check that images have the grid of the references.

        Raises:
            DataError: one has another grid; the message names the image and both grids.
        """
        _require_grid(features, indices, self._reference, self._grid)

    def store(self, writer: FittedWriter) -> None:
        """Store means, axes and variances, piece by piece."""
        patches, axes = int(self._grid.prod()), min(self._count, self._width)
        writer.write("grid_size", self._grid.astype(np.int32))
        writer.write("epsilon", np.array([self._epsilon]))
        writer.write("count", np.array([self._count]))
        for name, shape in (("means", (self._width,)), ("axes", (axes, self._width)), ("variances", (axes,))):
            writer.reserve(name, (patches, *shape), np.float32)
        for piece in self.pieces():
            for name, part in (("means", piece.means), ("axes", piece.axes), ("variances", piece.variances)):
                writer.write_part(name, piece.positions, as_array(part))

    @abstractmethod
    def _piece(self, positions: slice) -> PositionPiece:
        """The Gaussians of some positions."""


class FittedPositions(PositionGaussians):
    """Gaussians by position of some references, fitted on demand.

    Raises:
        DataError: their grids differ.
    """

    def __init__(
        self, references: TokenSource, indices: Sequence[int], vectors: Vectors, epsilon: float, compute: Compute
    ) -> None:
        self._indices, self._vectors = list(indices), vectors
        grid, reference = references.grid_sizes[self._indices[0]], references.image_ids[self._indices[0]]
        _require_grid(references, self._indices, reference, grid)
        super().__init__(grid, reference, len(self._indices), vectors.width, epsilon, compute)

    def _piece(self, positions: slice) -> PositionPiece:
        """The Gaussians of some positions; on the CPU, as a GPU also computes small decompositions one by one."""
        count = positions.stop - positions.start
        samples = torch.empty(count, len(self._indices), self._vectors.width)  # [position, image, channel]
        for number, index in enumerate(self._indices):
            samples[:, number] = self._vectors.of(index, "cpu")[positions]
        gaussians = [_gaussian(there) for there in samples]
        means, axes, variances = (torch.stack(parts).to(self._compute.device) for parts in zip(*gaussians, strict=True))
        return PositionPiece(positions, means, axes, variances, self._epsilon)


class StoredPositions(PositionGaussians):
    """Gaussians by position from a model file, read on demand."""

    def __init__(self, reader: FittedReader, width: int, compute: Compute) -> None:
        self._reader = reader
        grid = reader.array("grid_size", np.int32, (2,))
        (count,) = reader.array("count", np.int64, (1,)).tolist()
        (epsilon,) = reader.array("epsilon", np.float64, (1,)).tolist()
        patches, _ = reader.shape("means", np.float32, (None, width))
        axes = min(count, width)
        reader.shape("axes", np.float32, (patches, axes, width))
        reader.shape("variances", np.float32, (patches, axes))
        if grid.min() < 1 or patches != int(grid[0]) * int(grid[1]) or epsilon <= 0 or not reader.image_ids:
            raise reader.foreign(f"{patches} positions on a grid of {grid.tolist()}")
        super().__init__(grid, reader.image_ids[0], count, width, epsilon, compute)

    def _piece(self, positions: slice) -> PositionPiece:
        means, axes, variances = (
            as_tensor(self._reader.part(name, positions), self._compute.device)
            for name in ("means", "axes", "variances")
        )
        return PositionPiece(positions, means, axes, variances, self._epsilon)


class PositionPiece(Piece):
    """Gaussians by their principal axes.

    Attributes:
        positions: which patches.
        means: ``mu``, float32 ``[position, channel]``.
        axes: ``V^T``, float32 ``[position, axis, channel]``, orthonormal.
        variances: ``l``, float32 ``[position, axis]``; those along all other axes are zero.
        epsilon: value added to all variances.
    """

    def __init__(
        self, positions: slice, means: torch.Tensor, axes: torch.Tensor, variances: torch.Tensor, epsilon: float
    ) -> None:
        self.positions = positions
        self.means, self.axes, self.variances, self.epsilon = means, axes, variances, epsilon

    def squared_distances(self, vectors: torch.Tensor, compute: Compute) -> torch.Tensor:
        """Squared distances by the axes, and by the rest orthogonal to them."""
        y = (vectors - self.means)[:, None]  # rows: ten times as fast here as columns
        z = y @ self.axes.mT
        rest = y - z @ self.axes
        along = z.square() / (self.variances + self.epsilon)[:, None]
        return rest.square().sum(dim=(1, 2)) / self.epsilon + along.sum(dim=(1, 2))


def scored_by(model: Gaussians, vectors: Vectors, indices: Sequence[int], compute: Compute) -> Iterator[ImageScore]:
    """Yield the Mahalanobis distances of the patches of images, in order, after the last piece of a model.

    Raises:
        DataError: by position, an image has another grid than the references.
    """
    features = vectors.reader
    model.check(features, indices)
    squares = {index: np.empty(features.grid_sizes[index].prod(), dtype=np.float32) for index in indices}
    for number, piece in enumerate(model.pieces(), start=1):
        for index in indices:
            found = piece.squared_distances(vectors.of(index, compute.device)[piece.positions], compute)
            squares[index][piece.positions] = found.cpu().numpy()
            if number == model.piece_count:
                yield ImageScore(index, np.sqrt(squares.pop(index)).reshape(features.grid_sizes[index]))


def by_position_operations(test: TokenCount, references: TokenCount, width: int) -> float:
    """Operations for the axes of the references at each position, and for products with them."""
    axes = min(width, references.images)
    products = 2.0 * test.images * test.patches * width * axes
    return DECOMPOSITION * references.patches * width * axes**2 + products


def by_position_bytes(references: TokenCount, width: int) -> float:
    """Bytes of the axes of every position."""
    return 8.0 * references.patches * width * min(width, references.images)


def channels_refusal(shown: Shown, layers: Sequence[str] | None, channels: int | None) -> str:
    """A sentence if more channels are wanted than there are; empty if not, or if unknown."""
    if shown.layers is None:
        return ""
    total = len(layers or patch_layers(shown.layers)) * shown.channels
    return too_few_channels(total, channels) if channels is not None and channels > total else ""


def grids_refusal(references: Shown, scored: Shown) -> str:
    """A sentence if the grids of images differ, so that they have no common positions; empty if not."""
    (first, *_), (expected, *_) = references.image_ids, references.grids
    pairs = (pair for shown in (references, scored) for pair in zip(shown.image_ids, shown.grids, strict=True))
    return next((_other_grid(*pair, first, expected) for pair in pairs if pair[1] != expected), "")


def too_few_channels(total: int, asked: int) -> str:
    """The message that there are too few channels to sample."""
    return f"there are {total} channels, fewer than the {asked} wanted; lower 'channels'"


def _require_grid(features: TokenSource, indices: Sequence[int], reference: str, expected: np.ndarray) -> None:
    for index in indices:
        grid = features.grid_sizes[index]
        if not np.array_equal(grid, expected):
            raise DataError(_other_grid(features.image_ids[index], grid, reference, expected))


def _other_grid(image_id: str, grid: Iterable[int], reference: str, expected: Iterable[int]) -> str:
    shown, wanted = (" x ".join(map(str, sizes)) for sizes in (grid, expected))
    return (
        f"{image_id} has {shown} patches and the reference {reference} has {wanted}, so that they have no common "
        "positions; use images of one size, or 'mahalanobis' with 'per_position: false'"
    )


def _gaussian(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean ``[channel]``, principal axes ``[axis, channel]`` and variances ``[axis]`` of samples ``[sample, channel]``.

    Computed in float64, returned in float32; the divisor of the variances is the number of samples less one.
    """
    exact = samples.double()
    mean = exact.mean(dim=0)
    _, singular_values, axes = torch.linalg.svd(exact - mean, full_matrices=False)
    variances = singular_values.square() / max(1, len(samples) - 1)
    return mean.float(), axes.float(), variances.float()
