"""Measure the speed and exactness of pixel metrics, compared with alternatives.

    pip install -r benchmarks/requirements.txt          # the libraries; missing ones are reported and left out
    pip install --no-deps adeval==1.1.0                 # one more, which requires a second copy of OpenCV
    python benchmarks/evaluation.py                     # all comparisons; the first takes some ten minutes
    python benchmarks/evaluation.py scaling             # one of: ways, scaling, smoothing
    python benchmarks/evaluation.py --images 12 --side 200

ways     83 maps of 900 x 900, 63 of them with defects: AUPRO to 0.3, pixel AUROC, AP and F1-max by each of

  zsad                   `pixel_statistics` and the metrics from it: all four, and the other pixel metrics
  zsad with intervals    the same, and 95 % intervals of all of them from 1000 bootstrap replicates
  histogram, NumPy       65536 bins of equal width between the least and the greatest score, which a first pass finds:
                         all four, only approximate; counted by `bincount`
  histogram, OpenCV      the same, counted by `calcHist`, with the range of scores given: about the cost of reading the
                         maps
  200 thresholds         only AUPRO, as in common code: equally spaced thresholds; at each, all maps are binarised and
                         the regions of all masks labelled again. Only `--thresholds` of them are run, and their seconds
                         multiplied; its AUPRO is for all 200
  labelled once          the same, with the regions labelled once: separates the cost of labelling and of thresholds
  scikit-learn           AUROC, AP and F1-max; it has no AUPRO
  anomalib               all four
  torchmetrics, pyaupro  AUROC, AP and F1-max by the one, AUPRO by the other
  pyaupro (MVTec)        only AUPRO, by the script of MVTec AD's authors that `pyaupro` contains
  adeval                 AUPRO, AUROC and AP from 1000 bins: only approximate

scaling  zsad on 1, 2, 5 and 10 times as many maps, with the default memory budget and a quarter of it: seconds per map,
         peak memory, and the largest rounding error if the budget does not hold all defective pixels

smoothing  a Gaussian of 4 pixels, by us (OpenCV) and by SciPy: milliseconds a map, and the greatest difference

Each way reads maps and masks from HDF5 itself, and runs on one thread in its own process; libraries are imported before
the clock starts, and memory is the increase at the peak. The first four ways and the libraries with all four metrics
take turns, and their figures are medians; the others run once.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import h5py
import numpy as np
import torch
from scipy import ndimage
from scoring import peak_memory, timed

from zsad.evaluation.aupro import aupro
from zsad.evaluation.bootstrap import Sampler, interval, pixel_replicates
from zsad.evaluation.defects import region_areas
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.ranking import Ranking, auroc, average_precision, f1_max
from zsad.scoring.compute import MEGABYTE
from zsad.smoothing import smooth

METRICS = ("aupro", "pixel_auroc", "pixel_ap", "pixel_f1max")
LIMIT = 0.3
THRESHOLDS, BINS, DRAWS = 200, 1 << 16, 1000
GOOD_SHARE, DEFECTIVE_PIXELS = 20 / 83, 0.027
PATCH = 16
FACTORS = (1, 2, 5, 10)
SHIFT = 1e-3
SIGMA, SMOOTHED_SIDES = 4.0, (256, 518, 900, 1800)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes:
        file: HDF5 with the maps.
        images: number of maps; beyond those of the file, maps are repeated with slightly greater scores.
        thresholds: number of the 200 thresholds that are run.
    """

    file: Path
    images: int
    thresholds: int


class Found(NamedTuple):
    """Values of the metrics, and the seconds where these are not simply those that passed."""

    values: dict[str, float]
    seconds: float | None = None


class Measured(NamedTuple):
    """Of one way: seconds, megabytes at the peak beyond the loaded libraries, and values of the metrics."""

    seconds: float
    megabytes: float
    values: dict[str, float]


# --- maps and masks -----------------------------------------------------------------------------------------------


