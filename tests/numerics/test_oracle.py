"""The ceiling of a segmentation model: stand-in models whose answers are known, and figures by hand."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import DataError
from zsad.evaluation.evaluate_oracle import MIN_REGION_PIXELS, evaluate_oracle, true_regions
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.refinement import VALUES
from zsad.files.embeddings import EmbeddingWriter
from zsad.files.json_files import read_json
from zsad.names import ALL_TYPES, MASK_METRICS
from zsad.segmentation.base import Candidates, Segmenter, SegmenterConfig

MODEL = {"id": "stand-in", "weights": None}
NEGATIVE, POSITIVE = -5.0, 5.0


class StandIn(Segmenter):
    """Answers a box with three candidates: nothing, what ``answer`` says, and everything, rated by ``quality``."""

    model, device, shapes = MODEL, "cpu", [(1,)]

    def __init__(self, answer, quality):
        self.answer, self.quality = answer, np.array(quality, np.float32)
        self.prompts = []

    def decode(self, embedding, height, width, prompts, *, several=True):
        assert several
        number = int(embedding[0][0])
        self.prompts += [(number, prompt) for prompt in prompts]
        return [self.candidates(number, height, width, prompt) for prompt in prompts]

    def candidates(self, number, height, width, prompt):
        masks = [np.zeros((height, width), bool), self.answer(number, height, width, prompt), np.ones((height, width))]
        logits = np.where(np.array(masks, bool), POSITIVE, NEGATIVE).astype(np.float32)
        return Candidates(logits, self.quality)


class StandInPart(SegmenterConfig):
    """Loads the stand-in of the moment."""

    def load(self, device, batch=None):
        StandInPart.loads.append(device)
        return StandInPart.current


StandInPart.loads = []


def box_content(number, height, width, prompt):
    """The box, filled."""
    left, top, right, bottom = (int(side) for side in prompt.box)
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def noise(number, height, width, prompt):
    return np.random.default_rng(number).uniform(size=(height, width)) < 0.5


class Category:
    """A category on disk: images by kind, with their true masks."""

    def __init__(self, folder):
        self.folder = folder
        self.records, self.truths = [], []

    def add(self, kind, truth, *, with_mask=True):
        number = len(self.records)
        label = {"good": 0, "": None}.get(kind, 1)
        mask_path = ""
        if label == 1 and with_mask:
            mask_path = str(self.folder / f"{number}.png")
            Image.fromarray(truth.astype(np.uint8) * 255).save(mask_path)
        image_id = f"test/{number:02}.png"
        self.records.append(ImageRecord(image_id, image_id, "test", label, kind, mask_path, *truth.shape, "0" * 64))
        self.truths.append(truth)
        return self

    def evaluate(self, answer, *, quality=(0.1, 0.9, 0.5), made_by=MODEL, ids=None):
        StandInPart.current, StandInPart.loads = StandIn(answer, quality), []
        write_manifest(self.folder / "manifest.csv", self.records)
        ids = [record.image_id for record in self.records] if ids is None else ids
        windows = [(0, 0, record.width, record.height) for record in self.records][: len(ids)]
        with EmbeddingWriter(
            self.folder / "test.h5",
            ids,
            {"segmenter": made_by, "image_list_sha256": "f"},
            windows=windows,
            shapes=[(1,)],
        ) as writer:
            for number in range(len(ids)):
                writer.write(number, (np.array([number], np.float16),))
        evaluate_oracle(
            manifest=self.folder / "manifest.csv",
            embeddings=self.folder / "test.h5",
            segmenter=StandInPart(),
            name="sam-vit-b",
            device="cpu",
            dataset="parts",
            category="nut",
            options=EvaluationOptions(bootstrap=100),
            output=self.folder / "oracle.json",
            draws=self.folder / "oracle.h5",
            provenance={"stage": "evaluate_oracle"},
        )
        return read_json(self.folder / "oracle.json")


def blobs(seed, height, width):
    """A few smooth regions, some of a few pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 1.6)
    return noise > np.quantile(noise, 0.85)


def rectangle(height, width, *boxes):
    truth = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        truth[top:bottom, left:right] = True
    return truth


@pytest.fixture
def category(tmp_path):
    return Category(tmp_path)


@pytest.fixture
def mixed(category):
    """Good, defective of two types, without a mask, and unlabelled images, of two sizes."""
    category.add("good", rectangle(30, 40)).add("bent", blobs(1, 30, 40)).add("scratch", blobs(2, 24, 50))
    category.add("bent", blobs(3, 24, 50)).add("scratch", rectangle(30, 40), with_mask=False)
    return category.add("", rectangle(30, 40)).add("scratch", rectangle(30, 40, (3, 4, 20, 9)))


