"""The results of a run as tables to read, in Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from zsad.evaluation.measured import first_places
from zsad.evaluation.protocols import PROTOCOLS, read_protocol
from zsad.names import (
    DECISION_METRICS,
    IMAGE_METRICS,
    MASK_METRICS,
    MEAN,
    MEAN_OBJECTS,
    MEAN_TEXTURES,
    MEANS,
    NO_REFINER,
    ORACLE,
    PIXEL_METRICS,
    TITLES,
    setting_order,
)
from zsad.tables.comparisons import comparison_tables
from zsad.tables.decisions_table import decisions_table
from zsad.tables.frames import in_groups, rows_of
from zsad.tables.metrics_table import display_name, entries_of, metrics_table
from zsad.tables.missing import MISSING
from zsad.tables.notation import NOTATION
from zsad.tables.published import FIGURES, PublishedFigure
from zsad.tables.refinement_table import ceiling_table, refinement_table
from zsad.tables.table import Entry, Table, marked, share
from zsad.tables.typeset import latex_source, markdown_source

EXPLANATION = (
    f"{NOTATION} The best of each setting is bold and the second underlined: settings differ in what a method may see "
    "and are not comparable. F1-max and IoU-max use a threshold that is chosen with the test labels; masks and "
    "decisions use thresholds without labels. Means give every category the same weight. docs/metrics.md defines every "
    "metric."
)
TRAINING_NOTE = (
    "Training uses no test image, and the number of steps is fixed in advance; if references are held out, the weights "
    "of the step that is best for these are kept."
)
CATEGORY_METRICS = ("image_auroc", "pixel_ap", "aupro")
KIND_METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
PUBLISHED_NOTE = (
    "Rows of this run have no source. Published figures are as printed in their sources, with the resolution and "
    "protocol that these state; different definitions may change figures by points (docs/metrics.md), so that a "
    "comparison is only rough."
)


def overview_tables(
    metrics: pd.DataFrame,
    refinement: pd.DataFrame,
    compared: pd.DataFrame,
    decisions: pd.DataFrame,
    published: Sequence[PublishedFigure] = (),
) -> list[Table]:
    """Tables of means, including refinement and oracle, of each category, of published figures, and of trainings.

    Args:
        metrics, refinement, compared, decisions: the frames of the tables in CSV.
        published: figures for the same data set, means over its categories.
    """
    of_methods = metrics[metrics["method"] != ORACLE]
    of_mean = refinement[refinement["category"] == MEAN]
    refined = (refinement_table(of_mean), ceiling_table(of_mean))
    tables = [
        *_mean_tables(of_methods),
        *_kind_tables(of_methods),
        *(table for table in refined if table.rows),
        *comparison_tables(compared),
        *_category_tables(of_methods),
        decisions_table(decisions),
        *_published_tables(of_methods, published),
    ]
    protocols = ", ".join(sorted(set(metrics["protocol"])))
    of_protocols = [replace(table, title=f"{table.title} ({protocols})") for table in tables]
    return of_protocols + _training_tables(of_methods)


def overview_notes(documents: Sequence[Mapping[str, Any]], metrics: pd.DataFrame) -> list[str]:
    """Every note once for each category, and notes on means that do not include all categories.

    Args:
        documents: evaluations of scores and of masks.
    """
    notes = [f"{document['category']}: {note}" for document in documents for note in document["notes"]]
    total = len({document["category"] for document in documents})
    means = metrics[(metrics["category"] == MEAN) & (metrics["refiner"] == NO_REFINER) & (metrics["seeds"] == 1)]
    for mean in rows_of(means[~means["missing"]]):
        for kind, number in (("image", mean["categories"]), ("pixel", mean["pixel_categories"])):
            if number < total:
                notes.append(f"{mean['method']}: means of {kind} metrics are over {number:.0f} of {total} categories.")
    return list(dict.fromkeys(notes))


def as_markdown(tables: Sequence[Table], notes: Sequence[str], protocols: Iterable[str] = ()) -> str:
    """A Markdown document with an explanation, the tables, and the notes at its end.

    Args:
        protocols: names of protocols in the titles.
    """
    return markdown_source("Results", (EXPLANATION, _protocol_words(protocols)), tables, notes)


def as_latex(tables: Sequence[Table], notes: Sequence[str], protocols: Iterable[str] = ()) -> str:
    """LaTeX source of the tables; explanation and notes are comments; arguments as of `as_markdown`."""
    return latex_source(tables, (EXPLANATION, _protocol_words(protocols), *notes))


def _protocol_words(names: Iterable[str]) -> str:
    """A sentence that explains the names of the protocols in the titles."""
    every = {**PROTOCOLS, **{name: read_protocol(name) for name in sorted(set(names))}}
    return "Pixels are compared " + ", or ".join(f"{one.words} (`{one.name}`)" for one in every.values()) + "."


def _mean_tables(metrics: pd.DataFrame) -> list[Table]:
    means = metrics[metrics["category"] == MEAN]
    behind = metrics[~metrics["category"].isin(MEANS)]
    of_maps, of_categories = means[means["refiner"] == NO_REFINER], behind[behind["refiner"] == NO_REFINER]
    names = ("method", "backbone")
    return [
        metrics_table("Images: mean over categories", of_maps, IMAGE_METRICS, names, behind=of_categories),
        metrics_table("Pixels: mean over categories", of_maps, PIXEL_METRICS, names, behind=of_categories),
        metrics_table(
            "Masks at the label-free threshold: mean over categories",
            means,
            (*MASK_METRICS, "mask_ratio"),
            ("method", "refiner"),
            behind=behind,
        ),
        metrics_table("Decisions: mean over categories", of_maps, DECISION_METRICS, names, behind=of_categories),
    ]


def _kind_tables(metrics: pd.DataFrame) -> list[Table]:
    """Means over textures and over objects, if there are both."""
    of_maps = metrics[metrics["refiner"] == NO_REFINER]
    kinds = {name: of_maps[of_maps["category"] == name] for name in (MEAN_TEXTURES, MEAN_OBJECTS)}
    behind = of_maps[~of_maps["category"].isin(MEANS)]
    return [
        metrics_table(name.capitalize(), rows, KIND_METRICS, ("method", "backbone"), behind=behind)
        for name, rows in kinds.items()
        if len(rows)
    ]


def _category_tables(metrics: pd.DataFrame) -> list[Table]:
    """One table for each metric: rows are categories, columns methods, ordered by setting; no means over seeds."""
    single = metrics[(metrics["refiner"] == NO_REFINER) & (metrics["seeds"] == 1)]
    single = single[single["category"].isin([MEAN]) | ~single["category"].isin(MEANS)]
    methods = rows_of(in_groups(single[single["category"] == MEAN], "setting"))
    names, settings = [row["method"] for row in methods], [row["setting"] for row in methods]
    cells = {(row["category"], row["method"]): row for row in rows_of(single)}
    return [
        Table(
            f"By category: {TITLES[metric]}",
            ["category", *names],
            [
                ["setting", *settings],
                *(
                    [category, *_side_by_side([cells.get((category, name)) for name in names], metric, settings)]
                    for category in first_places(single["category"])
                ),
            ],
        )
        for metric in CATEGORY_METRICS
    ]


def _side_by_side(rows: Sequence[Mapping[str, Any] | None], metric: str, settings: Sequence[str]) -> list[Entry]:
    """A metric of one category for each method."""
    figures = marked([share(row[metric] if row else float("nan")) for row in rows], settings)
    return [MISSING if row and row["missing"] else figure for row, figure in zip(rows, figures, strict=True)]


def _training_tables(metrics: pd.DataFrame) -> list[Table]:
    """The training of each method with learned weights; empty if there is none."""
    means = metrics[(metrics["category"] == MEAN) & (metrics["refiner"] == NO_REFINER) & (metrics["training"] != "")]
    rows: dict[tuple[Entry, ...], None] = {
        (row["setting"], display_name(row), row["backbone"], row["training"]): None for row in rows_of(means)
    }
    header = ["setting", "method", "backbone", "training"]
    return [Table("Training", header, [list(row) for row in rows], TRAINING_NOTE)] if rows else []


def _published_tables(metrics: pd.DataFrame, published: Sequence[PublishedFigure]) -> list[Table]:
    """Our figures and published ones by setting; empty if nothing is published."""
    if not published:
        return []
    ours = metrics[(metrics["category"] == MEAN) & (metrics["refiner"] == NO_REFINER)]
    rows: list[list[Entry]] = [
        [
            *(row["setting"], display_name(row), row["backbone"], row["protocol"]),
            *entries_of(row, [share(row[name]) for name in FIGURES]),
            "",
        ]
        for row in rows_of(ours)
    ]
    rows += [
        [
            *(one.setting, one.method, one.backbone, f"{one.resolution} px; {one.protocol}"),
            *(share(getattr(one, name)) for name in FIGURES),
            f"{one.source} ({one.note})" if one.note else one.source,
        ]
        for one in published
    ]
    rows.sort(key=lambda row: setting_order(str(row[0])))
    header = ["setting", "method", "backbone", "protocol", *(TITLES[name] for name in FIGURES), "source"]
    return [
        Table(
            "Our figures and published ones by setting: mean over categories", header, rows, PUBLISHED_NOTE, apart=True
        )
    ]
