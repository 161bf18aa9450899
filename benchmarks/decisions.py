"""Choose the default threshold rules, for methods with references, of a batch, and of single images.

    pip install "zsad[efficientnet,elpv]"
    python benchmarks/decisions.py choose                          # development sets: the tables and the choice
    python benchmarks/decisions.py report --magnetic-tile ROOT     # sets that are not used for the choice

Batches of 30 images have 0, 5, 20, 50, 80 or 100 % defective ones (rounded to whole images, at least one), sampled from
the test images of a category, three samples each. Methods that compare the images of a batch score every batch by
itself; all others score an image once, because its score is the same in every batch. A rule sees the input of the stage
``decide_images``: maps, image scores, and the scores of the references.

The rule of choice, fixed before the first run, for each kind of method by itself:

1. The development sets are the demo's generator with seed 101 and generated textures and flat parts
   (`embedded_quality.py`, `constant_channel.py`).
2. A rule's figure is the F1 of its decisions about images over the greatest F1 that any threshold on the image scores
   reaches (F1-max), averaged over samples, over batches with 5, 20, 50 and 80 % defective images, over methods and
   categories.
3. Of the rules that call at most 10 % of the images defective in batches of only normal images (average over samples,
   methods and categories), the one with the highest figure is chosen; if there is none, the one that calls the fewest.
4. ``extent``, the lower limit of a region, is then the one with the highest mean over kinds of SegF1 / pixel F1-max
   at the chosen rules.

`suitable`, which combines the others, is shown but is not a candidate; neither are rules that need a given threshold
(left out) or the number of defective images (the true number is given here). Methods are left out on categories where
they abstain in most images. The row `best at 10 %` is the upper limit: the highest F1 of a threshold on the peaks that
calls at most 10 % of the batch's normal images, chosen with the labels.

Images, features and scores are stored in the folder ``--cache``, so that rules can be compared again in minutes; delete
it after a change to any of these. With ``--kept`` only stored scores are studied; ``scores`` computes them, and may be
stopped at any time. Rules take about 4 s for a method on a category and core, scores a few seconds to two
minutes (`mutual` by the network; all of `batch_neighbours`). The reported sets are magnetic tiles in the MVTec AD
layout, ELPV's mono- and polycrystalline cells (no masks), and the demo's generator with seed 0.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from zsad import extract
from zsad.data.catalogue import facts_of
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import CATEGORIES, DemoOptions
from zsad.data.layouts.base import Layout
from zsad.data.layouts.elpv import ElpvLayout
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.manifest import ImageRecord
from zsad.data.packages import installed
from zsad.data.subsets import FeatureSet, select
from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.registry import THRESHOLDS
from zsad.evaluation.ground_truth import has_pixel_ground_truth, pixel_ground_truth
from zsad.evaluation.ranking import auroc, f1_max, rank_scores
from zsad.files.atomic import atomic_path
from zsad.files.features import FeatureReader
from zsad.interactive.written_tokens import written_tokens
from zsad.maps import at_image_size, informative_maps, standing_out
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.mutual import Mutual
from zsad.scoring.mutual_base import SIMILARITIES, interval_mean, rescored_by_neighbours
from zsad.scoring.mutual_distances import distance_rows
from zsad.scoring.references import REFERENCES, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens, TokenSource
from zsad.scoring.tokens import layer_indices

CONTAMINATIONS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)
MIXED = CONTAMINATIONS[1:-1]
MOST_CALLED = 0.1  # of the images of a normal batch, by the rule of choice
BACKBONES = ("embedded", "efficientnet-lite0")
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "memory_bank_8": ("memory_bank", {"shots": 8}),
    "memory_bank_20": ("memory_bank", {"shots": 20, "rotations": False}),
    "mahalanobis_16": ("mahalanobis", {"shots": 16}),
    "mutual": ("mutual", {}),
    "batch_neighbours": ("batch_neighbours", {}),
    "self_similarity": ("self_similarity", {}),
    "flip_consistency": ("flip_consistency", {}),
    "mirror_symmetry": ("mirror_symmetry", {}),
}
ONLY: Mapping[str, Sequence[str]] = {"batch_neighbours": ("embedded",)}  # slow, because it scores every batch by itself
# A new rule takes part with its defaults; a line here adds other parameters to try.
VARIANTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "robust_tail": [{"z": z} for z in (5.0, 8.0, 10.0)],
    "conformal": [*({"alpha": alpha} for alpha in (0.05, 0.1, 0.2)), {"over_batch": "benjamini_hochberg"}],
    "reference_tail": [{"alpha": alpha} for alpha in (0.05, 0.1)],
    "reference_quantile": [{"quantile": quantile} for quantile in (0.9, 0.995)],
    "peaks_over_threshold": [
        {"shape": "pareto"},
        *({"shape": "exponential", "alpha": alpha} for alpha in (0.05, 0.1, 0.2)),
        {"shape": "exponential", "good": 0.4},
    ],
    "a_contrario": [
        *({"false_alarms": expected} for expected in (0.02, 0.05, 0.1, 0.2)),
        {"false_alarms": 0.05, "defective": 0.1},
    ],
    "self_calibration": [{"shape": "pareto"}, {"shape": "exponential"}],
    "subsample_maxima": [{"shape": "pareto"}, {"shape": "exponential"}],
}
LEFT_OUT = ("fixed",)  # its threshold comes from the user
INFORMED = ("share", "expected_share")  # get the true share of defective images of every batch, as from an ideal user
COMPOSED = ("suitable",)
ORACLE = "best at 10 %"
EXTENTS = tuple(round(0.1 * tenth, 1) for tenth in range(3, 11))
TRAIN, GOOD, DEFECTIVE = 20, 40, 40  # images of a category, if it is generated or sampled
TEXTURES, FLAT = 4, 2  # generated categories
READ: dict[Path, list[ImageRecord]] = {}  # by the folder of the category
KINDS = {"references": "With references", "batch": "Zero-shot, batch", "single": "Zero-shot, single image"}


class Category(NamedTuple):
    """Some images of a kind.

    Attributes:
        layout, root, name: place of the images.
        make: writes the images there, if they are generated and missing.
    """

    data_set: str
    name: str
    layout: Layout
    root: Path
    make: Callable[[Path], None] | None = None


class Scores(NamedTuple):
    """The scores of a method for some test images, and for its references.

    Attributes:
        maps: float32 ``[row, column]``, one an image.
        image_scores: float64 ``[image]``.
    """

    maps: list[np.ndarray]
    image_scores: np.ndarray
    reference_maps: list[np.ndarray]
    reference_scores: np.ndarray

    def only(self, indices: np.ndarray) -> Scores:
        """The scores of some of the images."""
        return self._replace(maps=[self.maps[index] for index in indices], image_scores=self.image_scores[indices])


class Batch(NamedTuple):
    """Some of the test images of a category.

    Attributes:
        indices: int ``[image]``, ascending.
    """

    contamination: float
    draw: int
    indices: np.ndarray


class Task(NamedTuple):
    """A method with a backbone on a category."""

    category: Category
    method: str
    backbone: str

    @property
    def scorer(self) -> Scorer:
        """The configured scorer."""
        name, params = METHODS[self.method]
        return SCORERS.build(name, params)

    @property
    def kind(self) -> str:
        """How much it sees, one of `KINDS`."""
        if isinstance(self.scorer, ReferenceScorer):
            return "references"
        return "batch" if self.scorer.setting == "zero-shot-batch" else "single"


class Options(NamedTuple):
    """The options of the study."""

    cache: Path
    batch: int
    draws: int


# -- images ----------------------------------------------------------------------------------------------------------


def development(cache: Path) -> list[Category]:
    """The data sets for the choice of rules."""
    return [*demo(cache, 101), *generated(cache)]


def reported(cache: Path, magnetic_tile: Path) -> list[Category]:
    """The data sets that are not used for the choice."""
    facts = facts_of("elpv")
    if facts is None or facts.package is None:
        raise SystemExit("ELPV is not in the catalogue of data sets as a package")
    elpv = installed(facts.package, facts.title).root
    cells = ElpvLayout(train=TRAIN, good=GOOD, defective=DEFECTIVE)
    return [
        Category("magnetic tiles", magnetic_tile.name, MvtecLayout(), magnetic_tile.resolve().parent),
        *(Category("ELPV", name, cells, elpv) for name in ("mono", "poly")),
        *demo(cache, 0),
    ]


def demo(cache: Path, seed: int) -> list[Category]:
    """The demo's generator with a seed."""
    options = DemoOptions(seed=seed, train=TRAIN, good=GOOD, defective=DEFECTIVE)
    name = f"demo, seed {seed}"
    root = cache / "images" / name
    return [
        Category(name, category, MvtecLayout(), root, partial(_make_demo, category, options)) for category in CATEGORIES
    ]


