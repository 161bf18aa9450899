"""Storage of tensors and tokens in a model file, exact to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zsad.lazy import torch
from zsad.scoring.token_source import PatchSource

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

BITS = np.uint16  # storage type of bfloat16, which numpy does not have


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor of any float format as an array to store."""
    tensor = tensor.detach().cpu()
    return tensor.contiguous().view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def stored_type(number_format: torch.dtype) -> np.dtype[Any]:
    """The type of numbers that `as_array` makes of a float format."""
    return as_array(torch.zeros(1, dtype=number_format)).dtype


def as_tensor(array: np.ndarray, device: str, number_format: torch.dtype | None = None) -> torch.Tensor:
    """The stored tensor, in its own memory with torch's layout.

    Args:
        number_format: original format, for tensors stored as bits.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if number_format is not None and array.dtype == BITS:
        tensor = tensor.view(number_format)
    return tensor.clone().to(device)


def store_tokens(writer: FittedWriter, source: PatchSource, indices: Sequence[int], layers: Sequence[int]) -> None:
    """Store the patch tokens of some images and layers, image by image, for `StoredTokens`."""
    grids = source.grid_sizes[list(indices)].astype(np.int32)
    sizes = (grids.astype(np.int64).prod(axis=1) * (len(layers) * source.channels)).tolist()
    writer.write("grid_size", grids)
    writer.reserve("patch_tokens", (sum(sizes),), np.float16)
    start = 0
    for index, size in zip(indices, sizes, strict=True):
        writer.write_part("patch_tokens", slice(start, start + size), source.half_tokens(index)[list(layers)].ravel())
        start += size


class StoredTokens:
    """Patch tokens of references from a model file, read image by image.

    Attributes:
        layer_count: number of stored layers.
    """

    def __init__(self, reader: FittedReader, layer_count: int) -> None:
        self._reader = reader
        self.channels = reader.channels
        self.layer_count = layer_count
        self.grid_sizes = reader.array("grid_size", np.int32, (None, 2))
        grids = self.grid_sizes.tolist()
        sizes = [self.layer_count * rows * columns * self.channels for rows, columns in grids]
        if self.grid_sizes.min() < 1:
            raise reader.foreign("its patch grids are not possible")
        reader.shape("patch_tokens", np.float16, (sum(sizes),))
        self._starts = np.cumsum([0, *sizes]).tolist()

    def __len__(self) -> int:
        return len(self.grid_sizes)

    def half_tokens(self, index: int) -> np.ndarray:
        """float16 ``[layer, row, column, channel]`` of one image."""
        flat = self._reader.part("patch_tokens", slice(self._starts[index], self._starts[index + 1]))
        return flat.reshape(self.layer_count, *self.grid_sizes[index].tolist(), self.channels)
