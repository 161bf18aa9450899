"""What the page of a data set is made of: tables as frames, evaluations, galleries and plots, read and named once."""

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
    """A part of the page.

    Attributes:
        template: its file.
        content: what the template shows.
        anchor, title: of its entry in the table of contents; empty if it has none.
    """

    template: str
    content: Mapping[str, Any]
    anchor: str = ""
    title: str = ""


class Plot(NamedTuple):
    """A plot as a ``data:`` address, with its size in pixels, so that the page does not jump while it loads."""

    address: str
    width: int
    height: int


@dataclass(frozen=True)
class ClassContents:
    """What classifiers say of the kinds of defects; nothing where none is configured.

    Attributes:
        evaluations: of classifiers, in the order of the configuration.
        confusions: by category and classifier; of what is not labelled there are none.
        shots: by category: accuracy against the number of examples.
        supports: by category and support that lies beside the data set: its thumbnails.
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
    """Everything of one data set, in one order; in the frames a method is called as it is on the page.

    Attributes:
        results, mask_results: evaluations of scores and of masks.
        names: what each method with evaluations is called, in order; ``in_tables``: the means over seeds besides.
        metrics, refinement, comparisons, costs, against: the tables; without rows where there are none. Refinement has
            the oracle too, and without labels the regions alone.
        galleries: by category and method.
        checks: by category what the check of its images found.
        curves, histograms: by category; ``plots``: by name, of all methods, None where there is none.
        sweeps: plots of swept parameters, by method.
        method_summaries: for each method its ``scorer``, ``summary`` and so on, in words.
        sheets: what the contact sheet of a category is made from; without one where no thumbnails were drawn.
        root: folder of the images as it is configured; empty where nobody would put a table into it.
        classes: what classifiers say.
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
        """In the order in which they are evaluated."""
        return list(dict.fromkeys(result["category"] for result in self.results))

    @cached_property
    def backbones(self) -> set[str]:
        """Whose features methods or classifiers use."""
        return {*(key.backbone for key in self.names), *(result["backbone"] for result in self.classes.evaluations)}

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Where on the page each category begins."""
        return {category: f"category-{place}" for place, category in enumerate(self.categories, start=1)}

    @cached_property
    def means(self) -> pd.DataFrame:
        """The metrics over all categories."""
        return self.metrics[self.metrics["category"] == MEAN]

    @cached_property
    def best(self) -> MethodKey:
        """The method with the best mean image AUROC, whose galleries stand open.

        Where nothing is measured it is the one that may see the most, which is a guess that needs no label.
        """
        value = dict(zip(self.means["method"][::-1], self.means["image_auroc"][::-1], strict=True))
        known = {key: value[name] for key, name in self.names.items() if not math.isnan(value.get(name, math.nan))}
        return max(known or self.names, key=lambda key: known[key] if known else setting_order(key.setting))

    @cached_property
    def protocol(self) -> str:
        """At which resolution pixels are compared."""
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

    def told_of(self, key: MethodKey, what: str) -> str:
        """What is said of a method in its summary; may be empty."""
        return self.method_summaries.get(key.method, {}).get(what, "")

    @cached_property
    def blind_to(self) -> dict[str, str]:
        """What each method cannot see, by what it is called."""
        return {name: self.told_of(key, "blind_to") for key, name in self.in_tables.items()}


def with_names_of_pairs(compared: pd.DataFrame, names: Mapping[MethodKey, str]) -> pd.DataFrame:
    """The pairs of named methods, each with what it is called, in the order of the names."""
    called = {key.method: name for key, name in names.items()}
    places = {method: place for place, method in enumerate(called)}
    known = compared[compared["method"].isin(called) & compared["other"].isin(called)]
    ordered = known.assign(place=known["method"].map(places)).sort_values("place", kind="stable")
    return ordered.assign(method=ordered["method"].map(called), other=ordered["other"].map(called))


def regions_refined(results: Sequence[Evaluation], mask_results: Sequence[Evaluation]) -> pd.DataFrame:
    """What is known of refinement where no test image has a label: regions of categories, and then their sum."""
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
    """A PNG file.

    Raises:
        DataError: absent, or no picture.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that draws it") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is no picture; delete it and run again") from None
    return Plot(data_address("image/png", path.read_bytes()), width, height)
