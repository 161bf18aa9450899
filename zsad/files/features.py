"""Patch and class tokens, in HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zsad.errors import DataError
from zsad.files.chunks import chunked, require_grids
from zsad.files.hdf5 import Reader, Writer

if TYPE_CHECKING:
    from zsad.files.masks import MaskReader
    from zsad.files.texts import TextReader

FEATURES_FORMAT = "zsad-features-2"


class FeatureWriter(Writer):
    """Write patch and class tokens image by image.

    Images of different shapes have grids of different sizes: ``patch_tokens`` has the size of the largest grid, and
    image ``i`` fills its first ``grid_size[i]`` rows and columns; the rest is zero and takes no space.

    Args:
        layers: names of the layers, in order (block indices for a transformer, filter scales for ``embedded``).
        channels: width of a token.
        grid_sizes: int ``[image, 2]``, rows and columns of each image's patch grid.
        cls_source: content of ``cls_tokens``, ``"class token"`` or ``"mean of patch tokens"``.
    """

    _format = FEATURES_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        layers: Sequence[str | int],
        channels: int,
        grid_sizes: np.ndarray,
        cls_source: str,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.layers = [str(layer) for layer in layers]
        self.channels = channels
        self.grid_sizes = np.asarray(grid_sizes, dtype=np.int32).reshape(len(self.image_ids), 2)
        self.cls_source = cls_source

    def _create(self) -> None:
        rows, columns = self.grid_sizes.max(axis=0)
        layers, channels = len(self.layers), self.channels
        self._file.attrs["layers"] = self.layers
        self._file.attrs["cls_source"] = self.cls_source
        self._file.create_dataset("grid_size", data=self.grid_sizes)
        self._file.create_dataset(
            "patch_tokens",
            shape=(len(self.image_ids), layers, rows, columns, channels),
            dtype=np.float16,
            **chunked(self.grid_sizes, before=(1, layers), after=(channels,), patch_bytes=2 * layers * channels),
        )
        self._file.create_dataset("cls_tokens", shape=(len(self.image_ids), layers, channels), dtype=np.float32)

    def write(self, index: int, patch_tokens: np.ndarray, cls_tokens: np.ndarray) -> None:
        """Store one image.

        Args:
            patch_tokens: ``[layer, row, column, channel]``, of the grid size declared for ``index``.
            cls_tokens: ``[layer, channel]``.

        Raises:
            DataError: a value is NaN or too large for float16.
        """
        rows, columns = self.grid_sizes[index]
        expected = (len(self.layers), rows, columns, self.channels)
        if patch_tokens.shape != expected:
            raise ValueError(f"patch_tokens of image {index} have shape {patch_tokens.shape}, expected {expected}")
        halves = to_halves(patch_tokens, self.image_ids[index])
        if not np.isfinite(cls_tokens).all():
            raise _not_finite(self.image_ids[index])
        self._file["patch_tokens"][index, :, :rows, :columns] = halves
        self._file["cls_tokens"][index] = cls_tokens


def to_halves(tokens: np.ndarray, image_id: str) -> np.ndarray:
    """Convert tokens of an image to the stored form, float16.

    Raises:
        DataError: a value is NaN or too large for float16.
    """
    with np.errstate(over="ignore"):
        halves = np.asarray(tokens).astype(np.float16)
    if _has_non_finite(halves):
        raise _not_finite(image_id)
    return halves


def _not_finite(image_id: str) -> DataError:
    return DataError(
        f"the features of {image_id} are not finite (not a number, or too large for float16); "
        "use dtype float32 or another model"
    )


def _has_non_finite(halves: np.ndarray) -> bool:
    """Whether a float16 array contains NaN or infinity; tested on its bits, 20 times as fast as ``np.isfinite``."""
    return bool(((halves.view(np.uint16) & np.uint16(0x7FFF)) >= np.uint16(0x7C00)).any())


class FeatureReader(Reader):
    """Read a feature file image by image.

    Args:
        foreground: the open masks of the object in these images, if the scorer needs them.
        texts: the open file of sentences about the object, if the scorer needs it.
        synthetic: labelled tokens of images made from these ones, if the scorer needs them; see
            `zsad.scoring.token_source.TokenSource`.

    Attributes:
        image_ids: identifiers, in the order of the first axis.
        layers: names of the layers.
        channels: width of a token.
        cls_source: content of `cls_tokens`, ``"class token"`` or ``"mean of patch tokens"``.
        grid_sizes: int32 ``[image, 2]``, rows and columns of each image's patch grid.
        provenance: how the file was made.
    """

    _format = FEATURES_FORMAT
    _noun = "feature"

    def __init__(
        self,
        path: str | Path,
        foreground: MaskReader | None = None,
        texts: TextReader | None = None,
        synthetic: Any = None,
    ) -> None:
        self.foreground = foreground
        self.texts = texts
        self.synthetic = synthetic
        super().__init__(path)

    def _load(self) -> None:
        self.layers: list[str] = [str(layer) for layer in self._file.attrs["layers"]]
        self.cls_source: str = str(self._file.attrs["cls_source"])
        self.grid_sizes: np.ndarray = self._file["grid_size"][:]
        self.channels: int = self._file["patch_tokens"].shape[-1]
        require_grids(self.grid_sizes, self._file["patch_tokens"].shape[2:4])

    def patch_tokens(self, index: int) -> np.ndarray:
        """float32 ``[layer, row, column, channel]`` of one image, its own grid only."""
        return self.half_tokens(index).astype(np.float32)

    def half_tokens(self, index: int) -> np.ndarray:
        """The same tokens as stored, float16."""
        rows, columns = self.grid_sizes[index]
        return self._read("patch_tokens", np.s_[index, :, :rows, :columns])

    def cls_tokens(self) -> np.ndarray:
        """float32 ``[image, layer, channel]``."""
        return self._read("cls_tokens", np.s_[:])

    def cls_tokens_of(self, index: int) -> np.ndarray:
        """The same for one image, float32 ``[layer, channel]``."""
        return self._read("cls_tokens", np.s_[index])
