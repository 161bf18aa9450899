"""Refinement by a promptable model: which candidate stays, what is held against the others, and what is recorded.

The model is a stand-in that answers with given masks.
"""

import json

import cv2
import numpy as np
import pytest

from zsad.refinement.agreement import agreement, soft_map
from zsad.refinement.crops import CropOptions
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.regions import regions_above, slices, widened
from zsad.refinement.sam import Sam
from zsad.segmentation.base import Candidates, Prompt, Segmenter

HEIGHT, WIDTH = 96, 128
THRESHOLD = 0.5


class Answering(Segmenter):
    """Answers with what a function makes of a prompt in pixels of the image; an embedding tells its window.

    The function gives bool masks ``[HEIGHT, WIDTH]``, of which the window is cut out.
    """

    def __init__(self, answer, quality=(0.3, 0.6, 0.9)):
        self.answer, self.quality = answer, quality
        self.prompts = []

    def decode(self, embedding, height, width, prompts, *, several=True):
        left, top, right, bottom = (int(side) for side in embedding[0])
        assert (height, width) == (bottom - top, right - left)
        answers = []
        for prompt in prompts:
            box = None if prompt.box is None else tuple(np.add(prompt.box, (left, top, left, top)).tolist())
            moved = Prompt(box, np.add(prompt.points, (left, top)), prompt.labels, prompt.mask)
            self.prompts.append(moved)
            masks = np.stack([mask[top:bottom, left:right] for mask in self.answer(moved)])
            logits = np.where(masks, 0.25, 0.0).astype(np.float32)  # inside is above zero
            answers.append(Candidates(logits, np.array(self.quality[: len(masks)], np.float32)))
        return answers


class Windows:
    """Stands in for a file of embeddings that has every window."""

    def __init__(self):
        self.found = []

    def find(self, image_id, window):
        self.found.append(window)
        return (np.array(window, np.float16),)


def always(*masks):
    return lambda prompt: masks


def is_first(prompt):
    return len(prompt.points) > 0 and prompt.box is not None


def disc(row=48, column=60, radius=12):
    return np.hypot(np.arange(HEIGHT)[:, None] - row, np.arange(WIDTH) - column) <= radius


def box(left, top, right, bottom):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def photograph(mask):
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    return np.clip(np.where(mask, 90, 150)[..., None] + noise, 0, 255).astype(np.uint8)


def map_of(mask, sigma=3.0):
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)


def under(answer, part=None, **options):
    return PromptedImage(Answering(answer, **options), "a", HEIGHT, WIDTH, Windows(), Windows(), part)


DEFECT = disc()
IMAGE, MAP = photograph(DEFECT), map_of(DEFECT)
COMPONENT = MAP > THRESHOLD


def refined(prompted, refiner=None, image=IMAGE, anomaly_map=MAP):
    return (refiner or Sam()).refine(image, anomaly_map, THRESHOLD, prompted)


# --- the choice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(3))
def test_the_candidate_that_agrees_with_the_map_stays_whatever_its_size_and_quality(place):
    candidates = [disc(radius=5), disc(radius=23)]
    candidates.insert(place, DEFECT)
    quality = [0.99, 0.98]
    quality.insert(place, 0.1)

    refinement = refined(under(always(*candidates), quality=quality))

    np.testing.assert_array_equal(refinement.mask, DEFECT)
    (region,) = refinement.regions
    assert (region["accepted"], region["candidate"], region["cause"]) == (True, place, "")
    assert region["quality"] == pytest.approx(0.1)
    assert region["agreement"] == max(region["agreements"]) == region["agreements"][place]


def test_a_candidate_that_may_stay_goes_before_one_that_agrees_better_and_may_not():
    ragged = DEFECT & ~(np.arange(HEIGHT)[:, None] % 2 == 0)
    ragged[:, 60] = DEFECT[:, 60]

    refinement = refined(under(always(ragged, disc(radius=8))), Sam(min_smoothness=0.95, min_edge_ratio=0))
    (region,) = refinement.regions

    assert region["rejections"] == ["ragged", ""]
    assert region["candidate"] == 1
    np.testing.assert_array_equal(refinement.mask, disc(radius=8))


