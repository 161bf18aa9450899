"""What the jobs of a finished run took, beside what was expected of them."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from zsad.errors import DataError
from zsad.resources.estimate import Estimate
from zsad.resources.jobs import estimated
from zsad.resources.run import Run
from zsad.tables.collect_costs import read_benchmark

MEBIBYTE = 2**20 / 1e6  # MB
INTERVAL = 0.5  # seconds between two looks of Snakemake at a job, in its first half minute
LOOKS = 2  # at a job that is long enough to be measured
# The names in the file of a benchmark, in their order, by rule; a step of all categories has none.
NAMES: Mapping[str, tuple[str, ...]] = {
    "download_dataset": ("published",),
    "make_demo": ("category",),
    "read_images": ("category",),
    "read_training": ("category",),
    "make_synthetic": ("category", "subset"),
    "build_manifest": ("category",),
    "check_images": ("category",),
    "check_unseen": ("category", "method"),
    "extract_features": ("category", "backbone", "subset", "view"),
    "join_features": ("category", "backbone", "subset", "view"),
    "encode_texts": ("category", "backbone", "prompts"),
    "embed_images": ("category", "segmenter", "subset"),
    "segment_foreground": ("category", "segmenter", "subset"),
    "train_method": ("method",),
    "fit_method": ("category", "method"),
    "score_images": ("category", "method"),
    "fuse_scores": ("category", "method"),
    "modulate_scores": ("category", "method"),
    "decide_images": ("category", "method"),
    "adopt_decisions": ("category", "method"),
    "embed_crops": ("category", "method", "refiner"),
    "refine_masks": ("category", "method", "refiner"),
    "prompt_masks": ("category", "method", "refiner"),
    "evaluate_scores": ("category", "method"),
    "evaluate_masks": ("category", "method", "refiner"),
    "evaluate_oracle": ("category", "segmenter"),
    "read_support": ("category", "support"),
    "score_support": ("category", "support", "method"),
    "draw_support": ("category", "classifier"),
    "outline_truth": ("category",),
    "classify_images": ("category", "classifier"),
    "evaluate_classes": ("category", "classifier"),
    "draw_thumbnails": ("category",),
    "draw_support_thumbnails": ("category", "support"),
    "draw_confusion": ("category", "classifier"),
    "draw_shots": ("category",),
    "draw_gallery": ("category", "method"),
    "draw_plots": ("category",),
    "export_results": ("category", "method"),
}


class Comparison(NamedTuple):
    """One job.

    Attributes:
        job: its wildcards, as they stand in the name of its benchmark.
        expected: what it was expected to take.
        megabytes: its greatest resident memory, MB of 10^6 bytes; NaN for a job that was too short to be looked at.
        seconds: of all cores; NaN likewise.
        clock: seconds by the clock, which other work on the machine makes run on.
    """

    rule: str
    job: str
    expected: Estimate
    megabytes: float
    seconds: float
    clock: float

    @property
    def memory_ratio(self) -> float:
        """Expected over measured; NaN if nothing was measured."""
        return self.expected.megabytes / self.megabytes

    @property
    def time_ratio(self) -> float:
        """Expected over measured; NaN likewise."""
        return self.expected.seconds / self.seconds


def comparisons(run: Run, benchmarks: Path, interval: float = INTERVAL) -> list[Comparison]:
    """Every job of a finished run that left its benchmark and that is still configured, by rule and name.

    Args:
        benchmarks: the folder ``benchmarks`` of a data set's results.
        interval: seconds between two looks at a job. One that is shorter than two of them is not measured.

    Raises:
        DataError: there is none, or a benchmark is damaged.
    """
    paths = sorted(benchmarks.rglob("*.tsv"))
    if not paths:
        raise DataError(f"{benchmarks} holds no benchmarks; name the results of a data set, results/NAME")
    found, dataset = [], benchmarks.parent.name
    known = {"dataset": dataset} if dataset in {data.name for data in run.settings.data_sets} else {}
    for path in paths:
        rule, job = (path.stem, "") if path.parent == benchmarks else (path.parent.name, path.stem)
        try:
            expected = estimated(run, rule, {**known, **_names(rule, job)})
        except KeyError:  # of an earlier configuration
            continue
        found.append(Comparison(rule, job, expected, *_measured(path, interval)))
    return found


def speed(of: Sequence[Comparison]) -> float:
    """How many times as fast as the machine behind the estimates one is: the median over rules of their own medians.

    Raises:
        DataError: every job was too short to be looked at.
    """
    known: dict[str, list[float]] = {}
    for one in of:
        if not math.isnan(one.seconds):
            known.setdefault(one.rule, []).append(one.time_ratio)
    if not known:
        raise DataError("every job was too short to be measured; run on more or larger images")
    return statistics.median(map(statistics.median, known.values()))


def _names(rule: str, job: str) -> dict[str, str]:
    """The wildcards of a job; a category's name may have dots in it, the others have none."""
    names = NAMES.get(rule, ())
    return dict(zip(names, job.rsplit(".", len(names) - 1) if names else (), strict=True))


def _measured(path: Path, interval: float) -> tuple[float, float, float]:
    """MB, seconds and seconds by the clock of a job, of its last run where it was run several times.

    Raises:
        DataError: the file is no benchmark.
    """
    read_benchmark(path)  # which says what is wrong with it
    with open(path, encoding="utf-8", newline="") as stream:
        *_, last = csv.DictReader(stream, delimiter="\t")
    clock = float(last["s"])
    if clock < LOOKS * interval or "NA" in (last["max_rss"], last["cpu_time"]):
        return math.nan, math.nan, clock
    return MEBIBYTE * float(last["max_rss"]), float(last["cpu_time"]) + interval / 2, clock
