"""What refinement does to masks, against loops over images and pixels."""

import numpy as np
import pytest
from PIL import Image

from decision_files import write_decisions
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import DataError
from zsad.evaluation.evaluate_masks import evaluate_masks
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.refinement import COUNTS, MATERIAL_CHANGE, VALUES, Comparison, Marked, cause_of
from zsad.files.json_files import read_json
from zsad.files.masks import MaskWriter
from zsad.files.scores import ScoreWriter
from zsad.maps import Thresholds, standing_out
from zsad.names import ALL_TYPES

THRESHOLD, REGION = 0.5, 0.57
SIZES = [(20, 26), (17, 23), (24, 16)]


def random_category(seed, kinds):
    """Images of mixed sizes, of each kind: a defect, good, bare (no mask), void (an empty one), or unlabelled."""
    rng = np.random.default_rng(seed)
    images = []
    for number, kind in enumerate(kinds):
        height, width = SIZES[number % len(SIZES)]
        truth = np.zeros((height, width), bool)
        if kind not in ("good", "", "bare", "void"):
            top, left = rng.integers(0, 8, 2)
            truth[top : top + rng.integers(2, 9), left : left + rng.integers(2, 9)] = True
        anomaly_map = rng.uniform(0, 0.6, (5, 6)).astype(np.float32)
        mask = (rng.uniform(size=truth.shape) < 0.05) | (truth & (rng.uniform(size=truth.shape) < rng.uniform()))
        regions = [region(rng) for _ in range(rng.integers(0, 4))]
        images.append({"kind": kind, "truth": truth, "map": anomaly_map, "mask": mask, "regions": regions})
    return images


def region(rng):
    accepted = bool(rng.uniform() < 0.5)
    found = {"accepted": accepted, "reason": "" if accepted else f"its area is {rng.uniform():.2g} of 4"}
    return found | ({"prompt": {}} if rng.uniform() < 0.5 else {})


def label_of(kind):
    return {"good": 0, "": None}.get(kind, 1)


def evaluated(folder, images, *, localises=True, order=None):
    """Write a category and measure it; the score file may have another order of images."""
    records = []
    for number, image in enumerate(images):
        mask_path = ""
        if label_of(image["kind"]) == 1 and image["kind"] != "bare":
            mask_path = str(folder / f"{number}.png")
            Image.fromarray(image["truth"].astype(np.uint8) * 255).save(mask_path)
        image_id = f"test/{number:02}.png"
        size = image["truth"].shape
        label, kind = label_of(image["kind"]), image["kind"]
        records.append(ImageRecord(image_id, image_id, "test", label, kind, mask_path, *size, "0" * 64))
    write_manifest(folder / "manifest.csv", records)
    ids = [record.image_id for record in records]
    order = list(range(len(images))) if order is None else order
    grids = np.array([images[place]["map"].shape for place in order])
    with ScoreWriter(
        folder / "scores.h5", [ids[place] for place in order], {}, grid_sizes=grids, setting="s", localises=localises
    ) as writer:
        for index, place in enumerate(order):
            writer.write(index, images[place]["map"], 0.5)
    write_decisions(folder / "decisions.h5", folder / "scores.h5", REGION, THRESHOLD)
    with MaskWriter(folder / "masks.h5", ids, {}) as writer:
        for image in images:
            writer.append(image["mask"], 1.0, image["regions"])
    evaluate_masks(
        manifest=folder / "manifest.csv",
        scores=folder / "scores.h5",
        decisions=folder / "decisions.h5",
        masks=folder / "masks.h5",
        method="mutual",
        refiner="guided",
        category="part",
        options=EvaluationOptions(bootstrap=0),
        output=folder / "metrics.json",
        draws=folder / "draws.h5",
        provenance={},
    )
    return read_json(folder / "metrics.json")


