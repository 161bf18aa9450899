"""The basis of the estimates: the configuration, the images of each category, and whether networks run on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zsad.data.subsets import support_named
from zsad.errors import ZsadError
from zsad.resources.tokens import is_network
from zsad.resources.workload import Images, Workload, examples_of, shown, workload_of
from zsad.scoring.registry import SCORERS

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.workflow.entries import MethodEntry
    from zsad.workflow.settings import Settings


class Run:
    """A planned run of the workflow.

    Args:
        settings: its configuration.
        results: the folder of all results; lists of images are searched there.
        on_gpu: whether networks run on a GPU.
    """

    def __init__(self, settings: Settings, results: Path = Path("results"), *, on_gpu: bool = False) -> None:
        self.settings, self.on_gpu = settings, on_gpu
        self._results = results
        self._workloads: dict[tuple[str, str], tuple[float, Workload]] = {}
        self._examples: dict[tuple[str, str], tuple[float, Images]] = {}

    @property
    def categories(self) -> list[str]:
        """The wanted categories; the published ones before a data set is downloaded."""
        return _categories(self.settings.data)

    @property
    def auxiliary_categories(self) -> list[str]:
        """The categories of the auxiliary data set; empty without one."""
        return [] if self.settings.auxiliary is None else _categories(self.settings.auxiliary)

    def workload(self, category: str, dataset: str | None = None) -> Workload:
        """The images of a category; determined once, and again after they are listed.

        Args:
            dataset: the name of the data set; None for the one under test.
        """
        data = self.settings.data_of(dataset or self.settings.dataset)
        listed = self._results / data.name / category / "images.csv"
        made = _time_of(listed)
        known = self._workloads.get((data.name, category))
        if known is None or known[0] != made:
            known = self._workloads[data.name, category] = (made, workload_of(data, category, listed))
        return known[1]

    def examples(self, category: str, support: str) -> Images:
        """The labelled examples of a support for a category; determined likewise."""
        listed = self._results / self.settings.dataset / category / "labelled" / f"{support}.csv"
        made = _time_of(listed)
        known = self._examples.get((category, support))
        if known is None or known[0] != made:
            found = examples_of(self.settings.data, self.settings.supports[support], category, listed)
            known = self._examples[category, support] = (made, found)
        return known[1]

    def images(self, category: str, subset: str, view: str = "original", dataset: str | None = None) -> Images:
        """The images of a subset as a view shows them; see `zsad.data.subsets`."""
        if support := support_named(subset):
            return shown(self.examples(category, support), view)
        return self.workload(category, dataset).of(subset, view)


def localises(run: Run, method: str) -> bool:
    """Whether a method gives maps: its scorer decides, or the first method whose scores it reads."""
    entry = scorer_behind(run, method)
    return SCORERS.load(entry.scorer).localises


def scorer_behind(run: Run, method: str) -> MethodEntry:
    """The method itself, or the first method whose scores it reads: all have the same grid."""
    entry = run.settings.methods[method]
    while entry.members:
        entry = run.settings.methods[entry.members[0]]
    return entry


def uses_network(settings: Settings) -> bool:
    """Whether the configuration uses a network: a backbone, or a segmentation model."""
    return bool(settings.segmenters) or any(map(is_network, settings.backbones.values()))


def _categories(data: Dataset) -> list[str]:
    try:
        return data.categories if data.is_here else list(data.facts.categories if data.facts else ())
    except ZsadError:
        return []


def _time_of(path: Path) -> float:
    """Modification time of a file; 0 if it does not exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
