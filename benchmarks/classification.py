"""Measure the time of classifying the defect types of a category on cached tokens, compared with a plain loop.

    python benchmarks/classification.py                     # all sizes, 5 turns
    python benchmarks/classification.py demo --turns 21     # one of: demo, mvtec, vit

demo   40 images of 256 x 256 pixels and 5 kinds, tokens as from the filter bank: 32 x 32 patches of 33 channels
mvtec  150 images of 1024 x 1024 pixels and 7 kinds, tokens as from the default network: 32 x 32 patches of 153 channels
vit    the same of a ViT-B/14 at 518 pixels, four layers: 37 x 37 patches of 4 x 768 channels, 1.3 GB in all

Each with the embeddings ``image``, ``region`` by maps and by maps and masks, and ``both``; 5 seeds with 1, 3 and 5
examples of each kind and 2 calibration images, by the nearest exemplar.

stage  `classify_images`, from opening the files to the file that it leaves
plain  one image, one patch and one exemplar at a time: a loop over patches for the weights and the mean token; for
       each sample, image and example one product of two vectors; and for each query and kind its probability, and its
       rank among the calibration images. It checks files only by reading them, and writes nothing.

The two ways take turns, on files that are cached in memory. Figures are medians: wall-clock seconds, processor seconds,
and the ratio of processor seconds in the same turn. The last columns are the greatest difference of a similarity
between the ways, and the megabytes of tokens that are read. Other programs affect only the wall-clock time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np

from zsad.classification.classify_images import classify_images
from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.nearest_exemplar import NearestExemplar
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.splits import TEST, SplitRow, draws_of, read_split, write_split
from zsad.files.classified import ClassifiedReader
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.scores import ScoreReader, ScoreWriter

SEEDS = 5
SHOTS = (1, 3, 5)
CALIBRATION = 2
ALPHA = 0.1
EMBEDDINGS = {
    "image": ("image", False),
    "region, maps": ("region", False),
    "region, masks": ("region", True),
    "both, masks": ("both", True),
}


class Size(NamedTuple):
    """Of a category. ``side`` is that of the patch grid, ``pixels`` that of an image."""

    images: int
    kinds: int
    side: int
    channels: int
    layers: int
    pixels: int


SIZES = {
    "demo": Size(40, 5, 32, 33, 1, 256),
    "mvtec": Size(150, 7, 32, 153, 1, 1024),
    "vit": Size(150, 7, 37, 768, 4, 1024),
}


class Files(NamedTuple):
    """Those of a category."""

    features: Path
    scores: Path
    masks: Path
    split: Path


# --- a category ---------------------------------------------------------------------------------------------------


def write_category(folder: Path, size: Size) -> Files:
    """Tokens of noise with a defect of its kind in each image but the first kind's; its map, and an outline of it."""
    rng = np.random.default_rng(0)
    files = Files(*(folder / name for name in ("features.h5", "scores.h5", "masks.h5", "split.csv")))
    ids = [f"test/{index % size.kinds}/{index:03d}.png" for index in range(size.images)]
    grids = np.full((size.images, 2), size.side)
    centres = rng.normal(size=(size.kinds, size.channels))
    with (
        FeatureWriter(
            files.features,
            ids,
            {},
            layers=range(size.layers),
            channels=size.channels,
            grid_sizes=grids,
            cls_source="class token",
        ) as features,
        ScoreWriter(files.scores, ids, {}, grid_sizes=grids, setting="zero-shot-batch") as scores,
        MaskWriter(files.masks, ids, {}) as masks,
    ):
        for index in range(size.images):
            kind = index % size.kinds
            row, column = rng.integers(0, size.side - 4, 2)
            tokens = rng.standard_normal((size.layers, size.side, size.side, size.channels), dtype=np.float32)
            tokens[:, row : row + 3, column : column + 4] += centres[kind]
            anomaly_map = rng.random((size.side, size.side))
            anomaly_map[row : row + 3, column : column + 4] += 2 * (kind > 0)
            features.write(index, tokens, tokens.mean(axis=(1, 2)))
            scores.write(index, anomaly_map, float(anomaly_map.max()))
            masks.append(outline(size, row, column) if kind else np.zeros((size.pixels,) * 2, bool), 0.0, [])
    write_split(files.split, split_of(ids))
    return files


