"""GrabCut as a refiner: what it recovers, what it turns down, and that it does so every time alike."""

import cv2
import numpy as np
import pytest

from zsad.maps import at_image_size
from zsad.refinement.grabcut import GrabCut


def disc(size: int, centre: tuple[int, int], radius: int) -> np.ndarray:
    return cv2.circle(np.zeros((size, size), np.uint8), centre, radius, 1, -1) > 0


def coarse_map(mask: np.ndarray, grid: int = 32) -> np.ndarray:
    patches = cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)
    return at_image_size(cv2.GaussianBlur(patches, (0, 0), 1.0), *mask.shape)


def photograph(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 6, (*truth.shape, 3))
    return np.clip(np.where(truth, 90, 150)[..., None] + noise, 0, 255).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


DISC = disc(256, (120, 100), 14)
DISC_MAP = coarse_map(DISC)


@pytest.mark.parametrize("threshold", [0.15, 0.25, 0.5])
def test_grabcut_recovers_a_disc_that_the_patch_grid_blurs(threshold):
    component = np.greater(DISC_MAP, threshold)

    refinement = GrabCut().refine(photograph(DISC), DISC_MAP, threshold)

    assert [region["accepted"] for region in refinement.regions] == [True]
    assert iou(component, DISC) < 0.85
    assert iou(refinement.mask, DISC) > 0.95


def test_two_defects_are_both_recovered():
    truth = DISC | disc(256, (190, 180), 10)

    refinement = GrabCut().refine(photograph(truth), coarse_map(truth), 0.2)

    assert [region["accepted"] for region in refinement.regions] == [True, True]
    assert iou(refinement.mask, truth) > 0.95


def test_outline_without_an_edge_in_the_image_is_rejected():
    for seed in range(5):
        noise = photograph(np.zeros_like(DISC), seed)

        refinement = GrabCut().refine(noise, DISC_MAP, 0.25)

        assert "no edge" in refinement.regions[0]["reason"]
        np.testing.assert_array_equal(refinement.mask, DISC_MAP > 0.25)


def test_outline_that_is_too_large_is_rejected():
    image, threshold = photograph(DISC), 0.6

    assert GrabCut().refine(image, DISC_MAP, threshold).regions[0]["accepted"]
    kept = GrabCut(max_area_ratio=1).refine(image, DISC_MAP, threshold)

    assert "area" in kept.regions[0]["reason"]
    assert "above 1" in kept.regions[0]["reason"]
    np.testing.assert_array_equal(kept.mask, np.greater(DISC_MAP, threshold))


def test_result_depends_neither_on_the_state_of_the_random_generator_nor_on_threads():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    anomaly_map = coarse_map(disc(128, (60, 50), 12))
    refiner, threads = GrabCut(min_edge_ratio=0, min_area_ratio=0), cv2.getNumThreads()
    masks = []
    try:
        for seed, count in [(1, 1), (2, 1), (3, 4)]:
            cv2.setRNGSeed(seed)
            cv2.setNumThreads(count)
            masks.append(refiner.refine(image, anomaly_map, 0.3).mask)
    finally:
        cv2.setNumThreads(threads)

    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


def test_initial_labels_follow_the_levels_of_the_map():
    anomaly_map = np.array([[0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 8.0, 9.0]])
    component = anomaly_map > 4

    labels = GrabCut(sure_foreground=0.75, sure_background=0.5).initial_labels(anomaly_map, component, 4.0)

    background, foreground = cv2.GC_BGD, cv2.GC_FGD
    maybe_background, maybe_foreground = cv2.GC_PR_BGD, cv2.GC_PR_FGD
    expected = [background] * 3 + [maybe_background] + [maybe_foreground] * 2 + [foreground] * 2
    assert labels.tolist() == [expected]


def test_another_component_in_the_window_is_probably_defect_too():
    anomaly_map = np.array([[0.0, 9.0, 0.0, 8.0]])

    labels = GrabCut().initial_labels(anomaly_map, np.array([[False, True, False, False]]), 4.0)

    assert labels.tolist() == [[cv2.GC_BGD, cv2.GC_FGD, cv2.GC_BGD, cv2.GC_PR_FGD]]


def test_both_certain_classes_have_a_pixel_whatever_the_rounding():
    refiner, rng = GrabCut(sure_foreground=1, sure_background=0), np.random.default_rng(0)
    for _ in range(500):
        anomaly_map = rng.normal(0.1, 3, (2, 2)).astype(np.float32)
        threshold = float(anomaly_map.mean())

        labels = refiner.initial_labels(anomaly_map, anomaly_map > threshold, threshold)

        assert (labels == cv2.GC_FGD).any()
        assert (labels == cv2.GC_BGD).any()


def test_component_too_small_for_a_colour_model_keeps_its_outline():
    anomaly_map = np.zeros((64, 64), np.float32)
    anomaly_map[30:33, 30:33] = 1

    refinement = GrabCut().refine(photograph(anomaly_map > 0), anomaly_map, 0.5)

    assert "9 pixels" in refinement.regions[0]["reason"]
    np.testing.assert_array_equal(refinement.mask, anomaly_map > 0.5)


def test_component_without_background_keeps_its_outline():
    refinement = GrabCut().refine(photograph(np.zeros((32, 32), bool)), np.ones((32, 32), np.float32), 0.5)

    assert "background" in refinement.regions[0]["reason"]
    assert refinement.mask.all()


def test_image_of_one_colour_keeps_the_component():
    refinement = GrabCut().refine(np.full((256, 256, 3), 120, np.uint8), DISC_MAP, 0.25)

    assert "one colour" in refinement.regions[0]["reason"]
    np.testing.assert_array_equal(refinement.mask, DISC_MAP > 0.25)
