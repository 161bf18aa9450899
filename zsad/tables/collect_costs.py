"""What the methods of a run cost: seconds and peak memory a stage and image, from the benchmarks of the run's jobs.

Stages are rules of the workflow, and a job is a stage in one category. A cost is summed over the categories in which
every job behind it left its benchmark. The workflow shares work: what several methods need, as features are, is done
once and counted for each of them. Two rows sum a method up: `PER_IMAGE`, what one more test image costs until it has a
map and a score, and `REFERENCES`, what is done beforehand, once, with other images. Masks that no map is made from, and
the evaluation, have rows of their own and are in neither.
"""

from __future__ import annotations

import csv
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from zsad.data.image_list import read_image_list
from zsad.data.subsets import references_count
from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.checksums import write_checksums
from zsad.files.csv_files import read_table, write_table
from zsad.files.hdf5 import read_provenance
from zsad.names import PER_IMAGE, REFERENCES, setting_order
from zsad.tables.results import grouped
from zsad.tables.typeset import Table, latex_source, markdown_table, markdown_text

COST_COLUMNS = (
    *("method", "setting", "backbone", "stage", "detail", "images", "seconds", "seconds_per_image", "peak_mb"),
    *("shared", "categories", "device", "group"),
)
_TEXTS = ("method", "setting", "backbone", "stage", "detail", "device", "group")
_FIGURES = frozenset(COST_COLUMNS) - {*_TEXTS}
_PARTS = {
    "features": ("extract_features", "join_features"),
    "segmentation": ("embed_images", "segment_foreground", "embed_crops", "refine_masks", "prompt_masks"),
    "scoring": ("score_images", "fuse_scores", "modulate_scores"),
}
_NOT_KNOWN = "n/a"
_LONG_ENOUGH = 1.0  # seconds; Snakemake looks at a job's memory as it starts, and then every half second
_EXPLANATION = (
    "Wall-clock time of this run, the start of every job included: to load libraries and a model takes seconds "
    "whatever the number of images, so that small categories look dear. Jobs that ran side by side shared the machine. "
    "A step that several methods share is counted for each of them. "
    "The total of an image is everything until it has a map and a score; references stand apart, as they are seen "
    "once, but to build a model of them is part of the scoring. Masks that no map is made from, and the evaluation, "
    "are in neither. Memory is the greatest resident set that was seen in any category (1 MB = 2^20 bytes), of a job "
    "and the processes that it started, without a GPU's; it is looked at every half second, in long jobs every 30 s, "
    "so that a short peak may be missed. What was taken from a shared folder took no more than to load the model. "
    f"{_NOT_KNOWN}: no benchmark is left, or no job took long enough to be looked "
    "at, which is a second."
)


@dataclass(frozen=True)
class Step:
    """A stage that a method needs; ``{category}`` stands for the category in its paths.

    Attributes:
        stage: the rule.
        detail: which of its jobs, e.g. ``"test.hflip"``; may be empty.
        subset: the images that it works on, see `zsad.data.subsets`.
        benchmark: the file of its benchmark.
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
        return [step for step in self.steps if step.for_scores and (step.subset == "test") == test]


class Usage(NamedTuple):
    """What one job used; its memory in MB of 2^20 bytes, NaN if it was too short for a look at it."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Cost:
    """What a stage, or several together, cost a method in the categories that count.

    Attributes:
        stage: the rule, a part of the total, `PER_IMAGE` or `REFERENCES`.
        images: how many it worked on; of several seeds the number for one.
        seconds: NaN if no category counts.
        peak_mb: the greatest, MB of 2^20 bytes; NaN if none is known.
        shared: whether other methods need the same work, or part of it.
        categories: how many count, as every job left its benchmark in them.
        device: where it ran, as far as the results tell.
    """

    method: str
    setting: str
    backbone: str
    stage: str
    detail: str
    images: int
    seconds: float
    peak_mb: float
    shared: bool
    categories: int
    device: str
    group: str

    @property
    def seconds_per_image(self) -> float:
        """NaN without images."""
        return self.seconds / self.images if self.images else math.nan


