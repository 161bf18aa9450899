"""Measure how well the embedded backbone separates defects from normal images, compared with raw pixels.

    python benchmarks/embedded_quality.py                       # procedurally generated categories: tune on these
    python benchmarks/embedded_quality.py ROOT [CATEGORY ...]   # photographs in the MVTec AD layout: report on these

The score of a patch is its cosine distance to the nearest patch of a few normal reference images, the score of an image
is the mean of its top 1 % of patches. Prints the image AUROC, and the AUROC of a defective image's pixels against its
own mask, averaged over the defective images; each is the mean over random samples of references.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from calibration import PATTERNS, SIDE, Appearance, photograph, texture
from sklearn.metrics import roc_auc_score

from zsad.data.image_list import of_split
from zsad.data.images import read_image
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.manifest import ImageRecord
from zsad.data.masks import read_mask
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.features.geometry import resized_to_grid
from zsad.maps import at_image_size

Features = Callable[[np.ndarray], np.ndarray]
Defect = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
RESOLUTION = 256
STRIDE = 8
TOP_FRACTION = 0.01


class Category(NamedTuple):
    """Images, uint8 RGB; a test image comes with its mask, or None if it is normal."""

    name: str
    train: list[np.ndarray]
    test: list[tuple[np.ndarray, np.ndarray | None]]


class Quality(NamedTuple):
    """The two figures."""

    image_auroc: float
    pixel_auroc: float


def raw_pixels(image: np.ndarray) -> np.ndarray:
    """The pixels of each patch, zero at mid-grey, as unit vectors ``[row, column, 3 * STRIDE ** 2]``."""
    resized = resized_to_grid(image, RESOLUTION, STRIDE).astype(np.float32) / 255 - 0.5
    rows, columns = resized.shape[0] // STRIDE, resized.shape[1] // STRIDE
    patches = resized.reshape(rows, STRIDE, columns, STRIDE, 3).swapaxes(1, 2).reshape(rows, columns, -1)
    return patches / np.maximum(np.linalg.norm(patches, axis=-1, keepdims=True), 1e-6)


def embedded() -> Features:
    """Patch tokens of the embedded backbone, ``[row, column, channel]``."""
    extractor = Embedded(resolution=RESOLUTION, stride=STRIDE).load(Execution("cpu"))
    return lambda image: extractor.extract(image).patch_tokens[0]


def quality(features: Features, category: Category, references: int, seed: int) -> Quality:
    """Figures of one random sample of references."""
    drawn = np.random.default_rng(seed).permutation(len(category.train))[:references]
    bank = np.concatenate([np.concatenate(features(category.train[index])) for index in drawn])  # [patch, channel]
    scores, pixel_aurocs = [], []
    for image, mask in category.test:
        tokens = features(image)
        anomaly_map = 1 - (tokens.reshape(-1, tokens.shape[-1]) @ bank.T).max(axis=1).reshape(tokens.shape[:2])
        top = max(1, round(TOP_FRACTION * anomaly_map.size))
        scores.append(np.sort(anomaly_map, axis=None)[-top:].mean())
        if mask is not None:
            pixel_aurocs.append(roc_auc_score(mask.ravel(), at_image_size(anomaly_map, *mask.shape).ravel()))
    defective = [mask is not None for _, mask in category.test]
    return Quality(float(roc_auc_score(defective, scores)), float(np.mean(pixel_aurocs)))


def photographs(root: Path, names: list[str]) -> Iterator[Category]:
    """Categories of a folder in the MVTec AD layout; all that have test images if none is named."""
    layout = MvtecLayout()
    for name in sorted(names) or layout.categories(root):
        records = layout.records(root, name)
        yield Category(
            name=name,
            train=[read_image(record.path, white=record.white) for record in of_split(records, "train")],
            test=[_with_mask(record) for record in of_split(records, "test")],
        )


def _with_mask(record: ImageRecord) -> tuple[np.ndarray, np.ndarray | None]:
    image = read_image(record.path, white=record.white)
    return image, read_mask(record.mask_path, record.height, record.width) if record.label else None


def procedural(count: int) -> Iterator[Category]:
    """Categories of generated textures: 16 training, 8 normal and 12 defective images of one appearance each."""
    for number in range(count):
        rng = np.random.default_rng([1, number])
        pattern = PATTERNS[number % len(PATTERNS)]
        crops = _crops(texture(6 * SIDE, pattern, rng))
        appearance = Appearance.draw(rng)
        images = [photograph(crops[index], appearance, rng) for index in rng.permutation(len(crops))]
        good: list[tuple[np.ndarray, np.ndarray | None]] = [(image, None) for image in images[:8]]
        defective = [_defective(image, DEFECTS[index % len(DEFECTS)], rng) for index, image in enumerate(images[8:20])]
        yield Category(f"{pattern.__name__}_{number // len(PATTERNS)}", images[20:], good + defective)


def _crops(whole: np.ndarray) -> list[np.ndarray]:
    return [
        whole[top : top + SIDE, left : left + SIDE]
        for top in range(0, len(whole), SIDE)
        for left in range(0, len(whole), SIDE)
    ]


def _defective(image: np.ndarray, defect: Defect, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    changed, mask = defect(image.astype(np.float32), rng)
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8), mask > 0


def scratch(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A straight line, lighter or darker."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(30, 90)
    along = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    centre = _somewhere(rng)
    mask = _polyline(np.array([centre - along, centre + along]), thickness=int(rng.integers(1, 4)))
    return image + _soft(mask, 0.7) * rng.choice([-1, 1]) * rng.uniform(25, 60), mask


def crack(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A thin, dark, wandering line."""
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(scale=0.5, size=12))
    path = _somewhere(rng) + np.cumsum(4 * np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0)
    mask = _polyline(path, thickness=1)
    return image - _soft(mask, 0.6) * rng.uniform(40, 90), mask


