"""The CSV tables of defect types; `zsad.tables.collect_classes` describes them.

Their last columns contain the names of kinds from the data set: ``probability crack``. They are empty in categories
without this kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zsad.data.kind_names import SEPARATOR
from zsad.files.json_values import number
from zsad.names import CLASSIFICATION_METRICS
from zsad.tables.class_results import COVERAGE, ClassResult, Measure, Summary
from zsad.tables.frames import TableFormat, count, decimal, optional_decimal, optional_number, text
from zsad.tables.missing import is_missing

NAMES = ("category", "classifier", "backbone", "method", "embedding", "regions", "setting", "shots")
COUNTS = ("seeds", "kinds", "queries", "measured", "unknown", "categories")
ALIKE = "alike"  # a column of the frame that is not written to the file, see `ClassResult`
CONFUSION = TableFormat(
    "confusions of kinds",
    {
        **dict.fromkeys(("category", "classifier", "regions", "setting", "shots", "true", "predicted"), text),
        **dict.fromkeys(("seeds", "images"), count),
        "share": optional_decimal(6),
    },
    names=("category", "classifier", "regions", "setting", "shots"),
    is_missing="seeds",
)


def kinds_of(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds with examples in any category, sorted."""
    return sorted({kind for document in documents for kind in document.get("kinds", ())})


def classification_format(kinds: Sequence[str]) -> TableFormat:
    """The format of classification.csv with these kinds."""
    of_kinds = {
        f"{what} {kind}": written
        for named in ({"probability": _precise}, {"nearest": text, "similarity": _precise})
        for kind in kinds
        for what, written in named.items()
    }
    return TableFormat(
        "kinds of images",
        {
            **dict.fromkeys(("category", "classifier", "regions", "setting"), text),
            "seed": count,
            **dict.fromkeys(("support", "image_id", "true", "predicted", "prediction_set"), text),
            **dict.fromkeys(("set_size", "abstained"), count),
            **of_kinds,
        },
        names=("category", "classifier", "regions", "setting"),
        is_missing="image_id",
    )


def classification_frame(documents: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of classification.csv: one row for each query image, in the sample of examples that is shown."""
    rows = (
        {"missing": True, **_names(document)}
        if is_missing(document)
        else {**_names(document), **_sample_columns(document["draws"][document["shown"]], "seed"), **_image_row(image)}
        for document in documents
        for image in ([{}] if is_missing(document) else document["images"])
    )
    return classification_format(kinds_of(documents)).frame(rows)


def metrics_format(kinds: Sequence[str]) -> TableFormat:
    """The format of classification_metrics.csv with these kinds."""
    overall = [name for metric in CLASSIFICATION_METRICS for name in columns_of(Measure(metric))]
    of_kinds = [name for kind in kinds for name in columns_of(Measure(COVERAGE, kind))]
    return TableFormat(
        "metrics of classifiers",
        {
            **dict.fromkeys(NAMES, text),
            **dict.fromkeys(COUNTS, count),
            "alpha": optional_number,
            **dict.fromkeys(overall, decimal),
            **dict.fromkeys(of_kinds, optional_decimal(6)),
            "remarks": text,
        },
        names=NAMES,
        is_missing="categories",
    )


def metrics_frame(results: Iterable[ClassResult], kinds: Sequence[str]) -> pd.DataFrame:
    """The frame of classification_metrics.csv, one row for each result."""
    return metrics_format(kinds).frame(
        {
            **{name: getattr(result, name) for name in (*NAMES, *COUNTS, "alpha", ALIKE, "missing")},
            **{
                column: value
                for measure, summary in result.summaries.items()
                for column, value in zip(columns_of(measure), summary, strict=True)
            },
            "remarks": " ".join(result.remarks),
        }
        for result in results
    )


def write_metrics(path: Path, frame: pd.DataFrame, kinds: Sequence[str]) -> None:
    """Write classification_metrics.csv; deviations are empty if there is only one seed."""
    one_seed = (frame["seeds"] < 2).tolist()
    metrics_format(kinds).write(
        path, frame, dict.fromkeys((f"{name}_deviation" for name in CLASSIFICATION_METRICS), one_seed)
    )


def columns_of(measure: Measure) -> list[str]:
    """The columns of a measure: its mean over the seeds, limits and deviation, in the order of `Summary`.

    The name of the kind comes last, so that two columns never get the same name.
    """
    of_kind = f" {measure.kind}" if measure.kind else ""
    sides = ("", *(f"_{side}" for side in Summary._fields[1:]))
    return [f"{measure.metric}{side}{of_kind}" for side in sides]


def confusion_frame(documents: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of classification_confusion.csv: one row for each pair of a true and a predicted kind.

    For every labelled category, classifier and number of shots, summed over the seeds, including pairs that never
    occur.
    """
    rows: list[Mapping[str, Any]] = []
    for document in documents:
        if is_missing(document):
            rows.append({**_names(document), "missing": True})
        elif document["is_labelled"]:
            rows += [row for of_shots in document["by_shots"] for row in _confusion_rows(document, of_shots)]
    return CONFUSION.frame(rows)


def _confusion_rows(document: Mapping[str, Any], of_shots: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = {**_names(document), **_sample_columns(of_shots, "shots"), "seeds": len(of_shots["seeds"])}
    true = [*document["kinds"], *document["unknown_kinds"]]
    return [
        {
            **names,
            "true": kind,
            "predicted": predicted,
            "images": images,
            "share": images / sum(row) if sum(row) else None,
        }
        for kind, row in zip(true, of_shots["confusion"], strict=True)
        for predicted, images in zip(document["kinds"], row, strict=True)
    ]


def _names(document: Mapping[str, Any]) -> dict[str, Any]:
    """The names in every row; for missing results, the known ones."""
    return {name: document.get(name) for name in ("category", "classifier", "regions")}


def _sample_columns(draw: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"setting": draw["setting"], name: draw[name]}


def _image_row(image: Mapping[str, Any]) -> dict[str, Any]:
    nearest = image["nearest"]
    return {
        "support": SEPARATOR.join(dict.fromkeys(one["source"] for one in nearest.values())),
        **{name: image[name] for name in ("image_id", "true", "predicted")},
        "prediction_set": SEPARATOR.join(image["prediction_set"]),
        "set_size": len(image["prediction_set"]),
        "abstained": int(image["abstained"]),
        **{f"probability {kind}": number(value) for kind, value in image["probabilities"].items()},
        **{f"nearest {kind}": one["image_id"] for kind, one in nearest.items()},
        **{f"similarity {kind}": number(one["similarity"]) for kind, one in nearest.items()},
    }


def _precise(value: float) -> str:
    """A number with enough digits to keep different numbers different; empty if unknown."""
    return "" if pd.isna(value) else f"{value:.10g}"
