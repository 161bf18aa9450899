"""Measure how much other definitions of the same metric differ from ours, on the same maps.

    python benchmarks/definitions.py                       # synthetic maps and the demo set
    python benchmarks/definitions.py ROOT [CATEGORY ...]   # photographs in the MVTec AD layout, too

Prints a Markdown table: our value, then theirs minus ours, in points (hundredths). Data:

drawn        3 categories of 30 maps of 256 to 320 px, smooth noise, with ellipses and scratches of 2 to 6 px in 22 each
thin         the same with scratches of 1 or 2 px
tails        the maps of `drawn`, with each score replaced by exp(z / 2) of its standard score z: the order of pixels,
             and every metric that depends only on it, is the same, but few scores are large
long tails   likewise, exp(2 z)
demo         the four demo categories, 10 normal and 20 defective images of 320 px each
photographs  all test images of the categories of ROOT

For the last two, a map is the cosine distance of each patch to the nearest patch of 8 normal images, with the embedded
features, and the score of an image is the mean of its top 1 % of patches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from zsad.data.demo.plan import CATEGORIES, DEFECT_KINDS
from zsad.data.image_list import of_split
from zsad.data.images import read_image
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.masks import read_mask
from zsad.evaluation.pixels import pixel_statistics
from zsad.evaluation.protocols import Protocol
from zsad.evaluation.ranking import auroc, average_precision, rank_scores
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.maps import at_image_size

LIMIT = 0.3
STEPS, RATES, PIMO_STEPS = 200, 300, 300_000
PIMO_RATES = (1e-5, 1e-4)
EIGHT, FOUR = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)
SIDE, DEMO_SIDE, RESIZED, CROPPED = 256, 320, 256, 224
REFERENCES, TOP_FRACTION = 8, 0.01
PATCH = 8
PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")

MapAndTruth = tuple[np.ndarray, np.ndarray]
Photograph = tuple[np.ndarray, np.ndarray]
Change = Callable[[MapAndTruth], MapAndTruth]


@dataclass(frozen=True, eq=False)
class Category:
    """Anomaly maps with their ground truth.

    Attributes:
        scored: pairs of a map, float32 ``[row, column]``, and its image's ground truth, bool ``[height, width]``.
        scores: ``[image]``, image scores.
    """

    scored: list[MapAndTruth]
    scores: np.ndarray

    @cached_property
    def images(self) -> list[MapAndTruth]:
        """Each map at its image's size."""
        return [
            (at_image_size(anomaly_map, *ground_truth.shape), ground_truth) for anomaly_map, ground_truth in self.scored
        ]

    @property
    def labels(self) -> np.ndarray:
        """bool ``[image]``, whether it is defective."""
        return np.array([ground_truth.any() for _, ground_truth in self.images])

    @property
    def defective(self) -> list[MapAndTruth]:
        """The images with a defect."""
        return [image for image in self.images if image[1].any()]

    @cached_property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Ground truth and scores of all pixels, in the form of scikit-learn."""
        maps, ground_truths = zip(*self.images, strict=True)
        return np.concatenate(ground_truths, axis=None), np.concatenate(maps, axis=None)

    @cached_property
    def ours(self) -> dict[str, float]:
        """Our metrics."""
        ranking = rank_scores(self.scores[self.labels], self.scores[~self.labels])
        of_images = {"image_auroc": float(auroc(ranking)), "image_ap": float(average_precision(ranking))}
        return of_images | pixel_metrics(self.images)


def pixel_metrics(images: Sequence[MapAndTruth]) -> dict[str, float]:
    """Our pixel metrics of pairs of a map and its ground truth."""
    images = [(anomaly_map, ground_truth if ground_truth.any() else None) for anomaly_map, ground_truth in images]
    return pixel_statistics(images, with_histograms=False).metrics()


class Curve(NamedTuple):
    """Mean overlap of the regions over the false-positive rate, at falling thresholds; both ``[threshold]``."""

    rate: np.ndarray
    overlap: np.ndarray


class Descending(NamedTuple):
    """All pixels in descending order of score, as in the script of MVTec AD.

    Attributes:
        scores: ``[pixel]``.
        rates: ``[pixel]``, share of the normal pixels up to here.
        overlaps: ``[pixel]``, mean share of the regions up to here.
    """

    scores: np.ndarray
    rates: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def of(
        cls, images: Sequence[MapAndTruth], connectivity: np.ndarray = EIGHT, *, good_alone: bool = False
    ) -> Descending:
        """Sort the pixels.

        Args:
            connectivity: structuring element of the regions.
            good_alone: compute the rate only among the pixels of images without a defect.
        """
        scores = np.concatenate([anomaly_map for anomaly_map, _ in images], axis=None)
        normal = np.concatenate(
            [~ground_truth & (not (good_alone and ground_truth.any())) for _, ground_truth in images], axis=None
        )
        shares, regions = [], 0
        for _, ground_truth in images:
            labelled, found = ndimage.label(ground_truth, connectivity)
            areas = np.bincount(labelled.ravel(), minlength=found + 1).astype(float)
            shares.append(np.where(ground_truth, 1 / areas[labelled], 0.0))
            regions += found
        order = np.argsort(-scores, kind="stable")
        return cls(
            scores=scores[order],
            rates=np.cumsum(normal[order]) / normal.sum(),
            overlaps=np.cumsum(np.concatenate(shares, axis=None)[order]) / regions,
        )

    def curve(self) -> Curve:
        """At every distinct score, begun at zero."""
        last_of_tie = np.append(np.diff(self.scores) != 0, True)
        return Curve(np.append(0.0, self.rates[last_of_tie]), np.append(0.0, self.overlaps[last_of_tie]))

    def above(self, thresholds: np.ndarray) -> Curve:
        """At the given thresholds, a score above which is called defective."""
        above = np.searchsorted(-self.scores, -thresholds, side="left")
        rates, overlaps = np.append(0.0, self.rates), np.append(0.0, self.overlaps)
        return Curve(rates[above], overlaps[above])

    def linear(self, steps: int = STEPS) -> Curve:
        """At thresholds evenly spaced between the least and the greatest score, the greatest left out."""
        least, greatest = self.scores[-1], self.scores[0]
        return self.above(np.linspace(least, greatest, steps, endpoint=False)[::-1])


def area(curve: Curve) -> float:
    """Trapezoids, from the first point to the last."""
    return float(np.trapezoid(curve.overlap, curve.rate))


def cut(curve: Curve, *, at_limit: bool = False) -> Curve:
    """The points below the limit, and, if asked for, the interpolated one at it."""
    inside = curve.rate < LIMIT
    rate, overlap = curve.rate[inside], curve.overlap[inside]
    if not at_limit:
        return Curve(rate, overlap)
    return Curve(np.append(rate, LIMIT), np.append(overlap, np.interp(LIMIT, curve.rate, curve.overlap)))


def stretched(curve: Curve) -> Curve:
    """Rates from the first to the last point stretched to 0..1."""
    rate = curve.rate - curve.rate.min()
    return Curve(rate / rate.max(), curve.overlap)


def steps_stretched(category: Category) -> float:
    """200 thresholds, points below the limit, their range of rates stretched to 0..1."""
    return area(stretched(cut(Descending.of(category.images).linear())))


def steps_of_an_image(category: Category) -> float:
    """The same by image, rates divided by the greatest, averaged over the images with two points below the limit."""
    curves = [cut(Descending.of([image]).linear()) for image in category.defective]
    areas = [area(curve) / curve.rate[-1] for curve in curves if curve.rate[-1] > 0]
    return float(np.mean(areas)) if areas else np.nan


def steps_plain(category: Category) -> float:
    """200 thresholds, points below the limit, the area divided by the limit."""
    return area(cut(Descending.of(category.images).linear())) / LIMIT


def rates_evenly_spaced(category: Category) -> float:
    """300 thresholds at evenly spaced quantiles of the normal pixels, at or above which a score counts."""
    pixels = Descending.of(category.images)
    ground_truth, scores = category.pixels
    normal = np.sort(scores[~ground_truth])
    wanted = np.linspace(0, LIMIT, RATES + 1)[1:]
    thresholds = normal[np.floor((1 - wanted) * (normal.size - 1)).astype(int)]
    curve = pixels.above(np.nextafter(thresholds, np.float32(-np.inf)))
    return area(cut(Curve(np.append(0.0, curve.rate), np.append(0.0, curve.overlap)), at_limit=True)) / LIMIT


def every_score(connectivity: np.ndarray = EIGHT, *, good_alone: bool = False) -> Callable[[Category], float]:
    """A point at every score, interpolated at the limit: ours, except for the arguments of `Descending.of`."""

    def measure(category: Category) -> float:
        curve = Descending.of(category.images, connectivity, good_alone=good_alone).curve()
        return area(cut(curve, at_limit=True)) / LIMIT

    return measure


def every_score_without_interpolation(category: Category) -> float:
    """A point at every score, the last one below the limit."""
    return area(cut(Descending.of(category.images).curve())) / LIMIT


def every_score_stretched(category: Category) -> float:
    """A point at every score, the area divided by the rate that the last one below the limit reaches."""
    curve = cut(Descending.of(category.images).curve())
    return area(curve) / float(curve.rate[-1])


def aupimo_at_steps(category: Category) -> float:
    """300 000 thresholds in the range of normal images' scores; from the one nearest to 1e-5 to that of 1e-4."""
    good = [anomaly_map for anomaly_map, ground_truth in category.images if not ground_truth.any()]
    thresholds = np.linspace(min(map(np.min, good)), max(map(np.max, good)), PIMO_STEPS)
    rates = np.mean([_shares_from(thresholds, anomaly_map.ravel()) for anomaly_map in good], axis=0)
    last, first = (int(np.argmin(np.abs(rates - rate))) for rate in PIMO_RATES)
    inside = np.arange(first, last + 1)[rates[first : last + 1] > 0][::-1]
    recalls = [
        _shares_from(thresholds[inside], anomaly_map[ground_truth]) for anomaly_map, ground_truth in category.defective
    ]
    areas = np.trapezoid(recalls, np.log(rates[inside]), axis=1)
    return float(np.mean(np.clip(areas / np.log(PIMO_RATES[1] / PIMO_RATES[0]), 0, 1)))


