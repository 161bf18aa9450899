"""Our figures of a method compared with published ones, with differences and intervals.

A published figure agrees with ours if it lies within our 95 % interval, widened by half of its last printed digit.
The interval covers the sampling of test images: it does not cover other weights, other random seeds or another
protocol. Means are compared only over the same categories: with the published mean if the run has every category of the
data set, otherwise with the mean of the published rows of its categories, if there is one for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zsad.columns import aligned
from zsad.names import IMAGE_METRICS, MEAN, MEANS, NO_REFINER, TITLES
from zsad.tables.csv_tables import AGAINST_PUBLISHED
from zsad.tables.frames import rows_of
from zsad.tables.missing import MISSING
from zsad.tables.notation import NOT_AVAILABLE, percent, signed, spread_and_interval
from zsad.tables.published import FIGURES, PublishedFigure, read_published, rows_to_meet
from zsad.tables.table import Entry, Figure, Table, share

WITHIN, HIGHER, LOWER = "within our interval", "below ours", "above ours"  # position of the published figure
NOT_COMPARED = "not compared"
NOTE = (
    "Ours: with the 95 % interval (bootstrap over the test images), and after ± the standard deviation over seeds. A "
    "published figure agrees with ours if it lies within that interval, or beyond it by no more than half of its last "
    "printed digit."
)
MEAN_TITLE = "Our figures and published ones: mean over categories"
CATEGORY_TITLE = "Our figures and published ones: by category"


def against_published(
    metrics: pd.DataFrame, wanted: Mapping[str, Mapping[str, str]], dataset: str, categories: Sequence[str]
) -> pd.DataFrame:
    """The frame of against_published.csv: a row for each method, published category or mean, and published metric.

    Args:
        metrics: the frame of metrics.csv.
        wanted: by method, the names of its published rows, see `zsad.tables.published.rows_to_meet`, and our
            ``protocol``.
        dataset: the published data set under test.
        categories: all categories of the data set, whether they are in the run or not.

    Raises:
        DataError: the published figures cannot be read.
    """
    published = [row for row in read_published() if row.dataset == dataset] if wanted else []
    ours = metrics[metrics["refiner"] == NO_REFINER]
    records = []
    for method, names in wanted.items():
        of_method = {row["category"]: row for row in rows_of(ours[ours["method"] == method])}
        theirs = rows_to_meet(published, **{name: names[name] for name in names if name != "protocol"})
        records += list(_records(of_method, theirs, categories, names["protocol"]))
    return AGAINST_PUBLISHED.frame(records)


def _records(
    ours: Mapping[str, Mapping[str, Any]],
    theirs: Sequence[PublishedFigure],
    categories: Sequence[str],
    protocol: str,
) -> Iterator[dict[str, Any]]:
    """The rows of one method: the mean first, then the published categories that are in the run."""
    measured = [category for category in ours if category not in MEANS]
    of_category = {row.category: row for row in theirs}
    if MEAN in ours:
        for metric in FIGURES:
            yield from _of_mean(metric, ours[MEAN], of_category, measured, categories, protocol)
    for category in measured:
        if category in of_category:
            row = of_category[category]
            for metric in FIGURES:
                if not math.isnan(value := getattr(row, metric)):
                    yield _record(metric, ours[category], row, value, row.steps[metric], protocol)


def _of_mean(
    metric: str,
    ours: Mapping[str, Any],
    theirs: Mapping[str, PublishedFigure],
    measured: Sequence[str],
    categories: Sequence[str],
    protocol: str,
) -> Iterator[dict[str, Any]]:
    """The row of a metric on the mean over categories, if a mean or all categories are published."""
    column = "categories" if metric in IMAGE_METRICS else "pixel_categories"
    count = ours[column]
    lacks_labels = not ours["missing"] and not math.isnan(ours[metric]) and count < len(measured)
    short = f"ours is a mean over the {count:.0f} categories with ground truth" if lacks_labels else ""
    row = theirs.get(MEAN)
    if row is not None and not math.isnan(value := getattr(row, metric)) and set(measured) == set(categories):
        yield _record(metric, ours, row, value, row.steps[metric], protocol, short)
        return
    values = [getattr(theirs[name], metric) for name in measured if name in theirs]
    if len(values) == len(measured) and not any(map(math.isnan, values)):
        rows = [theirs[name] for name in measured]
        remark = f"the published figure is the {_rows_in_words(len(rows))} of the run"
        step = max(one.steps[metric] for one in rows)
        yield _record(metric, ours, rows[0], sum(values) / len(values), step, protocol, short, remark)
    elif row is not None and not math.isnan(value := getattr(row, metric)):
        why = f"the run has {len(measured)} of the {len(categories)} categories of the published mean"
        yield _record(metric, ours, row, value, row.steps[metric], protocol, why)


def _rows_in_words(number: int) -> str:
    if number == 1:
        return "published row of the only category"
    return f"mean of the published rows of the {number} categories"


def _record(
    metric: str,
    ours: Mapping[str, Any],
    row: PublishedFigure,
    theirs: float,
    step: float,
    protocol: str,
    reason: str = "",
    remark: str = "",
) -> dict[str, Any]:
    """A row of the table.

    Args:
        reason: why the two figures cannot be compared; empty if they can.
        remark: a further remark; may be empty.
    """
    value, low, high = (ours[name] for name in (metric, f"{metric}_low", f"{metric}_high"))
    if not reason and math.isnan(value) and not ours["missing"]:
        reason = "ours is not measured, because labels or masks are missing"
    record = {
        **{name: ours[name] for name in ("method", "category", "missing")},
        "metric": metric,
        "published_method": row.method,
        "published_backbone": row.backbone,
        "published_resolution": row.resolution,
    }
    if ours["missing"]:
        return record
    return {
        **record,
        "ours": value,
        "ours_low": low,
        "ours_high": high,
        "ours_std": ours[f"{metric}_std"] if ours["seeds"] > 1 else math.nan,
        "seeds": ours["seeds"],
        "theirs": theirs,
        "theirs_step": step,
        "difference": math.nan if reason else value - theirs,
        "verdict": NOT_COMPARED if reason else _verdict(value, low, high, theirs, step),
        "remark": "; ".join(filter(None, (reason, remark))),
        "setting": row.setting,
        "our_protocol": protocol,
        "their_protocol": row.protocol,
        "source": row.source,
        "note": row.note,
    }


def _verdict(ours: float, low: float, high: float, theirs: float, step: float) -> str:
    """The position of our figure; without an interval, the figure itself counts as the interval."""
    low, high = (ours, ours) if math.isnan(low + high) else (low, high)
    slack = step / 2 + 1e-9  # for the rounding of sums of decimals
    return HIGHER if theirs < low - slack else LOWER if theirs > high + slack else WITHIN


def against_tables(frame: pd.DataFrame) -> list[Table]:
    """The tables to read: first the means, one row for each metric; then the categories, with metrics side by side."""
    rows = rows_of(frame)
    means = [row for row in rows if row["category"] == MEAN]
    others = [row for row in rows if row["category"] != MEAN]
    return [
        *([_mean_table(means, protocols_in_words(frame))] if means else []),
        *([_category_table(others)] if others else []),
    ]


def protocols_in_words(frame: pd.DataFrame) -> list[str]:
    """The protocols of our figures and of the published ones, and why some figures are not compared, in sentences."""
    sentences: dict[str, None] = {}
    for row in rows_of(frame):
        if row["missing"]:
            continue
        note = f" ({row['note']})" if row["note"] else ""
        theirs = f"{row['their_protocol']}; {row['source']}{note}"
        sentences[f"{row['method']}. Ours: {row['our_protocol']}. Published: {theirs}."] = None
    for method in frame["method"].unique():
        remarks = _remarks_in_words(rows_of(frame[frame["method"] == method]))
        sentences |= dict.fromkeys(f"{method}, {remark}." for remark in remarks)
    return list(sentences)


def _mean_table(rows: Sequence[Mapping[str, Any]], protocols: Sequence[str]) -> Table:
    header = ["method", "compared with", "metric", "ours", "published", "difference", "published figure"]
    cells: list[list[Entry]] = [
        [row["method"], _published_name(row), TITLES[row["metric"]], *_compared(row)] for row in rows
    ]
    return Table(MEAN_TITLE, header, cells, " ".join([NOTE, *protocols]), apart=True)


def _compared(row: Mapping[str, Any]) -> list[Entry]:
    """Our figure, the published one, the difference and the verdict."""
    if row["missing"]:
        return [MISSING, MISSING, MISSING, MISSING]
    theirs = Figure(format_published(row["theirs"], row["theirs_step"]), row["theirs"])
    return [_ours(row), theirs, Figure(signed(row["difference"]) or NOT_AVAILABLE, row["difference"]), row["verdict"]]


def _ours(row: Mapping[str, Any]) -> Figure:
    return share(row["ours"], row["ours_low"], row["ours_high"], row["ours_std"])


def _category_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row for each method and category; each cell has our figure, the published one and the difference."""
    metrics = [metric for metric in FIGURES if any(row["metric"] == metric for row in rows)]
    cells = {(row["method"], row["category"], row["metric"]): row for row in rows}
    places = list(dict.fromkeys((row["method"], row["category"]) for row in rows))
    return Table(
        CATEGORY_TITLE,
        ["method", "category", *(TITLES[metric] for metric in metrics)],
        [[*place, *(_with_published(cells.get((*place, metric))) for metric in metrics)] for place in places],
        "Our figure, and in brackets the published one and the difference (ours minus published); \u2713: the "
        "published figure lies within our 95 % interval.",
        apart=True,
    )


