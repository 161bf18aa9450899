"""Which tables, plots and stages of a run the ground truth of a data set allows.

Outputs without any figure are not made. The ground truth is known from the listing of the images, before the first
step; for a data set that is not downloaded yet, from its layout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from zsad.reporting.options import VECTOR_FORMATS

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.data.known_truth import KnownTruth

# The tables of a run by their names in the rule; those of cost are made in any run.
TABLES = MappingProxyType(
    {
        "images_csv": "images.csv",
        "decisions_csv": "decisions.csv",
        "metrics_csv": "metrics.csv",
        "defect_types_csv": "defect_types.csv",
        "refinement_csv": "refinement.csv",
        "comparisons_csv": "comparisons.csv",
        "against_csv": "against_published.csv",
        "markdown": "metrics.md",
        "latex": "metrics.tex",
        "checksums": "tables.sha256",
    }
)
# Tables of classifiers, by their names in the rule.
CLASS_TABLES = MappingProxyType(
    {
        "classification_csv": "classification.csv",
        "metrics_csv": "classification_metrics.csv",
        "confusion_csv": "classification_confusion.csv",
        "markdown": "classification.md",
        "latex": "classification.tex",
        "checksums": "classification.sha256",
    }
)
OVERALL_PLOTS = ("summary.png", "bars.png", "quality_cost.png")


class Measurable:
    """The measurements that are possible in a run on a data set.

    Args:
        localises: whether any of the methods localises defects.
        classifiers: the names of the classifiers.
        meets: whether any of the methods is compared with published figures.
        swept: the methods that a sweep has split up.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        localises: bool,
        classifiers: Collection[str] = (),
        meets: bool = False,
        swept: Collection[str] = (),
    ) -> None:
        self._data = data
        self._swept = swept
        self._localises = localises
        self._meets = meets
        self._classifiers = classifiers

    @cached_property
    def is_labelled(self) -> bool:
        """Whether any test image has a label."""
        return any(truth.is_labelled for truth in self._data.truths())

    @cached_property
    def has_types(self) -> bool:
        """Whether any test image is known to be defective, and so has a type.

        Without one no metric has a value except the share of false alarms, which is in the table of decisions.
        """
        return any(truth.defective for truth in self._data.truths())

    @cached_property
    def has_ranking(self) -> bool:
        """Whether a ranking of images, or of pixels, can be measured in any category."""
        return any(map(self._ranks, self._data.truths()))

    def has_curves(self, category: str) -> bool:
        """Whether a ranking can be measured in this category."""
        return self._ranks(self._data.truth(category))

    def _ranks(self, truth: KnownTruth) -> bool:
        return truth.ranks_images or (truth.masks and self._localises)

    def has_masks(self, category: str) -> bool:
        """Whether a defect of this category has a ground-truth mask."""
        return self._data.truth(category).masks

    def has_kinds(self, category: str) -> bool:
        """Whether classifications of this category can be evaluated, since an image has a label."""
        return bool(self._classifiers) and self._data.truth(category).is_labelled

    @property
    def tables(self) -> dict[str, str]:
        """The `TABLES` with contents."""
        needs = {
            **dict.fromkeys(("images_csv", "decisions_csv", "checksums"), True),
            "refinement_csv": self.is_labelled,
            "comparisons_csv": self.has_ranking,
            "against_csv": self._meets and self.has_types,
        }
        return {name: file for name, file in TABLES.items() if needs.get(name, self.has_types)}

    @property
    def class_tables(self) -> dict[str, str]:
        """The `CLASS_TABLES` with contents; none without a classifier."""
        if not self._classifiers:
            return {}
        return {name: file for name, file in CLASS_TABLES.items() if name != "confusion_csv" or self.is_labelled}

    @property
    def overall_plots(self) -> tuple[str, ...]:
        """The `OVERALL_PLOTS` with contents; all or none."""
        return OVERALL_PLOTS if self.has_ranking else ()

    @property
    def sweep_plots(self) -> dict[str, str]:
        """The plots of swept parameters, by the method that they are of; none where no ranking can be measured."""
        return _sweep_plots(self._swept) if self.has_ranking else {}

    def unmade(self) -> list[str]:
        """Outputs that an earlier run with more ground truth may have left and this run does not make.

        They are files, or whole folders, below the folder of results.
        """
        categories = self._data.categories
        return [
            *(f"tables/{file}" for name, file in TABLES.items() if name not in self.tables),
            *_in_all_formats(f"plots/{plot}" for plot in OVERALL_PLOTS if plot not in self.overall_plots),
            *_in_all_formats(
                f"plots/{category}/curves.png" for category in categories if not self.has_curves(category)
            ),
            *_in_all_formats(
                f"plots/{plot}" for name, plot in _sweep_plots(self._swept).items() if name not in self.sweep_plots
            ),
            *(f"{category}/draws" for category in categories if not self.is_labelled),
            *(
                f"{category}/{kind}/oracle"
                for category in categories
                for kind in ("metrics", "draws")
                if not self.has_masks(category)
            ),
            *(f"tables/{file}" for name, file in CLASS_TABLES.items() if name not in self.class_tables),
            *_in_all_formats(
                f"plots/{category}/{plot}.png"
                for category in categories
                for plot in ("shots", *(f"{name}.confusion" for name in self._classifiers))
                if not self.has_kinds(category)
            ),
        ]


def _in_all_formats(plots: Iterable[str]) -> Iterator[str]:
    """Plots, and where each would lie in vector formats."""
    for plot in plots:
        yield plot
        yield from (f"{plot.removesuffix('png')}{ending}" for ending in VECTOR_FORMATS)


def _sweep_plots(methods: Collection[str]) -> dict[str, str]:
    return {method: f"sweep_{method}.png" for method in methods}