def _shares_from(thresholds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the scores at or above each threshold."""
    return 1 - np.searchsorted(np.sort(scores), thresholds, side="left") / scores.size


def trapezoidal_pr(ground_truth: np.ndarray, scores: np.ndarray) -> float:
    """Trapezoids under the precision-recall curve."""
    precision, recall, _ = precision_recall_curve(ground_truth, scores)
    return float(auc(recall, precision))


def best_f1(ground_truth: np.ndarray, scores: np.ndarray) -> float:
    """The greatest F1 over all scores."""
    precision, recall, _ = precision_recall_curve(ground_truth, scores)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def binned_f1(category: Category) -> float:
    """The greatest F1 over 200 thresholds between the least and the greatest score."""
    positives, predicted = _counts_at_steps(category)
    return float(np.max(2 * positives / (predicted + positives[0])))


def binned_ap(category: Category) -> float:
    """Average precision with 200 thresholds between the least and the greatest score."""
    positives, predicted = _counts_at_steps(category)
    precision = positives / predicted
    return float(np.sum(-np.diff(positives, append=0) * precision) / positives[0])


def _counts_at_steps(category: Category) -> tuple[np.ndarray, np.ndarray]:
    """Defective pixels, and all pixels, at or above each of 200 rising thresholds; the first takes in all."""
    ground_truth, scores = category.pixels
    thresholds = np.linspace(scores.min(), scores.max(), STEPS)
    bins = np.searchsorted(thresholds, scores, side="right") - 1
    counts = (np.bincount(bins[ground_truth], minlength=STEPS), np.bincount(bins, minlength=STEPS))
    return tuple(np.cumsum(count[::-1])[::-1] for count in counts)


def mean_over_images(metric: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Category], float]:
    """The mean over the defective images, each by itself."""
    return lambda category: float(
        np.mean([metric(ground_truth.ravel(), scores.ravel()) for scores, ground_truth in category.defective])
    )


@cache
def metrics_after(change: Change, category: Category) -> dict[str, float]:
    """Our pixel metrics after a change of each map and its ground truth."""
    return pixel_metrics([change(image) for image in category.scored])


def changed(change: Change, metric: str) -> Callable[[Category], float]:
    """One of these metrics, given a category."""
    return lambda category: metrics_after(change, category)[metric]


def resized(image: MapAndTruth, reading: Callable[[np.ndarray], np.ndarray]) -> MapAndTruth:
    """A map at 256 x 256, bilinear, and its ground truth from ``reading``."""
    anomaly_map, ground_truth = image
    return at_image_size(anomaly_map, RESIZED, RESIZED), reading(ground_truth)


def nearest(ground_truth: np.ndarray) -> np.ndarray:
    """A mask of 256 x 256 by nearest neighbours."""
    size = (RESIZED, RESIZED)
    return cv2.resize(ground_truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0


def smoothed_above(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """A mask of 256 x 256 by averaging over the pixels that each new one covers, then ``> share``."""
    return lambda ground_truth: (
        cv2.resize(ground_truth.astype(np.float32), (RESIZED, RESIZED), interpolation=cv2.INTER_AREA) > share
    )


def cropped(image: MapAndTruth) -> MapAndTruth:
    """The middle 224 of 256 px."""
    margin = (RESIZED - CROPPED) // 2
    anomaly_map, ground_truth = resized(image, nearest)
    return anomaly_map[margin:-margin, margin:-margin], ground_truth[margin:-margin, margin:-margin]


def whole(image: MapAndTruth) -> MapAndTruth:
    """At 256 x 256, only pixels that are completely defective after Pillow's bilinear filter."""
    measured_at = Protocol(side=RESIZED, truth="whole")
    return measured_at.anomaly_map(image[0], *image[1].shape), measured_at.true_mask(image[1])


def smoothed(image: MapAndTruth) -> MapAndTruth:
    """A map at its image's size, smoothed by a Gaussian of 4 pixels."""
    return Protocol(smoothing=4).anomaly_map(image[0], *image[1].shape), image[1]


def with_corners(image: MapAndTruth) -> MapAndTruth:
    """A map at its image's size, whose outermost patches lie at the image's corners."""
    return Protocol(grid="corners").anomaly_map(image[0], *image[1].shape), image[1]


def normalised(image: MapAndTruth) -> MapAndTruth:
    """A map at its image's size, stretched to 0..1 by itself."""
    anomaly_map, ground_truth = at_image_size(image[0], *image[1].shape), image[1]
    return (anomaly_map - anomaly_map.min()) / np.ptp(anomaly_map), ground_truth


def pooled(metric: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Sequence[Category]], float]:
    """A metric of the images of all categories together."""
    return lambda categories: metric(
        np.concatenate([category.labels for category in categories]),
        np.concatenate([category.scores for category in categories]),
    )


