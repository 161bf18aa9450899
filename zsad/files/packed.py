"""Byte strings of a category's images, one after the other in one dataset of an HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from zsad.files.hdf5 import Reader, Writer


class PackedWriter(Writer):
    """Write one byte string per image, in order.

    Class attributes:
        _content: name of the byte strings, for messages.
        _packing: further options of their dataset, such as ``compression``.
    """

    _content: ClassVar[str]
    _packing: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def _create(self) -> None:
        self._file.create_dataset(
            "packed",
            shape=(0,),
            maxshape=(None,),
            dtype=np.uint8,
            chunks=(1 << 16,),
            rdcc_nbytes=1 << 20,  # several share a chunk
            **self._packing,
        )
        self._file.create_dataset("offset", data=np.zeros(len(self.image_ids) + 1, dtype=np.int64))
        self._next = 0

    def _pack(self, content: np.ndarray) -> None:
        """Store the byte string of the next image, uint8 ``[byte]``, which may be empty."""
        packed, start = self._file["packed"], self._file["packed"].shape[0]
        packed.resize((start + content.size,))
        if content.size:
            packed[start:] = content
        self._file["offset"][self._next + 1] = start + content.size
        self._next += 1

    def _finish(self) -> None:
        if self._next != len(self.image_ids):
            raise ValueError(f"{self._next} {self._content} written, {len(self.image_ids)} announced")
        super()._finish()


class PackedReader(Reader):
    """Read one byte string per image."""

    def _load(self) -> None:
        self._offsets: np.ndarray = self._file["offset"][:]

    def _packed(self, index: int) -> np.ndarray:
        """The byte string of an image, uint8 ``[byte]``."""
        return self._read("packed", np.s_[self._offsets[index] : self._offsets[index + 1]])
