"""The costs of the methods of a run: seconds and peak memory per stage and image, from the benchmarks of its jobs.

Stages are rules of the workflow, and a job is a stage in one category. A cost is the sum over the categories in which
every job behind it has a benchmark. Work that several methods share, such as features, is done once and counted for
each of them. Two rows are the totals of a method: `PER_IMAGE`, the cost of one more test image until it has a map and a
score, and `REFERENCES`, the cost of the work that is done once before, with other images. The encoding of sentences,
training on another data set, masks that no map depends on, and the evaluation have their own rows and are in neither
total.
"""

from __future__ import annotations

import csv
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from zsad.data.image_list import read_image_list
from zsad.data.subsets import references_count, synthetic_named
from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.checksums import write_checksums
from zsad.files.csv_files import read_table
from zsad.files.hdf5 import read_provenance
from zsad.names import PER_IMAGE, REFERENCES
from zsad.tables.cost_tables import PARTS, stages_table, totals_table
from zsad.tables.csv_tables import COSTS
from zsad.tables.frames import rows_of
from zsad.tables.notation import NOT_AVAILABLE
from zsad.tables.results import grouped
from zsad.tables.typeset import latex_source, markdown_source, markdown_text

Cost = dict[str, Any]

_LONG_ENOUGH = 1.0  # seconds; Snakemake measures a job's memory when it starts, and then every half second
_EXPLANATION = (
    "Wall-clock time of this run. Loading a model takes seconds for any number of images, and so does loading "
    "libraries if each job starts by itself: times per image are inflated for small categories. Jobs that ran at the "
    "same time shared the machine. "
    "A step that several methods share is counted for each of them. "
    "The total per image covers all work until it has a map and a score. References, with the model that is fitted to "
    "them, are made only once and listed separately. The encoding of sentences, training on another data set, masks "
    "that no map depends on, and the evaluation are in neither total. "
    "Memory is the largest resident set that was measured in any category (1 MB = 2^20 bytes), for a job "
    "and the processes that it started, without GPU memory. It is measured every half second, in long jobs every 30 s, "
    "so that a short peak may be missed. Results from a shared folder took only the time to load the model. "
    f"{NOT_AVAILABLE}: there is no benchmark, or no job ran for a second, which the measurement "
    "needs."
)


@dataclass(frozen=True)
class Step:
    """A stage that a method needs; ``{category}`` in its paths stands for the category.

    Attributes:
        stage: name of the rule.
        detail: selects one of its jobs, e.g. ``"test.hflip"``; may be empty.
        subset: the images that it processes, see `zsad.data.subsets`; empty if it processes no image of the data set,
            but texts or another data set.
        benchmark: the file of its benchmark; a path without the category belongs to a job for all categories.
        product: its HDF5 file, whose provenance may contain the device; empty for other files.
        for_scores: whether maps and scores need it.
    """

    stage: str
    detail: str
    subset: str
    benchmark: str
    product: str
    for_scores: bool


@dataclass(frozen=True)
class Plan:
    """A method and all the steps that its results need.

    Attributes:
        group: the method of which this one is a random seed; empty if it is none.
        steps: each once; those of maps and scores first.
    """

    method: str
    setting: str
    backbone: str
    group: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Plan:
        """The plan with the given fields, where a step may occur several times, for scores and for masks."""
        first: dict[str, Step] = {}
        for step in sorted((Step(**fields) for fields in entry["steps"]), key=lambda step: not step.for_scores):
            first.setdefault(step.benchmark, step)
        return cls(**{**entry, "steps": tuple(first.values())})

    def steps_of_scores(self, *, test: bool) -> list[Step]:
        """The steps of maps and scores that process test images, or those that process other images."""
        shown = (step for step in self.steps if step.for_scores and step.subset)
        return [step for step in shown if (step.subset == "test") == test]


class Usage(NamedTuple):
    """The seconds and memory of one job; memory in MB of 2^20 bytes, NaN if it was too short to be measured."""

    seconds: float
    peak_mb: float