@pytest.mark.parametrize("seed", range(6))
def test_of_random_candidates_the_best_of_those_that_may_stay_replaces_the_component(seed):
    rng = np.random.default_rng(seed)
    noise = [cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)), (0, 0), 4) for _ in range(3)]
    candidates = [MAP + weight * one / one.std() > 0.5 for one, weight in zip(noise, (0.05, 0.2, 1), strict=True)]
    refiner = Sam(consensus=0, min_edge_ratio=0)

    refinement = refined(under(always(*candidates)), refiner)
    (region,) = refinement.regions

    order = [(not cause, value) for cause, value in zip(region["rejections"], region["agreements"], strict=True)]
    assert order[region["candidate"]] == max(order)
    assert region["cause"] == region["rejections"][region["candidate"]]
    assert region["agreement"] == region["agreements"][region["candidate"]]
    chosen = COMPONENT if region["cause"] else refiner.cleaned(candidates[region["candidate"]], COMPONENT, MAP.size)
    np.testing.assert_array_equal(refinement.mask, chosen)


def test_the_agreement_is_that_of_the_component_and_its_surroundings():
    (region,) = regions_above(MAP, THRESHOLD)
    left, top, right, bottom = region.box
    around = widened(region.box, max(right - left, bottom - top), HEIGHT, WIDTH)
    degrees = soft_map(MAP[slices(around)], THRESHOLD, COMPONENT[slices(around)])
    candidates = [DEFECT, disc(radius=8), disc(row=52)]

    (record,) = refined(under(always(*candidates))).regions

    expected = [agreement(degrees, mask[slices(around)]) for mask in candidates]
    assert record["agreements"] == pytest.approx(expected, abs=1e-6)


def test_a_candidate_that_is_too_large_does_not_change_what_the_others_are_judged_in():
    (alone,) = refined(under(always(DEFECT))).regions
    (beside,) = refined(under(always(DEFECT, box(4, 4, 90, 60)))).regions

    assert beside["rejections"] == ["", "too large"]
    assert beside["agreements"][0] == alone["agreements"][0]


def test_unit_and_offset_of_the_map_do_not_matter():
    candidates = always(disc(radius=9), DEFECT, disc(radius=15))

    plain = refined(under(candidates)).regions[0]
    other = Sam().refine(IMAGE, 1000 * MAP - 300, 1000 * THRESHOLD - 300, under(candidates)).regions[0]

    assert other["agreements"] == pytest.approx(plain["agreements"], abs=1e-4)
    assert {**other, "agreements": 0, "agreement": 0, "score": 0} == {
        **plain,
        "agreements": 0,
        "agreement": 0,
        "score": 0,
    }


# --- rejections ---------------------------------------------------------------------------------------------------

COMB = DEFECT & ((np.arange(HEIGHT)[:, None] % 4 == 0) | (np.arange(WIDTH) == 60))


@pytest.mark.parametrize(
    ("candidate", "options", "figures"),
    [
        (disc(column=110, radius=9), {}, ("empty", "")),
        (box(60, 48, 62, 50), {}, ("too small", "below 0.02")),
        (disc(radius=30), {}, ("too large", "above 4")),
        (disc(radius=30), {"max_part_share": 0.2}, ("most of the object", "0.23 of the object, above 0.2")),
        (disc(row=60, radius=12), {"min_edge_ratio": 0}, ("low contrast in the map", "below 0.75")),
        (DEFECT, {"min_edge_ratio": 9}, ("no edge in the image", "below 9 of that around")),
        (COMB, {"min_edge_ratio": 0}, ("ragged", "below 0.75")),
    ],
    ids=["empty", "small", "large", "part", "contrast", "edge", "ragged"],
)
def test_a_candidate_is_rejected_for_a_stated_cause_and_the_component_stays(candidate, options, figures):
    cause, figure = figures

    refinement = refined(under(always(candidate)), Sam(**options))

    np.testing.assert_array_equal(refinement.mask, COMPONENT)
    (region,) = refinement.regions
    assert (region["accepted"], region["cause"], region["rejections"]) == (False, cause, [cause])
    assert region["reason"].startswith("the ") or region["reason"].startswith("a ")
    assert figure in region["reason"]
    assert region["area"] == region["component_area"] == COMPONENT.sum()


def test_if_all_are_rejected_the_one_that_agrees_best_gives_the_reason():
    (region,) = refined(under(always(disc(column=110, radius=9), disc(radius=30), box(60, 48, 62, 50)))).regions

    assert region["rejections"] == ["empty", "too large", "too small"]
    assert region["cause"] == region["rejections"][int(np.argmax(region["agreements"]))]


