"""The data behind the page of a data set: tables as frames, evaluations, galleries and plots, read once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image, UnidentifiedImageError

from zsad.errors import DataError
from zsad.names import ALL_TYPES, MEAN, setting_order
from zsad.reporting.class_evaluations import ClassEvaluation
from zsad.reporting.contact_sheets import SheetFiles
from zsad.reporting.data_address import data_address
from zsad.reporting.evaluations import Evaluation, MethodKey, key_of, protocol_in_words
from zsad.tables.csv_tables import AGAINST_PUBLISHED, REFINEMENT
from zsad.tables.frames import rows_of

_REGIONS = {"regions_found": "found", "regions_prompted": "prompted", "regions_accepted": "accepted"}


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        template: file name of its template.
        content: the values that the template shows.
        anchor, title: of its entry in the table of contents; empty if it has none.
    """

    template: str
    content: Mapping[str, Any]
    anchor: str = ""
    title: str = ""


class Plot(NamedTuple):
    """A plot as a ``data:`` address, with its size in pixels, so that the page does not move while it loads."""

    address: str
    width: int
    height: int


@dataclass(frozen=True)
class ClassContents:
    """The results of classifiers of defect types; empty if none is configured.

    Attributes:
        evaluations: of classifiers, in the order of the configuration.
        confusions: by category and classifier; missing for categories without labels.
        shots: plots by category: accuracy against the number of examples.
        supports: thumbnails of the examples that are stored beside the data set, by category and support.
        count: images in each group.
    """

    evaluations: Sequence[ClassEvaluation] = ()
    confusions: Mapping[tuple[str, str], Plot] = field(default_factory=dict)
    shots: Mapping[str, Plot] = field(default_factory=dict)
    supports: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    count: int = 1

    def of(self, category: str) -> list[ClassEvaluation]:
        """The evaluations of one category."""
        return [result for result in self.evaluations if result["category"] == category]


