"""Choose the weight of the constant channel of convolutional networks, on generated textures only.

    python benchmarks/constant_channel.py                         # the table and the choice for EfficientNet-Lite 0
    python benchmarks/constant_channel.py efficientnet-lite2 --categories 12

The rule, fixed before the first run: of the weights in `WEIGHTS`, the one with the largest mean of image AUROC and
AUPRO (to a false-positive rate of 0.3), averaged over all categories; of those that are equal to three decimals, the
smallest. A half of the categories are the textures that the filter bank is tuned on (`embedded_quality.py`), three
appearances (seeds) of each of six patterns; the other half are objects with flat faces, six appearances of each of
three, which also have defects in flat regions. No photograph is used.

The score of a patch is its cosine distance to the nearest patch of four normal images, the score of an image is the
mean of its top 1 % of patches. All weights are compared on the same tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from calibration import SIDE, Appearance, cloud, photograph
from embedded_quality import DEFECTS, TOP_FRACTION, Category, _defective, procedural
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from zsad.features.base import Execution
from zsad.features.cnn.extractor import CnnExtractor
from zsad.features.efficientnet_lite import VARIANTS, EfficientNetLite
from zsad.maps import at_image_size

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
REFERENCES, GOOD, DEFECTIVE = 4, 8, 12  # images of a category
RATES = np.linspace(0, 0.3, 151)  # of false positives
EIGHT = np.ones((3, 3))


def ring(rng: np.random.Generator, size: float) -> np.ndarray:
    """A flat ring on a flat ground."""
    plane = np.zeros((SIDE, SIDE), dtype=np.float32)
    centre = _middle(rng)
    cv2.circle(plane, centre, round(95 * size), 1.0, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(plane, centre, round(40 * size), 0.0, cv2.FILLED, cv2.LINE_AA)
    return plane


def plate(rng: np.random.Generator, size: float) -> np.ndarray:
    """A flat plate with four holes, slightly turned."""
    plane = np.zeros((SIDE, SIDE), dtype=np.float32)
    centre, angle = _middle(rng), rng.uniform(-4, 4)
    box = cv2.boxPoints((centre, (190 * size, 150 * size), angle))
    cv2.fillPoly(plane, [np.rint(box).astype(np.int32)], 1.0, cv2.LINE_AA)
    for corner in box:
        inside = np.rint(np.array(centre) + 0.7 * (corner - centre)).astype(int).tolist()
        cv2.circle(plane, inside, round(12 * size), 0.0, cv2.FILLED, cv2.LINE_AA)
    return plane


def sheet(rng: np.random.Generator, size: float) -> np.ndarray:
    """A flat sheet, whose seam is its only structure."""
    plane = np.zeros((SIDE, SIDE), dtype=np.float32)
    row = 40 + int(rng.integers(-6, 7))
    cv2.line(plane, (0, row), (SIDE, row + int(rng.integers(-3, 4))), 1.0, round(6 * size), cv2.LINE_AA)
    return plane


PARTS = (ring, plate, sheet)


def _middle(rng: np.random.Generator) -> tuple[int, int]:
    x, y = SIDE // 2 + rng.integers(-8, 9, size=2)
    return int(x), int(y)


def flat_categories(count: int) -> Iterator[Category]:
    """Objects of one appearance each, with an almost even surface; normal and defective images as of `procedural`."""
    for number in range(count):
        rng = np.random.default_rng([2, number])
        part, size = PARTS[number % len(PARTS)], rng.uniform(0.85, 1.1)
        appearance, grain = Appearance.draw(rng), rng.uniform(0, 0.1)
        images = []
        for _ in range(REFERENCES + GOOD + DEFECTIVE):
            surface = cloud(SIDE, rng)
            pattern = part(rng, size) - 0.5 + grain * surface / surface.std()
            images.append(photograph(2 * pattern, appearance, rng))
        good: list[tuple[np.ndarray, np.ndarray | None]] = [(image, None) for image in images[:GOOD]]
        defective = [
            _defective(image, DEFECTS[index % len(DEFECTS)], rng)
            for index, image in enumerate(images[GOOD : GOOD + DEFECTIVE])
        ]
        yield Category(f"{part.__name__}_{number // len(PARTS)}", images[GOOD + DEFECTIVE :], good + defective)


def standardised(extractor: CnnExtractor, image: np.ndarray) -> torch.Tensor:
    """Tokens ``[row, column, channel]`` before the constant and the unit length."""
    prepared = extractor.prepare(image)
    pixels = torch.from_numpy(prepared.copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return extractor.tokens_of_maps(extractor.maps_of(pixels), *prepared.shape[:2])[0]


def quality(extractor: CnnExtractor, category: Category) -> np.ndarray:
    """Image AUROC and AUPRO for each of the weights, ``[weight, 2]``."""
    bank = torch.cat([standardised(extractor, image).flatten(0, 1) for image in category.train[:REFERENCES]])
    squares = (bank**2).sum(dim=1)
    channels = bank.shape[1]
    maps: list[list[np.ndarray]] = [[] for _ in WEIGHTS]
    for image, _ in category.test:
        tokens = standardised(extractor, image)
        rows, columns = tokens.shape[:2]
        products = tokens.flatten(0, 1) @ bank.T
        own = (tokens.flatten(0, 1) ** 2).sum(dim=1)
        for weight, found in zip(WEIGHTS, maps, strict=True):
            constant = weight**2 * channels
            nearest = ((products + constant) * torch.rsqrt(squares + constant)).amax(dim=1)
            found.append((1 - nearest * torch.rsqrt(own + constant)).reshape(rows, columns).numpy())
    masks = [mask for _, mask in category.test]
    return np.array([(image_auroc(found, masks), aupro(found, masks)) for found in maps])


def image_auroc(maps: list[np.ndarray], masks: list[np.ndarray | None]) -> float:
    """Of the means of the top patches."""
    top = [np.sort(found, axis=None)[-max(1, round(TOP_FRACTION * found.size)) :].mean() for found in maps]
    return float(roc_auc_score([mask is not None for mask in masks], top))


def aupro(maps: list[np.ndarray], masks: list[np.ndarray | None]) -> float:
    """Over evenly spaced false-positive rates, which is within 1e-3 of the exact area and quick."""
    large = [at_image_size(found, SIDE, SIDE) for found in maps]
    normal = [values[~mask] if mask is not None else values.ravel() for values, mask in zip(large, masks, strict=True)]
    thresholds = np.quantile(np.concatenate(normal), 1 - RATES)
    shares = []
    for values, mask in zip(large, masks, strict=True):
        if mask is None:
            continue
        regions, count = ndimage.label(mask, structure=EIGHT)
        for region in range(1, count + 1):
            inside = np.sort(values[regions == region])
            shares.append(1 - np.searchsorted(inside, thresholds) / len(inside))
    return float(np.trapezoid(np.mean(shares, axis=0), RATES) / RATES[-1])


def chosen(figures: np.ndarray) -> float:
    """The choice by the rule: the smallest weight with the largest figure, to three decimals."""
    return WEIGHTS[int(np.argmax(np.round(figures, 3)))]


def main() -> None:
    """Print a table over weights, and the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", choices=VARIANTS, default="efficientnet-lite0")
    parser.add_argument("--categories", type=int, default=18, metavar="N", help="of each half (default: 18)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    extractor = EfficientNetLite(model=options.model).load(Execution("cpu"))
    halves = []
    for name, categories in (
        ("textures", procedural(options.categories)),
        ("flat parts", flat_categories(options.categories)),
    ):
        halves.append(np.array([quality(extractor, category) for category in categories]))
        print(f"{name}: {len(halves[-1])} categories", flush=True)
    figures = np.concatenate(halves).mean(axis=(0, 2))
    print(f"{'weight':>6} | {'textures: AUROC  AUPRO':>24} | {'flat parts: AUROC  AUPRO':>25} | {'mean':>6}")
    for place, weight in enumerate(WEIGHTS):
        (auroc_t, aupro_t), (auroc_f, aupro_f) = (half[:, place].mean(axis=0) for half in halves)
        print(
            f"{weight:6.2f} | {auroc_t:16.3f} {aupro_t:7.3f} | {auroc_f:17.3f} {aupro_f:7.3f} | {figures[place]:6.3f}"
        )
    print(f"chosen: {chosen(figures)}")


if __name__ == "__main__":
    main()