def outline(size: Size, row: int, column: int) -> np.ndarray:
    """An ellipse over the patches of a defect."""
    patch = size.pixels / size.side
    mask = np.zeros((size.pixels, size.pixels), np.uint8)
    centre = int((column + 2) * patch), int((row + 1.5) * patch)
    cv2.ellipse(mask, centre, (int(2 * patch), int(1.5 * patch)), 0, 0, 360, 1, -1)
    return mask.astype(bool)


def split_of(ids: Sequence[str]) -> list[SplitRow]:
    """Calibration images, examples and queries of each seed."""
    rows = []
    for seed in range(SEEDS):
        by_kind = defaultdict(list)
        for image_id in np.random.default_rng(seed).permutation(ids).tolist():
            by_kind[image_id.split("/")[1]].append(image_id)
        for kind, own in by_kind.items():
            labelled = CALIBRATION + max(SHOTS)
            for place, image_id in enumerate(own):
                role = "calibration" if place < CALIBRATION else "support" if place < labelled else "query"
                rank = None if role == "query" else place + 1 - (CALIBRATION if role == "support" else 0)
                rows.append(SplitRow(seed, TEST, image_id, role, rank, kind if rank else "", image_id))
    return rows


# --- the ways -----------------------------------------------------------------------------------------------------


def by_stage(files: Files, kind: str, *, masked: bool, output: Path) -> None:
    """Run the stage, which writes its file; see `similarities`."""
    is_image = kind == "image"
    classify_images(
        split=files.split,
        features=files.features,
        support_features=None,
        scores=None if is_image else files.scores,
        support_scores=None,
        masks=files.masks if masked else None,
        regions="image" if is_image else "predicted",
        classifier=NearestExemplar(),
        embedding=EmbeddingOptions(kind=kind),
        shots=SHOTS,
        probabilities=ProbabilityOptions(),
        conformal=ConformalOptions(alpha=ALPHA),
        output=output,
        provenance={},
    )


def similarities(path: Path) -> np.ndarray:
    """float64 ``[draw, image, kind]`` of a file; NaN for images that are no queries."""
    with ClassifiedReader(path) as found:
        return np.stack([found.draw(index).similarity for index in range(len(found.draws))])


def by_loop(files: Files, kind: str, *, masked: bool) -> np.ndarray:
    """The same as a plain loop: float64 ``[draw, image, kind]``, the greatest cosines."""
    vectors = {}
    with (
        FeatureReader(files.features) as features,
        ScoreReader(files.scores) as scores,
        MaskReader(files.masks) as masks,
    ):
        for index, image_id in enumerate(features.image_ids):
            parts = []
            if kind != "region":
                parts.append(joined(list(features.cls_tokens_of(index).astype(np.float64))))
            if kind != "image":
                weights = loop_weights(scores.anomaly_map(index), masks.mask(index) if masked else None)
                parts.append(joined([loop_mean(layer, weights) for layer in features.patch_tokens(index)]))
            vectors[image_id] = joined(parts)
        rows = read_split(files.split)
        kinds = sorted({row.kind for row in rows if row.kind})
        draws = draws_of(rows, SHOTS)
        found = np.full((len(draws), len(features), len(kinds)), np.nan)
        places = {image_id: place for place, image_id in enumerate(features.image_ids)}
    sets: list[list[str]] = []
    for number, draw in enumerate(draws):
        shown = {row.image_id: row.kind for row in draw.calibration}
        own = defaultdict[str, list[float]](list)
        for image_id in [*(row.image_id for row in draw.calibration), *draw.queries]:
            best = dict.fromkeys(kinds, -1.0)
            for row in draw.support:
                best[row.kind] = max(best[row.kind], float(vectors[image_id] @ vectors[row.image_id]))
            if image_id in draw.queries:
                found[number, places[image_id]] = [best[kind] for kind in kinds]
                odds = chances(best)
                p_values = {
                    kind: (sum(one <= odds[kind] for one in own[kind]) + 1) / (len(own[kind]) + 1) for kind in kinds
                }
                sets.append([kind for kind in kinds if p_values[kind] > ALPHA])
            else:
                own[shown[image_id]].append(chances(best)[shown[image_id]])
    return found