@dataclass(frozen=True)
class Contents:
    """All results of one data set, in one order; the frames use the method names of the page.

    Attributes:
        results, mask_results: evaluations of scores and of masks.
        names: display name of each method with evaluations, in order; ``in_tables``: also of the means over seeds.
        metrics, refinement, comparisons, costs, against: the tables; empty if they do not exist. Refinement also has
            the oracle; without labels it has only the numbers of regions.
        galleries: by category and method.
        checks: by category the result of the image check.
        curves, histograms: by category; ``plots``: by name, of all methods, None if there is none.
        sweeps: plots of swept parameters, by method.
        method_summaries: for each method its ``scorer``, ``summary`` and so on, in words.
        sheets: files behind the contact sheets, by category; missing for categories without thumbnails.
        root: folder of the images as configured; empty if a table of marks should not be put there.
        classes: results of classifiers.
    """

    dataset: str
    results: Sequence[Evaluation]
    mask_results: Sequence[Evaluation]
    names: Mapping[MethodKey, str]
    in_tables: Mapping[MethodKey, str]
    metrics: pd.DataFrame
    refinement: pd.DataFrame
    comparisons: pd.DataFrame
    costs: pd.DataFrame
    galleries: Mapping[str, Mapping[MethodKey, Evaluation]]
    checks: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Plot]
    histograms: Mapping[str, Plot]
    plots: Mapping[str, Plot | None]
    configuration: Mapping[str, Any]
    method_summaries: Mapping[str, Mapping[str, str]]
    sheets: Mapping[str, SheetFiles]
    root: str
    classes: ClassContents = field(default_factory=ClassContents)
    against: pd.DataFrame = field(default_factory=lambda: AGAINST_PUBLISHED.frame([]))
    sweeps: Mapping[str, Plot] = field(default_factory=dict)

    @cached_property
    def categories(self) -> list[str]:
        """The categories, in the order of evaluation."""
        return list(dict.fromkeys(result["category"] for result in self.results))

    @cached_property
    def backbones(self) -> set[str]:
        """The backbones whose features methods or classifiers use."""
        return {*(key.backbone for key in self.names), *(result["backbone"] for result in self.classes.evaluations)}

    @cached_property
    def anchors(self) -> dict[str, str]:
        """The anchor of each category on the page."""
        return {category: f"category-{place}" for place, category in enumerate(self.categories, start=1)}

    @cached_property
    def means(self) -> pd.DataFrame:
        """The metrics over all categories."""
        return self.metrics[self.metrics["category"] == MEAN]

    @cached_property
    def best(self) -> MethodKey:
        """The method with the best mean image AUROC, whose galleries are open.

        Without labels it is the method whose setting sees the most, as a guess.
        """
        value = dict(zip(self.means["method"][::-1], self.means["image_auroc"][::-1], strict=True))
        known = {key: value[name] for key, name in self.names.items() if not math.isnan(value.get(name, math.nan))}
        return max(known or self.names, key=lambda key: known[key] if known else setting_order(key.setting))

    @cached_property
    def protocol(self) -> str:
        """The resolution at which pixels are compared, in words."""
        return protocol_in_words(result["protocol"] for result in self.results)

    def of(self, category: str) -> list[Evaluation]:
        """The evaluations of the scores of a category."""
        return [result for result in self.results if result["category"] == category]

    def masks_of(self, category: str) -> list[Evaluation]:
        """The evaluations of the masks of a category."""
        return [result for result in self.mask_results if result["category"] == category]

    def is_measured(self, category: str) -> bool:
        """Whether an image of the category has a label."""
        return any(image["label"] is not None for image in self.of(category)[0]["images"])

    def summary_of(self, key: MethodKey, what: str) -> str:
        """An entry of a method's summary, such as ``"scorer"``; may be empty."""
        return self.method_summaries.get(key.method, {}).get(what, "")

    @cached_property
    def blind_to(self) -> dict[str, str]:
        """The anomalies that each method cannot see, by display name."""
        return {name: self.summary_of(key, "blind_to") for key, name in self.in_tables.items()}


def with_names_of_pairs(compared: pd.DataFrame, names: Mapping[MethodKey, str]) -> pd.DataFrame:
    """The pairs of named methods with their display names, in the order of the names."""
    called = {key.method: name for key, name in names.items()}
    places = {method: place for place, method in enumerate(called)}
    known = compared[compared["method"].isin(called) & compared["other"].isin(called)]
    ordered = known.assign(place=known["method"].map(places)).sort_values("place", kind="stable")
    return ordered.assign(method=ordered["method"].map(called), other=ordered["other"].map(called))


def regions_refined(results: Sequence[Evaluation], mask_results: Sequence[Evaluation]) -> pd.DataFrame:
    """The numbers of refined regions by category and in total, for data sets without labels."""
    keys = {result["method"]: key_of(result) for result in results}
    places = {method: place for place, method in enumerate(keys)}
    rows = [
        {
            "category": result["category"],
            "defect_type": ALL_TYPES,
            **keys[result["method"]]._asdict(),
            "refiner": result["refiner"],
            **{column: float(result["regions"][name]) for column, name in _REGIONS.items()},
        }
        for result in sorted(mask_results, key=lambda result: places[result["method"]])
    ]
    frame = REFINEMENT.frame(rows)
    names = ["setting", "method", "backbone", "refiner"]
    sums = frame.groupby(names, sort=False, as_index=False)[list(_REGIONS)].sum()
    means = REFINEMENT.frame({**row, "category": MEAN, "defect_type": ALL_TYPES} for row in rows_of(sums))
    return pd.concat([frame, means], ignore_index=True)


def plot_of(path: Path) -> Plot:
    """Read a PNG file.

    Raises:
        DataError: the file is missing or not a PNG picture.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that draws it") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not a PNG picture; delete it and run again") from None
    return Plot(data_address("image/png", path.read_bytes()), width, height)