def test_an_outline_in_the_flat_middle_of_a_surround_with_edges_follows_none():
    (region,) = refined(under(always(disc(radius=11))), image=photograph(disc(radius=22))).regions

    assert region["cause"] == "no edge in the image"


@pytest.mark.parametrize(
    ("part", "cause"),
    [
        (None, ""),
        (disc(radius=13), "most of the object"),
        (disc(radius=18), ""),
        (box(0, 0, 1, 1), "most of the object"),
    ],
)
def test_an_outline_is_measured_against_the_object_or_else_the_image(part, cause):
    (region,) = refined(under(always(DEFECT), part)).regions

    assert region["cause"] == cause


def test_pieces_apart_from_the_component_and_small_holes_do_not_count():
    crumbs = DEFECT | disc(row=10, column=20, radius=5)
    crumbs[48, 60] = False

    np.testing.assert_array_equal(refined(under(always(crumbs))).mask, DEFECT)


# --- consensus ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "found_again"), [(12, True), (9, True), (7, False)])
def test_an_outline_must_be_among_the_answers_to_a_second_prompt(radius, found_again):
    second = disc(radius=radius)
    prompted = under(lambda prompt: [DEFECT] if is_first(prompt) else [disc(radius=3), second, disc(radius=40)])

    refinement = refined(prompted, Sam(consensus=0.5))
    (region,) = refinement.regions

    assert region["accepted"] == found_again
    assert region["cause"] == ("" if found_again else "not found again")
    if not found_again:
        assert f"IoU {second.sum() / DEFECT.sum():.2g}, below 0.5" in region["reason"]


def test_a_candidate_that_is_found_again_goes_before_one_that_is_not():
    prompted = under(lambda prompt: [DEFECT, disc(radius=9)] if is_first(prompt) else [disc(radius=8)])

    refinement = refined(prompted, Sam(consensus=0.6))

    assert refinement.regions[0]["rejections"] == ["not found again", ""]
    np.testing.assert_array_equal(refinement.mask, disc(radius=9))


def test_the_second_prompt_is_the_box_alone():
    prompted = under(always(DEFECT))

    refined(prompted)

    first, second = prompted.segmenter.prompts
    assert first.labels.tolist() == [1, 0, 0]
    assert first.mask is not None
    assert (second.box, second.points.shape, second.mask) == (first.box, (0, 2), None)


@pytest.mark.parametrize("crops", [None, CropOptions(below=0.5, context=1.5)])
def test_where_the_box_alone_is_the_first_prompt_the_second_is_the_peak(crops):
    prompted = under(always(DEFECT))

    refinement = refined(prompted, Sam(positive_points=0, negative_points=0, mask_prompt=False, crops=crops))

    assert (refinement.regions[0]["crop"] is None) == (crops is None)
    first, second = prompted.segmenter.prompts
    assert len(first.points) == 0
    assert second.box is None
    assert second.points.tolist() == [refinement.regions[0]["peak"]]
    assert second.labels.tolist() == [1]


def test_without_consensus_there_is_one_prompt():
    prompted = under(lambda prompt: [DEFECT] if is_first(prompt) else [~DEFECT])

    refinement = refined(prompted, Sam(consensus=0))

    assert refinement.regions[0]["accepted"]
    assert len(prompted.segmenter.prompts) == 1


# --- several components -------------------------------------------------------------------------------------------

SPOTS = [disc(20, 20, 8), disc(20, 100, 9), disc(75, 30, 10), disc(75, 100, 7)]
SPOTTED = photograph(np.any(SPOTS, axis=0))
SPOT_MAP = np.maximum.reduce([map_of(spot, 2.0) * height for spot, height in zip(SPOTS, (1, 4, 3, 2), strict=True)])


def spot_of(prompt):
    """The spot in whose middle a prompt's box has its own."""
    x, y = (prompt.box[0] + prompt.box[2]) / 2, (prompt.box[1] + prompt.box[3]) / 2
    return [next(spot for spot in SPOTS if spot[int(y), int(x)])]


