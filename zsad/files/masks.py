"""Binary masks, in HDF5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from zsad.files.json_values import without_nan
from zsad.files.packed import PackedReader, PackedWriter

MASKS_FORMAT = "zsad-masks-2"


class MaskWriter(PackedWriter):
    """Write binary masks, each at its image's own resolution, one after the other in order."""

    _format = MASKS_FORMAT
    _content = "masks"
    _packing = MappingProxyType({"compression": "gzip"})

    def _create(self) -> None:
        super()._create()
        count = len(self.image_ids)
        self._file.create_dataset("size", data=np.zeros((count, 2), dtype=np.int32))
        self._file.create_dataset("mask_score", shape=(count,), dtype=np.float32, fillvalue=np.nan)
        self._file.create_dataset("regions", shape=(count,), dtype=h5py.string_dtype())

    def append(self, mask: np.ndarray, mask_score: float, regions: Sequence[Mapping[str, Any]]) -> None:
        """Store the next image's mask.

        Args:
            mask: bool ``[height, width]`` at the image's resolution.
            mask_score: greatest anomaly score under the mask; 0 for an empty mask.
            regions: a JSON object per region: its prompt (box, points, score), whether it was accepted, and why.
        """
        self._file["size"][self._next] = mask.shape
        self._file["mask_score"][self._next] = mask_score
        self._file["regions"][self._next] = json.dumps(without_nan(list(regions)), sort_keys=True)
        self._pack(np.packbits(mask.astype(bool, copy=False), axis=None))


class MaskReader(PackedReader):
    """Read binary masks.

    Attributes:
        sizes: int32 ``[image, 2]``, height and width.
        mask_scores: float32 ``[image]``.
    """

    _format = MASKS_FORMAT
    _noun = "mask"

    def _load(self) -> None:
        super()._load()
        self.sizes: np.ndarray = self._file["size"][:]
        self.mask_scores: np.ndarray = self._file["mask_score"][:]

    def mask(self, index: int) -> np.ndarray:
        """bool ``[height, width]`` of one image."""
        height, width = self.sizes[index]
        return np.unpackbits(self._packed(index), count=int(height) * int(width)).reshape(height, width).astype(bool)

    def regions(self, index: int) -> list[dict[str, Any]]:
        """The regions of one image: prompt, score, and whether accepted."""
        with self._damage_told():
            regions: list[dict[str, Any]] = json.loads(self._file["regions"].asstr()[index])
            return regions
