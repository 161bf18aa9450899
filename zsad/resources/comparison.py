"""Compare the measured resources of a finished run's jobs with the estimates."""

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
INTERVAL = 0.5  # seconds between two measurements of a job by Snakemake, in its first half minute
LOOKS = 2  # least measurements of a job that counts as measured
# The wildcards in the name of a benchmark file, in order, by rule; a step for all categories has none.
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
        job: its wildcards, as in the name of its benchmark.
        expected: its estimate.
        megabytes: its greatest resident memory, MB of 10^6 bytes; NaN for a job that was too short to be measured.
        seconds: processor time of all cores; NaN for such a job.
        clock: wall time in seconds, which other work on the machine increases.
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
        """Expected over measured seconds; NaN if nothing was measured."""
        return self.expected.seconds / self.seconds


def comparisons(run: Run, benchmarks: Path, interval: float = INTERVAL) -> list[Comparison]:
    """Compare every job of a finished run with a benchmark that is still configured, by rule and name.

    Args:
        benchmarks: the folder ``benchmarks`` of a data set's results.
        interval: seconds between two measurements of a job. A job shorter than two intervals counts as not measured.

    Raises:
        DataError: there is none, or a benchmark is damaged.
    """
    paths = sorted(benchmarks.rglob("*.tsv"))
    if not paths:
        raise DataError(f"{benchmarks} contains no benchmarks; give the results of a data set, results/NAME")
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
    """Speed of a machine relative to the one behind the estimates: the median over rules of the rules' medians.

    Raises:
        DataError: every job was too short to be measured.
    """
    known: dict[str, list[float]] = {}
    for one in of:
        if not math.isnan(one.seconds):
            known.setdefault(one.rule, []).append(one.time_ratio)
    if not known:
        raise DataError("every job was too short to be measured; run on more or larger images")
    return statistics.median(map(statistics.median, known.values()))


def _names(rule: str, job: str) -> dict[str, str]:
    """The wildcards of a job; only a category's name may contain dots."""
    names = NAMES.get(rule, ())
    return dict(zip(names, job.rsplit(".", len(names) - 1) if names else (), strict=True))


def _measured(path: Path, interval: float) -> tuple[float, float, float]:
    """MB, processor seconds and wall seconds of a job's last run.

    Raises:
        DataError: the file is not a benchmark.
    """
    read_benchmark(path)  # which raises the error
    with open(path, encoding="utf-8", newline="") as stream:
        *_, last = csv.DictReader(stream, delimiter="\t")
    clock = float(last["s"])
    if clock < LOOKS * interval or "NA" in (last["max_rss"], last["cpu_time"]):
        return math.nan, math.nan, clock
    return MEBIBYTE * float(last["max_rss"]), float(last["cpu_time"]) + interval / 2, clock
