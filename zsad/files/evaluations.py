"""Evaluations: JSON, and the metrics of bootstrap draws beside it in HDF5."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DamagedFileError
from zsad.files.atomic import atomic_path
from zsad.files.hdf5 import Reader, written
from zsad.files.json_files import read_json, without_nan, write_json

DRAWS_FORMAT = "zsad-draws-2"


def write_draws(path: str | Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    """Write the metrics of bootstrap draws, float64 ``[draw]`` by name, as HDF5."""
    with atomic_path(path) as temporary:
        _write_draws(temporary, draws, provenance)


def write_evaluation(
    path: str | Path, evaluation: Mapping[str, Any], draws_path: str | Path | None, draws: Mapping[str, np.ndarray]
) -> None:
    """Write an evaluation as JSON and, with a path for them, its draws as `write_draws` does: both or neither."""
    if draws_path is None:
        write_json(path, evaluation)
        return
    with atomic_path(draws_path) as temporary:
        _write_draws(temporary, draws, evaluation["provenance"])
        write_json(path, evaluation)


def _write_draws(path: Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    with written(path) as file:
        file.attrs["format"] = DRAWS_FORMAT
        file.attrs["provenance"] = json.dumps(without_nan(dict(provenance)), sort_keys=True)
        group = file.create_group("draws")
        for name, values in draws.items():
            group.create_dataset(name, data=np.asarray(values, np.float64))


def read_draws(path: str | Path) -> dict[str, np.ndarray]:
    """Read the metrics of bootstrap draws, float64 ``[draw]`` by name.

    Raises:
        DataError: absent, damaged, or another kind of file.
    """
    with _DrawsReader(path) as reader:
        return reader.draws


class _DrawsReader(Reader):
    _format = DRAWS_FORMAT
    _noun = "draws"
    _has_images = False

    def _load(self) -> None:
        self.draws: dict[str, np.ndarray] = {name: values[:] for name, values in self._file["draws"].items()}


def read_evaluation(path: str | Path, keys: Iterable[str]) -> dict[str, Any]:
    """Read the JSON file of an evaluation.

    Raises:
        DataError: absent, damaged, or without one of the ``keys``.
    """
    document = read_json(path)
    missing = [key for key in keys if key not in document]
    if missing:
        raise DamagedFileError(Path(path), f"is no evaluation (it lacks {', '.join(missing)})")
    return document
