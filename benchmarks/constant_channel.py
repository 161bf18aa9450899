"""How heavy the constant channel of a convolutional network should be, tuned on procedural textures alone.

    pip install "zsad[efficientnet]"
    python benchmarks/constant_channel.py

Cosine similarity sees directions alone, and in a flat region, where a network's standardised responses are near zero,
the direction is noise. A constant channel (`zsad.features.constant`) keeps flat regions together; one that is too heavy
makes everything alike but for float16's rounding. Half of the categories are textures throughout, half are a disc of
texture on a flat ground; defects lie anywhere (`benchmarks/embedded_quality.py`). No image of the demo set, and none
that the project reports figures on, takes part.

The rule: a weight's figure is the mean, over categories and draws of references, of the image AUROC and the AUPRO that
the nearest of all reference patches give, as the pipeline measures them; the best weight becomes the default, of equal
ones the smaller. (A first rule had the AUROC of pixels within each image in place of AUPRO. It cannot see a flat ground
that is noisy in every image alike, and put the weights from 0 to 1 within 0.3 points of each other.)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from embedded_quality import DEFECTS, TOP_FRACTION, Category, _crops, _defective, procedural
from sklearn.metrics import roc_auc_score

from zsad.evaluation.aupro import aupro
from zsad.evaluation.pixels import pixel_statistics
from zsad.features.base import Execution
from zsad.features.calibration import PATTERNS, SIDE, Appearance, Pattern, photograph, texture
from zsad.features.cnn.extractor import CnnExtractor
from zsad.features.constant import with_constant
from zsad.features.efficientnet_lite import VARIANTS, EfficientNetLite
from zsad.maps import at_image_size
from zsad.metric_names import AUPRO_LIMITS

Features = Callable[[np.ndarray], np.ndarray]
WEIGHTS = (0.0, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
RADIUS = 0.3  # of the disc, in sides of the image


def discs(count: int) -> Iterator[Category]:
    """Categories of a disc of texture on a flat ground: 16 training, 8 good and 12 defective images each."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    for number in range(count):
        rng = np.random.default_rng([2, number])
        pattern = PATTERNS[number % len(PATTERNS)]
        appearance = Appearance.draw(rng)
        images = [photograph(_in_disc(crop, rows, columns, rng), appearance, rng) for crop in _some_crops(pattern, rng)]
        good: list[tuple[np.ndarray, np.ndarray | None]] = [(image, None) for image in images[:8]]
        defective = [_defective(image, DEFECTS[index % len(DEFECTS)], rng) for index, image in enumerate(images[8:20])]
        yield Category(f"disc of {pattern.__name__}_{number // len(PATTERNS)}", images[20:], good + defective)


def _some_crops(pattern: Pattern, rng: np.random.Generator) -> list[np.ndarray]:
    crops = _crops(texture(6 * SIDE, pattern, rng))
    return [crops[index] for index in rng.permutation(len(crops))]


def _in_disc(crop: np.ndarray, rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    top, left = rng.uniform(-0.05, 0.05, size=2)
    outside = np.hypot(rows - top, columns - left) > RADIUS
    return np.where(outside, crop.mean(), crop)


class Standardised:
    """Standardised tokens of images, computed once for all weights."""

    def __init__(self, extractor: CnnExtractor) -> None:
        self._extractor = extractor
        self._known: dict[int, torch.Tensor] = {}

    def with_weight(self, weight: float) -> Features:
        """Features ``[row, column, channel]`` of an image, stored as the pipeline stores them."""

        def features(image: np.ndarray) -> np.ndarray:
            tokens = with_constant(self._of(image), weight)
            return tokens.half().float().numpy()

        return features

    def _of(self, image: np.ndarray) -> torch.Tensor:
        if id(image) not in self._known:
            prepared = self._extractor.prepare(image)
            pixels = torch.from_numpy(np.ascontiguousarray(prepared.transpose(2, 0, 1)))[None]
            with torch.inference_mode():
                maps = self._extractor.maps_of(pixels)
                self._known[id(image)] = self._extractor.tokens_of_maps(maps, *prepared.shape[:2])[0]
        return self._known[id(image)]


def figure(features: Features, category: Category, draws: int) -> float:
    """Mean of image AUROC and AUPRO over the draws of eight references."""
    train = [torch.from_numpy(features(image)).flatten(0, 1) for image in category.train]
    test = [torch.from_numpy(features(image)) for image, _ in category.test]
    truths = [None if mask is None else mask > 0 for _, mask in category.test]
    found = []
    for seed in range(draws):
        drawn = np.random.default_rng(seed).permutation(len(train))[:8]
        bank = torch.cat([train[index] for index in drawn])
        maps = [1 - (tokens.flatten(0, 1) @ bank.T).amax(dim=1).view(tokens.shape[:2]).numpy() for tokens in test]
        tops = [np.sort(values, axis=None)[-max(1, round(TOP_FRACTION * values.size)) :].mean() for values in maps]
        pixels = [(at_image_size(values, SIDE, SIDE), truth) for values, truth in zip(maps, truths, strict=True)]
        counted = pixel_statistics(pixels, with_histograms=False)
        found.append(roc_auc_score([truth is not None for truth in truths], tops))
        found.append(float(aupro(counted.ranking, counted.overlap, AUPRO_LIMITS["aupro"])))
    return float(np.mean(found))


def figures(category: Category, extractor: CnnExtractor, draws: int) -> list[float]:
    """The figure of each of `WEIGHTS` on one category."""
    tokens = Standardised(extractor)
    return [figure(tokens.with_weight(weight), category, draws) for weight in WEIGHTS]


def choice(by_category: Mapping[str, Sequence[float]]) -> float:
    """The weight that the rule chooses: the first of the best."""
    return WEIGHTS[int(np.mean(list(by_category.values()), axis=0).argmax())]


def main() -> None:
    """Print a table of all weights, and the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(VARIANTS), default="efficientnet-lite0")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--categories", type=int, default=6, help="of each of the two kinds")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    extractor = EfficientNetLite(model=options.model).load(Execution("cpu", threads=options.threads))
    print("category".ljust(28), *(f"{weight:6.2f}" for weight in WEIGHTS))
    by_category: dict[str, list[float]] = {}
    for categories in (procedural(options.categories), discs(options.categories)):
        for category in categories:
            by_category[category.name] = figures(category, extractor, options.draws)
            print(category.name.ljust(28), *(f"{100 * value:6.2f}" for value in by_category[category.name]), flush=True)
    print("mean".ljust(28), *(f"{100 * value:6.2f}" for value in np.mean(list(by_category.values()), axis=0)))
    print(f"The rule chooses {choice(by_category)}")


if __name__ == "__main__":
    main()
