"""The records of a finished run for an experiment tracker: one for each method, and one for the whole run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zsad.files.provenance import file_sha256
from zsad.names import ALL_METRICS, MASK_METRICS, MEAN, MEANS, NO_REFINER, PER_IMAGE
from zsad.tables.csv_tables import COSTS
from zsad.tables.finished_run import SUMS, TABLES, FinishedRun
from zsad.tables.frames import rows_of
from zsad.tables.result_parameters import result_parameters

PLOTS = "plots"
PAGE, PAGE_FOLDER = "report.html", "report"
VERSION = "version.zsad"
_SUFFIXES = ("", "_low", "_high", "_std")
_COSTS = ("seconds_per_image", "peak_mb")
_UNFIT = re.compile(r"[^\w.\- /]")  # what trackers refuse in the names of metrics


@dataclass(frozen=True)
class Record:
    """A method of a run, or the run as a whole.

    Attributes:
        parameters: by flat names such as ``"scorer.params.shots"``.
        metrics: the mean over the categories as ``image_auroc``, its 95 % limits as ``image_auroc_low`` and
            ``image_auroc_high``, over several seeds their standard deviation as ``image_auroc_std``; of a category
            ``ring/image_auroc`` and so on; of the masks of a refiner ``mask_f1.guided``. Shares in 0..1.
        tags: short texts to find it by.
        files: by where they belong among the artefacts, e.g. ``"tables"``.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecords:
    """All records of a run.

    Attributes:
        digest: of the tables; identifies a run that was logged before.
        whole: tables, plots and page, without metrics.
        methods: one record each, with the galleries.
    """

    name: str
    digest: str
    whole: Record
    methods: Sequence[Record]


def records_of(folder: Path) -> RunRecords:
    """Read the records of a finished run.

    Raises:
        DataError: it is not the results folder of a finished run, or a result is missing or damaged.
    """
    run = FinishedRun(folder)
    name = folder.resolve().name
    digest = file_sha256(folder / TABLES / SUMS)
    methods = [_method(run, name, method, members) for method, members in run.methods.items()]
    tags = {
        "results": name,
        "version": ", ".join(dict.fromkeys(record.tags["version"] for record in methods)),
        "categories": str(len(run.categories)),
    }
    return RunRecords(name, digest, Record(name, tags=tags, files=_shared_files(run)), methods)


def _method(run: FinishedRun, results: str, method: str, members: Sequence[str]) -> Record:
    found = [result_parameters(run, member) for member in members]
    parameters = {name: value for name, value in found[0].items() if all(one.get(name) == value for one in found)}
    metrics = dict(_metrics(run, method)) | dict(_costs(run, method))
    tags = {
        "results": results,
        "method": method,
        **{name: str(parameters.get(name, "")) for name in ("backbone", "setting", "protocol")},
        "version": str(parameters.get(VERSION, "unknown")),
    }
    parameters["seeds"] = len(members)
    return Record(method, parameters, metrics, tags, _own_files(run, members))


def _metrics(run: FinishedRun, method: str) -> Iterator[tuple[str, float]]:
    """All known metrics of a method, its means first."""
    rows = [row for row in rows_of(run.metrics) if row["method"] == method]
    for row in sorted(rows, key=lambda row: row["category"] not in MEANS):
        place = "" if row["category"] == MEAN else f"{_fit(row['category'])}/"
        refiner = row["refiner"]
        for metric in ALL_METRICS if refiner == NO_REFINER else MASK_METRICS:
            for suffix in _SUFFIXES:
                value = row.get(f"{metric}{suffix}", math.nan)
                if not math.isnan(value):
                    yield f"{place}{metric}{suffix}{'' if refiner == NO_REFINER else f'.{refiner}'}", value


def _costs(run: FinishedRun, method: str) -> Iterator[tuple[str, float]]:
    """What an image takes by a method in all."""
    path = run.folder / TABLES / "cost.csv"
    if not path.is_file():
        return
    for row in rows_of(COSTS.read(path)):
        if row["method"] == method and row["stage"] == PER_IMAGE:
            yield from ((name, row[name]) for name in _COSTS if not math.isnan(row.get(name, math.nan)))


def _fit(category: str) -> str:
    return _UNFIT.sub("_", category)


def _shared_files(run: FinishedRun) -> dict[str, list[Path]]:
    """Tables, plots and the page, by their folders within the results."""
    folder = run.folder
    plots = [path for path in _files(folder / PLOTS) if ".gallery." not in path.name]
    found = [*_files(folder / TABLES), *plots, *_files(folder / PAGE_FOLDER)]
    if (folder / PAGE).is_file():
        found.append(folder / PAGE)
    return _by_folder(folder, found)


def _own_files(run: FinishedRun, members: Sequence[str]) -> dict[str, list[Path]]:
    """The galleries of a method, by their folders within the results."""
    galleries = [
        run.folder / PLOTS / category / f"{member}.gallery.png" for category in run.categories for member in members
    ]
    return _by_folder(run.folder, [path for path in galleries if path.is_file()])


def _files(folder: Path) -> list[Path]:
    """All in a folder, without what Snakemake keeps there."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _by_folder(root: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(path.relative_to(root).parent.as_posix().removeprefix("."), []).append(path)
    return found