def chances(scores: Mapping[str, float]) -> dict[str, float]:
    """The softmax of the scores of some kinds."""
    raised = {kind: math.exp(score) for kind, score in scores.items()}
    return {kind: value / sum(raised.values()) for kind, value in raised.items()}


def joined(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors of length one side by side, at length one."""
    whole = np.concatenate([vector / np.linalg.norm(vector) for vector in vectors])
    return whole / np.linalg.norm(whole)


def loop_weights(anomaly_map: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The weight of each patch; a patch begins and ends at the nearest pixel."""
    rows, columns = anomaly_map.shape
    shares = np.zeros((rows, columns))
    if mask is not None and mask.any():
        down, across = (edges(count, pixels) for count, pixels in zip((rows, columns), mask.shape, strict=True))
        for row in range(rows):
            for column in range(columns):
                shares[row, column] = mask[down[row] : down[row + 1], across[column] : across[column + 1]].mean()
    else:
        highest = np.sort(anomaly_map.ravel())[-int(np.ceil(anomaly_map.size / 100))]
        shares[anomaly_map >= highest] = 1
    median = np.median(anomaly_map.astype(np.float64))
    weights = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            weights[row, column] = shares[row, column] * max(0.0, float(anomaly_map[row, column]) - median)
    return weights


def edges(patches: int, pixels: int) -> list[int]:
    """Where patches begin and end along a side."""
    return [round(patch * pixels / patches) for patch in range(patches + 1)]


def loop_mean(tokens: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of ``[row, column, channel]``."""
    total = np.zeros(tokens.shape[2])
    for row in range(weights.shape[0]):
        for column in range(weights.shape[1]):
            total += weights[row, column] * tokens[row, column]
    return total / weights.sum()


# --- what is measured ---------------------------------------------------------------------------------------------


class Taken(NamedTuple):
    """Wall-clock seconds, and processor seconds."""

    wall: float
    processor: float


def timed(way: Callable[[], Any]) -> tuple[Taken, Any]:
    """The seconds of a way, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    found = way()
    return Taken(time.perf_counter() - wall, time.process_time() - processor), found


def measure(name: str, turns: int) -> None:
    """Print a line for each embedding."""
    with TemporaryDirectory() as folder:
        files = write_category(Path(folder), SIZES[name])
        output = Path(folder) / "classified.h5"
        for label, (kind, masked) in EMBEDDINGS.items():
            stage = partial(by_stage, files, kind, masked=masked, output=output)
            stage()  # so that the files are in memory
            own, ratios = [], []
            for _ in range(turns):
                taken, _ = timed(stage)
                loop, plain = timed(partial(by_loop, files, kind, masked=masked))
                own.append(taken)
                ratios.append(loop.processor / taken.processor)
            off = float(np.nanmax(np.abs(similarities(output) - plain)))
            read = 0 if kind == "image" else files.features.stat().st_size / 1e6
            wall, processor = (statistics.median(values) for values in zip(*own, strict=True))
            print(
                f"{name:6}  {label:14}  {wall:6.3f}  {processor:9.3f}  {statistics.median(ratios):8.1f}  {off:10.1e}"
                f"  {read:8.0f}"
            )


def main() -> None:
    """Measure the given sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", choices=[[], *SIZES], help="which; all by default")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'':22}  {'stage':>6}  {'processor':>9}  {'plain is':>8}  {'difference':>10}  {'tokens':>8}")
    print(f"{'size':6}  {'embedding':14}  {'s':>6}  {'s':>9}  {'times':>8}  {'of cosine':>10}  {'MB':>8}")
    for name in arguments.sizes or SIZES:
        measure(name, arguments.turns)


if __name__ == "__main__":
    main()
