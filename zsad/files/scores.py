"""Anomaly maps and image scores, in HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zsad.errors import DataError
from zsad.files.chunks import chunked, require_grids
from zsad.files.hdf5 import Reader, Writer

SCORES_FORMAT = "zsad-scores-4"


class ScoreWriter(Writer):
    """Write anomaly maps and image scores.

    Args:
        grid_sizes: int ``[image, 2]``; beyond its own grid an image's map is NaN.
        setting: what the method may see, e.g. ``"zero-shot-single"``.
        localises: False if a method scores only images; each map then has its image's score everywhere.
    """

    _format = SCORES_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        grid_sizes: np.ndarray,
        setting: str,
        localises: bool = True,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.grid_sizes = np.asarray(grid_sizes, dtype=np.int32).reshape(len(self.image_ids), 2)
        self.setting = setting
        self.localises = localises

    def _create(self) -> None:
        count = len(self.image_ids)
        rows, columns = self.grid_sizes.max(axis=0)
        self._file.attrs["setting"] = self.setting
        self._file.attrs["localises"] = self.localises
        self._file.create_dataset("grid_size", data=self.grid_sizes)
        self._file.create_dataset(
            "anomaly_map",
            shape=(count, rows, columns),
            dtype=np.float32,
            fillvalue=np.nan,
            **chunked(self.grid_sizes, before=(1,), after=(), patch_bytes=4),
        )
        for name in ("image_score", "seconds"):
            self._file.create_dataset(name, shape=(count,), dtype=np.float32, fillvalue=np.nan)
        self._file.create_dataset("note", shape=(count,), dtype=h5py.string_dtype())

    def write(
        self, index: int, anomaly_map: np.ndarray, image_score: float, *, seconds: float = np.nan, note: str = ""
    ) -> None:
        """Store one image's map (float ``[row, column]``), score, seconds spent on it, and a note (may be empty)."""
        rows, columns = self.grid_sizes[index]
        if anomaly_map.shape != (rows, columns):
            raise ValueError(f"map {index} has shape {anomaly_map.shape}, expected {(rows, columns)}")
        if not (np.isfinite(anomaly_map).all() and np.isfinite(image_score)):
            raise DataError(f"the score of {self.image_ids[index]} is not finite")
        self._file["anomaly_map"][index, :rows, :columns] = anomaly_map
        self._file["image_score"][index] = image_score
        self._file["seconds"][index] = seconds
        self._file["note"][index] = note


class ScoreReader(Reader):
    """Read anomaly maps and image scores.

    Attributes:
        setting: what the method may see, e.g. ``"zero-shot-batch"``.
        localises: whether the maps show where a defect is; otherwise each has its image's score everywhere.
        image_scores: float32 ``[image]``, greater is more anomalous.
        seconds: float32 ``[image]``, scoring time (a batch method's time is divided evenly).
        notes: one remark per image, usually empty.
        grid_sizes: int32 ``[image, 2]``.
    """

    _format = SCORES_FORMAT
    _noun = "score"

    def _load(self) -> None:
        self.setting = str(self._file.attrs["setting"])
        self.localises = bool(self._file.attrs["localises"])
        self.image_scores: np.ndarray = self._file["image_score"][:]
        self.seconds: np.ndarray = self._file["seconds"][:]
        self.notes: list[str] = self._file["note"].asstr()[:].tolist()
        self.grid_sizes: np.ndarray = self._file["grid_size"][:]
        require_grids(self.grid_sizes, self._file["anomaly_map"].shape[1:])

    def anomaly_map(self, index: int) -> np.ndarray:
        """float32 ``[row, column]`` of one image on its own patch grid."""
        rows, columns = self.grid_sizes[index]
        return self._read("anomaly_map", np.s_[index, :rows, :columns])