class CostTable:
    """The costs of the methods of a run, from the benchmarks of its jobs.

    Args:
        plans: of all methods.
        image_lists: of every category.

    Raises:
        DataError: a list of images is missing, or a benchmark is damaged. A missing benchmark is not an error.
    """

    def __init__(self, plans: Sequence[Plan], image_lists: Mapping[str, Path]) -> None:
        self._images: dict[str, Counter[str]] = {
            category: Counter(record.split for record in read_image_list(path))
            for category, path in image_lists.items()
        }
        self._methods = Counter(step.benchmark for plan in plans for step in plan.steps)
        self._usages = {benchmark: self._usages_of(benchmark) for benchmark in self._methods}
        self._devices = {product: self._device_of(product) for product in _products(plans)}

    def cost(
        self, plan: Plan, stage: str, steps: Sequence[Step], detail: str = "", part_of: Sequence[Step] = ()
    ) -> Cost:
        """The total cost of some steps of a method, which run one after the other, as a row of the table.

        ``seconds`` is NaN if no category counts, and ``peak_mb``, MB of 2^20 bytes, if no memory is known;
        ``categories`` is the number of categories in which every job has a benchmark, and ``images`` that of one seed.

        Args:
            part_of: further steps that must have a benchmark for a category to count.
        """
        needed = [*steps, *part_of]
        known = [category for category in self._images if all(self._usage(step, category) for step in needed)]
        by_job = {  # a job may be for all categories
            _in_category(step.benchmark, category): self._usages[step.benchmark][category]
            for step in steps
            for category in known
        }
        usages = list(by_job.values())
        peaks = [usage.peak_mb for usage in usages if not math.isnan(usage.peak_mb)]
        devices = dict.fromkeys(self._devices[step.product] for step in steps if step.product)
        images = sum(max(self._images_of(step.subset, category) for step in steps) for category in known)
        seconds = sum(usage.seconds for usage in usages) if usages else math.nan
        return {
            "method": plan.method,
            "setting": plan.setting,
            "backbone": plan.backbone,
            "stage": stage,
            "detail": detail,
            "images": images,
            "seconds": seconds,
            "seconds_per_image": seconds / images if images else math.nan,
            "peak_mb": max(peaks, default=math.nan),
            "shared": any(self._methods[step.benchmark] > 1 for step in steps),
            "categories": len(known),
            "device": ", ".join(device for device in devices if device),
            "group": plan.group,
        }

    def stages(self, plan: Plan) -> list[Cost]:
        """Every step of a method, then its totals; no `REFERENCES` if it has none."""
        stages = [self.cost(plan, step.stage, [step], step.detail) for step in plan.steps]
        totals = {name: plan.steps_of_scores(test=test) for name, test in ((PER_IMAGE, True), (REFERENCES, False))}
        return [*stages, *(self.cost(plan, name, steps) for name, steps in totals.items() if steps)]

    def parts(self, plan: Plan) -> list[Cost]:
        """The parts of a method's `PER_IMAGE`, as far as it has them, of `PARTS`; their sum is the total."""
        total = plan.steps_of_scores(test=True)
        parts = {part: [step for step in total if step.stage in stages] for part, stages in PARTS.items()}
        return [self.cost(plan, part, steps, part_of=total) for part, steps in parts.items() if steps]

    def _usage(self, step: Step, category: str) -> Usage | None:
        return self._usages[step.benchmark].get(category)

    def _usages_of(self, benchmark: str) -> dict[str, Usage]:
        paths = {category: _in_category(benchmark, category) for category in self._images}
        return {category: read_benchmark(path) for category, path in paths.items() if path.exists()}

    def _device_of(self, product: str) -> str:
        """The device that made a file, in the first category that has it; empty if unknown."""
        paths = (_in_category(product, category) for category in self._images)
        return next((_device_in(path) for path in paths if path.exists()), "")

    def _images_of(self, subset: str, category: str) -> int:
        made = synthetic_named(subset)
        return made.images if made else references_count(subset) or self._images[category][subset]