@dataclass(frozen=True)
class Definition:
    """Another definition of one of our metrics.

    Attributes:
        metric: our name of the metric.
        words: the difference.
        users: projects with this definition.
        of_category: gives the value of a category; the mean over categories is compared.
        of_all: gives the value of all categories, instead of ``of_category``; for two or more categories.
    """

    metric: str
    words: str
    users: str
    of_category: Callable[[Category], float] | None = None
    of_all: Callable[[Sequence[Category]], float] | None = None

    def value(self, categories: Sequence[Category]) -> float:
        """In 0..1; NaN where there is one category and the definition pools several."""
        if self.of_all is not None:
            return self.of_all(categories) if len(categories) > 1 else np.nan
        return float(np.mean([self.of_category(category) for category in categories]))


HOME = "home-grown code"
CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("at 256 px, ground_truth nearest", "our `resize256`", lambda image: resized(image, nearest)),
    (
        "at 256 px, ground_truth averaged, `> 0.5`",
        "the common way, says Dinomaly",
        lambda image: resized(image, smoothed_above(0.5)),
    ),
    (
        "at 256 px, ground_truth averaged, `> 0`",
        "Dinomaly, INP-Former",
        lambda image: resized(image, smoothed_above(0.0)),
    ),
    ("at 256 px, ground_truth bilinear, whole", "MuSc on MVTec AD, PatchCore", whole),
    ("at 256 px, cropped to the middle 224", "PatchCore", cropped),
    ("maps smoothed, 4 px", "PaDiM, PatchCore, AnomalyDINO", smoothed),
    ("outermost patches at the corners", "MuSc", with_corners),
    ("each map stretched to 0..1 by itself", HOME, normalised),
)
DEFINITIONS: tuple[Definition, ...] = (
    Definition("image_auroc", "images of all categories pooled", HOME, of_all=pooled(roc_auc_score)),
    Definition("image_ap", "images of all categories pooled", HOME, of_all=pooled(average_precision_score)),
    Definition(
        "image_ap", "trapezoids under the curve", "anomalib", lambda c: trapezoidal_pr(c.labels.astype(int), c.scores)
    ),
    Definition("pixel_auroc", "mean over defective images", HOME, mean_over_images(roc_auc_score)),
    Definition("pixel_ap", "trapezoids under the curve", "anomalib", lambda c: trapezoidal_pr(*c.pixels)),
    Definition("pixel_ap", "200 thresholds", "torchmetrics with `thresholds=200`", binned_ap),
    Definition("pixel_ap", "mean over defective images", HOME, mean_over_images(average_precision_score)),
    Definition("pixel_f1max", "200 thresholds", "torchmetrics with `thresholds=200`", binned_f1),
    Definition("pixel_f1max", "best of each defective image, mean", HOME, mean_over_images(best_f1)),
    Definition("aupro", "200 thresholds, reached rates stretched", "MuSc, after CFLOW-AD", steps_stretched),
    Definition("aupro", "the same by image, mean", "RD4AD", steps_of_an_image),
    Definition("aupro", "200 thresholds, divided by the limit", HOME, steps_plain),
    Definition("aupro", "300 thresholds even in rate", "SubspaceAD", rates_evenly_spaced),
    Definition("aupro", "divided by the reached rate", "anomalib before its PR 3115", every_score_stretched),
    Definition("aupro", "no interpolation at the limit", HOME, every_score_without_interpolation),
    Definition("aupro", "4-connected regions", "`scipy.ndimage.label` as it is", every_score(FOUR)),
    Definition("aupro", "rate among good images alone", "AUPIMO's rate", every_score(good_alone=True)),
    Definition("aupimo", "300 000 thresholds, nearest to the bounds", "AUPIMO's code", aupimo_at_steps),
    *(
        Definition(metric, words, users, changed(change, metric))
        for metric in PIXEL_METRICS
        for words, users, change in CHANGES
    ),
)