class Ledger:
    """What the methods of a run cost, by the benchmarks of its jobs.

    Args:
        plans: of all methods.
        image_lists: of every category.

    Raises:
        DataError: a list of images is missing, or a benchmark is damaged. A missing benchmark is no error.
    """

    def __init__(self, plans: Sequence[Plan], image_lists: Mapping[str, Path]) -> None:
        self._images = {
            category: Counter(record.split for record in read_image_list(path))
            for category, path in image_lists.items()
        }
        self._methods = Counter(step.benchmark for plan in plans for step in plan.steps)
        self._usages = {benchmark: self._usages_of(benchmark) for benchmark in self._methods}
        self._devices = {product: self._device_of(product) for product in _products(plans)}

    def cost(
        self, plan: Plan, stage: str, steps: Sequence[Step], detail: str = "", part_of: Sequence[Step] = ()
    ) -> Cost:
        """What some steps of a method cost together; they take place one after the other.

        Args:
            part_of: more steps that must have left a benchmark for a category to count.
        """
        needed = [*steps, *part_of]
        known = [category for category in self._images if all(self._usage(step, category) for step in needed)]
        usages = [self._usage(step, category) for step in steps for category in known]
        peaks = [usage.peak_mb for usage in usages if not math.isnan(usage.peak_mb)]
        devices = dict.fromkeys(self._devices[step.product] for step in steps if step.product)
        return Cost(
            method=plan.method,
            setting=plan.setting,
            backbone=plan.backbone,
            stage=stage,
            detail=detail,
            images=sum(max(self._images_of(step.subset, category) for step in steps) for category in known),
            seconds=sum(usage.seconds for usage in usages) if usages else math.nan,
            peak_mb=max(peaks, default=math.nan),
            shared=any(self._methods[step.benchmark] > 1 for step in steps),
            categories=len(known),
            device=", ".join(device for device in devices if device),
            group=plan.group,
        )

    def stages(self, plan: Plan) -> list[Cost]:
        """Every step of a method, then its totals; no `REFERENCES` where it has none."""
        stages = [self.cost(plan, step.stage, [step], step.detail) for step in plan.steps]
        totals = {name: plan.steps_of_scores(test=test) for name, test in ((PER_IMAGE, True), (REFERENCES, False))}
        return [*stages, *(self.cost(plan, name, steps) for name, steps in totals.items() if steps)]

    def parts(self, plan: Plan) -> dict[str, Cost]:
        """The parts of a method's `PER_IMAGE` that there are, by the names of `_PARTS`; they add up to it."""
        total = plan.steps_of_scores(test=True)
        parts = {part: [step for step in total if step.stage in stages] for part, stages in _PARTS.items()}
        return {part: self.cost(plan, part, steps, part_of=total) for part, steps in parts.items() if steps}

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
        return references_count(subset) or self._images[category][subset]


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
    summary: list[dict[str, Cost]] = []
    for together in grouped(plans, lambda plan: plan.group or plan.method):
        stages = [cost for plan in together for cost in ledger.stages(plan)]
        totals = _by_stage(cost for cost in stages if cost.stage in (PER_IMAGE, REFERENCES))
        rows += stages
        if together[0].group:
            rows += totals.values()
        summary.append(_by_stage(cost for plan in together for cost in ledger.parts(plan).values()) | totals)
    notes = [_EXPLANATION, machine_sentence(), *_protocol_sentence(metrics_csv), *_gaps(summary, len(image_lists))]
    tables = [_summary_table(summary), _stages_table(rows)]
    write_table(cost_csv, COST_COLUMNS, map(_row, rows), _FIGURES)
    write_text(markdown, _as_markdown(tables, notes))
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


def _by_stage(costs: Iterable[Cost]) -> dict[str, Cost]:
    """The costs of one method by stage; of several seeds the mean."""
    return {group[0].stage: _mean_over_seeds(group) for group in grouped(costs, lambda cost: cost.stage)}