def collect_costs(
    *,
    methods: Sequence[Mapping[str, Any]],
    image_lists: Mapping[str, Path],
    metrics_csv: Path | None,
    cost_csv: Path,
    markdown: Path,
    latex: Path,
    checksums: Path | None = None,
) -> None:
    """Collect the benchmarks of a run into its tables of cost.

    A method with several seeds has rows for each seed, and rows under its own name: the totals, as means over the
    seeds.

    Args:
        methods: for each method the fields of its `Plan`.
        image_lists: of every category.
        metrics_csv: the metrics of the run, with the protocol of the evaluation; None without an evaluation.
        checksums: of the written tables.

    Raises:
        DataError: a list of images or the metrics are missing, or a benchmark is damaged; a missing one is not an
            error.
    """
    plans = [Plan.of(entry) for entry in methods]
    table = CostTable(plans, image_lists)
    rows: list[Cost] = []
    summary: list[Cost] = []
    for together in grouped(plans, lambda plan: plan.group or plan.method):
        stages = [cost for plan in together for cost in table.stages(plan)]
        totals = _over_seeds(cost for cost in stages if cost["stage"] in (PER_IMAGE, REFERENCES))
        rows += [*stages, *(totals if together[0].group else ())]
        summary += [*_over_seeds(cost for plan in together for cost in table.parts(plan)), *totals]
    costs, totals_of_methods = COSTS.frame(rows), COSTS.frame(summary)
    gaps = _gaps(totals_of_methods, len(image_lists))
    notes = [_EXPLANATION, machine_sentence(), *_protocol_sentence(metrics_csv), *gaps]
    tables = [totals_table(totals_of_methods), stages_table(costs)]
    COSTS.write(cost_csv, costs)
    write_text(markdown, markdown_source("Cost", map(markdown_text, notes), tables))
    write_text(latex, latex_source(tables, notes))
    if checksums is not None:
        write_checksums(checksums, (cost_csv, markdown, latex))


def read_benchmark(path: Path) -> Usage:
    """Read the benchmark that Snakemake writes for a job, a table with one row for each time that the job ran.

    Returns:
        The mean time and the largest memory; NaN for a job of less than a second.

    Raises:
        DataError: the file is missing, or not this table.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        seconds = sum(float(row["s"]) for row in rows) / len(rows)
        peaks = [float(row["max_rss"]) for row in rows if row["max_rss"] not in ("NA", "-")]
        return Usage(seconds, max(peaks, default=math.nan) if seconds >= _LONG_ENOUGH else math.nan)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"{path} is not a benchmark of a job ({error!r}); delete it and run again") from None


def machine_sentence() -> str:
    """A sentence on the machine that collects the costs; on a cluster the jobs ran on others."""
    cores = os.cpu_count() or 1
    counted = f"{cores} logical core{'s' if cores > 1 else ''}"
    return f"Collected on {processor_name()} with {counted}; jobs on a cluster ran on its own machines."


def processor_name() -> str:
    """Name of this machine's processor, or of its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*names, platform.processor(), platform.machine()]), "an unknown processor")


def _products(plans: Sequence[Plan]) -> list[str]:
    return list(dict.fromkeys(step.product for plan in plans for step in plan.steps if step.product))


def _in_category(pattern: str, category: str) -> Path:
    return Path(pattern.replace("{category}", category))


def _device_in(path: Path) -> str:
    try:
        return str(read_provenance(path).get("device", ""))
    except DataError:
        return ""


def _over_seeds(costs: Iterable[Cost]) -> list[Cost]:
    """The costs of one method, one row for each stage; the mean over several seeds."""
    return [_mean_over_seeds(group) for group in grouped(costs, lambda cost: cost["stage"])]


def _mean_over_seeds(seeds: Sequence[Cost]) -> Cost:
    first = seeds[0]
    if not first["group"]:
        return first
    seconds = sum(cost["seconds"] for cost in seeds) / len(seeds)
    return {
        **first,
        "method": first["group"],
        "group": "",
        "detail": f"mean of {len(seeds)} seed{'s' if len(seeds) > 1 else ''}",
        "seconds": seconds,
        "seconds_per_image": seconds / first["images"] if first["images"] else math.nan,
        "peak_mb": max((cost["peak_mb"] for cost in seeds if not math.isnan(cost["peak_mb"])), default=math.nan),
        "shared": any(cost["shared"] for cost in seeds),
        "categories": min(cost["categories"] for cost in seeds),
    }


def _protocol_sentence(metrics_csv: Path | None) -> list[str]:
    """A sentence on the protocol of the evaluation, which affects its time; empty if it is unknown."""
    if metrics_csv is None:
        return []
    protocols = dict.fromkeys(row.get("protocol", "") for row in read_table(metrics_csv, "table of metrics"))
    known = [protocol for protocol in protocols if protocol]
    return [f"Evaluated by the protocol {', '.join(known)}."] if known else []


def _gaps(costs: pd.DataFrame, categories: int) -> list[str]:
    """A sentence for each method whose total does not include all categories."""
    totals = costs[(costs["stage"] == PER_IMAGE) & (costs["categories"] < categories)]
    return [
        f"{total['method']}: the total is over {total['categories']:.0f} of {categories} categories, "
        "because benchmarks are missing."
        for total in rows_of(totals)
    ]