def test_a_model_that_answers_with_the_ground_truth_reaches_one(mixed):
    result = mixed.evaluate(lambda number, *_: mixed.truths[number])
    assert result["mask"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "iou": 1.0}
    assert [image["iou"] for image in result["images"]] == [image["dice"] for image in result["images"]] == [1.0] * 4
    assert result["effects"][0]["values"]["image_iou_after"] == 1.0


def test_rectangles_are_their_boxes(category):
    truth = rectangle(30, 40, (3, 4, 20, 9), (25, 0, 40, 12), (0, 20, 5, 30))
    result = category.add("bent", truth).evaluate(box_content)
    assert result["mask"]["iou"] == 1.0
    boxes = sorted(prompt.box for _, prompt in StandInPart.current.prompts)
    assert boxes == [(0.0, 20.0, 5.0, 30.0), (3.0, 4.0, 20.0, 9.0), (25.0, 0.0, 40.0, 12.0)]


@pytest.mark.parametrize("answer", [box_content, noise])
def test_the_figures_are_those_of_a_loop_over_images_and_regions(mixed, answer):
    result = mixed.evaluate(answer)
    overlaps, both, called, defective = [], 0, 0, 0
    for number, record in enumerate(mixed.records):
        truth = mixed.truths[number]
        if not record.mask_path:
            continue
        regions, count = ndimage.label(truth, np.ones((3, 3)))
        union = np.zeros_like(truth)
        for region in range(1, count + 1):
            rows, columns = np.nonzero(regions == region)
            if len(rows) >= MIN_REGION_PIXELS:
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                prompt = type("Box", (), {"box": box})
                union |= answer(number, *truth.shape, prompt)
        overlaps.append((record.defect_type, (union & truth).sum() / (union | truth).sum()))
        both, called, defective = both + (union & truth).sum(), called + union.sum(), defective + truth.sum()
    assert result["mask"]["precision"] == pytest.approx(both / called)
    assert result["mask"]["recall"] == pytest.approx(both / defective)
    assert result["mask"]["f1"] == pytest.approx(2 * both / (called + defective))
    assert [image["iou"] for image in result["images"]] == [pytest.approx(iou) for _, iou in overlaps]
    for effect in result["effects"]:
        of_type = [iou for kind, iou in overlaps if effect["defect_type"] in (kind, ALL_TYPES)]
        assert effect["values"]["image_iou_after"] == pytest.approx(np.mean(of_type))
        assert effect["counts"]["defective"] == len(of_type)
        assert effect["values"]["image_dice_after"] == pytest.approx(np.mean([2 * iou / (1 + iou) for iou in of_type]))


def test_the_models_own_quality_chooses_and_never_the_ground_truth(category):
    category.add("bent", rectangle(30, 40, (3, 4, 20, 9)))
    assert category.evaluate(box_content)["mask"]["iou"] == 1.0
    assert category.evaluate(box_content, quality=(0.9, 0.5, 0.1))["mask"]["iou"] == 0.0
    everything = category.evaluate(box_content, quality=(0.1, 0.5, 0.9))["mask"]
    assert (everything["recall"], everything["precision"]) == (1.0, pytest.approx(17 * 5 / (30 * 40)))


def test_boxes_carry_no_points_and_no_mask(mixed):
    mixed.evaluate(box_content)
    for _, prompt in StandInPart.current.prompts:
        assert prompt.points.shape == (0, 2)
        assert prompt.labels.shape == (0,)
        assert prompt.mask is None


def test_only_images_with_a_mask_are_prompted_each_with_its_own_embedding(mixed):
    result = mixed.evaluate(box_content)
    assert {number for number, _ in StandInPart.current.prompts} == {1, 2, 3, 6}
    assert [image["image_id"] for image in result["images"]] == [f"test/{number:02}.png" for number in (1, 2, 3, 6)]


def test_crumbs_of_the_ground_truth_get_no_box_but_count(category):
    truth = rectangle(30, 40, (3, 4, 20, 9), (30, 20, 34, 22), (35, 10, 38, 13))
    result = category.add("bent", truth).evaluate(box_content)
    assert result["regions"] == {
        "found": 3,
        "prompted": 2,
        "accepted": 2,
        "reasons": {f"smaller than {MIN_REGION_PIXELS} pixels": 1},
    }
    assert result["mask"]["recall"] == pytest.approx((85 + 9) / (85 + 9 + 8))
    assert any("1 of 3 ground-truth regions are smaller than 9 pixels" in note for note in result["notes"])