def _mean_over_seeds(seeds: Sequence[Cost]) -> Cost:
    first = seeds[0]
    if not first.group:
        return first
    return replace(
        first,
        method=first.group,
        group="",
        detail=f"mean of {len(seeds)} seed{'s' if len(seeds) > 1 else ''}",
        seconds=sum(cost.seconds for cost in seeds) / len(seeds),
        peak_mb=max((cost.peak_mb for cost in seeds if not math.isnan(cost.peak_mb)), default=math.nan),
        shared=any(cost.shared for cost in seeds),
        categories=min(cost.categories for cost in seeds),
    )


def _row(cost: Cost) -> dict[str, str]:
    return {
        **{name: getattr(cost, name) for name in _TEXTS},
        **{name: str(getattr(cost, name)) for name in ("images", "categories")},
        "seconds": _decimal(cost.seconds, 2),
        "seconds_per_image": _decimal(cost.seconds_per_image, 6),
        "peak_mb": _decimal(cost.peak_mb, 1),
        "shared": str(int(cost.shared)),
    }


def _decimal(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _summary_table(summary: Sequence[Mapping[str, Cost]]) -> Table:
    """A row a method: the seconds that one more image costs, in parts and in all, and the references."""
    parts = [part for part in _PARTS if any(part in costs for costs in summary)]
    rows = []
    for costs in sorted(summary, key=lambda costs: setting_order(costs[PER_IMAGE].setting)):
        total, references = costs[PER_IMAGE], costs.get(REFERENCES)
        rows.append(
            [
                *(total.setting, _named(total), total.backbone),
                *(_shown(costs[part].seconds_per_image) if part in costs else "" for part in parts),
                *(_shown(total.seconds_per_image), _shown(total.peak_mb)),
                _shown(references.seconds) if references else "",
            ]
        )
    header = ["setting", "method", "backbone", *parts, "total", "peak MB", "references, in all"]
    return Table("One more test image: seconds until it has a map and a score", header, rows, apart=True)


def _named(cost: Cost) -> str:
    return f"{cost.method} ({cost.detail})" if cost.detail else cost.method


def _stages_table(costs: Sequence[Cost]) -> Table:
    """A row a method and stage, without the totals."""
    rows = [
        [
            *(cost.method, cost.stage, cost.detail, str(cost.images), _shown(cost.seconds)),
            *(_shown(cost.seconds_per_image), _shown(cost.peak_mb), "yes" if cost.shared else "no", cost.device),
        ]
        for cost in costs
        if cost.stage not in (PER_IMAGE, REFERENCES)
    ]
    header = ["method", "stage", "detail", "images", "seconds", "an image", "peak MB", "shared", "device"]
    return Table("Every stage, over all categories", header, rows, apart=True)


def _shown(value: float) -> str:
    """A number with three digits that count, without an exponent."""
    if math.isnan(value):
        return _NOT_KNOWN
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(digits, 0), 4)}f}"


def _protocol_sentence(metrics_csv: Path | None) -> list[str]:
    """By what protocol the run was evaluated, as that takes its time too; nothing if nothing says it."""
    if metrics_csv is None:
        return []
    protocols = dict.fromkeys(row.get("protocol", "") for row in read_table(metrics_csv, "table of metrics"))
    known = [protocol for protocol in protocols if protocol]
    return [f"Evaluated by the protocol {', '.join(known)}."] if known else []


def _gaps(summary: Sequence[Mapping[str, Cost]], categories: int) -> list[str]:
    """A sentence for each method whose total leaves categories out."""
    totals = [costs[PER_IMAGE] for costs in summary]
    return [
        f"{total.method}: the total is over {total.categories} of {categories} categories, as benchmarks are missing."
        for total in totals
        if total.categories < categories
    ]


def _as_markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    paragraphs = "\n".join(f"{markdown_text(note)}\n" for note in notes)
    return "\n".join(["# Cost\n", paragraphs, *(markdown_table(table) for table in tables)])
