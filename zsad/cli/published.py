"""The command that lists published figures, and the configurations that reproduce some of them."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from zsad.columns import aligned
from zsad.errors import ConfigError, DataError, nearest_hint
from zsad.names import MEAN, TITLES, setting_order
from zsad.tables.against_published import format_published, read_against, summarise
from zsad.tables.frames import rows_of
from zsad.tables.published import FIGURES, PublishedFigure, read_published
from zsad.workflow.measurable import TABLES
from zsad.workflow.settings import REPOSITORY

PRESETS = REPOSITORY / "config" / "published"
ROW_COLUMNS = ("method", "backbone", "resolution", "setting", *(TITLES[name] for name in FIGURES), "categories")


def show_published(options: argparse.Namespace) -> None:
    """Print the configurations that reproduce papers, and published figures: means, and the number of category rows.

    With ``results``, print instead the summary of a finished run: its figures compared with the published ones.

    Raises:
        ConfigError: there are no published figures for the data set.
        DataError: the table is missing in the results, or damaged.
    """
    if options.results is not None:
        _show_comparison(options.results, as_json=options.json)
        return
    rows = read_published()
    datasets = sorted({row.dataset for row in rows})
    if options.dataset is not None and options.dataset not in datasets:
        raise ConfigError(
            f"there are no published figures for '{options.dataset}'{nearest_hint(options.dataset, datasets)}"
        )
    asked = [name for name in datasets if options.dataset in (None, name)]
    if options.json:
        listed = [asdict(row) for row in rows if row.dataset in asked]
        print(json.dumps({"presets": _presets(), "rows": _without_nan(listed)}, indent=1, ensure_ascii=False))
        return
    if presets := _presets():
        print("Configurations that reproduce papers: snakemake --cores 8 --configfile FILE\n")
        for line in aligned([("file", "description"), *presets.items()]):
            print(f"  {line}")
        print()
    for dataset in asked:
        print(f"Published on {dataset}, in per cent\n")
        for line in aligned([ROW_COLUMNS, *_lines([row for row in rows if row.dataset == dataset])], ROW_COLUMNS[4:]):
            print(f"  {line}")
        print()
    print("categories: number of categories with a row of their own. `--json` also lists sources, protocols and notes.")
    print("docs/published.md explains how a configuration selects the rows to compare with.")


def _show_comparison(results: Path, *, as_json: bool) -> None:
    """Print the figures of a run compared with the published ones.

    Raises:
        DataError: the table is missing or damaged.
    """
    path = results / "tables" / TABLES["against_csv"]
    if not path.is_file():
        raise DataError(
            f"{path} does not exist; give the results folder of a data set, e.g. results/musc, of a run with a section "
            "'published' in its configuration"
        )
    frame = read_against(path)
    if as_json:
        print(json.dumps(_without_nan(rows_of(frame)), indent=1, ensure_ascii=False, default=float))
        return
    print(summarise(frame, path) or f"{path} has no rows: there are no published figures for the categories of the run")


def _presets() -> dict[str, str]:
    """The first comment line of each configuration by its path in the project; empty in an installed package."""
    return {path.relative_to(REPOSITORY).as_posix(): _first_comment(path) for path in sorted(PRESETS.glob("*.yaml"))}


def _first_comment(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


def _lines(rows: list[PublishedFigure]) -> list[tuple[str, ...]]:
    """One line for each mean, and one without figures for rows that are published only by category."""
    categories = Counter(_names(row) for row in rows if row.category != MEAN)
    means = [row for row in rows if row.category == MEAN]
    known = set(map(_names, means))
    lines = [
        (*_names(row), *(_figure(row, name) for name in FIGURES), str(categories.get(_names(row), ""))) for row in means
    ]
    lines += [
        (*names, *("" for _ in FIGURES), str(number)) for names, number in categories.items() if names not in known
    ]
    return sorted(lines, key=lambda line: (line[0].lower(), setting_order(line[3]), line))


def _names(row: PublishedFigure) -> tuple[str, str, str, str]:
    return row.method, row.backbone, row.resolution, row.setting


def _figure(row: PublishedFigure, name: str) -> str:
    return format_published(getattr(row, name), row.steps[name]) if name in row.steps else ""


def _without_nan(listed: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: None if value != value else value for key, value in row.items()} for row in listed]
