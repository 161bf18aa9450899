"""Encoded pictures of a category's images, in HDF5: thumbnails, and overlays of a method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zsad.files.packed import PackedReader, PackedWriter

THUMBNAILS_FORMAT = "zsad-thumbnails-1"
LAYERS_FORMAT = "zsad-layers-1"
HEADING = (
    "category",
    "method",
    "backbone",
    "setting",
    "refiner",
    "low",
    "high",
    "colours",
)  # attributes of layers

Polygon = list[float]


class PictureWriter(PackedWriter):
    """Write one encoded picture per image, in order."""

    _content = "pictures"

    def append(self, picture: bytes) -> None:
        """Store the next image's picture, e.g. the bytes of a JPEG file; no bytes if there is none."""
        self._pack(np.frombuffer(picture, dtype=np.uint8))


class PictureReader(PackedReader):
    """Read encoded pictures.

    Attributes:
        weights: int64 ``[image]``, bytes of each picture; 0 if there is none.
    """

    _noun = "picture"

    def _load(self) -> None:
        super()._load()
        self.weights: np.ndarray = np.diff(self._offsets)
        ends = (0, *self._file["packed"].shape)
        if (*self._offsets[[0, -1]],) != ends or len(self.weights) != len(self) or (self.weights < 0).any():
            raise ValueError("its pictures are not stored one after the other")

    def picture(self, index: int) -> bytes:
        """The picture of one image as the bytes of a file; empty if there is none."""
        return self._packed(index).tobytes()


class ThumbnailWriter(PictureWriter):
    """Write thumbnails of the images, as JPEG."""

    _format = THUMBNAILS_FORMAT


class ThumbnailReader(PictureReader):
    """Read thumbnails of the images, as JPEG."""

    _format = THUMBNAILS_FORMAT
    _noun = "thumbnail"


class LayerWriter(PictureWriter):
    """Write a method's results for each image: its anomaly map as a grey PNG, and the outlines of marked regions.

    Args:
        heading: the method and the scale of the maps: at least the names in `HEADING`.
    """

    _format = LAYERS_FORMAT

    def __init__(
        self, path: str | Path, image_ids: Sequence[str], provenance: Mapping[str, Any], *, heading: Mapping[str, Any]
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.heading = dict(heading)

    def _create(self) -> None:
        super()._create()
        self._file.attrs["heading"] = json.dumps(self.heading, sort_keys=True, allow_nan=False)
        self._file.create_dataset("outline", shape=(len(self.image_ids),), dtype=h5py.string_dtype())

    def write(self, picture: bytes, outline: Sequence[Polygon]) -> None:
        """Store the next image's map and the polygons around marked regions (x, y, x, y, ... relative to its size)."""
        self._file["outline"][self._next] = json.dumps(outline, separators=(",", ":"), allow_nan=False)
        self.append(picture)


class LayerReader(PictureReader):
    """Read a method's results for each image.

    Attributes:
        heading: as written.
    """

    _format = LAYERS_FORMAT
    _noun = "layer"

    def _load(self) -> None:
        super()._load()
        self.heading: dict[str, Any] = json.loads(self._file.attrs["heading"])
        if missing := [name for name in HEADING if name not in self.heading]:
            raise ValueError(f"it lacks its {missing[0]}")

    def outlines(self) -> list[list[Polygon]]:
        """The polygons around marked regions, of every image."""
        with self._damage_told():
            return [json.loads(outline) for outline in self._file["outline"].asstr()[:]]