@pytest.mark.parametrize("consensus", [0, 0.5])
@pytest.mark.parametrize("cap", [1, 2, 4, 9])
def test_the_highest_components_are_prompted_up_to_the_cap_and_the_others_stay(cap, consensus):
    prompted = under(spot_of)

    refinement = refined(prompted, Sam(max_prompts=cap, consensus=consensus), SPOTTED, SPOT_MAP)

    causes = [region["cause"] for region in refinement.regions]
    assert causes == ([""] * cap + ["beyond the cap of prompts"] * 4)[:4]
    assert [region["score"] for region in refinement.regions] == pytest.approx([4, 3, 2, 1], rel=0.01)
    assert [("prompt" in region) for region in refinement.regions] == [cause == "" for cause in causes]
    assert len(prompted.segmenter.prompts) == min(cap, 4) * (2 if consensus else 1)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    for region, place in zip(refinement.regions, (1, 2, 3, 0), strict=True):
        expected |= SPOTS[place] if region["accepted"] else (SPOT_MAP > THRESHOLD) & (disc(*centre(place), 14))
    np.testing.assert_array_equal(refinement.mask, expected)
    if cap == 2:
        assert "more than 2 components" in refinement.regions[2]["reason"]


def centre(place):
    rows, columns = np.nonzero(SPOTS[place])
    return rows.mean(), columns.mean()


def test_an_image_without_a_component_does_not_ask_the_model():
    prompted = under(spot_of)

    refinement = refined(prompted, Sam(crops=CropOptions()), anomaly_map=np.zeros_like(MAP))

    assert not refinement.mask.any()
    assert refinement.regions == []
    assert prompted.segmenter.prompts == []
    assert prompted.embeddings.found == prompted.crops.found == []


def test_the_image_is_embedded_once_for_all_its_components():
    prompted = under(spot_of)

    refined(prompted, None, SPOTTED, SPOT_MAP)

    assert prompted.embeddings.found == [(0, 0, WIDTH, HEIGHT)]


# --- crops --------------------------------------------------------------------------------------------------------


def test_crops_and_the_whole_image_are_mixed_and_the_order_stays_that_of_the_components():
    prompted = under(spot_of)
    refiner = Sam(crops=CropOptions(below=0.2, context=1.5))

    refinement = refined(prompted, refiner, SPOTTED, SPOT_MAP)

    sides = [region["box"][2] - region["box"][0] for region in refinement.regions]
    assert [region["crop"] is not None for region in refinement.regions] == [side <= 0.2 * HEIGHT for side in sides]
    assert {region["crop"] is None for region in refinement.regions} == {True, False}
    assert [region["score"] for region in refinement.regions] == pytest.approx([4, 3, 2, 1], rel=0.01)
    np.testing.assert_array_equal(refinement.mask, np.any(SPOTS, axis=0))
    assert prompted.crops.found == [tuple(region["crop"]) for region in refinement.regions if region["crop"]]
    assert prompted.embeddings.found == [(0, 0, WIDTH, HEIGHT)]


@pytest.mark.parametrize(("row", "column"), [(48, 60), (2, 2), (3, 125), (93, 1), (94, 126), (51, 7)])
def test_the_outline_of_a_crop_lands_where_it_is_in_the_image_to_the_pixel(row, column):
    spot = disc(row, column, 4)
    prompted = under(always(spot))

    refinement = refined(prompted, Sam(crops=CropOptions(below=0.2)), photograph(spot), map_of(spot, 1.0))

    (region,) = refinement.regions
    left, top, right, bottom = region["crop"]
    assert right - left == bottom - top < HEIGHT
    assert region["accepted"]
    np.testing.assert_array_equal(refinement.mask, spot)


def test_the_prompt_of_a_crop_is_recorded_in_pixels_of_the_image():
    spot = disc(30, 90, 4)
    prompted = under(always(spot))

    (region,) = refined(prompted, Sam(crops=CropOptions(below=0.2)), photograph(spot), map_of(spot, 1.0)).regions

    (first, _) = prompted.segmenter.prompts
    assert region["prompt"]["box"] == list(first.box)
    assert region["prompt"]["inside"] == [[90, 30]]
    assert region["prompt"]["inside"] + region["prompt"]["outside"] == first.points.tolist()
    for x, y in region["prompt"]["outside"]:
        assert not spot[int(y), int(x)]


def test_an_outline_that_reaches_beyond_the_surroundings_of_its_component_is_kept_whole():
    scratch = box(5, 46, 120, 51)
    anomaly_map = map_of(disc(48, 60, 8), 2.0)
    refiner = Sam(min_contrast_ratio=0, max_area_ratio=10)

    refinement = refined(under(always(scratch)), refiner, photograph(scratch), anomaly_map)

    assert refinement.regions[0]["accepted"]
    np.testing.assert_array_equal(refinement.mask, scratch)