def _make_demo(category: str, options: DemoOptions, folder: Path) -> None:
    make_category(category, options, folder)


def generated(cache: Path) -> list[Category]:
    """Textures and flat parts, one appearance each."""
    from calibration import PATTERNS
    from constant_channel import PARTS

    root = cache / "images" / "generated"
    made: list[tuple[str, Callable[[Path], None]]] = [
        (pattern.__name__, partial(_make_texture, number)) for number, pattern in enumerate(PATTERNS[:TEXTURES])
    ]
    made += [(part.__name__, partial(_make_part, number)) for number, part in enumerate(PARTS[:FLAT])]
    return [Category("generated", name, MvtecLayout(), root, make) for name, make in made]


def _make_texture(number: int, folder: Path) -> None:
    from calibration import PATTERNS, SIDE, Appearance, photograph, texture

    rng = np.random.default_rng([3, number])
    across = int(np.ceil(np.sqrt(TRAIN + GOOD + DEFECTIVE)))
    whole = texture(across * SIDE, PATTERNS[number], rng)
    appearance = Appearance.draw(rng)
    places = rng.permutation(across**2)[: TRAIN + GOOD + DEFECTIVE]
    crops = (
        whole[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        for row, column in (divmod(place, across) for place in places.tolist())
    )
    _write_category(folder, [photograph(crop, appearance, rng) for crop in crops], rng)


def _make_part(number: int, folder: Path) -> None:
    from calibration import SIDE, Appearance, cloud, photograph
    from constant_channel import PARTS

    rng = np.random.default_rng([4, number])
    size, appearance, grain = rng.uniform(0.85, 1.1), Appearance.draw(rng), rng.uniform(0, 0.1)
    images = []
    for _ in range(TRAIN + GOOD + DEFECTIVE):
        surface = cloud(SIDE, rng)
        pattern = PARTS[number](rng, size) - 0.5 + grain * surface / surface.std()
        images.append(photograph(2 * pattern, appearance, rng))
    _write_category(folder, images, rng)


def _write_category(folder: Path, images: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Write normal images in the MVTec AD layout, and draw a defect into each of the last ones."""
    from embedded_quality import DEFECTS, _defective

    for index, image in enumerate(images):
        if index < TRAIN + GOOD:
            place, number = ("train", index) if index < TRAIN else ("test", index - TRAIN)
            _write_png(folder / place / "good" / f"{number:03d}.png", image[..., ::-1])
            continue
        number = index - TRAIN - GOOD
        defect = DEFECTS[number % len(DEFECTS)]
        changed, mask = _defective(image, defect, rng)
        _write_png(folder / "test" / defect.__name__ / f"{number:03d}.png", changed[..., ::-1])
        _write_png(folder / "ground_truth" / defect.__name__ / f"{number:03d}_mask.png", 255 * mask.astype(np.uint8))


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def records_of(category: Category) -> list[ImageRecord]:
    """The images of a category, which are made if they are generated and missing; read only once."""
    folder = category.root / category.name
    if folder not in READ:
        if category.make is not None and not (folder / "made").exists():
            category.make(folder)
            (folder / "made").touch()
        READ[folder] = category.layout.records(category.root, category.name)
    return READ[folder]


# -- features and scores ---------------------------------------------------------------------------------------------


def tokens_of(category: Category, wanted: FeatureSet, backbone: str, cache: Path) -> FeatureReader:
    """The feature file of some images, which is extracted if it is missing."""
    stem = f"{wanted.subset}.{wanted.view}.h5"
    path = cache / "features" / category.data_set / category.name / backbone / stem
    if not path.exists():
        records = select(records_of(category), wanted.subset, category.name)
        given = extract([record.path for record in records], backbone, view=wanted.view, device="cpu")
        path.parent.mkdir(parents=True, exist_ok=True)
        written_tokens(given, path)
    return FeatureReader(path)


def batches(labels: np.ndarray, size: int, draws: int) -> list[Batch]:
    """Batches of every contamination for which there are enough images.

    Args:
        labels: int ``[image]``, 1 for a defective one.
    """
    good, defective = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    found = []
    for contamination in CONTAMINATIONS:
        bad = round(contamination * size)
        if 0 < contamination < 1:
            bad = min(max(bad, 1), size - 1)
        if bad > len(defective) or size - bad > len(good):
            continue
        for draw in range(draws):
            rng = np.random.default_rng([round(100 * contamination), draw])
            drawn = [rng.choice(good, size - bad, replace=False), rng.choice(defective, bad, replace=False)]
            found.append(Batch(contamination, draw, np.sort(np.concatenate(drawn))))
    return found


def scores_file(task: Task, options: Options) -> Path:
    """The file of the stored scores."""
    suffix = f".{options.batch}x{options.draws}" if task.kind == "batch" else ""
    folder = options.cache / "scores" / task.category.data_set / task.category.name
    return folder / f"{task.method}.{task.backbone}{suffix}.npz"


def scores_of(task: Task, labels: np.ndarray, options: Options) -> list[tuple[Batch, Scores]]:
    """The scores of every batch, computed if they are missing."""
    drawn = batches(labels, options.batch, options.draws)
    path = scores_file(task, options)
    if not path.exists():
        scorer, compute = task.scorer, Compute()
        features: dict[str, TokenSource] = {
            role: tokens_of(task.category, wanted, task.backbone, options.cache)
            for role, wanted in scorer.feature_sets().items()
        }
        if task.kind == "batch":
            found = batch_scores(scorer, features["test"], [batch.indices for batch in drawn], compute)
        else:
            found = [single_scores(scorer, features, compute)]
        _store(path, found)
    stored = _load(path)
    if task.kind == "batch":
        return list(zip(drawn, stored, strict=True))
    return [(batch, stored[0].only(batch.indices)) for batch in drawn]


def single_scores(scorer: Scorer, features: Mapping[str, TokenSource], compute: Compute) -> Scores:
    """The scores of all test images, and of the references, by a method that does not compare test images."""
    maps, scores = _summed_up(scorer.score(features, compute))
    reference_maps: list[np.ndarray] = []
    reference_scores = np.empty(0)
    if isinstance(scorer, ReferenceScorer):
        asked = scorer.score_references({REFERENCES: features[REFERENCES]}, compute)
        reference_maps, reference_scores = _summed_up(asked)
    return Scores(maps, scores, reference_maps, reference_scores)


def batch_scores(
    scorer: Scorer, test: TokenSource, drawn: Sequence[np.ndarray], compute: Compute
) -> Iterator[Scores] | list[Scores]:
    """The scores of every batch by a method that compares the images of a batch with each other."""
    if isinstance(scorer, Mutual):
        return mutual_scores(scorer, test, drawn, compute)
    return (_batch_scores(scorer, test, indices, compute) for indices in drawn)


def _batch_scores(scorer: Scorer, test: TokenSource, indices: np.ndarray, compute: Compute) -> Scores:
    part = MemoryTokens([test.patch_tokens(index) for index in indices], test.cls_tokens()[indices], layers=test.layers)
    maps, scores = _summed_up(scorer.score({"test": part}, compute))
    return Scores(maps, scorer.rescored(scores, {"test": part}), [], np.empty(0))


def mutual_scores(scorer: Mutual, test: TokenSource, drawn: Sequence[np.ndarray], compute: Compute) -> list[Scores]:
    """Mutual scores of every batch, from distances between all pairs of images, which are computed once."""
    stages = scorer.stages(test)
    maps = [{index: np.zeros(test.grid_sizes[index].prod()) for index in indices.tolist()} for indices in drawn]
    for stage in stages:
        for position, distances in distance_rows(test, range(len(test)), stage, scorer.distance, compute):
            for indices, of_batch in zip(drawn, maps, strict=True):
                if position in of_batch:
                    others = distances[:, indices[indices != position].tolist()]
                    of_batch[position] += interval_mean(others, scorer.interval).numpy() / len(stages)
    cls_tokens = test.cls_tokens()[:, layer_indices(test, scorer.layers)[-1]]
    found = []
    for indices, of_batch in zip(drawn, maps, strict=True):
        shaped = (ImageScore(index, of_batch[index].reshape(test.grid_sizes[index])) for index in indices.tolist())
        in_order, scores = _summed_up(shaped)
        visible = scorer.visible(len(indices))
        similar = SIMILARITIES[scorer.class_tokens](cls_tokens[indices])
        scores = rescored_by_neighbours(scores, similar, scorer.rescoring, visible)
        found.append(Scores(in_order, scores, [], np.empty(0)))
    return found


def _summed_up(given: Iterator[ImageScore]) -> tuple[list[np.ndarray], np.ndarray]:
    """Maps and image scores in the order of the images, as the workflow sums maps up by default."""
    found = sorted(map(ImageScoring().complete, given), key=lambda one: one.index)
    maps = [one.anomaly_map for one in found if one.anomaly_map is not None]
    return maps, np.array([one.image_score for one in found], dtype=np.float64)


def _store(path: Path, found: Iterator[Scores] | list[Scores]) -> None:
    arrays: dict[str, np.ndarray] = {}
    for number, scores in enumerate(found):
        for name, maps in (("test", scores.maps), ("reference", scores.reference_maps)):
            arrays[f"{number}.{name}.grids"] = np.array([each.shape for each in maps], dtype=np.int64).reshape(-1, 2)
            arrays[f"{number}.{name}.values"] = np.concatenate([np.empty(0, np.float32), *map(np.ravel, maps)])
        arrays[f"{number}.test.scores"], arrays[f"{number}.reference.scores"] = (
            scores.image_scores,
            scores.reference_scores,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _load(path: Path) -> list[Scores]:
    with np.load(path) as stored:
        count = 1 + max(int(name.partition(".")[0]) for name in stored.files)
        return [
            Scores(
                _maps(stored[f"{number}.test.values"], stored[f"{number}.test.grids"]),
                stored[f"{number}.test.scores"],
                _maps(stored[f"{number}.reference.values"], stored[f"{number}.reference.grids"]),
                stored[f"{number}.reference.scores"],
            )
            for number in range(count)
        ]


def _maps(values: np.ndarray, grids: np.ndarray) -> list[np.ndarray]:
    ends = grids.prod(axis=1).cumsum()[:-1]
    return [each.reshape(grid) for each, grid in zip(np.split(values, ends), grids, strict=True)] if len(grids) else []


# -- rules and what they reach ---------------------------------------------------------------------------------------


def candidates() -> dict[str, ThresholdRule]:
    """Every rule with every set of parameters to try, by its name in the tables."""
    found = {}
    for name in THRESHOLDS.names():
        if name not in (*LEFT_OUT, *INFORMED):
            for params in VARIANTS.get(name, [{}]):
                shown = " ".join(f"{key}={value}" for key, value in params.items())
                found[f"{name} {shown}".strip()] = THRESHOLDS.build(name, params)
    return found


def candidate_names() -> list[str]:
    """The rules that may be chosen."""
    return [name for name in THRESHOLDS.names() if name not in (*LEFT_OUT, *INFORMED, *COMPOSED)]


def informed(contamination: float) -> dict[str, ThresholdRule]:
    """The rules that get the true share of defective images, likewise."""
    known = [name for name in INFORMED if name in THRESHOLDS.names()]
    return {f"{name}, told": THRESHOLDS.build(name, {"share": contamination}) for name in known}


def measure(
    task: Task, options: Options, rules: Mapping[str, ThresholdRule], with_informed: bool
) -> list[dict[str, Any]]:
    """A row for every batch and rule, and for the upper limit; none if the method abstains in most images.

    Masks are measured only in the first sample, to save time.
    """
    cv2.setNumThreads(1)
    records = [record for record in records_of(task.category) if record.split == "test"]
    labels = np.array([record.label for record in records])
    scored = scores_of(task, labels, options)
    if len(informative_maps(scored[0][1].maps)) < len(scored[0][1].maps) / 2:
        return []
    known = [record for record in records if has_pixel_ground_truth(record)]
    masks = [pixel_ground_truth(record) for record in records] if len(known) == len(records) else []
    place = {
        "set": task.category.data_set,
        "category": task.category.name,
        "kind": task.kind,
        "method": task.method,
        "backbone": task.backbone,
    }
    rows = []
    for batch, scores in scored:
        evidence = Evidence(*scores, setting=task.scorer.setting)
        looked_at = batch.indices.tolist() if masks and batch.draw == 0 else []
        ground_truth = Truth.of(evidence, labels[batch.indices], [masks[index] for index in looked_at])
        at = {**place, "contamination": batch.contamination, "draw": batch.draw}
        rows.append(
            {**at, "rule": ORACLE, **ground_truth.of_decided(evidence.peaks > ground_truth.ceiling(evidence.peaks))}
        )
        for name, rule in {**rules, **(informed(batch.contamination) if with_informed else {})}.items():
            if rule.needs_references and not len(evidence.reference_peaks):
                continue
            verdicts = rule.decide(evidence)
            figures = {
                **ground_truth.of_decided(verdicts.decided),
                "mask_ratio": ground_truth.mask_ratio(evidence, verdicts),
            }
            rows.append({**at, "rule": name, "nominal": verdicts.nominal, **figures})
    return rows


class Truth(NamedTuple):
    """The ground truth of a batch, for measuring rules.

    Attributes:
        labels: bool ``[image]``.
        masks: bool ``[height, width]``, one for each image; empty if they are not used.
        f1_max: the greatest F1 of a threshold on the image scores; NaN unless there are normal and defective images.
        auroc: of the image scores, likewise.
        pixel_f1_max: the greatest F1 of a threshold on the maps at the images' size; NaN without masks, too.
    """

    labels: np.ndarray
    masks: list[np.ndarray]
    f1_max: float
    auroc: float
    pixel_f1_max: float

    @classmethod
    def of(cls, evidence: Evidence, labels: np.ndarray, masks: list[np.ndarray]) -> Truth:
        """Of a batch."""
        defective = labels == 1
        ranking = rank_scores(evidence.image_scores[defective], evidence.image_scores[~defective])
        is_mixed = defective.any() and not defective.all()
        of_pixels = pixel_f1_max(evidence.maps, masks) if masks and is_mixed else np.nan
        return cls(defective, masks, float(f1_max(ranking)), float(auroc(ranking)), of_pixels)

    def of_decided(self, decided: np.ndarray) -> dict[str, float]:
        """Figures of decisions, bool ``[image]``."""
        good = self.labels.size - self.labels.sum()
        return {
            "ratio": f1(decided, self.labels) / self.f1_max,
            "fpr": float(decided[~self.labels].mean()) if good else np.nan,
            "recall": float(decided[self.labels].mean()) if self.labels.any() else np.nan,
            "called": float(decided.mean()),
            "auroc": self.auroc,
        }

    def ceiling(self, peaks: np.ndarray) -> float:
        """The threshold on the peaks with the highest F1 among those that call at most 10 % of the normal images."""
        good = np.sort(peaks[~self.labels])
        allowed = int(MOST_CALLED * len(good))
        lowest = good[len(good) - 1 - allowed] if len(good) else -np.inf
        thresholds = [lowest, *peaks[peaks > lowest]]
        return float(max(thresholds, key=lambda threshold: f1(peaks > threshold, self.labels)))

    def mask_ratio(self, evidence: Evidence, verdicts: Verdicts) -> float:
        """SegF1 over pixel F1-max; NaN where that is."""
        if np.isnan(self.pixel_f1_max):
            return np.nan
        right = wrong = 0
        for index, mask in enumerate(self.masks):
            if verdicts.decided[index]:
                thresholds = verdicts.thresholds(index)
                marked = standing_out(evidence.maps[index], thresholds, *mask.shape) > np.float32(thresholds.pixel)
                right += int(np.count_nonzero(marked & mask))
                wrong += int(np.count_nonzero(marked & ~mask))
        defective = sum(map(np.count_nonzero, self.masks))
        return float(2 * right / (right + wrong + defective) / self.pixel_f1_max)


def pixel_f1_max(maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> float:
    """The greatest F1 of pixels above a threshold on the maps at the images' size."""
    large = [at_image_size(anomaly_map, *mask.shape) for anomaly_map, mask in zip(maps, masks, strict=True)]
    inside = np.concatenate([values[mask] for values, mask in zip(large, masks, strict=True)])
    outside = np.concatenate([values[~mask] for values, mask in zip(large, masks, strict=True)])
    return float(f1_max(rank_scores(inside, outside)))


def f1(decided: np.ndarray, defective: np.ndarray) -> float:
    """The F1 of decisions, bool ``[image]``; 0 if no image is called defective."""
    return float(2 * (decided & defective).sum() / max(1, decided.sum() + defective.sum()))


# -- tables ----------------------------------------------------------------------------------------------------------


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The figures, one row for each rule, in the order of the trials."""
    found = {}
    for rule, of_rule in rows.groupby("rule", sort=False):
        by = of_rule.set_index("contamination")
        all_good = of_rule[of_rule["contamination"] == 0]
        mixed = of_rule[of_rule["contamination"].isin(MIXED)]
        ratios = {f"F1 ratio {_per_cent(at)}": by["ratio"].get(at, pd.Series()).mean() for at in MIXED}
        found[str(rule)] = {
            **ratios,
            "mean": float(np.mean(list(ratios.values()))),
            "AUROC ≥ .8": mixed["ratio"][mixed["auroc"] >= 0.8].mean(),
            **{f"FPR {_per_cent(at)}": by["fpr"].get(at, pd.Series()).mean() for at in MIXED},
            "nominal": of_rule["nominal"].mean() if "nominal" in of_rule else np.nan,
            "recall": mixed["recall"].mean(),
            "mask ratio": mixed["mask_ratio"].mean() if "mask_ratio" in mixed else np.nan,
            "all good: called": all_good["called"].mean(),
            "all good: none called": (all_good["called"] == 0).mean() if len(all_good) else np.nan,
            "all defective: called": of_rule[of_rule["contamination"] == 1]["called"].mean(),
        }
    return pd.DataFrame.from_dict(found, orient="index")


def chosen(figures: pd.DataFrame) -> str:
    """The rule that the rule of choice selects from a table of `summary`."""
    asked = figures[[rule != ORACLE and rule.split()[0] in candidate_names() for rule in figures.index]]
    allowed = asked[asked["all good: called"] <= MOST_CALLED]
    if allowed.empty:
        return str(asked["all good: called"].idxmin())
    return str(allowed["mean"].idxmax())


def markdown(figures: pd.DataFrame, corner: str) -> str:
    """A table in per cent."""
    lines = [f"| {corner} | {' | '.join(figures.columns)} |", "|---|" + "---:|" * len(figures.columns)]
    for name, values in figures.iterrows():
        lines.append(f"| {name} | {' | '.join('–' if np.isnan(value) else f'{100 * value:.0f}' for value in values)} |")
    return "\n".join(lines)


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"


def detail(rows: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """The mean F1 ratio of some rules by set, category, method and backbone."""
    mixed = rows[rows["contamination"].isin(MIXED) & rows["rule"].isin(rules)]
    places = mixed["set"] + ", " + mixed["category"] + ", " + mixed["method"] + ", " + mixed["backbone"]
    table = mixed.groupby([places, "rule"], sort=False)["ratio"].mean().unstack().reindex(columns=list(rules))
    return table.assign(AUROC=mixed.groupby(places, sort=False)["auroc"].mean())


def tables(rows: pd.DataFrame, shown: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Markdown of all kinds of method; ``shown`` has the rules of each kind that are listed by category."""
    for kind, title in KINDS.items():
        of_kind = rows[rows["kind"] == kind]
        if of_kind.empty:
            continue
        yield f"## {title}\n\n{markdown(summary(of_kind), 'rule')}"
        if len(of_kind[["set"]].drop_duplicates()) > 1:
            for name, of_set in of_kind.groupby("set", sort=False):
                some = of_set[of_set["rule"].isin([ORACLE, *COMPOSED, *shown[kind]])]
                yield f"{title}, {name}:\n\n{markdown(summary(some), 'rule')}"
        yield f"Mean F1 ratio at 5 to 80 %:\n\n{markdown(detail(of_kind, [ORACLE, *shown[kind]]), 'where')}"


def choices(rows: pd.DataFrame) -> dict[str, str]:
    """The chosen rule of each kind of method."""
    return {kind: chosen(summary(rows[rows["kind"] == kind])) for kind in KINDS if (rows["kind"] == kind).any()}


# -- the run ---------------------------------------------------------------------------------------------------------


def study(
    tasks: Sequence[Task],
    options: Options,
    rules: Mapping[str, Mapping[str, ThresholdRule]],
    jobs: int,
    *,
    with_informed: bool = False,
) -> pd.DataFrame:
    """Compute all rows: scores one task after the other, measurements of rules in several processes.

    Args:
        rules: of each kind of method.
    """
    for task in (task for task in tasks if not scores_file(task, options).exists()):
        records = records_of(task.category)
        scores_of(task, np.array([record.label for record in records if record.split == "test"]), options)
    asked = [task for task in tasks if rules.get(task.kind)]
    with ProcessPoolExecutor(jobs) as pool:
        each = len(asked)
        found = pool.map(measure, asked, [options] * each, [rules[task.kind] for task in asked], [with_informed] * each)
        return pd.DataFrame([row for rows in found for row in rows])


def extents(
    tasks: Sequence[Task], options: Options, chosen_rules: Mapping[str, str], jobs: int
) -> tuple[pd.DataFrame, float]:
    """SegF1 / pixel F1-max of every extent at the chosen rules, by kind and their mean, and the best extent."""
    known = candidates()
    tried = {
        kind: {
            str(extent): type(known[rule]).build({**known[rule].parameters(), "extent": extent}, where=rule)
            for extent in EXTENTS
        }
        for kind, rule in chosen_rules.items()
    }
    rows = study(tasks, options, tried, jobs)
    rows = rows[rows["contamination"].isin(MIXED) & (rows["rule"] != ORACLE)]
    table = rows.groupby(["rule", "kind"], sort=False)["mask_ratio"].mean().unstack()
    table["mean"] = table.mean(axis=1)
    return table, float(str(table["mean"].idxmax()))


def main() -> None:
    """Print the tables, and the choice on the development sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        choices=["choose", "report", "scores"],
        help="scores: only computes them, for the reported sets if --magnetic-tile is given",
    )
    parser.add_argument("--magnetic-tile", type=Path, metavar="ROOT", help="folder of the category")
    parser.add_argument("--cache", type=Path, default=Path("results/decisions"), help="folder of the stored files")
    parser.add_argument("--csv", type=Path, help="file for all rows")
    parser.add_argument("--batch", type=int, default=30, help="images of a batch")
    parser.add_argument("--draws", type=int, default=3, help="batches of each contamination")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--rules", nargs="+", metavar="NAME", help="of those that are tried, e.g. robust_tail")
    parser.add_argument("--shown", nargs="*", metavar="RULE", default=[], help="rules that report lists by category")
    parser.add_argument("--kept", action="store_true", help="leave out tasks without scores in the cache")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    options = Options(given.cache, given.batch, given.draws)
    if given.what == "report" and given.magnetic_tile is None:
        parser.error("report needs --magnetic-tile")
    is_reported = given.what != "choose" and given.magnetic_tile is not None
    sets = reported(given.cache, given.magnetic_tile) if is_reported else development(given.cache)
    tasks = [
        Task(*each) for each in product(sets, given.methods, given.backbones) if each[2] in ONLY.get(each[1], BACKBONES)
    ]
    if given.kept:
        tasks = [task for task in tasks if scores_file(task, options).exists()]
    if given.what == "scores":
        study(tasks, options, {}, 1)
        return
    rules = {name: rule for name, rule in candidates().items() if given.rules is None or name.split()[0] in given.rules}
    rows = study(tasks, options, dict.fromkeys(KINDS, rules), given.jobs, with_informed=given.rules is None)
    if given.csv:
        rows.to_csv(given.csv, index=False)
    if given.what == "report":
        print(*tables(rows, dict.fromkeys(KINDS, given.shown)), sep="\n\n")
        return
    taken = choices(rows)
    print(*tables(rows, {kind: [rule] for kind, rule in taken.items()}), sep="\n\n")
    table, extent = extents(tasks, options, taken, given.jobs)
    print(f"\n## SegF1 / pixel F1-max by extent\n\n{markdown(table, 'extent')}\n")
    print(*(f"- {KINDS[kind]}: {rule}" for kind, rule in taken.items()), f"- extent: {extent}", sep="\n")


if __name__ == "__main__":
    main()