def write_maps(path: Path, images: int, side: int) -> None:
    """Write smooth maps as from a patch grid, with scores in 0..1, and masks as in MVTec AD.

    Areas of defects are lognormal, so that a few regions have most of the defective pixels; some defects are hardly
    visible.
    """
    rng = np.random.default_rng(0)
    defective = np.arange(images) >= round(GOOD_SHARE * images)
    shares = rng.lognormal(sigma=0.9, size=images) * defective
    shares = np.minimum(shares * DEFECTIVE_PIXELS * images / shares.sum(), 0.25)
    with h5py.File(path, "w") as file:
        maps = file.create_dataset("anomaly_map", (images, side, side), np.float32)
        ground_truths = file.create_dataset("truth", (images, side, side), np.uint8)
        file["defective"] = defective
        for index, share in enumerate(shares):
            ground_truth = defect_mask(rng, side, share) if share else np.zeros((side, side), np.uint8)
            maps[index], ground_truths[index] = anomaly_map_of(rng, ground_truth), ground_truth
        file.attrs["range"] = [min(image.min() for image in maps), max(image.max() for image in maps)]


def defect_mask(rng: np.random.Generator, side: int, share: float) -> np.ndarray:
    """One to three irregular blobs, uint8 0 or 1, that together cover a share of the image."""
    ground_truth = np.zeros((side, side), np.uint8)
    count = rng.integers(1, 4)
    angles = np.linspace(0.0, 2 * np.pi, 90, endpoint=False)
    for part in rng.dirichlet(np.full(count, 2.0)) * share:
        radius = side * np.sqrt(part / np.pi)
        waves = sum(0.25 / k * np.sin(k * angles + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
        stretch = np.exp(rng.normal(scale=0.4))
        outline = radius * (1 + waves) * np.array([np.cos(angles) * stretch, np.sin(angles) / stretch])
        margin = min(0.45, 1.3 * radius * max(stretch, 1 / stretch) / side)
        centre = rng.uniform(margin, 1 - margin, 2) * side
        cv2.fillPoly(ground_truth, [np.round(outline.T + centre).astype(np.int32)], 1)
    return ground_truth


def anomaly_map_of(rng: np.random.Generator, ground_truth: np.ndarray) -> np.ndarray:
    """Noise and the blurred mask on a patch grid, enlarged to the size of the mask: float32 in 0..1."""
    side = len(ground_truth)
    grid = max(4, side // PATCH)
    share = cv2.resize(ground_truth.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)
    evidence = cv2.GaussianBlur(share, (0, 0), 0.8) * rng.uniform(1.0, 7.0)
    coarse = cv2.GaussianBlur(rng.normal(size=(grid, grid)), (0, 0), 1.0) * 2.5 + rng.normal(scale=0.3) + evidence
    smooth = cv2.GaussianBlur(cv2.resize(coarse.astype(np.float32), (side, side)), (0, 0), side / 225)
    return (1.0 / (1.0 + np.exp(-0.6 * (smooth - 3.0)))).astype(np.float32)


class StoredMaps(Sequence):
    """Pairs of a map (float32 ``[row, column]``) and its ground truth (bool, None without a defect), read when used."""

    def __init__(self, task: Task) -> None:
        self._file = h5py.File(task.file)
        self._maps, self._truths = self._file["anomaly_map"], self._file["truth"]
        self._defective = self._file["defective"][:]
        self._count = task.images

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        if not 0 <= index < self._count:
            raise IndexError(index)
        again, stored = divmod(index, len(self._maps))
        anomaly_map = self._maps[stored]
        if again:
            anomaly_map += np.float32(again * SHIFT)
        return anomaly_map, self._truths[stored].view(bool) if self._defective[stored] else None

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest score of the file."""
        low, high = self._file.attrs["range"]
        return float(low), float(high)

    def in_memory(self) -> tuple[np.ndarray, np.ndarray]:
        """All maps float32, and all masks uint8: ``[image, row, column]``."""
        return self._maps[: self._count], self._truths[: self._count]


# --- zsad ---------------------------------------------------------------------------------------------------------


def zsad_metrics(task: Task) -> Found:
    """The four metrics as in the pipeline, which also computes some others."""
    metrics = pixel_statistics(StoredMaps(task), with_histograms=False).metrics()
    return Found({name: metrics[name] for name in METRICS})


def zsad_intervals(task: Task) -> Found:
    """The same, with intervals of all metrics."""
    found = pixel_statistics(StoredMaps(task), with_histograms=True)
    metrics = found.metrics()
    for values in pixel_replicates(found.histograms, Sampler(DRAWS, seed=0)).values():
        interval(values)
    return Found({name: metrics[name] for name in METRICS})


def zsad_within(task: Task, *, megabytes: int) -> Found:
    """The metrics within a memory budget, and the greatest error of any metric if it is not enough."""
    found = pixel_statistics(StoredMaps(task), with_histograms=False, memory_bytes=megabytes * MEGABYTE)
    found.metrics()
    return Found({"error": max(found.errors().values(), default=0.0)})


# --- approximate --------------------------------------------------------------------------------------------------


Counter = Callable[[np.ndarray], np.ndarray]


def numpy_counts(codes: np.ndarray) -> np.ndarray:
    """How often each code, uint16, occurs: ``[bin]``."""
    return np.bincount(codes.ravel(), minlength=BINS)


def opencv_counts(codes: np.ndarray) -> np.ndarray:
    """The same by compiled code for 16 bits; float32, so exact in an image of less than 16.8 million pixels."""
    return cv2.calcHist([codes], [0], None, [BINS], [0, BINS]).ravel()


def histogram_metrics(task: Task, counts: Counter, *, is_told: bool) -> Found:
    """The four metrics from bins of equal width, with a given or computed range; scores of a bin count as tied."""
    images = StoredMaps(task)
    low, high = images.range if is_told else found_range(images)
    scale = np.float32((BINS - 1) / (high - low))
    scores, positives, overlap = np.zeros(BINS, np.int64), np.zeros(BINS), np.zeros(BINS)
    regions = 0
    for anomaly_map, ground_truth in images:
        anomaly_map -= np.float32(low)
        anomaly_map *= scale
        codes = anomaly_map.astype(np.uint16)
        scores += counts(codes).astype(np.int64)
        if ground_truth is None:
            continue
        region, areas = region_areas(ground_truth)
        regions += areas.size
        positives += np.bincount(codes[ground_truth], minlength=BINS)
        overlap += np.bincount(codes[ground_truth], weights=1.0 / areas[region], minlength=BINS)
    negatives = (scores - positives)[::-1]
    true_positives, false_positives = np.cumsum(positives[::-1]), np.cumsum(negatives)
    ranking = Ranking(
        true_positives=true_positives,
        false_positives=false_positives,
        false_positives_above=false_positives - negatives,
        positives=true_positives[-1],
        negatives=false_positives[-1],
    )
    mean_overlap = np.cumsum(overlap[::-1]) / regions
    values = (aupro(ranking, mean_overlap, LIMIT), auroc(ranking), average_precision(ranking), f1_max(ranking))
    return Found(dict(zip(METRICS, map(float, values), strict=True)))


def found_range(images: StoredMaps) -> tuple[float, float]:
    """The least and the greatest score."""
    ends = [(anomaly_map.min(), anomaly_map.max()) for anomaly_map, _ in images]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


# --- thresholds ---------------------------------------------------------------------------------------------------

Point = tuple[float, float]  # false-positive rate, mean overlap


def labelled_anew(task: Task) -> Found:
    """AUPRO from equally spaced thresholds, at each of which the masks are labelled, everything in memory."""
    from skimage import measure

    with timed() as loading:
        maps, ground_truths = StoredMaps(task).in_memory()
        normal = 1 - ground_truths

    def point(threshold: np.float32) -> Point:
        called = np.zeros(maps.shape, bool)
        called[maps > threshold] = True
        overlaps = []
        for image_called, ground_truth in zip(called, ground_truths, strict=True):
            for region in measure.regionprops(measure.label(ground_truth)):
                rows, columns = region.coords.T
                overlaps.append(image_called[rows, columns].sum() / region.area)
        return np.logical_and(normal, called).sum() / normal.sum(), float(np.mean(overlaps))

    return from_thresholds(task, point, loading.seconds)


def labelled_once(task: Task) -> Found:
    """The same from regions that are labelled beforehand."""
    with timed() as loading:
        maps, ground_truths = StoredMaps(task).in_memory()
        defective = ground_truths.view(bool)
        inside = [region_areas(ground_truth) for ground_truth in defective]
        normal_pixels = np.count_nonzero(~defective)

    def point(threshold: np.float32) -> Point:
        false_positives, overlaps = 0, []
        for anomaly_map, ground_truth, (region, areas) in zip(maps, defective, inside, strict=True):
            called = anomaly_map > threshold
            hit = called[ground_truth]
            false_positives += np.count_nonzero(called) - np.count_nonzero(hit)
            overlaps.append(np.bincount(region, weights=hit, minlength=areas.size) / areas)
        return false_positives / normal_pixels, float(np.concatenate(overlaps).mean())

    return from_thresholds(task, point, loading.seconds)


def from_thresholds(task: Task, point: Callable[[np.float32], Point], loading: float) -> Found:
    """Run some of the thresholds, and estimate the time and value of all."""
    low, high = StoredMaps(task).range
    thresholds = np.linspace(low, high, THRESHOLDS, endpoint=False, dtype=np.float32)
    run = np.linspace(0, THRESHOLDS - 1, task.thresholds).astype(int)
    with timed() as clock:
        points = [point(threshold) for threshold in thresholds[run]]
    rates, overlaps = threshold_curve(task, thresholds)
    np.testing.assert_allclose(np.transpose(points), [rates[run], overlaps[run]], rtol=1e-9)
    kept = rates < LIMIT  # and the rest stretched to the limit, as is usual
    area = np.trapezoid(overlaps[kept][::-1], rates[kept][::-1]) / rates[kept].max()
    return Found({"aupro": float(area)}, loading + clock.seconds * THRESHOLDS / task.thresholds)


def threshold_curve(task: Task, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-positive rates and mean overlaps above ascending thresholds, in one pass."""
    called, overlap = np.zeros(len(thresholds) + 1), np.zeros(len(thresholds) + 1)
    regions = 0
    for anomaly_map, ground_truth in StoredMaps(task):
        passed = np.searchsorted(thresholds, anomaly_map)  # how many thresholds lie below each score
        normal = passed.ravel() if ground_truth is None else passed[~ground_truth]
        called += np.bincount(normal, minlength=called.size)
        if ground_truth is not None:
            region, areas = region_areas(ground_truth)
            overlap += np.bincount(passed[ground_truth], weights=1.0 / areas[region], minlength=overlap.size)
            regions += areas.size
    above, above_overlap = np.cumsum(called[::-1])[::-1], np.cumsum(overlap[::-1])[::-1]
    return above[1:] / above[0], above_overlap[1:] / regions


# --- libraries ----------------------------------------------------------------------------------------------------


def sklearn_metrics(task: Task) -> Found:
    """`roc_auc_score`, `average_precision_score`, and F1-max by `precision_recall_curve`."""
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    scores, labels = (array.ravel() for array in StoredMaps(task).in_memory())
    values = {
        "pixel_auroc": roc_auc_score(labels, scores),
        "pixel_ap": average_precision_score(labels, scores),
    }
    precision, recall, _ = precision_recall_curve(labels, scores)
    return Found({**values, "pixel_f1max": greatest_f1(precision, recall)})


def greatest_f1(precision: np.ndarray, recall: np.ndarray) -> float:
    """F1-max of a precision-recall curve."""
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def anomalib_metrics(task: Task) -> Found:
    """`AUPRO`, `AUROC`, `AUPR` and `F1Max`."""
    from anomalib.metrics import AUPR, AUPRO, AUROC, F1Max

    fields = ["anomaly_map", "gt_mask"]
    metrics = {name: metric(fields=fields) for name, metric in zip(METRICS, (AUPRO, AUROC, AUPR, F1Max), strict=True)}
    for anomaly_map, ground_truth in StoredMaps(task):
        mask = np.zeros(anomaly_map.shape, bool) if ground_truth is None else ground_truth
        batch = SimpleNamespace(anomaly_map=torch.from_numpy(anomaly_map)[None], gt_mask=torch.from_numpy(mask)[None])
        for metric in metrics.values():
            metric.update(SimpleNamespace(anomaly_map=batch.anomaly_map, gt_mask=batch.gt_mask.int()))
    values = {}
    for name, metric in metrics.items():
        values[name] = float(metric.compute())
        metric.reset()
    return Found(values)


def torchmetrics_pyaupro_metrics(task: Task) -> Found:
    """`binary_auroc`, `binary_average_precision`, F1-max by `binary_precision_recall_curve`; `PerRegionOverlap`."""
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
        binary_precision_recall_curve,
    )

    scores, labels = (torch.from_numpy(array).ravel() for array in StoredMaps(task).in_memory())
    values = {
        "pixel_auroc": float(binary_auroc(scores, labels, validate_args=False)),
        "pixel_ap": float(binary_average_precision(scores, labels, validate_args=False)),
    }
    precision, recall, _ = binary_precision_recall_curve(scores, labels, validate_args=False)
    values["pixel_f1max"] = greatest_f1(precision.numpy(), recall.numpy())
    del scores, labels, precision, recall
    return Found({**values, "aupro": pyaupro_score(task, reference_implementation=False)})


def pyaupro_mvtec(task: Task) -> Found:
    """`PerRegionOverlap(reference_implementation=True)`."""
    return Found({"aupro": pyaupro_score(task, reference_implementation=True)})


def pyaupro_score(task: Task, *, reference_implementation: bool) -> float:
    """AUPRO by `pyaupro`; the area under its curve is taken here, with interpolation at the limit."""
    from pyaupro import PerRegionOverlap

    maps, ground_truths = (torch.from_numpy(array) for array in StoredMaps(task).in_memory())
    metric = PerRegionOverlap(reference_implementation=reference_implementation)
    metric.update(maps, ground_truths)
    rates, overlaps = (array.numpy() for array in metric.compute())
    before = rates < LIMIT
    at_limit = np.interp(LIMIT, rates, overlaps)
    return float(np.trapezoid(np.append(overlaps[before], at_limit), np.append(rates[before], LIMIT)) / LIMIT)


def adeval_metrics(task: Task) -> Found:
    """`auroc_aupr_aupro`, by default with 1000 bins."""
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # noqa: NPY201 (the name of NumPy 1, by which it calls it)
    from adeval import auroc_aupr_aupro

    maps, ground_truths = StoredMaps(task).in_memory()
    area, precision, overlap = auroc_aupr_aupro(maps, ground_truths)
    return Found({"aupro": float(overlap), "pixel_auroc": float(area), "pixel_ap": float(precision)})


# --- measuring ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way to the metrics.

    Attributes:
        run: what is measured.
        modules: imported beforehand; without one of them the way is left out.
        takes_turns: it is run in every turn, not in the first alone.
        is_exact: up to rounding.
    """

    run: Callable[[Task], Found]
    modules: tuple[str, ...] = ()
    takes_turns: bool = False
    is_exact: bool = True

    @property
    def absent(self) -> list[str]:
        """Modules that are not installed."""
        return [module for module in self.modules if importlib.util.find_spec(module.partition(".")[0]) is None]


OWN, INTERVALS, BRUTE_FORCE, SKLEARN = "zsad", "zsad with intervals", "200 thresholds", "scikit-learn"
HISTOGRAMS: dict[str, Way] = {
    "histogram, NumPy": Way(
        partial(histogram_metrics, counts=numpy_counts, is_told=False), takes_turns=True, is_exact=False
    ),
    "histogram, OpenCV": Way(
        partial(histogram_metrics, counts=opencv_counts, is_told=True), takes_turns=True, is_exact=False
    ),
}
LIBRARIES: dict[str, Way] = {
    "anomalib": Way(anomalib_metrics, ("anomalib.metrics",), takes_turns=True),
    "torchmetrics, pyaupro": Way(
        torchmetrics_pyaupro_metrics, ("torchmetrics.functional.classification", "pyaupro"), takes_turns=True
    ),
    "pyaupro (MVTec)": Way(pyaupro_mvtec, ("pyaupro",)),
    "adeval": Way(adeval_metrics, ("adeval",), is_exact=False),
}
WAYS: dict[str, Way] = {
    OWN: Way(zsad_metrics, takes_turns=True),
    INTERVALS: Way(zsad_intervals, takes_turns=True),
    **HISTOGRAMS,
    BRUTE_FORCE: Way(labelled_anew, ("skimage.measure",), is_exact=False),
    "labelled once": Way(labelled_once, is_exact=False),
    SKLEARN: Way(sklearn_metrics, ("sklearn.metrics",)),
    **LIBRARIES,
}


BUDGETS: dict[str, Way] = {
    f"{megabytes} MB": Way(partial(zsad_within, megabytes=megabytes)) for megabytes in (1000, 250)
}


def measured(name: str, task: Task) -> Measured:
    """Run one way in this process."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    way = (WAYS | BUDGETS)[name]
    for module in way.modules:
        importlib.import_module(module)
    with peak_memory() as memory, timed() as clock:
        found = way.run(task)
    return Measured(found.seconds or clock.seconds, memory.added / MEGABYTE, found.values)


def in_own_process(name: str, task: Task) -> Measured:
    """Run one way in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, name, task).result()


def median_of(measures: Sequence[Measured]) -> Measured:
    """Median seconds, greatest memory."""
    return Measured(
        statistics.median(measure.seconds for measure in measures),
        max(measure.megabytes for measure in measures),
        measures[0].values,
    )


# --- the comparisons ----------------------------------------------------------------------------------------------


def compare_ways(task: Task, turns: int) -> None:
    """All ways on the same maps: a table, and the ratios that matter."""
    ways = {name: way for name, way in WAYS.items() if not way.absent}
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for turn in range(turns):
        for name, way in ways.items():
            if turn == 0 or way.takes_turns:
                found[name].append(in_own_process(name, task))
                print(f"turn {turn + 1}: {name}, {found[name][-1].seconds:.2f} s", file=sys.stderr, flush=True)
    results = {name: median_of(measures) for name, measures in found.items()}
    print_ways(results, task)
    print_ratios(results, found)


def print_ways(results: dict[str, Measured], task: Task) -> None:
    """The table of all ways; values of others as their difference to ours."""
    own = results[OWN].values
    print(f"\n| way | seconds | peak MB | {' | '.join(METRICS)} |\n|{'---|' * (3 + len(METRICS))}")
    for name, way in WAYS.items():
        if name not in results:
            print(f"| {name} | not installed: {', '.join(way.absent)} |{' |' * (1 + len(METRICS))}")
            continue
        result = results[name]
        signs = "+.1e" if name != OWN else ".9f"
        cells = [
            format(result.values[metric] - (own[metric] if name != OWN else 0.0), signs)
            if metric in result.values
            else "-"
            for metric in METRICS
        ]
        print(f"| {name} | {result.seconds:.2f} | {result.megabytes:.0f} | {' | '.join(cells)} |")
    print(
        f"\nValues of ways other than {OWN} are differences to it. The seconds of thresholds are those of "
        f"{task.thresholds} of {THRESHOLDS}, multiplied."
    )


def print_ratios(results: dict[str, Measured], found: dict[str, list[Measured]]) -> None:
    """Print the comparison of our way, and the requirements."""
    own = results[OWN]

    def faster(name: str, what: str, asked: float) -> None:
        ratio = results[name].seconds / own.seconds
        fulfilled = f"at least {asked:g} asked: {met(ratio >= asked)}"
        print(f"- all four: {ratio:.1f} times as fast as {what} by {name} ({fulfilled})")

    print()
    faster(BRUTE_FORCE, "AUPRO alone", 40)
    faster(SKLEARN, "the other three alone", 5)
    complete = [name for name in LIBRARIES if name in results and set(METRICS) == set(results[name].values)]
    exact = [name for name in complete if WAYS[name].is_exact]
    if exact:
        library = min(exact, key=lambda name: results[name].seconds)
        print_faster("all four", OWN, library, 5, found)
        print_faster("all four with intervals", INTERVALS, library, 20, found)
    for histogram in HISTOGRAMS:
        print_slower("all four", OWN, histogram, 2.5, found)
    print(f"- peak memory: {own.megabytes:.0f} MB (under 1500 asked: {met(own.megabytes < 1500)})")
    print_slower("all four with intervals", INTERVALS, OWN, 10, found)


def print_faster(what: str, fast: str, slow: str, asked: float, found: dict[str, list[Measured]]) -> None:
    """How many times as fast one way is as the other, which takes all four."""
    ratio, of_turns = ratio_of(slow, fast, found, ".1f")
    fulfilled = f"at least {asked:g} asked: {met(ratio >= asked)}"
    print(f"- {what}: {ratio:.1f} times as fast as all four by {slow} ({of_turns}; {fulfilled})")


def print_slower(what: str, slow: str, fast: str, asked: float, found: dict[str, list[Measured]]) -> None:
    """How many times as long one way took as the other."""
    ratio, of_turns = ratio_of(slow, fast, found, ".2f")
    fulfilled = f"at most {asked:g} asked: {met(ratio <= asked)}"
    print(f"- {what}: {ratio:.2f} times the seconds of {fast} ({of_turns}; {fulfilled})")


def ratio_of(slow: str, fast: str, found: dict[str, list[Measured]], form: str) -> tuple[float, str]:
    """Seconds of one way to those of the other: the median over the turns, and their range in words."""
    ratios = sorted(a.seconds / b.seconds for a, b in zip(found[slow], found[fast], strict=True))
    return statistics.median(ratios), f"turn by turn {ratios[0]:{form}} to {ratios[-1]:{form}}"


def met(is_met: bool) -> str:
    """In words."""
    return "met" if is_met else "not met"


def compare_scaling(task: Task, turns: int) -> None:
    """Ours on ever more maps."""
    titles = (f"{name}: seconds | a map, ms | peak MB | error at most" for name in BUDGETS)
    print(f"\n| maps | {' | '.join(titles)} |")
    print(f"|{'---|' * (1 + 4 * len(BUDGETS))}")
    for factor in FACTORS:
        images = factor * task.images
        cells = []
        for name in BUDGETS:
            larger = Task(task.file, images, task.thresholds)
            result = median_of([in_own_process(name, larger) for _ in range(turns)])
            error = f"{result.values['error']:.1e}" if result.values["error"] else "exact"
            milliseconds = 1000 * result.seconds / images
            cells.append(f"{result.seconds:.2f} | {milliseconds:.1f} | {result.megabytes:.0f} | {error}")
        print(f"| {images} | {' | '.join(cells)} |", flush=True)


def compare_smoothing(task: Task, turns: int) -> None:
    """A Gaussian by OpenCV, as ours, beside SciPy's."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    print("\n| side | ours, ms | SciPy, ms | times as fast | greatest difference |\n|---|---|---|---|---|")
    for side in SMOOTHED_SIDES:
        anomaly_map = rng.random((side, side), np.float32)
        ours, theirs, ratios = [], [], []
        for _ in range(turns):
            with timed() as clock:
                found = smooth(anomaly_map, SIGMA)
            with timed() as other:
                expected = ndimage.gaussian_filter(anomaly_map, SIGMA)
            ours.append(1000 * clock.seconds)
            theirs.append(1000 * other.seconds)
            ratios.append(other.seconds / clock.seconds)
        times = [f"{statistics.median(values):.1f}" for values in (ours, theirs, ratios)]
        print(f"| {side} | {' | '.join(times)} | {np.abs(found - expected).max():.1e} |", flush=True)


COMPARISONS: dict[str, Callable[[Task, int], None]] = {
    "ways": compare_ways,
    "scaling": compare_scaling,
    "smoothing": compare_smoothing,
}


def described(path: Path) -> str:
    """What is evaluated, and where."""
    with h5py.File(path) as file:
        images, side, _ = file["truth"].shape
        defective = [index for index, is_defective in enumerate(file["defective"]) if is_defective]
        ground_truths = [file["truth"][index].view(bool) for index in defective]
    share = sum(np.count_nonzero(ground_truth) for ground_truth in ground_truths) / (images * side**2)
    regions = sum(region_areas(ground_truth)[1].size for ground_truth in ground_truths)
    return (
        f"{images} maps of {side} x {side}, {len(defective)} with defects, {regions} regions, {share:.1%} of the "
        f"pixels defective; one thread of {processor()}"
    )


def processor() -> str:
    """The name of the processor, and how many cores it shows."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({os.cpu_count()} cores)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast pixel metrics are evaluated, and how exactly.")
    parser.add_argument("what", nargs="*", choices=[*COMPARISONS, []], help="comparisons; all if none is named")
    parser.add_argument("--images", type=int, default=83)
    parser.add_argument("--side", type=int, default=900)
    parser.add_argument("--thresholds", type=int, default=10, help=f"how many of {THRESHOLDS} thresholds are run")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # for the processes that are started
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder) / "maps.h5", options.images, options.thresholds)
        write_maps(task.file, options.images, options.side)
        print(described(task.file), flush=True)
        for name in options.what or COMPARISONS:
            COMPARISONS[name](task, options.turns)


if __name__ == "__main__":
    main()
