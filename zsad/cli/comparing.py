"""Two finished runs compared: printed, as JSON, and as a table."""

from __future__ import annotations

import argparse
import json

from zsad.comparing.compare_runs import COMPARED, compare_runs
from zsad.comparing.in_words import as_document, printed
from zsad.errors import ConfigError, DataError
from zsad.names import NO_REFINER


def compare(options: argparse.Namespace) -> None:
    """Print how the second of two runs differs from the first, and write it as a table if asked to.

    Raises:
        ConfigError: a name is not as it must be, or there is no such metric.
        DataError: the runs cannot be compared, see `zsad.comparing.compare_runs`, or the table is not to be written.
    """
    if options.out is not None:
        _require_writable(options)
    compared = compare_runs(
        options.first,
        options.second,
        methods=[pair_of(text, "--method") for text in options.method or ()],
        refiners=pair_of(options.refiner, "--refiner") if options.refiner else (NO_REFINER, NO_REFINER),
        metrics=options.metrics or (),
    )
    if options.out is not None:
        COMPARED.write(options.out, compared.frame)
    if options.json:
        print(json.dumps(as_document(compared), indent=1, ensure_ascii=False))
        return
    for line in printed(compared):
        print(line)
    if options.out is not None:
        print(f"The table is written to {options.out}.")


def pair_of(text: str, option: str) -> tuple[str, str]:
    """The names in the first and in the second run: ``"A=B"``, or ``"A"`` for the same in both.

    Raises:
        ConfigError: it is neither.
    """
    names = text.split("=")
    if len(names) > 2 or not all(names):
        raise ConfigError(f"{option} {text}: give a name, or two as FIRST=SECOND")
    return names[0], names[-1]


def _require_writable(options: argparse.Namespace) -> None:
    """Refuse to write a table into the results of a run, whose files the workflow makes, or in place of a folder."""
    place = options.out.resolve()
    if place.is_dir():
        raise DataError(
            f"{options.out} is a folder; give --out the name of a file, e.g. {options.out / 'compared.csv'}"
        )
    if any(place.is_relative_to(folder.resolve()) for folder in (options.first, options.second)):
        raise DataError(f"{options.out} lies in the results of a run; give --out a file elsewhere")
