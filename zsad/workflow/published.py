"""The published figures that methods of a run are compared with, and the protocol of our own figures."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.errors import ConfigError, nearest_hint
from zsad.evaluation.options import EvaluationOptions
from zsad.names import AUPRO_LIMITS
from zsad.scoring.registry import SCORERS
from zsad.tables.published import PublishedFigure, read_published, rows_to_meet
from zsad.workflow.entries import BackboneEntry, MethodEntry
from zsad.workflow.sections import PublishedRow

SHOWN = 3  # rows in a message


def published_rows(
    asked: Mapping[str, PublishedRow | None] | None, methods: Mapping[str, MethodEntry], dataset: str, layout: str
) -> dict[str, dict[str, str]]:
    """The names that identify the published rows of each method, by the method's name in the configuration.

    Args:
        methods: all configured methods, also those that cannot run for lack of images.
        dataset: the published data set under test; empty for the user's own images.
        layout: its layout, for messages.

    Raises:
        ConfigError: a method or row does not exist, or several rows match.
    """
    wanted = {name: row for name, row in (asked or {}).items() if row is not None}
    if not wanted:
        return {}
    if not dataset:
        raise ConfigError(
            f"published: there are no published figures for 'layout: {layout}'; remove the section, or, if the images "
            "are those of a published data set, give its name as the layout and their folder as dataset.root"
        )
    settings = {entry.group or entry.name: entry.description["setting"] for entry in methods.values()}
    settings |= {entry.name: entry.description["setting"] for entry in methods.values()}
    rows = read_published()
    return {name: _names_of(name, row, settings, rows, dataset) for name, row in wanted.items()}


def _names_of(
    name: str, row: PublishedRow, settings: Mapping[str, str], rows: Sequence[PublishedFigure], dataset: str
) -> dict[str, str]:
    """The names of the rows that a method is compared with.

    Raises:
        ConfigError: see `published_rows`.
    """
    where = f"published.{name}"
    if name not in settings:
        raise ConfigError(f"{where}: the run has no method '{name}'{nearest_hint(name, settings)}")
    names = {
        "method": row.method,
        "backbone": row.backbone,
        "resolution": row.resolution,
        "setting": row.setting or settings[name],
        "source": row.source or "",
    }
    of_dataset = [one for one in rows if one.dataset == dataset]
    found = rows_to_meet(of_dataset, **names)
    if not found:
        raise ConfigError(f"{where}: {_no_row(row, names, rows, of_dataset, dataset)}")
    category, number = Counter(one.category for one in found).most_common(1)[0]
    if number > 1:
        sources = " and ".join(f"'{one.source}'" for one in found if one.category == category)
        raise ConfigError(
            f"{where}: {number} rows of '{category}' match, from {sources}; add a part of one of them as 'source'"
        )
    return names


def _no_row(
    row: PublishedRow,
    names: Mapping[str, str],
    rows: Sequence[PublishedFigure],
    of_dataset: Sequence[PublishedFigure],
    dataset: str,
) -> str:
    """Why no row matches the names."""
    of_method = [one for one in of_dataset if one.method == row.method]
    if not of_method:
        elsewhere = " and ".join(sorted({one.dataset for one in rows if one.method == row.method}))
        if elsewhere:
            return f"figures of '{row.method}' are published only on {elsewhere}, but this run is on {dataset}"
        hint = nearest_hint(row.method, {one.method for one in of_dataset}, or_all=False)
        return f"no figures of '{row.method}' are published on {dataset}{hint}; `zsad published` lists all rows"
    asked = _in_words(names)
    if names["source"]:
        asked += f" from a source with '{names['source']}' in it"
    there = list(dict.fromkeys(_in_words(vars(one)) for one in of_method))
    there.sort(key=lambda words: -difflib.SequenceMatcher(None, words, asked).ratio())
    more = len(there) - SHOWN
    return (
        f"no row of '{row.method}' on {dataset} has {asked}; there is {'; '.join(there[:SHOWN])}"
        f"{f'; and {more} more, which `zsad published` lists' if more > 0 else ''}"
    )


def _in_words(names: Mapping[str, Any]) -> str:
    return f"backbone '{names['backbone']}', resolution '{names['resolution']}', setting '{names['setting']}'"


def our_protocol(evaluation: EvaluationOptions, entry: MethodEntry, backbone: BackboneEntry | None) -> str:
    """Our evaluation protocol of a method, in words, for comparison with its authors' protocol.

    Args:
        backbone: of the method; None for one that reads scores of others.
    """
    scoring = entry.scoring.get("image_score", {})
    parts = [
        _input_in_words(backbone) if backbone else "",
        f"pixels compared {evaluation.measured_at.words}",
        _smoothing_in_words(scoring.get("smoothing", 0), evaluation.smoothing),
        "image score: the method's own" if _scores_images(entry) else _image_score_in_words(scoring),
        f"exact AUPRO up to a false-positive rate of {AUPRO_LIMITS['aupro']:g}" if evaluation.aupro == "exact" else "",
    ]
    return "; ".join(filter(None, parts))


def _scores_images(entry: MethodEntry) -> bool:
    """Whether a method computes image scores itself, not from its map."""
    return not entry.members and SCORERS.build(entry.scorer, entry.params).own_image_scores


def describe_against_published(path: Path) -> str:
    """The message at the end of a run about the comparison with published figures; empty if there is none.

    Raises:
        DataError: the table is damaged.
    """
    from zsad.tables.against_published import (  # late: every start of Snakemake reads this module
        read_against,
        summarise,
    )

    return summarise(read_against(path), path)


def _input_in_words(backbone: BackboneEntry) -> str:
    resolution, fit = backbone.params.get("resolution"), backbone.params.get("fit")
    if not resolution:
        return ""
    return f"input of {resolution} px" + (f" (fit: {fit})" if isinstance(fit, str) else "")


def _smoothing_in_words(patches: float, pixels: float) -> str:
    """The smoothing, if the rest of the protocol does not mention it."""
    return f"maps smoothed by {patches:g} patches" if patches else "" if pixels else "maps not smoothed"


def _image_score_in_words(scoring: Mapping[str, Any]) -> str:
    aggregate, along, pixels = (scoring.get(name) for name in ("aggregate", "patch_pixels", "pixel_smoothing"))
    unit, plural = ("patch", "patches") if along == 1 and not pixels else ("pixel", "pixels")
    said = {
        "top_mean": f"mean of the highest {100 * scoring.get('fraction', 0):g} % of the {plural}",
        "max": f"the highest {unit}",
        "mean": f"mean of the {plural}",
    }.get(str(aggregate), "")
    size = f", {along} along a patch" if unit == "pixel" else ""
    smoothed = f", smoothed by {pixels:g} of them" if pixels else ""
    return f"image score: {said}{size}{smoothed}" if said else ""