def stain(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A faint spot of another colour with soft edges."""
    mask = _ellipse(rng, 8, 28)
    return image + _soft(mask, 3) * (rng.normal(scale=14, size=3) + 8 * rng.choice([-1, 1])), mask


def smear(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A region whose texture is wiped out."""
    mask = _ellipse(rng, 8, 25)
    return image + _soft(mask, 2) * (cv2.GaussianBlur(image, (0, 0), 4) - image), mask


def hole(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A small dark spot."""
    mask = _ellipse(rng, 4, 10)
    return image * (1 - _soft(mask, 1) * rng.uniform(0.3, 0.7)), mask


def transplant(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A rectangle of the same material, turned by a right angle or two."""
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    height, width = rng.integers(14, 40, size=2)
    left, top = _somewhere(rng).astype(int) - 20
    mask[top : top + height, left : left + width] = 255
    turned = np.roll(np.rot90(image, rng.integers(1, 4)), rng.integers(0, SIDE, size=2), axis=(0, 1))
    return np.where(mask[..., None] > 0, turned, image), mask


DEFECTS: tuple[Defect, ...] = (scratch, crack, stain, smear, hole, transplant)


def _somewhere(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(50, SIDE - 50, size=2)


def _polyline(points: np.ndarray, thickness: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    return cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 255, thickness)


def _ellipse(rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    centre, axes = _somewhere(rng).astype(int).tolist(), rng.integers(low, high, size=2).tolist()
    return cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 255, cv2.FILLED)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma)[..., None]


def main() -> None:
    """Print a table of both features over all categories."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, help="folder of categories in the MVTec AD layout")
    parser.add_argument("category", nargs="*", help="some of its categories (default: all)")
    parser.add_argument("--references", type=int, default=8, metavar="K")
    parser.add_argument("--draws", type=int, default=3, help="seeded draws of references to average over")
    parser.add_argument("--procedural", type=int, default=12, metavar="N", help="generated categories without a root")
    options = parser.parse_args()
    categories = photographs(options.root, options.category) if options.root else procedural(options.procedural)
    cv2.setNumThreads(1)
    print(f"{'category':20} {'features':12} {'image AUROC':>12} {'within-image AUROC':>19} {'ms an image':>12}")
    overall: dict[str, list[Quality]] = {}
    for category in categories:
        for name, features in (("embedded", embedded()), ("raw pixels", raw_pixels)):
            draws = [quality(features, category, options.references, seed) for seed in range(options.draws)]
            mean = Quality(*np.mean(draws, axis=0))
            overall.setdefault(name, []).append(mean)
            _print_row(category.name, name, mean, _milliseconds(features, category.train))
    for name, qualities in overall.items():
        _print_row("mean", name, Quality(*np.mean(qualities, axis=0)), None)


def _milliseconds(features: Features, images: list[np.ndarray]) -> float:
    start = time.perf_counter()
    for image in images:
        features(image)
    return 1000 * (time.perf_counter() - start) / len(images)


def _print_row(category: str, features: str, figures: Quality, milliseconds: float | None) -> None:
    time_text = "" if milliseconds is None else f"{milliseconds:12.1f}"
    print(
        f"{category:20} {features:12} {figures.image_auroc:12.3f} {figures.pixel_auroc:19.3f} {time_text}", flush=True
    )


if __name__ == "__main__":
    main()
