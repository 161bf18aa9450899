"""The refinement stage from files to a file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from tiny_sam import write_segment_anything
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import read_image
from zsad.errors import DataError, ModelError
from zsad.features.base import Execution
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.maps import at_image_size
from zsad.refinement.crops import CropOptions
from zsad.refinement.embed_crops import embed_crops
from zsad.refinement.guided import Guided
from zsad.refinement.images import records_of
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.refine_masks import Prompting, prompting_of, refine_masks
from zsad.refinement.sam import Sam
from zsad.segmentation.base import Candidates, Segmenter, SegmenterPart
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
        writer.write_thresholds(THRESHOLD, THRESHOLD)
        for index, image_id in enumerate(scored):
            anomaly_map = np.zeros(GRID, np.float32)
            if "bad" in image_id:
                anomaly_map[2:5, 2:5] = 1 + index
            writer.write(index, anomaly_map, float(anomaly_map.max()))


def refine(folder, refiner=None, prompting=None):
    refine_masks(
        image_list=folder / "images.csv",
        scores=folder / "scores.h5",
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


def test_provenance_tells_refiner_parameters_threshold_and_origin(tmp_path):
    write_inputs(tmp_path)

    refine(tmp_path)

    with MaskReader(tmp_path / "masks.h5") as masks:
        found = masks.provenance
    assert found["rule"] == "refine_masks"
    assert found["refiner"] == {"class": "Guided", "params": Guided(radius=0.1).parameters()}
    assert found["threshold"] == THRESHOLD
    assert found["image_list_sha256"] == "abc"
    assert found["seconds"] >= 0


def test_a_missing_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "test-good-c.png").unlink()

    with pytest.raises(DataError, match=r"c\.png does not exist"):
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


class SquarePart(SegmenterPart):
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


def test_provenance_tells_the_model_and_the_device(tmp_path, square):
    refine(tmp_path, BELIEVING, square)

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.provenance["segmenter"] == Square.model
        assert masks.provenance["device"] == "cpu"
        assert masks.provenance["refiner"] == {"class": "Sam", "params": BELIEVING.parameters()}
        assert masks.provenance["image_list_sha256"] == "abc"


def test_parts_are_those_of_their_own_images_whatever_the_order(tmp_path, square):
    parts = write_parts(tmp_path / "parts.h5", tuple(reversed(SIZES)))

    class Seeing(Sam):
        def refine(self, image, anomaly_map, threshold, prompted=None):
            seen[prompted.image_id] = prompted.part
            return super().refine(image, anomaly_map, threshold, prompted)

    seen = {}
    refine(tmp_path, Seeing(), Prompting(SquarePart(), "cpu", square.embeddings, foregrounds=parts))

    assert list(seen) == list(SIZES)
    for image_id, (height, width) in SIZES.items():
        np.testing.assert_array_equal(seen[image_id], PARTS[:height, :width])


def assert_nothing_left(folder):
    assert [path.name for path in folder.iterdir() if "masks" in path.name] == []


def test_a_refiner_that_asks_what_the_part_is_does_not_go_on_without_an_answer(tmp_path, square):
    with pytest.raises(ValueError, match="asks what the part is"):
        refine(tmp_path, ASKING, square)

    assert_nothing_left(tmp_path)


def test_embeddings_or_crops_or_parts_of_another_model_are_refused(tmp_path, square):
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


def test_an_image_without_a_part_is_named(tmp_path, square):
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
        EmbeddingReader(tmp_path / "embeddings.h5") as embeddings,
        EmbeddingReader(tmp_path / "crops.h5") as crops,
    ):
        for index, record in enumerate(read_image_list(tmp_path / "images.csv")):
            image = read_image(record.path, record.sha256)
            anomaly_map = at_image_size(scores.anomaly_map(index), record.height, record.width)
            part = PARTS[: record.height, : record.width]
            prompted = PromptedImage(model, record.image_id, record.height, record.width, embeddings, crops, part)
            expected = refiner.refine(image, anomaly_map, THRESHOLD, prompted)
            np.testing.assert_array_equal(masks.mask(index), expected.mask)
            assert masks.regions(index) == expected.regions
        found = [region for index in range(3) for region in masks.regions(index)]
        assert {region["crop"] is None for region in found} == {True, False}
        assert masks.provenance["segmenter"]["id"] == segmenter.model


def test_of_the_images_that_a_list_lacks_their_number_and_the_first_are_told():
    scores = SimpleNamespace(path="scores.h5", image_ids=["a", "b", "c"])
    with pytest.raises(
        DataError, match=r"^scores\.h5 has scores of 2 images that images\.csv does not list, first 'b';"
    ):
        records_of(scores, {"a": None}, Path("images.csv"))
    assert records_of(scores, {"c": 3, "b": 2, "a": 1}, Path("images.csv")) == [1, 2, 3]