def test_an_outline_that_its_crop_cuts_off_is_rejected():
    scratch = box(5, 46, 120, 51)
    anomaly_map = map_of(disc(48, 60, 5), 2.0)
    refiner = Sam(min_contrast_ratio=0, max_area_ratio=10, crops=CropOptions(below=0.2))

    refinement = refined(under(always(scratch)), refiner, photograph(scratch), anomaly_map)

    (region,) = refinement.regions
    assert region["crop"]
    assert region["cause"] == "cut off by its crop"
    np.testing.assert_array_equal(refinement.mask, anomaly_map > THRESHOLD)


def test_what_is_seen_in_a_crop_is_judged_as_it_would_be_in_the_image():
    def shrunk_and_grown(prompt):
        (spot,) = spot_of(prompt)
        shapes = [cv2.erode, lambda mask, kernel: mask, cv2.dilate]
        return [shape(spot.astype(np.uint8), np.ones((5, 5))) > 0 for shape in shapes]

    crops = CropOptions(below=0.3, context=2.5)
    in_crops = refined(under(shrunk_and_grown), Sam(crops=crops), SPOTTED, SPOT_MAP)
    in_image = refined(under(shrunk_and_grown), Sam(), SPOTTED, SPOT_MAP)

    assert all(region["crop"] for region in in_crops.regions)
    for key in ("agreements", "rejections", "candidate", "cause"):
        assert [region[key] for region in in_crops.regions] == [region[key] for region in in_image.regions]
    np.testing.assert_array_equal(in_crops.mask, in_image.mask)


# --- the record ---------------------------------------------------------------------------------------------------


def test_what_is_recorded_is_json_and_complete():
    (region,) = refined(under(always(disc(radius=8), DEFECT, disc(radius=30))), Sam(min_edge_ratio=0)).regions

    assert json.loads(json.dumps(region, allow_nan=False)) == region
    assert set(region) == {
        "prompt",
        "crop",
        "candidate",
        "agreement",
        "quality",
        "agreements",
        "rejections",
        "box",
        "peak",
        "score",
        "component_area",
        "area",
        "accepted",
        "cause",
        "reason",
    }
    assert set(region["prompt"]) == {"box", "inside", "outside", "mask"}
    assert region["prompt"]["mask"] is True
    assert len(region["prompt"]["inside"]) == 1
    assert len(region["prompt"]["outside"]) == 2
    assert region["crop"] is None
    assert region["rejections"] == ["", "", "too large"]
    assert region["area"] == DEFECT.sum()


def test_refining_neither_changes_its_input_nor_differs_the_second_time():
    image, anomaly_map = SPOTTED.copy(), SPOT_MAP.copy()

    first, second = (refined(under(spot_of), Sam(), image, anomaly_map) for _ in range(2))

    np.testing.assert_array_equal(image, SPOTTED)
    np.testing.assert_array_equal(anomaly_map, SPOT_MAP)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first.regions == second.regions


def test_without_a_model_there_is_no_refinement():
    with pytest.raises(ValueError, match="needs an image that can be prompted"):
        Sam().refine(IMAGE, MAP, THRESHOLD)
    with pytest.raises(ValueError, match="needs an image that can be prompted"):
        Sam().outlines(IMAGE, MAP, THRESHOLD, [])


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (40, 7)])
def test_tiny_and_narrow_images_are_refined(shape):
    rng = np.random.default_rng(0)
    image, anomaly_map = rng.integers(0, 256, (*shape, 3), dtype=np.uint8), rng.random(shape).astype(np.float32)
    everything = np.ones(shape, bool)
    prompted = PromptedImage(Answering(always(everything)), "a", *shape, Windows(), Windows())

    refinement = Sam(crops=CropOptions(below=1)).refine(image, anomaly_map, 0.3, prompted)

    assert refinement.mask.shape == shape
    assert not refinement.mask[anomaly_map <= 0.3].any() or any(region["accepted"] for region in refinement.regions)


def test_what_the_crops_depend_on_is_reported_and_nothing_if_there_are_none():
    assert Sam().crop_parameters() is None
    assert Sam.build({"crops": {}, "min_area": 0.01, "max_prompts": 3}, where="here").crop_parameters() == {
        "options": CropOptions().parameters(),
        "min_area": 0.01,
        "max_prompts": 3,
    }
    assert (Sam().uses_foreground, Sam(foreground=False).uses_foreground, Sam.uses_segmenter) == (True, False, True)
