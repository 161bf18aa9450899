"""Read evaluation files for the plots and the page, with the same order and names of methods everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import DataError
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import number
from zsad.names import TITLES, setting_order

METRIC_TITLES = {metric: title[0].upper() + title[1:] for metric, title in TITLES.items()}
EVALUATION_KEYS = (
    *("dataset", "category", "method", "backbone", "setting", "metrics", "confidence"),
    *("localises", "decision", "mask", "curves", "bands", "by_type", "images", "counts", "notes", "protocol"),
    "provenance",
)

Evaluation = dict[str, Any]


class MethodKey(NamedTuple):
    """Identifies a method: one row of every table and one colour of every plot."""

    setting: str
    method: str
    backbone: str


def key_of(named: Mapping[str, Any]) -> MethodKey:
    """The method of a row, an evaluation or a gallery."""
    return MethodKey(named["setting"], named["method"], named["backbone"])


def method_order(key: MethodKey) -> tuple[tuple[int, int, str], str, str]:
    """Sort key of a method, the same in every table and plot, so that a method keeps its place and colour."""
    return setting_order(key.setting), key.method, key.backbone


def display_names(keys: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """Name of each method, in `method_order`; with its backbone where more than one backbone is in use."""
    ordered = sorted(set(keys), key=method_order)
    several = len({key.backbone for key in ordered}) > 1
    return {key: f"{key.method} · {key.backbone}" if several else key.method for key in ordered}


def protocol_in_words(protocols: Iterable[str]) -> str:
    """The resolution at which pixels were compared, e.g. ``"native resolution"``, ``"256 × 256"``."""
    return ", ".join(_in_words(protocol) for protocol in dict.fromkeys(protocols) if protocol)


def _in_words(protocol: str) -> str:
    return re.sub(r"^resize(\d+)", r"\1 × \1", re.sub("^native", "native resolution", protocol))


def read_evaluations(paths: Iterable[Path]) -> list[Evaluation]:
    """Read evaluation files, in `method_order`; the categories keep the order in which they are given.

    Raises:
        DataError: a file is missing or not an evaluation.
    """
    evaluations = [read_evaluation(path, EVALUATION_KEYS) for path in paths]
    return sorted(evaluations, key=lambda evaluation: method_order(key_of(evaluation)))


def read_one_category(paths: Iterable[Path]) -> list[Evaluation]:
    """Read the evaluation files of one category, in `method_order`.

    Raises:
        DataError: a file is missing or not an evaluation, or they belong to more than one category.
    """
    evaluations = read_evaluations(paths)
    category_of(evaluations)
    return evaluations


def category_of(evaluations: Iterable[Mapping[str, Any]]) -> str:
    """The common category of some evaluations, of methods or of classifiers.

    Raises:
        DataError: they belong to more than one.
    """
    categories = sorted({str(evaluation["category"]) for evaluation in evaluations})
    if len(categories) != 1:
        raise DataError(f"a figure shows one category, not {len(categories)} ({', '.join(categories)})")
    return categories[0]


def measured(document: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """A metric of an evaluation with its confidence limits; NaN if unknown."""
    low, high = document["confidence"].get(metric) or (None, None)
    return number(document["metrics"].get(metric)), number(low), number(high)