def overlap(mask, truth):
    """IoU and Dice, pixel by pixel; None where the ground truth is empty."""
    both = either = marked = 0
    for called, defective in zip(mask.ravel().tolist(), truth.ravel().tolist(), strict=True):
        both += called and defective
        either += called or defective
        marked += called + defective
    return (both / either, 2 * both / marked) if truth.any() else (None, None)


def before_of(image):
    """What stands out in its map."""
    return standing_out(image["map"], Thresholds(THRESHOLD, float(np.float32(REGION))), *image["truth"].shape) > 0.5


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def plain_effect(images):
    """The values and counts of one group of images, by the definitions."""
    rows = [(image, before_of(image), image["mask"]) for image in images]
    known = [row for row in rows if row[0]["kind"] not in ("", "bare")]
    defective = [row for row in known if row[0]["truth"].any()]
    good = [row for row in known if row[0]["kind"] == "good"]
    gains = [
        overlap(after, image["truth"])[0] - overlap(before, image["truth"])[0] for image, before, after in defective
    ]
    regions = [one for image in images for one in image["regions"]]
    values = {}
    for place, moment in ((1, "before"), (2, "after")):
        overlaps = [overlap(row[place], row[0]["truth"]) for row in defective]
        values[f"image_iou_{moment}"] = mean(iou for iou, _ in overlaps)
        values[f"image_dice_{moment}"] = mean(dice for _, dice in overlaps)
        values[f"good_area_{moment}"] = mean(row[place].sum() / row[place].size for row in good)
        iou = dice = None
        if defective:
            masks, truths = (
                np.concatenate(parts, axis=None)
                for parts in zip(*((r[place], r[0]["truth"]) for r in known), strict=True)
            )
            iou, dice = overlap(masks, truths)
        values[f"mask_iou_{moment}"], values[f"mask_f1_{moment}"] = iou, dice
    values["helped"] = mean(gain > MATERIAL_CHANGE for gain in gains)
    values["harmed"] = mean(gain < -MATERIAL_CHANGE for gain in gains)
    counts = {
        "images": len(images),
        "defective": len(defective),
        "good": len(good),
        "regions_found": len(regions),
        "regions_prompted": sum("prompt" in one for one in regions),
        "regions_accepted": sum(one["accepted"] for one in regions),
    }
    return values, counts