def drawn(number: int, widths: tuple[int, int] = (2, 6)) -> Category:
    """30 maps with their ground truth, from a seed; scratches are ``widths`` px wide, least and greatest."""
    rng = np.random.default_rng([7, number])
    grids, ground_truths = [], []
    for index in range(30):
        rows, columns = rng.integers(256 // PATCH, 320 // PATCH + 1, size=2)
        ground_truth = (
            _defects(PATCH * rows, PATCH * columns, widths, rng)
            if index < 22
            else np.zeros((PATCH * rows, PATCH * columns))
        )
        grid = ndimage.gaussian_filter(rng.normal(size=(rows, columns)), 1.2)
        grid = grid / grid.std() + rng.normal(scale=0.3)
        cover = cv2.resize(ground_truth.astype(np.float32), (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
        grid += rng.uniform(2, 7) * ndimage.gaussian_filter(cover, 0.7)
        grids.append(grid.astype(np.float32))
        ground_truths.append(ground_truth > 0)
    return _category(grids, ground_truths)


def _defects(height: int, width: int, widths: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """One to three ellipses or scratches of a mask, uint8."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 4)):
        centre = np.rint(rng.uniform(0.15, 0.85, size=2) * (width, height)).astype(int)
        if rng.random() < 0.7:
            axes = rng.integers(5, 34, size=2).tolist()
            cv2.ellipse(mask, centre.tolist(), axes, rng.uniform(0, 180), 0, 360, 1, cv2.FILLED)
        else:
            end = centre + np.rint(rng.normal(scale=40, size=2)).astype(int)
            cv2.line(mask, centre.tolist(), end.tolist(), 1, int(rng.integers(*widths, endpoint=True)))
    return mask


def with_heavy_tails(category: Category, factor: float = 0.5) -> Category:
    """Replace every score by the exponential of ``factor`` times its standard score."""
    _, scores = category.pixels
    centre, scale = scores.mean(), scores.std() / factor
    return replace(
        category,
        scored=[
            (np.exp((anomaly_map - centre) / scale), ground_truth) for anomaly_map, ground_truth in category.images
        ],
        scores=np.exp((category.scores - centre) / scale),
    )


def photographs(root: Path, names: Sequence[str]) -> Iterator[Category]:
    """Maps of the categories of a folder in the MVTec AD layout; of all that have test images if none is named."""
    layout = MvtecLayout()
    for name in sorted(names) or layout.categories(root):
        records = layout.records(root, name)
        references = [read_image(record.path, white=record.white) for record in of_split(records, "train")[:REFERENCES]]
        tests = (
            (read_image(record.path, white=record.white), _mask(record.mask_path, record.height, record.width))
            for record in of_split(records, "test")
        )
        yield nearest_patches(references, tests)


def _mask(path: str, height: int, width: int) -> np.ndarray:
    return read_mask(path, height, width) if path else np.zeros((height, width), bool)


def demo() -> Iterator[Category]:
    """Maps of the demo categories."""
    from zsad.data.demo.generate import defective_image, good_image  # the drawing is slow to import

    for place, name in enumerate(CATEGORIES):
        rngs = iter(np.random.default_rng([8, place]).spawn(REFERENCES + 30))
        references = [good_image(name, "train", DEMO_SIDE, next(rngs)) for _ in range(REFERENCES)]
        good = [
            (good_image(name, "test", DEMO_SIDE, next(rngs)), np.zeros((DEMO_SIDE, DEMO_SIDE), bool)) for _ in range(10)
        ]
        kinds = [DEFECT_KINDS[name][index % len(DEFECT_KINDS[name])] for index in range(20)]
        defective = [defective_image(name, kind, DEMO_SIDE, next(rngs)) for kind in kinds]
        yield nearest_patches(references, good + [(image, mask > 0) for image, mask in defective])


def nearest_patches(references: Sequence[np.ndarray], tests: Sequence[Photograph] | Iterator[Photograph]) -> Category:
    """Maps of a plain memory bank: the cosine distance of a patch to the nearest one of the references."""
    extractor = Embedded(resolution=SIDE, stride=PATCH).load(Execution("cpu"))
    bank = np.concatenate([np.concatenate(extractor.extract(image).patch_tokens[0]) for image in references])
    grids, ground_truths = [], []
    for image, ground_truth in tests:
        tokens = extractor.extract(image).patch_tokens[0]
        nearness = (tokens.reshape(-1, tokens.shape[-1]) @ bank.T).max(axis=1)
        grids.append((1 - nearness).reshape(tokens.shape[:2]).astype(np.float32))
        ground_truths.append(ground_truth)
    return _category(grids, ground_truths)


def _category(grids: Sequence[np.ndarray], ground_truths: Sequence[np.ndarray]) -> Category:
    tops = [np.sort(grid, axis=None)[-max(1, round(TOP_FRACTION * grid.size)) :].mean() for grid in grids]
    return Category(
        scored=list(zip(grids, ground_truths, strict=True)),
        scores=np.array(tops, dtype=np.float32),
    )


def table(data: dict[str, Sequence[Category]]) -> Iterator[str]:
    """Lines of a Markdown table: our values in per cent, then the differences in points."""
    yield "| metric | definition | who | " + " | ".join(data) + " |"
    yield "|---|---|---|" + "---:|" * len(data)
    metrics = dict.fromkeys(definition.metric for definition in DEFINITIONS)
    for metric in metrics:
        ours = {name: np.mean([category.ours[metric] for category in found]) for name, found in data.items()}
        yield f"| `{metric}` | **ours** | | " + " | ".join(f"**{100 * value:.2f}**" for value in ours.values()) + " |"
        for definition in (definition for definition in DEFINITIONS if definition.metric == metric):
            points = [100 * (definition.value(found) - ours[name]) for name, found in data.items()]
            cells = [_difference(point) for point in points]
            yield f"| | {definition.words} | {definition.users} | " + " | ".join(cells) + " |"


def _difference(points: float) -> str:
    if np.isnan(points):
        return "–"
    return f"{points:+.2f}" if round(points, 2) else "0.00"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="folder of categories in the MVTec AD layout")
    parser.add_argument("category", nargs="*", help="some of its categories (default: all)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    smooth = [drawn(number) for number in range(3)]
    data: dict[str, Sequence[Category]] = {
        "drawn": smooth,
        "thin": [drawn(number, widths=(1, 2)) for number in range(3)],
        "tails": [with_heavy_tails(category) for category in smooth],
        "long tails": [with_heavy_tails(category, 2.0) for category in smooth],
        "demo": list(demo()),
    }
    if options.root:
        data["photographs"] = list(photographs(options.root, options.category))
    for line in table(data):
        print(line, flush=True)


if __name__ == "__main__":
    main()
