"""The rows of the CSV tables of a run; `zsad.tables.collect_tables` says what each table is.

A row of what is missing has its names and nothing else; what is there and not known is ``NaN``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scipy.stats import rankdata

from zsad.evaluation.measured import first_places, is_known
from zsad.evaluation.refinement import COUNTS, VALUES
from zsad.files.json_values import number
from zsad.names import ALL_METRICS, NO_REFINER
from zsad.tables.comparisons import Comparison
from zsad.tables.missing import is_missing
from zsad.tables.refinement_table import RefinementResult
from zsad.tables.results import KEYS, Result

SIDES = ("low", "high")
METRICS_COLUMNS = (
    *KEYS,
    *ALL_METRICS,
    *(f"{metric}_{side}" for metric in ALL_METRICS for side in SIDES),
    "categories",
    "pixel_categories",
    "seeds",
    *(f"{metric}_std" for metric in ALL_METRICS),
)
DEFECT_TYPES_COLUMNS = (
    *KEYS,
    "defect_type",
    "images",
    *ALL_METRICS,
    *(f"{metric}_{side}" for metric in ALL_METRICS for side in SIDES),
)
REFINEMENT_COLUMNS = (*KEYS, "defect_type", *VALUES, *COUNTS, "reasons", "categories", "seeds")
COMPARISONS_COLUMNS = Comparison._fields
IMAGES_COLUMNS = (
    "category",
    "image_id",
    "method",
    "setting",
    "rank",
    "image_score",
    "image_threshold",
    "decision",
    "pixel_threshold",
    "marked_regions",
    "marked_share",
    "label",
    "defect_type",
    "aupimo",
    "note",
    "seconds",
)
TEXT_COLUMNS = frozenset(
    (*KEYS, "defect_type", "reasons", "image_id", "note", "metric", "other", "verdict")
)  # what is in them may come from names; all other columns hold figures


def figures_of(columns: Iterable[str]) -> frozenset[str]:
    """Those of the columns that hold figures."""
    return frozenset(columns) - TEXT_COLUMNS


def metrics_rows(results: Iterable[Result]) -> list[dict[str, str]]:
    """Rows of metrics.csv."""
    return [_metrics_row(result) for result in results]


def _metrics_row(result: Result) -> dict[str, str]:
    row = {key: getattr(result, key) for key in KEYS}
    if result.missing:
        return row
    row |= {metric: _decimal(value) for metric, value in result.values.items()}
    for metric, limits in result.confidence.items():
        row |= {f"{metric}_low": _decimal(limits.low), f"{metric}_high": _decimal(limits.high)}
    row |= {f"{metric}_std": _decimal(value) for metric, value in result.deviation.items()}
    counts = ("categories", "pixel_categories", "seeds")
    return row | {count: str(getattr(result, count)) for count in counts}


def defect_type_rows(evaluations: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows of defect_types.csv."""
    return [row for evaluation in evaluations for row in _defect_type_rows(evaluation)]


def _defect_type_rows(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    names = {key: evaluation.get(key, NO_REFINER) for key in KEYS}
    if is_missing(evaluation):
        return [names]
    return [
        {
            **names,
            "defect_type": of_type["defect_type"],
            "images": str(of_type["images"]),
            **{metric: _decimal(number(of_type["metrics"][metric])) for metric in ALL_METRICS},
            **{
                f"{metric}_{side}": _decimal(number(limit))
                for metric in ALL_METRICS
                for side, limit in zip(SIDES, of_type["confidence"][metric], strict=True)
            },
        }
        for of_type in evaluation["by_type"]
    ]


def refinement_rows(results: Iterable[RefinementResult]) -> list[dict[str, str]]:
    """Rows of refinement.csv."""
    return [_refinement_row(result) for result in results]


def _refinement_row(result: RefinementResult) -> dict[str, str]:
    row = {key: getattr(result, key) for key in (*KEYS, "defect_type")}
    if result.missing:
        return row
    row |= {name: _decimal(value) for name, value in result.values.items()}
    row |= {name: f"{round(value, 2):.12g}" for name, value in result.counts.items()}
    row["reasons"] = "; ".join(f"{cause}: {number}" for cause, number in result.reasons.most_common())
    return row | {count: str(getattr(result, count)) for count in ("categories", "seeds")}


def comparison_rows(found: Iterable[Comparison]) -> list[dict[str, str]]:
    """Rows of comparisons.csv."""
    return [
        {
            name: value if isinstance(value, str) else "" if one.is_missing else _decimal(value)
            for name, value in one._asdict().items()
        }
        for one in found
    ]


def image_rows(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Ranked lists: within a category and method the most anomalous image comes first, and of equal ones the names."""
    category = first_places(evaluation["category"] for evaluation in evaluations)
    method = first_places(evaluation["method"] for evaluation in evaluations)
    ordered = sorted(
        evaluations, key=lambda evaluation: (category[evaluation["category"]], method[evaluation["method"]])
    )
    return [row for evaluation in ordered for row in _image_rows(evaluation)]


def _image_rows(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    names = {name: evaluation[name] for name in ("category", "method", "setting")}
    if is_missing(evaluation):
        return [names]
    return [
        {
            **names,
            "image_id": image["image_id"],
            "rank": str(rank),
            "image_score": f"{image['score']:.7g}",
            "image_threshold": _blank_if_infinite(number(evaluation["image_threshold"])),
            "decision": str(int(image["decision"])),
            "pixel_threshold": _blank_if_infinite(number(evaluation["threshold"])),
            "marked_regions": _blank_if_none(image.get("marked_regions")),
            "marked_share": _blank_if_unknown(number(image.get("marked_share"))),
            "label": "" if image["label"] is None else str(image["label"]),
            "defect_type": image["defect_type"],
            "aupimo": _blank_if_unknown(number(image.get("aupimo"))),
            "note": image["note"],
            "seconds": "" if image["seconds"] is None else f"{image['seconds']:.4f}",
        }
        for rank, image in _ranked(evaluation["images"])
    ]


def _ranked(images: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    ordered = sorted(images, key=lambda image: (-image["score"], image["image_id"]))
    ranks = rankdata([-image["score"] for image in ordered], method="min").astype(int).tolist()
    return list(zip(ranks, ordered, strict=True))


def _decimal(value: float) -> str:
    return f"{value:.6f}" if is_known(value) else "NaN"


def _blank_if_infinite(value: float) -> str:
    """A threshold; empty where there is none, or nothing can exceed it."""
    return f"{value:.7g}" if math.isfinite(value) else ""


def _blank_if_none(value: int | None) -> str:
    return "" if value is None else str(value)


def _blank_if_unknown(value: float) -> str:
    return f"{value:.6f}" if is_known(value) else ""
