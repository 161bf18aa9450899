"""The refinement stage from files to a file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import zsad.refinement.refine_masks as refinement_stage
from decision_files import write_decisions
from tiny_sam import write_segment_anything
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import read_image
from zsad.errors import DataError, ModelError
from zsad.features.base import Execution
from zsad.files.decisions import DecisionReader
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.maps import Thresholds, standing_out
from zsad.refinement.base import Refinement, Refiner
from zsad.refinement.crops import CropOptions
from zsad.refinement.embed_crops import embed_crops
from zsad.refinement.grabcut import GrabCut
from zsad.refinement.guided import Guided
from zsad.refinement.images import records_of
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.refine_masks import Prompting, prompting_of, refine_masks
from zsad.refinement.sam import Sam
from zsad.segmentation.base import Candidates, Segmenter, SegmenterConfig
from zsad.segmentation.embed_images import embed_images
from zsad.segmentation.segment_anything import SegmentAnything

SIZES = {"test/bad/a.png": (48, 64), "test/bad/b.png": (80, 40), "test/good/c.png": (32, 32)}
GRID = (8, 8)
THRESHOLD = 0.5


def write_inputs(folder, scored=tuple(SIZES)):
    rng = np.random.default_rng(0)
    records = []
    for image_id, (height, width) in SIZES.items():
        path = folder / image_id.replace("/", "-")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        records.append(ListedImage(image_id, str(path), "test", height, width, file_sha256(path)))
    write_images(folder / "images.csv", records)
    provenance = {"image_list_sha256": "abc", "params": {"k": 3}}
    grid_sizes = np.tile(GRID, (len(scored), 1))
    with ScoreWriter(
        folder / "scores.h5", scored, provenance, grid_sizes=grid_sizes, setting="zero-shot-single"
    ) as writer:
        for index, image_id in enumerate(scored):
            anomaly_map = np.zeros(GRID, np.float32)
            if "bad" in image_id:
                anomaly_map[2:5, 2:5] = 1 + index
            writer.write(index, anomaly_map, float(anomaly_map.max()))
    write_decisions(folder / "decisions.h5", folder / "scores.h5", 2 * THRESHOLD - 0.1, THRESHOLD)


def refine(folder, refiner=None, prompting=None):
    refine_masks(
        image_list=folder / "images.csv",
        scores=folder / "scores.h5",
        decisions=folder / "decisions.h5",
        refiner=refiner or Guided(radius=0.1),
        output=folder / "masks.h5",
        provenance={"rule": "refine_masks"},
        prompting=prompting,
    )


def test_every_scored_image_gets_a_mask_of_its_own_size(tmp_path):
    write_inputs(tmp_path)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.image_ids == list(SIZES)
        assert [masks.mask(index).shape for index in range(3)] == list(SIZES.values())
        assert [bool(masks.mask(index).any()) for index in range(3)] == [True, True, False]
        assert masks.mask_scores.tolist() == [1, 2, 0]
        assert [len(masks.regions(index)) for index in range(3)] == [1, 1, 0]
        assert masks.regions(1)[0]["score"] == 2


def test_the_order_is_that_of_the_scores(tmp_path):
    scored = tuple(reversed(SIZES))
    write_inputs(tmp_path, scored)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.image_ids == list(scored)
        assert [tuple(size) for size in masks.sizes] == [SIZES[image_id] for image_id in scored]


def test_provenance_names_refiner_parameters_rule_thresholds_and_origin(tmp_path):
    write_inputs(tmp_path)
    write_decisions(
        tmp_path / "decisions.h5",
        tmp_path / "scores.h5",
        [0.75, np.inf, 0.5],
        [0.25, 0.5, 0.125],
        params={"image": 0.75},
    )

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        found = masks.provenance
    assert found["rule"] == "refine_masks"
    assert found["refiner"] == {"class": "Guided", "params": Guided(radius=0.1).parameters()}
    assert found["threshold_rule"] == {"name": "fixed", "params": {"image": 0.75}}
    assert found["thresholds"] == {"pixel": [0.125, 0.5], "region": [0.5, None]}  # JSON has no infinity
    assert found["image_list_sha256"] == "abc"
    assert found["seconds"] >= 0


def test_a_missing_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "test-bad-b.png").unlink()

    with pytest.raises(DataError, match=r"b\.png does not exist"):
        refine(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir() if "masks" in path.name) == []


def test_a_changed_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    Image.new("RGB", (40, 80)).save(tmp_path / "test-bad-b.png")

    with pytest.raises(DataError, match="has changed since it was listed"):
        refine(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir() if "masks" in path.name) == []


def test_a_scored_image_that_the_list_lacks_is_named(tmp_path):
    write_inputs(tmp_path, scored=("test/bad/a.png", "test/bad/gone.png"))

    with pytest.raises(DataError, match=r"'test/bad/gone\.png'; run the scoring again"):
        refine(tmp_path)

    assert not (tmp_path / "masks.h5").exists()


# --- by the decisions ---------------------------------------------------------------------------------------------


class Plain(Refiner):
    """Marks what exceeds the threshold, and keeps what it is given."""

    summary: ClassVar[str] = "A stand-in."
    reference: ClassVar[str] = "None."
    given: ClassVar[list[tuple[np.ndarray, float]]] = []

    def refine(self, image, anomaly_map, threshold, prompted=None):
        assert image.shape[:2] == anomaly_map.shape
        self.given.append((anomaly_map, threshold))
        return Refinement(anomaly_map > threshold, [])


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setattr(Plain, "given", [])
    return Plain()


def write_category(folder, maps, sizes=(), *, localises=True):
    """A category of one image a map; without sizes each has five pixels a patch. Returns the identifiers."""
    rng = np.random.default_rng(1)
    records = []
    for number, anomaly_map in enumerate(maps):
        height, width = sizes[number] if sizes else (5 * length for length in anomaly_map.shape)
        path = folder / f"{number:03}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        records.append(ListedImage(path.name, str(path), "test", height, width, file_sha256(path)))
    write_images(folder / "images.csv", records)
    ids = [record.image_id for record in records]
    grids = np.array([anomaly_map.shape for anomaly_map in maps])
    with ScoreWriter(folder / "scores.h5", ids, {}, grid_sizes=grids, setting="s", localises=localises) as writer:
        for index, anomaly_map in enumerate(maps):
            writer.write(index, anomaly_map.astype(np.float32), float(anomaly_map.max()))
    return ids


def prompting_for(folder, refiner):
    """The stand-in for a segmentation model, with embeddings of all images, for a refiner that asks one."""
    if not refiner.uses_segmenter:
        return None
    records = read_image_list(folder / "images.csv")
    windows = np.array([(0, 0, record.width, record.height) for record in records])
    ids = [record.image_id for record in records]
    with EmbeddingWriter(
        folder / "whole.h5", ids, {"segmenter": Square.model}, windows=windows, shapes=[(2,)]
    ) as writer:
        for index in range(len(ids)):
            writer.write(index, (np.zeros(2, np.float16),))
    return Prompting(SquarePart(), "cpu", folder / "whole.h5")


def masks_of(folder):
    with MaskReader(folder / "masks.h5") as masks:
        return [masks.mask(index) for index in range(len(masks))]


def called(folder):
    with DecisionReader(folder / "decisions.h5") as decisions:
        return decisions.decided.tolist()


EVERY_REFINER = [
    *(Guided(), Guided(min_area=0.2), GrabCut(), GrabCut(min_area=0.2)),
    *(Sam(foreground=False), Sam(foreground=False, min_area=0.2, min_contrast_ratio=0, min_edge_ratio=0)),
]
MAPS_OF_ALL_KINDS = [
    *(np.random.default_rng(seed).gamma(2, 0.7, (6, 7)) for seed in range(6)),  # peaks of one patch at many heights
    *(np.pad(np.full((1, 1), peak), ((3, 4), (2, 5))) for peak in (3.9, 4.0, 4.1, 9.0)),
    *(np.full((4, 5), level) for level in (0.0, 2.5, 4.0, 5.0)),
    np.eye(5) * 6,  # a region that hangs together by corners
    -np.ones((3, 3)),
]


@pytest.mark.parametrize("fine", [False, True], ids=["coarse grids", "grids finer than the images"])
@pytest.mark.parametrize("refiner", EVERY_REFINER, ids=lambda refiner: f"{type(refiner).__name__}-{refiner.min_area}")
def test_a_mask_is_empty_if_and_only_if_its_image_is_not_called_defective(tmp_path, refiner, fine, plain):
    sizes = [(2, 3)] * len(MAPS_OF_ALL_KINDS) if fine else ()
    write_category(tmp_path, MAPS_OF_ALL_KINDS, sizes)
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", 4.0, 2.0)

    for each in (plain, refiner):
        refine(tmp_path, each, prompting_for(tmp_path, each))
        assert [bool(mask.any()) for mask in masks_of(tmp_path)] == called(tmp_path)
    assert 0 < sum(called(tmp_path)) < len(MAPS_OF_ALL_KINDS)


def test_a_refiner_is_given_what_stands_out_and_the_threshold_of_each_image(tmp_path, plain):
    maps = MAPS_OF_ALL_KINDS[:6]
    write_category(tmp_path, maps)
    region, pixel = np.linspace(2, 7, 6), np.linspace(1, 2, 6)
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", region, pixel)

    refine(tmp_path, plain)

    shown = [index for index, is_called in enumerate(called(tmp_path)) if is_called]
    assert 1 < len(shown) < 6
    for (anomaly_map, threshold), index in zip(plain.given, shown, strict=True):
        limits = Thresholds(float(np.float32(pixel[index])), float(np.float32(region[index])))
        assert threshold == limits.pixel
        np.testing.assert_array_equal(anomaly_map, standing_out(maps[index].astype(np.float32), limits, 30, 35))
    with MaskReader(tmp_path / "masks.h5") as masks:
        expected = np.zeros(6)
        expected[shown] = [anomaly_map.max() for anomaly_map, _ in plain.given]
        np.testing.assert_array_equal(masks.mask_scores, expected.astype(np.float32))


def test_an_image_that_is_not_called_defective_is_not_even_read(tmp_path, monkeypatch):
    write_inputs(tmp_path)
    read = []
    monkeypatch.setattr(
        refinement_stage, "read_image", lambda path, *more: read.append(Path(path).name) or read_image(path, *more)
    )

    refine(tmp_path)

    assert read == ["test-bad-a.png", "test-bad-b.png"]


def two_regions():
    """A region that stands out, of one high patch with lower ones around, and a larger one that does not."""
    anomaly_map = np.zeros((12, 12))
    anomaly_map[1:4, 1:4] = 2
    anomaly_map[2, 2] = 5
    anomaly_map[6:11, 5:11] = 3
    return anomaly_map


@pytest.mark.parametrize("refiner", [Guided(), GrabCut(), None], ids=["guided", "grabcut", "sam"])
def test_a_region_that_does_not_stand_out_is_neither_marked_nor_asked_about(tmp_path, refiner):
    write_category(tmp_path, [two_regions()])
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", 4.0, 1.0)
    refiner = refiner or BELIEVING
    refine(tmp_path, refiner, prompting_for(tmp_path, refiner))

    with MaskReader(tmp_path / "masks.h5") as masks:
        (region,) = masks.regions(0)
        assert region["score"] == 5
        assert region["box"][2] < 25
        assert region["box"][3] < 25
        assert masks.mask(0)[:28, :28].any()
        assert not masks.mask(0)[28:].any()


def test_a_region_reaches_further_the_lower_the_threshold_of_pixels_is(tmp_path, plain):
    write_category(tmp_path, [two_regions()])
    areas = []
    for pixel in (4.0, 1.5, 1.0):
        write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", 4.0, pixel)
        refine(tmp_path, plain)
        areas.append(np.count_nonzero(masks_of(tmp_path)[0]))
    assert 0 < areas[0] < areas[1] < areas[2] < 28 * 28


@pytest.mark.parametrize("refiner", EVERY_REFINER[::2], ids=["guided", "grabcut", "sam"])
@pytest.mark.parametrize("localises", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_infinite_thresholds_mark_nothing_and_read_no_photograph(tmp_path, refiner, localises, constant, monkeypatch):
    monkeypatch.delattr(refinement_stage, "read_image")
    maps = [np.full((4, 4), 7.0)] * 2 if constant or not localises else MAPS_OF_ALL_KINDS[:2]
    write_category(tmp_path, maps, localises=localises)
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", np.inf if localises else 5.0, np.inf)
    assert called(tmp_path) == [not localises] * 2

    refine(tmp_path, refiner, prompting_for(tmp_path, refiner))

    assert not any(mask.any() for mask in masks_of(tmp_path))


@pytest.mark.parametrize("refiner", [*EVERY_REFINER[::2], None], ids=["guided", "grabcut", "sam", "plain"])
@pytest.mark.parametrize("pixel", [-1e38, -1e6, -0.5])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.filterwarnings("error")
def test_thresholds_below_all_values_mark_the_whole_image(tmp_path, refiner, plain, pixel, constant):
    write_category(tmp_path, [np.full((4, 4), 7.0) if constant else MAPS_OF_ALL_KINDS[0]])
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", min(0.0, pixel), pixel)

    refiner = refiner or plain
    refine(tmp_path, refiner, prompting_for(tmp_path, refiner))

    (mask,) = masks_of(tmp_path)
    assert mask.any()
    assert refiner is not plain or mask.all()
    for anomaly_map, threshold in plain.given:  # heights above it are told apart
        assert threshold == np.nextafter(anomaly_map.min(), np.float32(-np.inf))


def foreign_decisions(folder, how):
    """Decisions that are not those of the scores of a folder."""
    (folder / "other").mkdir()
    if how == "of other images":
        write_category(folder / "other", [np.ones((8, 8))] * 3)
    else:
        write_inputs(folder / "other", tuple(SIZES)[::-1] if how == "in another order" else tuple(SIZES))
    scores = folder / "other" / "scores.h5"
    if how in ("of other scores", "of a method without maps"):
        with ScoreReader(scores) as reader:
            maps = [reader.anomaly_map(index) for index in range(3)]
        with ScoreWriter(
            scores, tuple(SIZES), {}, grid_sizes=np.tile(GRID, (3, 1)), setting="s", localises=how == "of other scores"
        ) as writer:
            for index, anomaly_map in enumerate(maps):
                writer.write(index, anomaly_map + np.float32(0.25) * (index == 2), float(anomaly_map.max()))
    write_decisions(folder / "decisions.h5", scores, 0.75, 0.5)


OTHER_SCORES = r"was made from other scores than .* \(.* has another highest value\); delete \S* and run again"
FOREIGN = {
    "of other images": "do not contain the same images in the same order; delete .* and run again",
    "in another order": "do not contain the same images in the same order; delete .* and run again",
    "of other scores": OTHER_SCORES,
    "of a method without maps": OTHER_SCORES,
}


@pytest.mark.parametrize(("how", "sentence"), FOREIGN.items(), ids=FOREIGN)
def test_decisions_of_other_images_or_scores_are_refused_and_leave_no_file(tmp_path, how, sentence):
    write_inputs(tmp_path)
    foreign_decisions(tmp_path, how)

    with pytest.raises(DataError, match=rf"^\S*decisions\.h5 .*{sentence}$"):
        refine(tmp_path)

    assert_nothing_left(tmp_path)


# --- with a segmentation model ------------------------------------------------------------------------------------

PARTS = np.zeros((80, 64), bool)
PARTS[4:40, 4:30] = True


class Square(Segmenter):
    """Outlines the box of every prompt, and half of it, and nothing; keeps what it was asked."""

    model: ClassVar[dict[str, Any]] = {"id": "square", "weights_sha256": {"square.pth": "ab"}, "side": 8}
    device = "cpu"
    shapes: ClassVar[list[tuple[int, ...]]] = [(2,)]

    def decode(self, embedding, height, width, prompts, *, several=True):
        answers = []
        for prompt in prompts:
            left, top, right, bottom = (round(side) for side in prompt.box)
            logits = np.full((3, height, width), -4, np.float32)
            logits[0, top:bottom, left:right] = 4
            logits[1, top : (top + bottom) // 2, left:right] = 4
            answers.append(Candidates(logits, np.array([0.5, 0.6, 0.7], np.float32)))
        return answers


class SquarePart(SegmenterConfig):
    summary: ClassVar[str] = "A stand-in."
    reference: ClassVar[str] = "None."

    def load(self, device, batch=None):
        return Square()


class Unloadable(SquarePart):
    def load(self, device, batch=None):
        raise ModelError("the model is absent; download it")


def write_embeddings(path, ids=tuple(SIZES), model=Square.model):
    windows = np.array([(0, 0, SIZES[image_id][1], SIZES[image_id][0]) for image_id in ids])
    with EmbeddingWriter(path, ids, {"segmenter": model}, windows=windows, shapes=[(2,)]) as writer:
        for index in range(len(ids)):
            writer.write(index, (np.zeros(2, np.float16),))
    return path


def write_parts(path, ids=tuple(SIZES), model=None):
    with MaskWriter(path, ids, {"segmenter": model or Square.model}) as writer:
        for image_id in ids:
            height, width = SIZES[image_id]
            writer.append(PARTS[:height, :width], 1.0, [])
    return path


@pytest.fixture
def square(tmp_path):
    """A stand-in with the files that it needs; list and scores are there, too."""
    write_inputs(tmp_path)
    return Prompting(SquarePart(), "cpu", write_embeddings(tmp_path / "embeddings.h5"))


BELIEVING = Sam(min_edge_ratio=0, min_contrast_ratio=0, max_part_share=1, foreground=False)
ASKING = BELIEVING.model_copy(update={"foreground": True})


def test_a_stand_in_outlines_the_boxes_of_the_components_in_every_image(tmp_path, square):
    refine(tmp_path, BELIEVING, square)

    with MaskReader(tmp_path / "masks.h5") as masks:
        for index, (height, width) in enumerate(SIZES.values()):
            expected = np.zeros((height, width), bool)
            for region in masks.regions(index):
                assert region["accepted"]
                left, top, right, bottom = (int(side) for side in region["prompt"]["box"])
                expected[top:bottom, left:right] = True
            np.testing.assert_array_equal(masks.mask(index), expected)
        assert [len(masks.regions(index)) for index in range(3)] == [1, 1, 0]


def test_embeddings_in_another_number_format_are_of_the_same_model(tmp_path, square):
    """One machine embeds in bfloat16, another decodes and would embed in float32."""
    elsewhere = write_embeddings(tmp_path / "elsewhere.h5", model={**Square.model, "dtype": "bfloat16"})
    refine(tmp_path, BELIEVING, Prompting(SquarePart(), "cpu", elsewhere))
    with MaskReader(tmp_path / "masks.h5") as masks:
        assert len(masks) == len(SIZES)


def test_provenance_names_the_model_and_the_device(tmp_path, square):
    refine(tmp_path, BELIEVING, square)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.provenance["segmenter"] == Square.model
        assert masks.provenance["device"] == "cpu"
        assert masks.provenance["refiner"] == {"class": "Sam", "params": BELIEVING.parameters()}
        assert masks.provenance["image_list_sha256"] == "abc"


def test_foregrounds_are_those_of_their_own_images_whatever_the_order(tmp_path, square):
    parts = write_parts(tmp_path / "parts.h5", tuple(reversed(SIZES)))

    class Seeing(Sam):
        def refine(self, image, anomaly_map, threshold, prompted=None):
            seen[prompted.image_id] = prompted.part
            return super().refine(image, anomaly_map, threshold, prompted)

    seen = {}
    refine(tmp_path, Seeing(), Prompting(SquarePart(), "cpu", square.embeddings, foregrounds=parts))

    assert list(seen) == ["test/bad/a.png", "test/bad/b.png"]
    for image_id in seen:
        height, width = SIZES[image_id]
        np.testing.assert_array_equal(seen[image_id], PARTS[:height, :width])


def assert_nothing_left(folder):
    assert [path.name for path in folder.iterdir() if "masks" in path.name] == []


def test_a_refiner_that_asks_for_the_foreground_does_not_go_on_without_an_answer(tmp_path, square):
    with pytest.raises(ValueError, match="uses masks of the foreground object"):
        refine(tmp_path, ASKING, square)

    assert_nothing_left(tmp_path)


def test_embeddings_or_crops_or_foregrounds_of_another_model_are_refused(tmp_path, square):
    other = {**Square.model, "weights_sha256": {"square.pth": "cd"}}
    wrong = write_embeddings(tmp_path / "wrong.h5", model=other)

    write_parts(tmp_path / "wrong" / "wrong.h5", model=other)
    for files in (
        {"embeddings": wrong},
        {"embeddings": square.embeddings, "crops": wrong},
        {"embeddings": square.embeddings, "foregrounds": tmp_path / "wrong" / "wrong.h5"},
    ):
        with pytest.raises(DataError, match=r"wrong\.h5 was made by another segmentation model; delete it and run"):
            refine(tmp_path, BELIEVING, Prompting(SquarePart(), "cpu", **files))
        assert_nothing_left(tmp_path)


def test_an_image_without_an_object_is_named(tmp_path, square):
    parts = write_parts(tmp_path / "parts.h5", ("test/bad/a.png", "test/good/c.png"))

    with pytest.raises(DataError, match=r"parts\.h5 has no mask of test/bad/b\.png; delete it and run again"):
        refine(tmp_path, ASKING, Prompting(SquarePart(), "cpu", square.embeddings, parts))

    assert_nothing_left(tmp_path)


def test_an_image_without_an_embedding_is_named(tmp_path, square):
    some = write_embeddings(tmp_path / "some.h5", ("test/bad/a.png",))

    with pytest.raises(DataError, match=r"some\.h5 has no embedding of test/bad/b\.png at \(0, 0, 40, 80\)"):
        refine(tmp_path, BELIEVING, Prompting(SquarePart(), "cpu", some))

    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("given", ["none", "of other images"])
def test_missing_crops_are_named(tmp_path, square, given):
    crops = None if given == "none" else write_embeddings(tmp_path / "crops.h5", ("test/good/c.png",))
    prompting = Prompting(SquarePart(), "cpu", square.embeddings, crops=crops)

    with pytest.raises(DataError, match=r"no embeddings? of (crops of )?test/bad/a\.png"):
        refine(tmp_path, Sam(crops=CropOptions(below=1, context=1), foreground=False), prompting)

    assert_nothing_left(tmp_path)


def test_a_model_that_cannot_be_loaded_leaves_no_output(tmp_path, square):
    with pytest.raises(ModelError, match="the model is absent"):
        refine(tmp_path, BELIEVING, Prompting(Unloadable(), "cpu", square.embeddings))

    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("files", "given"),
    [
        ({"embeddings": "e.h5", "image_list": "i.csv", "scores": "s.h5"}, {}),
        ({"embeddings": "e.h5", "foregrounds": "f.h5"}, {"foregrounds": "f.h5"}),
        ({"embeddings": "e.h5", "foregrounds": "f.h5", "crops": "c.h5"}, {"foregrounds": "f.h5", "crops": "c.h5"}),
    ],
)
def test_prompting_is_read_from_the_parameters_and_inputs_of_a_job(files, given):
    params = SegmentAnything(model="x.pth").parameters()

    prompting = prompting_of({"family": "segment_anything", "params": params}, "cpu", files)

    assert prompting.segmenter == SegmentAnything(model="x.pth")
    assert (prompting.device, prompting.embeddings.as_posix()) == ("cpu", "e.h5")
    assert {name: getattr(prompting, name) for name in ("foregrounds", "crops") if getattr(prompting, name)} == {
        name: type(prompting.embeddings)(path) for name, path in given.items()
    }
    assert prompting_of(None, "cpu", files) is None


def test_with_a_network_the_masks_are_those_of_each_image_refined_by_itself(tmp_path):
    write_inputs(tmp_path)
    segmenter = SegmentAnything(model=str(write_segment_anything(tmp_path / "sam.pth")), dtype="float32")
    refiner = Sam.build(
        {"crops": {"below": 0.6, "context": 1.2}, "min_edge_ratio": 0, "min_contrast_ratio": 0, "consensus": 0},
        where="here",
    )
    embed_images(
        image_list=tmp_path / "images.csv",
        category="t",
        subset="test",
        segmenter=segmenter,
        execution=Execution(device="cpu"),
        output=tmp_path / "embeddings.h5",
        provenance={},
    )
    embed_crops(
        image_list=tmp_path / "images.csv",
        scores=tmp_path / "scores.h5",
        decisions=tmp_path / "decisions.h5",
        options=refiner.crops,
        min_area=refiner.min_area,
        max_prompts=refiner.max_prompts,
        segmenter=segmenter,
        device="cpu",
        batch=1,
        output=tmp_path / "crops.h5",
        provenance={},
    )
    parts = write_parts(tmp_path / "parts.h5", model=segmenter.load("cpu").model)

    refine(tmp_path, refiner, Prompting(segmenter, "cpu", tmp_path / "embeddings.h5", parts, tmp_path / "crops.h5"))

    model = segmenter.load("cpu")
    with (
        MaskReader(tmp_path / "masks.h5") as masks,
        ScoreReader(tmp_path / "scores.h5") as scores,
        DecisionReader(tmp_path / "decisions.h5") as decisions,
        EmbeddingReader(tmp_path / "embeddings.h5") as embeddings,
        EmbeddingReader(tmp_path / "crops.h5") as crops,
    ):
        for index, record in enumerate(read_image_list(tmp_path / "images.csv")):
            image = read_image(record.path, record.sha256)
            anomaly_map = standing_out(
                scores.anomaly_map(index), decisions.thresholds(index), record.height, record.width
            )
            part = PARTS[: record.height, : record.width]
            prompted = PromptedImage(model, record.image_id, record.height, record.width, embeddings, crops, part)
            expected = refiner.refine(image, anomaly_map, THRESHOLD, prompted)
            np.testing.assert_array_equal(masks.mask(index), expected.mask)
            assert masks.regions(index) == expected.regions
        found = [region for index in range(3) for region in masks.regions(index)]
        assert {region["crop"] is None for region in found} == {True, False}
        assert masks.provenance["segmenter"]["id"] == segmenter.model


def test_of_the_images_that_a_list_lacks_their_number_and_the_first_are_reported():
    scores = SimpleNamespace(path="scores.h5", image_ids=["a", "b", "c"])
    with pytest.raises(
        DataError, match=r"^scores\.h5 has scores of 2 images that images\.csv does not list, first 'b';"
    ):
        records_of(scores, {"a": None}, Path("images.csv"))
    assert records_of(scores, {"c": 3, "b": 2, "a": 1}, Path("images.csv")) == [1, 2, 3]
