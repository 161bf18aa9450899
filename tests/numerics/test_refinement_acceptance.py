"""Acceptance from both sides: a model that knows the truth is believed, one that talks nonsense does no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from zsad.data.demo.generate import defective_image, good_image
from zsad.data.demo.plan import CATEGORIES, DEFECT_KINDS
from zsad.evaluation.mask_counts import mask_counts, mask_metrics
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.maps import at_image_size
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.sam import Sam
from zsad.segmentation.base import Candidates, Embedding, Prompt, Segmenter

SIZE, PATCHES = 256, 32
THRESHOLD = 0.3
SEEDS = range(2)

Answer = Callable[[np.ndarray, Prompt], np.ndarray]
"""The ground truth of an image and a prompt to three candidates, bool ``[3, height, width]``."""


class Case(NamedTuple):
    image: np.ndarray
    truth: np.ndarray
    anomaly_map: np.ndarray
    threshold: float


class StandIn(Segmenter):
    """A model whose embedding of an image is its ground truth, and whose masks are what ``answer`` makes of it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def decode(
        self, embedding: Embedding, height: int, width: int, prompts: list[Prompt], *, several: bool = True
    ) -> list[Candidates]:
        masks = [self.answer(embedding[0] > 0, prompt) for prompt in prompts]
        return [Candidates(np.where(mask, 5, -5).astype(np.float32), np.ones(3, np.float32)) for mask in masks]


class Truths:
    """In place of the file of embeddings."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = truth

    def find(self, image_id: str, window: tuple[int, int, int, int]) -> Embedding:
        left, top, right, bottom = window
        return (self.truth[top:bottom, left:right].astype(np.float16),)


def perfect(truth: np.ndarray, prompt: Prompt) -> np.ndarray:
    """The true regions under the prompt's box."""
    _, labels = cv2.connectedComponents(truth.astype(np.uint8), connectivity=8)
    left, top, right, bottom = (round(side) for side in prompt.box)
    under = np.unique(labels[top:bottom, left:right])
    return np.stack([np.isin(labels, under[under > 0])] * 3)


def whole_image(truth: np.ndarray, prompt: Prompt) -> np.ndarray:
    return np.ones((3, *truth.shape), dtype=bool)


def noise(share: float, blur: float = 0, *, of_the_image: bool = False) -> Answer:
    """Random masks of about a ``share`` of the image, in blobs if blurred; anew each time, or fixed for an image."""
    rng = np.random.default_rng(0)

    def answer(truth: np.ndarray, prompt: Prompt) -> np.ndarray:
        own = np.random.default_rng(np.count_nonzero(truth)) if of_the_image else rng
        masks = own.normal(size=(3, *truth.shape)).astype(np.float32)
        if blur:
            masks = np.stack([cv2.GaussianBlur(mask, (0, 0), blur) for mask in masks])
        return masks > np.quantile(masks, 1 - share)

    return answer


HOSTILE = {
    "the whole image": whole_image,
    "noise": noise(0.5),
    "sparse noise": noise(0.2),
    "small blobs": noise(0.5, 2),
    "blobs": noise(0.5, 6),
    "large blobs": noise(0.5, 15),
    "noise that stays": noise(0.5, of_the_image=True),
    "sparse noise that stays": noise(0.2, of_the_image=True),
    "blobs that stay": noise(0.5, 6, of_the_image=True),
}


@cache
def cases(category: str) -> tuple[Case, ...]:
    """Defective demo images, with the map that a good detector on patches would give: the truth, as patches see it."""
    made = []
    for number, kind in enumerate(DEFECT_KINDS[category]):
        for seed in SEEDS:
            rng = np.random.default_rng([number, seed])
            image, mask = defective_image(category, kind, SIZE, rng)
            truth = mask > 0
            made.append(Case(image, truth, at_image_size(seen_by_patches(truth), SIZE, SIZE), THRESHOLD))
    return tuple(made)