def assert_is(effect, images):
    values, counts = plain_effect(images)
    assert effect["counts"] == counts
    assert set(effect["values"]) == set(values) == set(VALUES)
    for name, value in values.items():
        assert effect["values"][name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


CATEGORIES = {
    "ordinary": ["good", "scratch", "spot", "good", "scratch", "spot", "spot"],
    "incomplete truth": ["scratch", "bare", "void", "", "good", "scratch", ""],
    "no defect": ["good", "good", "good"],
    "defects alone": ["spot", "scratch"],
    "one of each": ["good", "spot"],
}


@pytest.mark.parametrize("kinds", CATEGORIES.values(), ids=CATEGORIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_figure_is_that_of_loops_over_images_and_pixels(tmp_path, kinds, seed):
    images = random_category(seed, kinds)
    effects = evaluated(tmp_path, images)["effects"]
    types = list(dict.fromkeys(kind for kind in kinds if kind))
    assert [effect["defect_type"] for effect in effects] == [ALL_TYPES, *types]
    assert_is(effects[0], images)
    for effect in effects[1:]:
        assert_is(effect, [image for image in images if image["kind"] == effect["defect_type"]])


def test_each_image_has_its_own_overlap_before_and_after(tmp_path):
    images = random_category(2, CATEGORIES["incomplete truth"])
    rows = evaluated(tmp_path, images)["images"]
    for image, row in zip(images, rows, strict=True):
        before = before_of(image)
        for mask, end in ((before, "_before"), (image["mask"], "")):
            assert row[f"area{end}"] == pytest.approx(mask.mean())
            assert [row[f"iou{end}"], row[f"dice{end}"]] == [
                None if value is None else pytest.approx(value) for value in overlap(mask, image["truth"])
            ]


def test_the_order_of_the_score_file_does_not_matter(tmp_path):
    images = random_category(3, CATEGORIES["ordinary"])
    straight = evaluated(tmp_path, images)
    assert evaluated(tmp_path, images, order=[4, 2, 6, 0, 1, 5, 3])["effects"] == straight["effects"]


def test_a_refiner_that_changes_nothing_helps_and_harms_no_image(tmp_path):
    images = random_category(4, CATEGORIES["ordinary"])
    for image in images:
        image["mask"] = before_of(image)
    values = evaluated(tmp_path, images)["effects"][0]["values"]
    assert (values["helped"], values["harmed"]) == (0.0, 0.0)
    assert values["mask_f1_before"] == values["mask_f1_after"]
    assert values["good_area_before"] == values["good_area_after"]


@pytest.mark.parametrize(("pixels", "helped"), [(1, 0.0), (2, 1.0)])
def test_a_gain_of_a_hundredth_of_iou_is_not_yet_help(tmp_path, pixels, helped):
    truth = np.zeros((16, 20), bool)
    truth[0:10, 0:10] = True
    mask = np.zeros_like(truth)
    mask[0, :pixels] = True  # an IoU of as many hundredths; before, nothing is marked
    image = {"kind": "spot", "truth": truth, "map": np.zeros((4, 5), np.float32), "mask": mask, "regions": []}
    values = evaluated(tmp_path, [image])["effects"][0]["values"]
    assert values["image_iou_after"] == pytest.approx(pixels / 100)
    assert (values["helped"], values["harmed"]) == (helped, 0.0)


def test_of_a_method_that_does_not_localise_no_mask_is_measured(tmp_path):
    images = random_category(5, CATEGORIES["ordinary"])
    result = evaluated(tmp_path, images, localises=False)
    assert set(result["mask"].values()) == set(result["effects"][0]["values"].values()) == {None}
    assert result["effects"][0]["counts"]["images"] == len(images)
    assert result["effects"][0]["counts"]["defective"] == 0
    assert any("gives no maps" in note for note in result["notes"])


def test_scores_of_other_images_than_the_masks_are_an_error(tmp_path):
    images = random_category(6, CATEGORIES["ordinary"])
    with pytest.raises(DataError, match=r"scores\.h5 and .* do not hold the same test images"):
        evaluated(tmp_path, images, order=[0, 1, 2])
    assert not (tmp_path / "metrics.json").exists()


LARGE = "the outline's area is 5.2 of the component's, above 4"


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        ({"cause": "too large", "reason": LARGE}, "too large"),
        ({"reason": LARGE}, "the outline's area is … of the component's, above …"),
        ({"reason": "area 1e+03 and -0.5"}, "area … and …"),
        ({"reason": "the outline is empty"}, "the outline is empty"),
        ({"cause": "", "reason": ""}, "no reason recorded"),
    ],
)
def test_causes_are_counted_without_their_figures(record, cause):
    assert cause_of(record) == cause


def test_the_announced_counts_are_there(tmp_path):
    effect = evaluated(tmp_path, random_category(7, ["spot"]))["effects"][0]
    assert set(effect["counts"]) == set(COUNTS)


@pytest.mark.parametrize(
    ("label", "truth", "lacks"),
    [(1, [[0, 0]], True), (1, [[0, 1]], False), (1, None, False), (0, [[0, 0]], False), (None, None, False)],
)
def test_a_defective_image_whose_mask_is_empty_lacks_its_ground_truth(label, truth, lacks):
    record = ImageRecord("a.png", "a.png", "test", label, "dent", "", 1, 2, "")
    marked = Marked.of(np.array([[True, False]]), None if truth is None else np.array(truth, bool))
    assert Comparison(record, marked).lacks_ground_truth == lacks