def _with_published(row: Mapping[str, Any] | None) -> Entry:
    if row is None:
        return Figure(NOT_AVAILABLE, math.nan)
    if row["missing"]:
        return MISSING
    theirs = format_published(row["theirs"], row["theirs_step"])
    added = "; ".join(filter(None, (theirs, signed(row["difference"]))))
    mark = " \u2713" if row["verdict"] == WITHIN else ""
    direction = {HIGHER: "up", LOWER: "down"}.get(row["verdict"], "")
    return Figure(percent(row["ours"]), row["ours"], f"({added}){mark}", direction)


def _published_name(row: Mapping[str, Any]) -> str:
    resolution = row["published_resolution"]
    pixels = f", {resolution} px" if resolution.isdecimal() else ""
    return f"{row['published_method']}, {row['published_backbone']}{pixels}"


def format_published(figure: float, step: float) -> str:
    """A published figure in per cent, with as many digits as its source prints."""
    return f"{100 * figure:.{max(0, round(-math.log10(100 * step)))}f}"


def read_against(path: Path) -> pd.DataFrame:
    """Read ``against_published.csv``.

    Raises:
        DataError: the file is missing, or not this table.
    """
    return AGAINST_PUBLISHED.read(path)


def summarise(frame: pd.DataFrame, path: Path) -> str:
    """The comparison with published figures as text for the end of a run; empty if there are none."""
    rows = rows_of(frame)
    if not rows:
        return ""
    lines = [f"our figures and published ones, in per cent ({path}):"]
    for method in dict.fromkeys(row["method"] for row in rows):
        of_method = [row for row in rows if row["method"] == method]
        means = [row for row in of_method if row["category"] == MEAN]
        setting = next((f" ({row['setting']})" for row in of_method if row["setting"]), "")
        lines += ["", f"{method}, compared with {_published_name(of_method[0])}{setting}"]
        if means:
            header = ("mean of", "ours", "published", "difference", "published figure")
            lines += [f"  {line}" for line in aligned([header, *map(_summary_row, means)], ("published", "difference"))]
        lines += [f"  {line}" for line in _summary_lines(of_method)]
    return "\n".join(lines)