def seen_by_patches(truth: np.ndarray) -> np.ndarray:
    touched = cv2.resize(truth.astype(np.float32), (PATCHES, PATCHES), interpolation=cv2.INTER_AREA) > 0
    return cv2.GaussianBlur(touched.astype(np.float32), (0, 0), 0.7)


@cache
def detected(category: str) -> tuple[Case, ...]:
    """The same images and normal ones with the maps of a real method: distances to the patches of normal images."""
    extractor = Embedded(resolution=SIZE).load(Execution(device="cpu"))

    def tokens(image: np.ndarray) -> np.ndarray:
        found = extractor.extract(image).patch_tokens[-1].astype(np.float32)
        return found / np.linalg.norm(found, axis=-1, keepdims=True)

    references = [good_image(category, "train", SIZE, np.random.default_rng([9, seed])) for seed in range(4)]
    bank = np.concatenate([tokens(image).reshape(-1, extractor.channels) for image in references])
    images = [(case.image, case.truth) for case in cases(category)]
    for seed in range(3):
        good = good_image(category, "test", SIZE, np.random.default_rng([8, seed]))
        images.append((good, np.zeros((SIZE, SIZE), dtype=bool)))
    maps = [1 - (tokens(image) @ bank.T).max(axis=-1) for image, _ in images]
    threshold = float(np.quantile(maps[-3:], 0.999))
    return tuple(
        Case(image, truth, at_image_size(one, SIZE, SIZE), threshold)
        for (image, truth), one in zip(images, maps, strict=True)
    )


def refined(refiner: Sam, answer: Answer, case: Case) -> np.ndarray:
    prompted = PromptedImage(StandIn(answer), "image", SIZE, SIZE, Truths(case.truth), Truths(case.truth))
    return refiner.refine(case.image, case.anomaly_map, case.threshold, prompted).mask


def iou(pairs: Iterator[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(mask_metrics(sum(mask_counts(mask, truth) for mask, truth in pairs))["mask_iou"])


def before(of_category: tuple[Case, ...]) -> float:
    return iou((case.anomaly_map > case.threshold, case.truth) for case in of_category)


def after(refiner: Sam, answer: Answer, of_category: tuple[Case, ...]) -> float:
    return iou((refined(refiner, answer, case), case.truth) for case in of_category)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("crops", [None, {"below": 0.25}], ids=["whole", "crops"])
def test_a_perfect_model_is_accepted(category: str, crops: dict[str, float] | None) -> None:
    refiner = Sam(crops=crops)

    assert before(cases(category)) < 0.6
    assert after(refiner, perfect, cases(category)) > 0.95


@pytest.mark.parametrize("category", ["brick", "ring"])  # on the others this method finds next to nothing
def test_a_perfect_model_improves_the_masks_of_a_real_method(category: str) -> None:
    assert after(Sam(), perfect, detected(category)) > before(detected(category)) + 0.1


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_hostile_model_does_no_harm(category: str, answer: Answer) -> None:
    assert after(Sam(), answer, cases(category)) > before(cases(category)) - 0.01


@pytest.mark.parametrize("answer", [whole_image, noise(0.5), noise(0.5, 6)], ids=["the whole image", "noise", "blobs"])
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_hostile_model_does_no_harm_to_the_masks_of_a_real_method(category: str, answer: Answer) -> None:
    assert after(Sam(), answer, detected(category)) > before(detected(category)) - 0.01


@pytest.mark.parametrize("answer", [noise(0.2), noise(0.5, 15)], ids=["ragged", "blobs"])
def test_without_the_acceptance_step_the_same_nonsense_does_harm(answer: Answer) -> None:
    credulous = Sam(
        min_area_ratio=0,
        max_area_ratio=1e9,
        max_part_share=1,
        min_contrast_ratio=0,
        min_edge_ratio=0,
        min_smoothness=0,
        consensus=0,
    )

    assert after(credulous, answer, cases("brick")) < before(cases("brick")) - 0.1
