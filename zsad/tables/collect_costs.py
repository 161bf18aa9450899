"""What the methods of a run cost: seconds and peak memory a stage and image, from the benchmarks of the run's jobs.

Stages are rules of the workflow, and a job is a stage in one category. A cost is summed over the categories in which
every job behind it left its benchmark. The workflow shares work: what several methods need, as features are, is done
once and counted for each of them. Two rows sum a method up: `PER_IMAGE`, what one more test image costs until it has a
map and a score, and `REFERENCES`, what is done beforehand, once, with other images. Sentences that are encoded, a
training on another data set, masks that no map is made from, and the evaluation, have rows of their own and are in
neither.
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

_LONG_ENOUGH = 1.0  # seconds; Snakemake looks at a job's memory as it starts, and then every half second
_EXPLANATION = (
    "Wall-clock time of this run. To load a model takes seconds whatever the number of images, and so does to load "
    "libraries where each job starts by itself, so that small categories look dear. Jobs that ran side by side shared "
    "the machine. "
    "A step that several methods share is counted for each of them. "
    "The total of an image is everything until it has a map and a score; references stand apart, with the model that "
    "is fitted to them, as both are made once. Sentences, which are encoded once, trainings on another data set, masks "
    "that no map is made from, and the evaluation are in neither. "
    "Memory is the greatest resident set that was seen in any category (1 MB = 2^20 bytes), of a job "
    "and the processes that it started, without a GPU's; it is looked at every half second, in long jobs every 30 s, "
    "so that a short peak may be missed. What was taken from a shared folder took no more than to load the model. "
    f"{NOT_AVAILABLE}: no benchmark is left, or no job took long enough to be looked "
    "at, which is a second."
)


@dataclass(frozen=True)
class Step:
    """A stage that a method needs; ``{category}`` stands for the category in its paths.

    Attributes:
        stage: the rule.
        detail: which of its jobs, e.g. ``"test.hflip"``; may be empty.
        subset: the images that it works on, see `zsad.data.subsets`; empty if it works on none of the data set, but on
            words, or on another.
        benchmark: the file of its benchmark; one without a category is of a job for all of them.
        product: the HDF5 file that it makes, whose provenance may tell the device; empty for other files.
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
        group: the method of which this one is a seed; empty if it is none.
        steps: each once, those of maps and scores first.
    """

    method: str
    setting: str
    backbone: str
    group: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Plan:
        """The plan with the given fields, in which a step may stand several times, for scores and for masks."""
        first: dict[str, Step] = {}
        for step in sorted((Step(**fields) for fields in entry["steps"]), key=lambda step: not step.for_scores):
            first.setdefault(step.benchmark, step)
        return cls(**{**entry, "steps": tuple(first.values())})

    def steps_of_scores(self, *, test: bool) -> list[Step]:
        """The steps of maps and scores that work on test images, or those that work on others."""
        shown = (step for step in self.steps if step.for_scores and step.subset)
        return [step for step in shown if (step.subset == "test") == test]


class Usage(NamedTuple):
    """What one job used; its memory in MB of 2^20 bytes, NaN if it was too short for a look at it."""

    seconds: float
    peak_mb: float


class Ledger:
    """What the methods of a run cost, by the benchmarks of its jobs.

    Args:
        plans: of all methods.
        image_lists: of every category.

    Raises:
        DataError: a list of images is missing, or a benchmark is damaged. A missing benchmark is no error.
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
        """What some steps of a method cost together, which take place one after the other, as a row of the table.

        ``seconds`` is NaN if no category counts, and ``peak_mb``, MB of 2^20 bytes, if none is known; ``categories``
        are those in which every job left its benchmark, and ``images`` those of one seed.

        Args:
            part_of: more steps that must have left a benchmark for a category to count.
        """
        needed = [*steps, *part_of]
        known = [category for category in self._images if all(self._usage(step, category) for step in needed)]
        by_job = {  # of which one may be for all categories
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
        """Every step of a method, then its totals; no `REFERENCES` where it has none."""
        stages = [self.cost(plan, step.stage, [step], step.detail) for step in plan.steps]
        totals = {name: plan.steps_of_scores(test=test) for name, test in ((PER_IMAGE, True), (REFERENCES, False))}
        return [*stages, *(self.cost(plan, name, steps) for name, steps in totals.items() if steps)]

    def parts(self, plan: Plan) -> list[Cost]:
        """The parts of a method's `PER_IMAGE` that there are, of `PARTS`; they add up to it."""
        total = plan.steps_of_scores(test=True)
        parts = {part: [step for step in total if step.stage in stages] for part, stages in PARTS.items()}
        return [self.cost(plan, part, steps, part_of=total) for part, steps in parts.items() if steps]

    def _usage(self, step: Step, category: str) -> Usage | None:
        return self._usages[step.benchmark].get(category)

    def _usages_of(self, benchmark: str) -> dict[str, Usage]:
        paths = {category: _in_category(benchmark, category) for category in self._images}
        return {category: read_benchmark(path) for category, path in paths.items() if path.exists()}

    def _device_of(self, product: str) -> str:
        """The device behind a file, in the first category that has it; empty if there is none or it does not tell."""
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

    A method with several seeds has rows for each, and rows under its own name: the totals, means over the seeds.

    Args:
        methods: for each method the fields of its `Plan`.
        image_lists: of every category.
        metrics_csv: the metrics of the run; they say by what protocol it was evaluated; None where nothing was.
        checksums: of the tables that are written.

    Raises:
        DataError: a list of images or the metrics are missing, or a benchmark is damaged; a missing one is no error.
    """
    plans = [Plan.of(entry) for entry in methods]
    ledger = Ledger(plans, image_lists)
    rows: list[Cost] = []
    summary: list[Cost] = []
    for together in grouped(plans, lambda plan: plan.group or plan.method):
        stages = [cost for plan in together for cost in ledger.stages(plan)]
        totals = _over_seeds(cost for cost in stages if cost["stage"] in (PER_IMAGE, REFERENCES))
        rows += [*stages, *(totals if together[0].group else ())]
        summary += [*_over_seeds(cost for plan in together for cost in ledger.parts(plan)), *totals]
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
    """Read the benchmark that Snakemake leaves of a job, a table with a row for each time that the job was run.

    Returns:
        The mean time and the greatest memory, NaN for a job of less than a second.

    Raises:
        DataError: absent, or not that table.
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
        raise DataError(f"{path} is no benchmark of a job ({error!r}); delete it and run again") from None


def machine_sentence() -> str:
    """Which machine collects the costs; on a cluster the jobs ran on others."""
    cores = os.cpu_count() or 1
    counted = f"{cores} logical core{'s' if cores > 1 else ''}"
    return f"Collected on {processor_name()} with {counted}; jobs that a cluster ran were on machines of its own."


def processor_name() -> str:
    """Name of this machine's processor, or at least its architecture."""
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
    """The costs of one method, a row a stage; of several seeds the mean."""
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
    """By what protocol the run was evaluated, as that takes its time too; nothing if nothing says it."""
    if metrics_csv is None:
        return []
    protocols = dict.fromkeys(row.get("protocol", "") for row in read_table(metrics_csv, "table of metrics"))
    known = [protocol for protocol in protocols if protocol]
    return [f"Evaluated by the protocol {', '.join(known)}."] if known else []


def _gaps(costs: pd.DataFrame, categories: int) -> list[str]:
    """A sentence for each method whose total leaves categories out."""
    totals = costs[(costs["stage"] == PER_IMAGE) & (costs["categories"] < categories)]
    return [
        f"{total['method']}: the total is over {total['categories']:.0f} of {categories} categories, "
        "as benchmarks are missing."
        for total in rows_of(totals)
    ]