def _summary_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["missing"]:
        return TITLES[row["metric"]], MISSING, "", "", ""
    added = spread_and_interval(row["ours_low"], row["ours_high"], row["ours_std"])
    return (
        TITLES[row["metric"]],
        f"{percent(row['ours'])} {added}".rstrip(),
        format_published(row["theirs"], row["theirs_step"]),
        signed(row["difference"]),
        row["verdict"],
    )


def _remarks_in_words(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The remarks on one method, each with the mean and the categories that it is about."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["remark"]:
            found.setdefault(row["remark"], {})[row["category"]] = None
    return [f"{', '.join(categories)}: {remark}" for remark, categories in found.items()]


def _summary_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines on one method: how many figures of categories agree, why others are not compared, and both protocols."""
    compared = [
        row for row in rows if row["category"] != MEAN and not row["missing"] and row["verdict"] != NOT_COMPARED
    ]
    agree = sum(row["verdict"] == WITHIN for row in compared)
    there = next((row for row in rows if not row["missing"]), None)
    return [
        *([f"by category: {agree} of {len(compared)} published figures lie within our intervals"] if compared else []),
        *_remarks_in_words(rows),
        *([f"ours:       {there['our_protocol']}", f"published: {there['their_protocol']}"] if there else []),
    ]
