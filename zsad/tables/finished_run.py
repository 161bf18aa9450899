"""A finished run on disk: its table of metrics, and the evaluations from which the rows were made.

The table names what belongs to the run: an evaluation of a method that was taken out of the configuration may still lie
beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from zsad.errors import DataError, nearest_hint
from zsad.files.checksums import require_unchanged
from zsad.files.draws import read_draws
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import number
from zsad.names import ALL_METRICS, MASK_METRICS, MEANS, NO_REFINER, ORACLE
from zsad.tables.csv_tables import METRICS
from zsad.tables.frames import MISSING, rows_of
from zsad.tables.results import MASK_KEYS, SCORE_KEYS

HINT = "give the results folder of a run, e.g. results/musc"
TABLES, PARTIAL = "tables", "partial"  # folders of a run
SUMS = "tables.sha256"
_WRITTEN = 1e-6  # greatest difference between metrics.csv and the evaluation, by rounding


class FinishedRun:
    """The results folder of a run that ended without an error.

    Raises:
        DataError: it is no such folder, the run is not finished, or its images have no labels.

    Attributes:
        folder: ``results/NAME``.
        metrics: the frame of its metrics.csv, without the oracle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = _read_metrics(folder)

    def __str__(self) -> str:
        """The folder, as it was given."""
        return self.folder.as_posix()

    @cached_property
    def categories(self) -> list[str]:
        """The categories, in the order of the table."""
        return [name for name in dict.fromkeys(self.metrics["category"]) if name not in MEANS]

    @cached_property
    def methods(self) -> dict[str, list[str]]:
        """The methods, each with its members: its seeds, of which its figures are the mean, or itself.

        Raises:
            DataError: an evaluation is missing or damaged.
        """
        seeds = dict(zip(self.metrics["method"], self.metrics["seeds"], strict=True))
        single = [name for name, count in seeds.items() if count == 1]
        if len(single) == len(seeds):
            return {name: [name] for name in single}
        groups = {name: str(self.evaluation(self.categories[0], name)["group"]) for name in single}
        return {
            **{name: [name] for name in single if not groups[name]},
            **{name: [one for one in single if groups[one] == name] for name in seeds if name not in single},
        }

    def members(self, method: str) -> list[str]:
        """The members of a method: its seeds, or itself; the name of a single seed is accepted too.

        Raises:
            DataError: there is no such method.
        """
        if method in self.methods:
            return self.methods[method]
        seeds = [name for members in self.methods.values() for name in members]
        if method in seeds:
            return [method]
        raise DataError(f"{self} has no method '{method}'{nearest_hint(method, [*self.methods])}")

    def refiners(self, method: str) -> list[str]:
        """The refiners of a method's masks, including `NO_REFINER`."""
        return list(dict.fromkeys(self.metrics["refiner"][self.metrics["method"] == method]))

    def file(self, category: str, kind: str, method: str, refiner: str = NO_REFINER, *, ending: str) -> Path:
        """The path of a result.

        Args:
            kind: ``"metrics"``, ``"draws"``, ``"scores"``, ``"decisions"`` or ``"masks"``.
            ending: of the file, e.g. ``".json"``.
        """
        name = method if refiner == NO_REFINER else f"{method}.{refiner}"
        return self.folder / category / kind / f"{name}{ending}"

    def evaluation(self, category: str, method: str) -> dict[str, Any]:
        """The evaluation of a method's scores, without its bootstrap replicates.

        Raises:
            DataError: it is missing or damaged, or not the one that the table was made from.
        """
        return self._document(category, method, NO_REFINER, SCORE_KEYS, ALL_METRICS)

    def refinement(self, category: str, method: str, refiner: str) -> dict[str, Any]:
        """The evaluation of a refiner's masks, without its bootstrap replicates.

        Raises:
            DataError: as `evaluation`.
        """
        return self._document(category, method, refiner, MASK_KEYS, MASK_METRICS)

    def replicates(self, category: str, method: str, refiner: str = NO_REFINER) -> dict[str, Any]:
        """The metrics in every bootstrap replicate, float64 ``[replicate]`` by name.

        Raises:
            DataError: missing or damaged.
        """
        return read_draws(self.file(category, "draws", method, refiner, ending=".h5"))

    def _document(
        self, category: str, method: str, refiner: str, keys: Iterable[str], metrics: Iterable[str]
    ) -> dict[str, Any]:
        row = self._rows.get((category, method, refiner))
        path = self.file(category, "metrics", method, refiner, ending=".json")
        if row is None:
            raise DataError(f"{self} has no masks of '{method}' by '{refiner}' on '{category}'")
        if not path.is_file():
            raise _unfinished(self.folder, f"{path} is missing")
        document = read_evaluation(path, keys)
        if not all(_agree(number(document["metrics"][name]), row.get(name, math.nan)) for name in metrics):
            raise _unfinished(self.folder, f"its table of metrics does not agree with {path}")
        return document

    @cached_property
    def _rows(self) -> Mapping[tuple[str, str, str], Mapping[str, Any]]:
        return {(row["category"], row["method"], row["refiner"]): row for row in rows_of(self.metrics)}


def _agree(measured: float, written: float) -> bool:
    return math.isnan(measured) == math.isnan(written) and not abs(measured - written) > _WRITTEN


def _unfinished(folder: Path, cause: str) -> DataError:
    return DataError(
        f"the run of {folder} is not finished ({cause}); run `snakemake` with its configuration to the end"
    )


def _read_metrics(folder: Path) -> pd.DataFrame:
    """The rows of methods in the table of a finished run."""
    if not folder.is_dir():
        raise DataError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}; {HINT}")
    tables = folder / TABLES
    if not tables.is_dir() and (inside := sorted(folder.glob(f"*/{TABLES}/{SUMS}"))):
        raise DataError(f"{folder} holds the results of several runs; give one of them, e.g. {inside[0].parents[1]}")
    if not tables.is_dir() and not any(folder.glob("*/images.csv")):
        raise DataError(f"{folder} is not the results folder of a run, as it has no tables; {HINT}")
    if any((folder / PARTIAL).glob("*.csv")):
        raise _unfinished(folder, f"something failed, see {folder / PARTIAL}")
    if not (tables / SUMS).is_file():
        raise _unfinished(folder, f"{tables / SUMS} is missing")
    path = tables / "metrics.csv"
    if not path.is_file():
        raise DataError(f"{folder} has no metrics, as no test image is labelled as defective; give a run with labels")
    require_unchanged([path], tables / SUMS)
    frame = METRICS.read(path)
    if frame[MISSING].any():
        raise _unfinished(folder, f"figures are missing from {path}")
    return frame[frame["method"] != ORACLE].reset_index(drop=True)
