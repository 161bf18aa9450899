"""Inspect photographs by running the workflow, for users who do not write a configuration."""

from __future__ import annotations

import csv
import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from zsad.errors import ConfigError
from zsad.files.atomic import write_text
from zsad.inspecting.answers import Count, format_json, format_line
from zsad.inspecting.inspection import Failure
from zsad.inspecting.outcome import Answered, Results
from zsad.inspecting.place import CONFIGURATION, TABLE, Place, place_for, with_header
from zsad.inspecting.running import run_workflow
from zsad.inspecting.selection import Selection, select, table_rows
from zsad.inspecting.written_configuration import (
    TARGETS,
    Asked,
    configuration_text,
    dataset_name,
    understood,
)
from zsad.workflow.configfiles import read_configuration
from zsad.workflow.settings import DEFAULT_PATH, REPOSITORY, WORKFLOW_PATH, Settings, load

COLUMNS = ("path", "category", "split", "label", "image_id")


class Outcome(NamedTuple):
    """The outcome of an inspection.

    Attributes:
        answers: for each photograph, the worst first; those that could not be read at the end.
        tally: numbers of inspected, defective and failed photographs.
        results: places of the results.
    """

    answers: list[Answered | Failure]
    tally: Count
    results: Results

    @property
    def defective(self) -> int:
        """Number of photographs that are called defective."""
        return self.tally.defective

    @property
    def failed(self) -> int:
        """Number of photographs that could not be read."""
        return self.tally.failed


def inspect_by_workflow(
    photographs: Sequence[str | Path],
    *,
    references: Sequence[str | Path] | None = None,
    threshold: str | float | None = None,
    method: str | None = None,
    backbone: str | None = None,
    part: str | None = None,
    weights: Path | None = None,
    out: str | Path | None = None,
    json: bool = False,
) -> Outcome:
    """Inspect photographs, print one line for each, and print the places of page, pictures and tables.

    Args:
        photographs: files, and folders with their subfolders.
        references: likewise, normal photographs to compare with.
        threshold: a number in the unit of the scores, or the name of a rule.
        method: a scorer; None for one that fits the given photographs and references.
        backbone: None for that of the workflow's configuration, or an image-text model for methods with text prompts.
        part: name of the inspected object, for methods with text prompts.
        weights: file of trained weights, for a method that is trained on other objects.
        out: folder for configuration and results; None for a new one outside the photographs' folders.
        json: print a JSON object for each photograph.

    Raises:
        ConfigError: an option does not exist or makes no sense.
        DataError: a photograph or folder is missing, or the results cannot be written to their place.
        RunError: the run failed.
    """
    _check_clone()
    selection = select(photographs, references or ())
    asked = understood(selection, threshold=threshold, method=method, backbone=backbone, part=part, weights=weights)
    place = place_for(
        out,
        title=selection.title,
        subject=selection.subject,
        folders=selection.folders,
        searched=selection.searched,
    )
    _report(asked.remark)
    _checked(asked, selection)
    with place.reserved() as lock:
        place.check()  # again, now that no other process can change it
        _write(place, asked, selection)
        count = len(selection.names)
        _report(f"inspecting {count} photograph{'s' if count > 1 else ''}; the results are written to {place.folder}")
        run_workflow(_arguments(place), place.folder, lock=lock, environment={"PYTHONPATH": _import_path()})
        results = Results(place.folder / "results" / dataset_name(selection.title), selection.category, asked.method)
        answers = list(results.answers())
    answers += [Failure(path, error) for path, error in selection.unnamed.items()]
    tally = Count()
    for said in answers:
        print((format_json if json else format_line)(said))
        tally = tally.with_(said)
    sys.stdout.flush()
    for sentence in _closing(tally, results, place):
        print(sentence, file=sys.stderr if json else sys.stdout)
    return Outcome(answers, tally, results)


def _check_clone() -> None:
    if not WORKFLOW_PATH.is_file():
        raise ConfigError(
            "this needs the workflow, which an installed package does not contain; clone the repository and run "
            "`python -m zsad.cli inspect` in it, or give --model to use a stored model"
        )


def _checked(asked: Asked, selection: Selection) -> Settings:
    """The checked settings of the configuration to be written; nothing is written before.

    Raises:
        ConfigError: they are invalid.
    """
    with TemporaryDirectory() as folder:
        table, configuration = Path(folder, TABLE), Path(folder, CONFIGURATION)
        table.write_text(_table(selection), encoding="utf-8", newline="")
        configuration.write_text(_configuration(asked, selection, Path(folder), table), encoding="utf-8")
        settings = load(configuration)
        settings.check_models()
        return settings


def _write(place: Place, asked: Asked, selection: Selection) -> None:
    """Write table and configuration, unless they exist already."""
    if selection.is_folder:
        place.table.unlink(missing_ok=True)
    else:
        _write_changed(place.table, _table(selection))
    text = _configuration(asked, selection, place.folder, place.table)
    _write_changed(place.configuration, with_header(text, selection.subject))


def _write_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _configuration(asked: Asked, selection: Selection, out: Path, table: Path) -> str:
    default = read_configuration(DEFAULT_PATH)
    kept = (default.get("report") or {}).get("refiner")
    return configuration_text(
        asked,
        selection,
        out=out,
        table=table,
        workflow=REPOSITORY,
        other_methods=list(default.get("methods") or {}),
        other_refiners=[name for name in default.get("refiners") or {} if name != kept],
    )


def _table(selection: Selection) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(table_rows(selection))
    return stream.getvalue()


def _arguments(place: Place) -> list[str]:
    """The command line of Snakemake; the user's own profiles are not used, which might run it elsewhere."""
    return [
        *("--snakefile", str(WORKFLOW_PATH), "--directory", str(place.folder), "--cores", "all"),
        *("--profile", "none", "--workflow-profile", str(REPOSITORY / "profiles" / "default")),
        *("--quiet", "rules", "reason", "host"),  # leaves the progress
        *("--configfile", str(place.configuration), "--", *TARGETS),
    ]


def _import_path() -> str:
    """An import path with this library first, followed by the present one."""
    return os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))


def _closing(tally: Count, results: Results, place: Place) -> Iterator[str]:
    yield results.batch_verdict().words
    yield from tally.remarks
    if tally.failed:
        yield f"{tally.failed} could not be inspected."
    yield f"page: {results.page}"
    yield f"pictures, defects.csv, coco.json and more: {results.exports}"
    yield f"to change options and run again: {place.configuration}"
    if results.model.is_file():
        yield f"for further photographs, in seconds: zsad inspect PHOTO --model {shlex.quote(str(results.model))}"


def _report(sentence: str) -> None:
    if sentence:
        print(f"zsad: {sentence}", file=sys.stderr, flush=True)
