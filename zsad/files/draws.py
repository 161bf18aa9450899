"""The metrics of bootstrap replicates, in HDF5."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zsad.files.atomic import atomic_path
from zsad.files.hdf5 import Reader, written
from zsad.files.json_values import without_nan

DRAWS_FORMAT = "zsad-draws-2"


def write_draws(path: str | Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    """Write the metrics of bootstrap replicates, float64 ``[draw]`` by name."""
    with written_draws(path, draws, provenance):
        pass


@contextmanager
def written_draws(path: str | Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> Iterator[None]:
    """Write the same file, and keep it only if the block succeeds, too."""
    with atomic_path(path) as temporary:
        with written(temporary) as file:
            file.attrs["format"] = DRAWS_FORMAT
            file.attrs["provenance"] = json.dumps(without_nan(dict(provenance)), sort_keys=True)
            group = file.create_group("draws")
            for name, values in draws.items():
                group.create_dataset(name, data=np.asarray(values, np.float64))
        yield


def read_draws(path: str | Path) -> dict[str, np.ndarray]:
    """Read the metrics of bootstrap replicates, float64 ``[draw]`` by name.

    Raises:
        DataError: it does not exist, is damaged, or is another kind of file.
    """
    with _DrawsReader(path) as reader:
        return reader.draws


class _DrawsReader(Reader):
    _format = DRAWS_FORMAT
    _noun = "draws"
    _has_images = False

    def _load(self) -> None:
        self.draws: dict[str, np.ndarray] = {name: values[:] for name, values in self._file["draws"].items()}
