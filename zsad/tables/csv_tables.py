"""The CSV tables of a run; `zsad.tables.collect_tables` describes them.

A row of a missing result has only its names; unknown figures of other results are ``NaN``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from zsad.evaluation.refinement import COUNTS, VALUES
from zsad.files.json_values import number, value_in_words
from zsad.names import ALL_METRICS, MASK_METRICS, MEANS, NO_REFINER, ORACLE
from zsad.tables.frames import (
    TableFormat,
    count,
    decimal,
    optional_decimal,
    optional_number,
    single,
    text,
)
from zsad.tables.missing import is_missing
from zsad.tables.results import KEYS, Result
from zsad.tables.training_words import training_in_words

SIDES = ("low", "high")
DECISION_KEYS = tuple(key for key in KEYS if key != "refiner")
_LIMITS = tuple(f"{metric}_{side}" for metric in ALL_METRICS for side in SIDES)
_DEVIATIONS = tuple(f"{metric}_std" for metric in ALL_METRICS)

METRICS = TableFormat(
    "metrics",
    {
        **dict.fromkeys(KEYS, text),
        **dict.fromkeys((*ALL_METRICS, *_LIMITS), decimal),
        **dict.fromkeys(("categories", "pixel_categories", "seeds"), count),
        **dict.fromkeys(_DEVIATIONS, decimal),
        "training": text,
    },
    names=KEYS,
    is_missing="categories",
)
DEFECT_TYPES = TableFormat(
    "defect types",
    {
        **dict.fromkeys((*KEYS, "defect_type"), text),
        "images": count,
        **dict.fromkeys((*ALL_METRICS, *_LIMITS), decimal),
    },
    names=KEYS,
    is_missing="images",
)
REFINEMENT = TableFormat(
    "refinement",
    {
        **dict.fromkeys((*KEYS, "defect_type"), text),
        **dict.fromkeys(VALUES, decimal),
        **dict.fromkeys(COUNTS, count),
        "reasons": text,
        **dict.fromkeys(("categories", "seeds"), count),
    },
    names=(*KEYS, "defect_type"),
    is_missing="categories",
)
COMPARISONS = TableFormat(
    "comparisons",
    {
        **dict.fromkeys(("metric", "category", "method", "other"), text),
        **dict.fromkeys(("difference", "low", "high"), decimal),
        "verdict": text,
    },
    names=("metric", "category", "method", "other"),
    is_missing="verdict",
)
IMAGES = TableFormat(
    "images",
    {
        "category": text,
        "image_id": text,
        "method": text,
        "setting": text,
        "rank": count,
        "image_score": lambda value: f"{value:.7g}",
        "peak": single,
        "region_threshold": single,
        "decision": count,
        "p_value": optional_number,
        "false_alarms": optional_number,
        "pixel_threshold": single,
        "marked_regions": count,
        "marked_share": optional_decimal(6),
        "label": count,
        "defect_type": text,
        "aupimo": optional_decimal(6),
        "note": text,
        "seconds": optional_decimal(4),
    },
    names=("category", "method", "setting"),
    is_missing="image_id",
)
DECISIONS = TableFormat(
    "decisions",
    {
        **dict.fromkeys((*DECISION_KEYS, "rule", "measure"), text),
        "nominal": optional_number,
        "decision_fpr": decimal,
        **dict.fromkeys(("called", "images"), count),
        **dict.fromkeys(("decision_recall", "decision_f1", "decision_ratio", "mask_ratio"), decimal),
        **dict.fromkeys(("categories", "seeds"), count),
        "remarks": text,
    },
    names=DECISION_KEYS,
    is_missing="images",
)
AGAINST_PUBLISHED = TableFormat(
    "figures compared with published ones",
    {
        **dict.fromkeys(("method", "category", "metric"), text),
        **dict.fromkeys(("ours", "ours_low", "ours_high"), decimal),
        "ours_std": optional_decimal(6),
        "seeds": count,
        "theirs": decimal,
        "theirs_step": optional_number,
        "difference": decimal,
        **dict.fromkeys(("verdict", "remark"), text),
        **dict.fromkeys(("published_method", "published_backbone", "published_resolution", "setting"), text),
        **dict.fromkeys(("our_protocol", "their_protocol", "source", "note"), text),
    },
    names=(
        *("method", "category", "metric"),
        *("published_method", "published_backbone", "published_resolution"),
    ),
    is_missing="verdict",
)
COSTS = TableFormat(
    "costs",
    {
        **dict.fromkeys(("method", "setting", "backbone", "stage", "detail"), text),
        "images": count,
        "seconds": optional_decimal(2),
        "seconds_per_image": optional_decimal(6),
        "peak_mb": optional_decimal(1),
        **dict.fromkeys(("shared", "categories"), count),
        **dict.fromkeys(("device", "group"), text),
    },
    names=("method", "setting", "backbone", "stage"),
)


def metrics_frame(results: Iterable[Result]) -> pd.DataFrame:
    """The frame of metrics.csv; ``group`` is the method of which a row is a random seed, empty if it is none."""
    return METRICS.frame(
        {
            **{key: getattr(result, key) for key in (*KEYS, "categories", "pixel_categories", "seeds", "group")},
            **result.values,
            **{f"{metric}_low": limits.low for metric, limits in result.confidence.items()},
            **{f"{metric}_high": limits.high for metric, limits in result.confidence.items()},
            **{f"{metric}_std": deviation for metric, deviation in result.deviation.items()},
            "training": training_in_words(result.trainings),
            "missing": result.missing,
        }
        for result in results
    )


def write_metrics(
    path: Path, frame: pd.DataFrame, swept: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> None:
    """Write metrics.csv; deviations are empty without several seeds, and so are limits that an oracle does not have.

    Args:
        swept: by column that is added at the end, the value of each method that has one; the other cells are empty.
    """
    one_seed = (frame["seeds"] < 2).tolist()
    oracle = ((frame["method"] == ORACLE) & ~frame["category"].isin(MEANS)).tolist()
    no_limits = [f"{metric}_{side}" for metric in ALL_METRICS if metric not in MASK_METRICS for side in SIDES]
    own: dict[str, Callable[[Any], str]] = dict.fromkeys(swept, str)  # not `text`: numbers stay numbers in spreadsheets
    table = replace(METRICS, columns={**METRICS.columns, **own}, names=(*METRICS.names, *swept))
    cells = {
        column: [value_in_words(values[method]) if method in values else "" for method in frame["method"]]
        for column, values in swept.items()
    }
    blank = dict.fromkeys(_DEVIATIONS, one_seed) | dict.fromkeys(no_limits, oracle)
    table.write(path, frame.assign(**cells), blank)


def defect_types_frame(evaluations: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of defect_types.csv: the metrics of each defect type, from its images and the normal ones."""
    return DEFECT_TYPES.frame(
        {
            **{key: evaluation.get(key, NO_REFINER) for key in KEYS},
            **{name: of_type.get(name) for name in ("defect_type", "images")},
            **{metric: number(of_type["metrics"][metric]) for metric in of_type.get("metrics", ())},
            **{
                f"{metric}_{side}": number(limit)
                for metric, limits in of_type.get("confidence", {}).items()
                for side, limit in zip(SIDES, limits, strict=True)
            },
            "missing": is_missing(evaluation),
        }
        for evaluation in evaluations
        for of_type in ([{}] if is_missing(evaluation) else evaluation["by_type"])
    )


def images_frame(evaluations: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of images.csv: for each category and method the most anomalous image first, equal ones by name.

    Equal scores share the better rank.
    """
    frame = IMAGES.frame(
        {
            **{name: evaluation[name] for name in ("category", "method", "setting")},
            **image,
            "image_score": image.get("score"),
            "image_score_exact": image.get("score"),
            "missing": is_missing(evaluation),
        }
        for evaluation in evaluations
        for image in ([{}] if is_missing(evaluation) else evaluation["images"])
    )
    if frame.empty:
        return frame
    scores = pd.Series([np.nan if value is None else -value for value in frame["image_score_exact"]], dtype=float)
    frame["rank"] = scores.groupby([frame["category"], frame["method"]]).rank(method="min")
    places = {f"{name}_place": pd.factorize(frame[name])[0] for name in ("category", "method")}
    ordered = frame.assign(**places).sort_values([*places, "rank", "image_id"], kind="stable", ignore_index=True)
    return ordered[[*IMAGES.columns, "missing"]]
