"""The model that a method fits to normal reference images, in HDF5: computed once and used many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zsad.errors import DamagedFileError
from zsad.files.hdf5 import Reader, Writer

FITTED_FORMAT = "zsad-model-1"

FIT, EVIDENCE = "fit", "evidence"
NUMBERS = "iuf"  # the NumPy kinds of numbers that the arrays of a fit may have


class FittedWriter(Writer):
    """Write the arrays of a fit under names that the scorer chooses, and the scores of the references.

    Each array is stored contiguously, so that none can claim more data than the file has.

    Args:
        image_ids: of the references, as in their features.
        layers: names of the layers of the features that it is fitted to.
        channels: width of a token.
        cls_source: content of class tokens, see `zsad.files.features.FeatureReader`.
    """

    _format = FITTED_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        layers: Sequence[str],
        channels: int,
        cls_source: str,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.layers, self.channels, self.cls_source = list(layers), channels, cls_source

    def _create(self) -> None:
        self._file.attrs["layers"] = self.layers
        self._file.attrs["channels"] = self.channels
        self._file.attrs["cls_source"] = self.cls_source
        self._file.create_group(FIT)

    def write(self, name: str, array: np.ndarray) -> None:
        """Store an array of numbers."""
        array = np.asarray(array)
        self.reserve(name, array.shape, array.dtype)
        self.write_part(name, ..., array)

    def reserve(self, name: str, shape: Sequence[int], dtype: np.dtype | type) -> None:
        """Reserve space for an array that is written in parts."""
        if np.dtype(dtype).kind not in NUMBERS or not np.prod(shape):
            raise ValueError(f"'{name}' of {np.dtype(dtype)} and shape {tuple(shape)} is not an array of numbers")
        self._file[FIT].create_dataset(name, shape=tuple(shape), dtype=dtype)

    def write_part(self, name: str, place: Any, array: np.ndarray) -> None:
        """Store a part of an array."""
        self._file[FIT][name][place] = array

    def write_evidence(
        self, image_ids: Sequence[str], anomaly_maps: Sequence[np.ndarray], image_scores: np.ndarray
    ) -> None:
        """Store the scores of the references, each scored without itself.

        Args:
            image_ids: of the references that were scored.
            anomaly_maps: float32 ``[row, column]`` of each; empty from a method that does not localise.
            image_scores: float64 ``[image]``.
        """
        group = self._file.create_group(EVIDENCE)
        group.create_dataset("image_id", data=list(image_ids), dtype=h5py.string_dtype())
        group.create_dataset("image_score", data=np.asarray(image_scores, dtype=np.float64))
        if anomaly_maps:
            group.create_dataset("grid_size", data=np.array([each.shape for each in anomaly_maps], dtype=np.int32))
            values = np.concatenate([each.astype(np.float32, copy=False).ravel() for each in anomaly_maps])
            group.create_dataset("anomaly_map", data=values)


class FittedReader(Reader):
    """Read the arrays of a fit.

    Attributes:
        image_ids: of the references.
        layers: names of the layers of the features that it is fitted to.
        channels: width of their tokens.
        cls_source: content of class tokens.
        has_evidence: whether it contains scores of the references.
        reference_ids: of the references that were scored.
        reference_maps: float32 ``[row, column]`` of each, as in `Evidence`.
        reference_scores: float64 ``[image]``.
    """

    _format = FITTED_FORMAT
    _noun = "model"

    def _load(self) -> None:
        self.layers: list[str] = [str(layer) for layer in self._file.attrs["layers"]]
        self.channels = int(self._file.attrs["channels"])
        self.cls_source = str(self._file.attrs["cls_source"])
        for name, dataset in self._file[FIT].items():
            if dataset.dtype.kind not in NUMBERS or dataset.chunks is not None:
                raise ValueError(f"{name} is not an array of numbers")
        self.has_evidence = EVIDENCE in self._file
        self.reference_ids: list[str] = []
        self.reference_maps: list[np.ndarray] = []
        self.reference_scores = np.empty(0)
        if self.has_evidence:
            self._load_evidence(self._file[EVIDENCE])

    def _load_evidence(self, group: h5py.Group) -> None:
        self.reference_ids = group["image_id"].asstr()[:].tolist()
        self.reference_scores = _numbers(group["image_score"], np.float64)
        if len(self.reference_scores) != len(self.reference_ids) or not self.reference_ids:
            raise ValueError("its scores do not match its references")
        if "anomaly_map" in group:
            grids = _numbers(group["grid_size"], np.int32).tolist()
            sizes = [rows * columns for rows, columns in grids]
            values = _numbers(group["anomaly_map"], np.float32)
            if len(grids) != len(self.reference_ids) or min(sizes) < 1 or sum(sizes) != len(values):
                raise ValueError("its grids do not match its maps")
            pieces = np.split(values, np.cumsum(sizes)[:-1])
            self.reference_maps = [piece.reshape(grid) for piece, grid in zip(pieces, grids, strict=True)]

    def array(self, name: str, dtype: np.dtype | type, shape: Sequence[int | None]) -> np.ndarray:
        """Read a whole array; see `shape`."""
        self.shape(name, dtype, shape)
        whole = self.part(name, ...)
        if whole.dtype.kind == "f" and not np.isfinite(whole).all():
            raise self.foreign(f"'{name}' has numbers that are not finite")
        return whole

    def part(self, name: str, place: Any) -> np.ndarray:
        """Read a part of an array."""
        return self._read(f"{FIT}/{name}", place)

    def shape(self, name: str, dtype: np.dtype | type, shape: Sequence[int | None]) -> tuple[int, ...]:
        """Return the shape of an array.

        Args:
            dtype: required type of its numbers.
            shape: required shape; None for an axis of any length but zero.

        Raises:
            DamagedFileError: its type or shape differs, or there is no array of this name.
        """
        with self._damage_told():
            dataset = self._file[FIT].get(name)
        if dataset is None:
            raise self.foreign(f"it has no '{name}'")
        found = tuple(int(side) for side in dataset.shape)
        fits = len(found) == len(shape) and all(
            there > 0 and wanted in (None, there) for there, wanted in zip(found, shape, strict=True)
        )
        if dataset.dtype != np.dtype(dtype) or not fits:
            raise self.foreign(f"'{name}' is {dataset.dtype} {found}")
        return found

    def foreign(self, fault: str) -> DamagedFileError:
        """The error for content that no writer of this version writes."""
        return DamagedFileError(self.path, f"is not a model of this version of zsad ({fault})")


def _numbers(dataset: h5py.Dataset, dtype: type) -> np.ndarray:
    """An array of the evidence."""
    if dataset.dtype != np.dtype(dtype) or dataset.chunks is not None:
        raise ValueError(f"{dataset.name} is not an array of {np.dtype(dtype)}")
    values: np.ndarray = dataset[:]
    if not np.isfinite(values).all():
        raise ValueError(f"{dataset.name} has numbers that are not finite")
    return values
