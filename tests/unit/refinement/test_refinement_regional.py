"""When an outline may replace a component, and what every region-wise refiner returns."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from zsad.errors import ConfigError
from zsad.refinement.regional import Outline, RegionRefiner, Rejection, edge_ratio, map_contrast
from zsad.refinement.registry import REFINERS

WEIGHT_FREE = ["guided", "grabcut"]


def square(low: int, high: int, size: int = 40) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[low:high, low:high] = True
    return mask


def photograph(mask: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 4, (*mask.shape, 3))
    return np.clip(np.where(mask, 90, 150)[..., None] + noise, 0, 255).astype(np.uint8)


class Proposing(RegionRefiner):
    """Proposes for the one region the squares that it is given, in the whole image."""

    corners: list[tuple[int, int]]
    failure: Rejection = Rejection()
    details: dict | None = None

    def outlines(self, image, anomaly_map, threshold, regions, prompted=None):
        size = anomaly_map.shape[0]
        mask = np.any([square(low, high, size) for low, high in self.corners], axis=0)
        return [Outline((0, 0, size, size), mask, self.failure, self.details or {})]


COMPONENT = square(10, 26)
MAP = cv2.GaussianBlur(COMPONENT.astype(np.float32), (0, 0), 2.0)


@pytest.mark.parametrize(
    ("corners", "cause", "reason"),
    [
        ((14, 22), "", ""),
        ((20, 20), "empty", "the outline is empty"),
        ((17, 20), "too small", "below 0.1"),
        ((4, 39), "too large", "above 4"),
        ((22, 34), "low contrast in the map", "below 0.75"),
    ],
)
def test_an_outline_is_accepted_or_rejected_for_a_stated_cause_and_reason(corners, cause, reason):
    defect = square(*corners)
    refiner = Proposing(corners=[corners])

    rejection = refiner.rejection(photograph(defect), MAP, COMPONENT, defect)

    assert rejection.cause == cause
    assert reason in rejection.reason
    assert bool(rejection) == bool(rejection.reason) == bool(cause)


def test_an_outline_off_the_edges_of_the_image_is_rejected():
    rejection = Proposing(corners=[]).rejection(photograph(square(2, 38)), MAP, COMPONENT, square(12, 24))

    assert rejection.cause == "no edge in the image"
    assert "below 1.25 of that around" in rejection.reason


def test_a_failed_outline_leaves_the_component_and_its_cause_and_reason():
    refiner = Proposing(corners=[(14, 22)], failure=Rejection("luck", "there was none"))

    refinement = refiner.refine(photograph(square(14, 22)), MAP, 0.5)

    (region,) = refinement.regions
    assert (region["cause"], region["reason"], region["accepted"]) == ("luck", "there was none", False)
    assert region["area"] == region["component_area"] == np.count_nonzero(MAP > 0.5)
    np.testing.assert_array_equal(refinement.mask, MAP > 0.5)


def test_an_accepted_outline_replaces_the_component():
    refinement = Proposing(corners=[(14, 22)]).refine(photograph(square(14, 22)), MAP, 0.5)

    (region,) = refinement.regions
    assert (region["cause"], region["reason"], region["accepted"], region["area"]) == ("", "", True, 64)
    np.testing.assert_array_equal(refinement.mask, square(14, 22))


def test_how_an_outline_came_about_is_recorded_with_its_region():
    refiner = Proposing(corners=[(14, 22)], details={"prompt": {"box": [1, 2, 3, 4]}, "crop": None})

    (region,) = refiner.refine(photograph(square(14, 22)), MAP, 0.5).regions

    assert region["prompt"] == {"box": [1, 2, 3, 4]}
    assert {"crop", "box", "score", "cause"} <= set(region)


def test_one_component_is_given_work_whatever_it_costs(monkeypatch):
    monkeypatch.setattr(Proposing, "work", lambda self, region, height, width: 1e15)
    refinement = Proposing(corners=[(14, 22)]).refine(photograph(square(14, 22)), MAP, 0.5)

    assert [region["cause"] for region in refinement.regions] == [""]


@pytest.mark.parametrize(("hole", "stays"), [(4, False), (5, True)])
def test_holes_of_less_than_the_least_area_are_filled(hole, stays):
    class Hollow(Proposing):
        def outlines(self, image, anomaly_map, threshold, regions, prompted=None):
            mask = square(12, 24) & ~square(14, 14 + hole)
            return [Outline((0, 0, 40, 40), mask)]

    refiner = Hollow(corners=[], min_area=0.0125, min_edge_ratio=0)  # 20 of 1600 pixels

    refinement = refiner.refine(photograph(square(12, 24)), MAP, 0.5)

    assert refinement.regions[0]["accepted"]
    assert refinement.mask[14, 14] != stays
    assert np.count_nonzero(refinement.mask) == 144 - stays * hole**2


def test_large_windows_are_judged_at_about_a_million_pixels(monkeypatch):
    judged = []
    monkeypatch.setattr(Proposing, "rejection", lambda self, *arrays: judged.append(arrays) or Rejection())
    anomaly_map = np.zeros((1500, 1500), np.float32)
    anomaly_map[300:900, 300:900] = 1
    refinement = Proposing(corners=[(250, 950)]).refine(np.zeros((1500, 1500, 3), np.uint8), anomaly_map, 0.5)
    (image, of_map, component, refined) = judged[0]
    assert 0.99 * 2**20 <= of_map.size <= 1.01 * 2**20
    assert image.shape[:2] == of_map.shape == component.shape == refined.shape
    np.testing.assert_array_equal(refinement.mask, square(250, 950, 1500))


def test_an_outline_that_may_stay_is_no_objection():
    assert not Rejection()
    assert Rejection("too small", "the figures")


def test_pieces_of_an_outline_apart_from_the_component_are_dropped():
    refinement = Proposing(corners=[(14, 22), (32, 38)]).refine(photograph(square(14, 22)), MAP, 0.5)

    np.testing.assert_array_equal(refinement.mask, square(14, 22))


def test_edge_ratio_is_near_one_in_noise_and_high_on_an_edge():
    noise = photograph(np.zeros((40, 40), bool))

    assert edge_ratio(noise, square(14, 22)) == pytest.approx(1, abs=0.2)
    assert edge_ratio(photograph(square(14, 22)), square(14, 22)) > 3
    assert edge_ratio(np.full((40, 40, 3), 7, np.uint8), square(14, 22)) == 0
    assert edge_ratio(noise, np.ones((40, 40), bool)) == 0


def edge_ratio_by_definition(image, mask):
    """Sobel after a Gaussian of one pixel, of the steepest channel; all by SciPy, in float64."""
    smooth = [
        ndimage.gaussian_filter(channel, 1, mode="mirror", radius=4) for channel in np.moveaxis(image, 2, 0) / 1.0
    ]
    steep = np.max([np.hypot(*(ndimage.sobel(one, axis, mode="mirror") for axis in (0, 1))) for one in smooth], axis=0)
    around = np.ones((3, 3), bool)
    outline = ndimage.binary_dilation(mask, around) & ~ndimage.binary_erosion(mask, around, border_value=1)
    return steep[outline].mean() / steep.mean()


def test_edge_ratio_is_that_of_the_definition():
    mask = np.zeros((30, 50), bool)
    mask[8:20, 0:17] = True  # at the border of the image
    mask[22:26, 30:45] = True
    image = photograph(mask)
    image[:, 25:] //= 2
    assert edge_ratio(image, mask) == pytest.approx(edge_ratio_by_definition(image, mask), rel=1e-5)


def test_map_contrast_is_mean_inside_minus_mean_outside():
    anomaly_map = np.array([[4.0, 2.0], [1.0, 0.0]])

    assert map_contrast(anomaly_map, np.array([[True, True], [False, False]])) == 2.5
    assert map_contrast(anomaly_map, np.ones((2, 2), bool)) == 0
    assert map_contrast(anomaly_map, np.zeros((2, 2), bool)) == 0


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_nothing_above_the_threshold_gives_an_empty_mask(name):
    refinement = REFINERS.build(name).refine(photograph(COMPONENT), MAP, float(MAP.max()))

    assert refinement.mask.shape == (40, 40)
    assert refinement.mask.dtype == bool
    assert not refinement.mask.any()
    assert refinement.regions == []


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_every_component_has_a_record_of_plain_values(name):
    anomaly_map = np.zeros((60, 80), np.float32)
    anomaly_map[5:25, 10:30] = 1.5
    anomaly_map[40:55, 50:70] = 2.5

    regions = REFINERS.build(name).refine(photograph(anomaly_map > 0), anomaly_map, 1.0).regions

    assert [region["box"] for region in regions] == [[50, 40, 70, 55], [10, 5, 30, 25]]
    assert [region["score"] for region in regions] == [2.5, 1.5]
    assert [region["component_area"] for region in regions] == [300, 400]
    for region in regions:
        assert region["accepted"] == (region["reason"] == "") == (region["cause"] == "")
        types = {key: type(value) for key, value in region.items()}
        assert types == {
            "box": list,
            "peak": list,
            "score": float,
            "component_area": int,
            "area": int,
            "accepted": bool,
            "cause": str,
            "reason": str,
        }


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_neighbours_do_not_wipe_each_other_out(name):
    anomaly_map = np.zeros((60, 60), np.float32)
    anomaly_map[20:30, 20:28] = 1.5
    anomaly_map[20:30, 30:38] = 2.5

    mask = REFINERS.build(name).refine(np.full((60, 60, 3), 99, np.uint8), anomaly_map, 1.0).mask

    np.testing.assert_array_equal(mask, anomaly_map > 1)


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_the_unit_and_the_offset_of_the_map_do_not_matter(name):
    refiner, image = REFINERS.build(name), photograph(square(13, 23))

    plain = refiner.refine(image, MAP, 0.5).mask
    shifted = refiner.refine(image, 4 * MAP - 3, 4 * 0.5 - 3).mask

    assert plain.any()
    assert np.count_nonzero(plain ^ shifted) <= 2  # rounding


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_refining_neither_changes_its_input_nor_differs_the_second_time(name):
    refiner, image, anomaly_map = REFINERS.build(name), photograph(square(13, 23)), MAP.copy()
    before = image.copy()

    first, second = refiner.refine(image, anomaly_map, 0.5), refiner.refine(image, anomaly_map, 0.5)

    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(anomaly_map, MAP)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first.regions == second.regions


@pytest.mark.parametrize("name", WEIGHT_FREE)
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (40, 7)])
def test_tiny_and_narrow_images_are_refined(name, shape):
    rng = np.random.default_rng(0)
    image, anomaly_map = rng.integers(0, 256, (*shape, 3), dtype=np.uint8), rng.random(shape).astype(np.float32)

    assert REFINERS.build(name).refine(image, anomaly_map, 0.3).mask.shape == shape


@pytest.mark.parametrize("name", WEIGHT_FREE)
def test_without_a_model_nothing_is_asked_of_one(name):
    refiner = REFINERS.build(name)

    assert not refiner.uses_segmenter
    assert not refiner.uses_foreground
    assert refiner.crop_parameters() is None


def test_a_wrong_parameter_is_named():
    with pytest.raises(ConfigError, match="unknown parameter 'raduis'; did you mean 'radius'"):
        REFINERS.build("guided", {"raduis": 0.1})