def test_regions_that_touch_at_a_corner_are_one():
    (region,) = true_regions(rectangle(20, 20, (2, 2, 5, 5), (5, 5, 9, 8)))
    assert (region.box, region.area) == ((2, 2, 9, 8), 9 + 12)


def test_there_is_no_before_and_no_image_is_helped(mixed):
    for effect in mixed.evaluate(box_content)["effects"]:
        unknown = {name for name in VALUES if effect["values"][name] is None}
        assert unknown == {name for name in VALUES if name.endswith("before")} | {"helped", "harmed", "good_area_after"}


def test_it_says_of_itself_that_it_is_the_oracle_and_what_made_it(mixed):
    result = mixed.evaluate(box_content)
    assert (result["method"], result["setting"]) == ("oracle", "oracle")
    assert result["refiner"] == result["backbone"] == "sam-vit-b"
    assert set(result["metrics"]) == set(result["confidence"]) == set(MASK_METRICS)
    provenance = result["provenance"]
    assert (provenance["segmenter"], provenance["device"]) == (MODEL, "cpu")
    assert provenance["image_list_sha256"] == "f"
    assert provenance["stage"] == "evaluate_oracle"
    assert provenance["seconds"] >= 0


@pytest.mark.parametrize("kind", ["good", "", "bent"])
def test_without_a_mask_there_is_no_figure_and_the_model_stays_unloaded(category, kind):
    category.add(kind, rectangle(30, 40), with_mask=False)
    result = category.evaluate(box_content)
    assert StandInPart.loads == []
    assert set(result["mask"].values()) == set(result["effects"][0]["values"].values()) == {None}
    assert result["images"] == []


def test_an_empty_mask_has_no_box_and_is_named(category):
    result = category.add("bent", rectangle(30, 40)).add("bent", rectangle(30, 40, (3, 4, 20, 9))).evaluate(box_content)
    assert [image["iou"] for image in result["images"]] == [None, 1.0]
    assert result["effects"][0]["values"]["image_iou_after"] == 1.0
    assert any("test/00.png" in note and "empty" in note for note in result["notes"])


def test_embeddings_of_another_model_are_an_error(mixed):
    with pytest.raises(DataError, match=r"test\.h5 was made by another segmentation model"):
        mixed.evaluate(box_content, made_by={"id": "another"})
    assert not (mixed.folder / "oracle.json").exists()


def test_embeddings_of_other_images_are_an_error(mixed):
    with pytest.raises(DataError, match="do not hold the same test images"):
        mixed.evaluate(box_content, ids=["test/00.png"])


def test_a_real_decoder_is_prompted_from_the_stored_embedding(tmp_path):
    from tiny_sam import write_segment_anything
    from zsad.segmentation.base import Prompt
    from zsad.segmentation.segment_anything import SegmentAnything

    segmenter = SegmentAnything(model=str(write_segment_anything(tmp_path / "tiny.pth")))
    model = segmenter.load("cpu")
    truth = rectangle(30, 40, (3, 4, 20, 9), (25, 12, 38, 27))
    category = Category(tmp_path).add("bent", truth)
    write_manifest(tmp_path / "manifest.csv", category.records)
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    (embedding,) = model.embed([model.prepare(image)])
    with EmbeddingWriter(
        tmp_path / "test.h5",
        ["test/00.png"],
        {"segmenter": model.model},
        windows=[(0, 0, 40, 30)],
        shapes=model.shapes,
    ) as writer:
        writer.write(0, embedding)
    evaluate_oracle(
        manifest=tmp_path / "manifest.csv",
        embeddings=tmp_path / "test.h5",
        segmenter=segmenter,
        name="tiny",
        device="cpu",
        dataset="parts",
        category="nut",
        options=EvaluationOptions(bootstrap=0),
        output=tmp_path / "oracle.json",
        draws=tmp_path / "oracle.h5",
        provenance={},
    )
    expected = np.zeros_like(truth)
    for region in true_regions(truth):
        prompt = Prompt(region.box, np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
        (candidates,) = model.decode(embedding, 30, 40, [prompt])
        expected |= candidates.logits[candidates.quality.argmax()] > 0
    (row,) = read_json(tmp_path / "oracle.json")["images"]
    assert row["iou"] == pytest.approx((expected & truth).sum() / (expected | truth).sum())
    assert row["area"] == pytest.approx(expected.mean())
    assert 0 < row["area"] < 1
