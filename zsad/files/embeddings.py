"""Image embeddings of a promptable segmentation model, in HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DamagedFileError
from zsad.files.hdf5 import Reader, Writer

EMBEDDINGS_FORMAT = "zsad-embeddings-2"


class EmbeddingWriter(Writer):
    """Write the embeddings of images, or of windows of images, by a promptable segmentation model, one after the other.

    Args:
        image_ids: the image behind each entry; several entries may be windows of one image.
        windows: int ``[entry, 4]``, the ``(left, top, right, bottom)`` of each in pixels, right and bottom exclusive.
        shapes: of the arrays of one embedding.
    """

    _format = EMBEDDINGS_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        windows: np.ndarray,
        shapes: Sequence[tuple[int, ...]],
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.windows = np.asarray(windows, dtype=np.int32).reshape(len(self.image_ids), 4)
        self.shapes = list(shapes)

    def _create(self) -> None:
        self._file.attrs["arrays"] = len(self.shapes)
        self._file.create_dataset("window", data=self.windows)
        for place, shape in enumerate(self.shapes):
            self._file.create_dataset(
                f"embedding{place}",
                shape=(len(self.image_ids), *shape),
                dtype=np.float16,
                chunks=(1, *shape) if self.image_ids else None,
            )

        self._written: set[int] = set()

    def write(self, index: int, embedding: Sequence[np.ndarray]) -> None:
        """Store one embedding, float16 arrays of the declared shapes."""
        self._written.add(index)
        for place, (array, shape) in enumerate(zip(embedding, self.shapes, strict=True)):
            if array.shape != shape or array.dtype != np.float16:
                raise ValueError(f"array {place} of entry {index} is {array.dtype} {array.shape}, expected {shape}")
            self._file[f"embedding{place}"][index] = array

    def _finish(self) -> None:
        if len(self._written) != len(self.image_ids):
            raise ValueError(f"{len(self._written)} embeddings written, {len(self.image_ids)} declared")
        super()._finish()


class EmbeddingReader(Reader):
    """Read embeddings one by one.

    Attributes:
        image_ids: the image behind each entry.
        windows: int32 ``[entry, 4]``, ``(left, top, right, bottom)`` in pixels.
    """

    _format = EMBEDDINGS_FORMAT
    _noun = "embedding"

    def _load(self) -> None:
        self.windows: np.ndarray = self._file["window"][:]
        self._arrays = int(self._file.attrs["arrays"])
        self._places = {
            (image_id, *(int(side) for side in window)): index
            for index, (image_id, window) in enumerate(zip(self.image_ids, self.windows, strict=True))
        }

    def find(self, image_id: str, window: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
        """The embedding of a window of an image, float16 arrays.

        Raises:
            DataError: the file has no embedding of it.
        """
        index = self._places.get((image_id, *window))
        if index is None:
            raise DamagedFileError(self.path, f"has no embedding of {image_id} at {window}")
        return self.embedding(index)

    def embedding(self, index: int) -> tuple[np.ndarray, ...]:
        """The embedding of one entry, float16 arrays."""
        return tuple(self._read(f"embedding{place}", index) for place in range(self._arrays))
