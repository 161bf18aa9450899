"""The object in an image, from an embedding alone, and the stage that writes it."""

from typing import Any, ClassVar

import numpy as np
import pytest

import zsad.segmentation.base as segmentation_base
from tiny_sam import write_segment_anything
from zsad.data.image_list import ListedImage, write_images
from zsad.errors import ConfigError, DataError
from zsad.files.embeddings import EmbeddingWriter
from zsad.files.masks import MaskReader
from zsad.segmentation.base import Candidates, Segmenter, SegmenterConfig
from zsad.segmentation.foreground import (
    NO_OBJECT,
    ForegroundOptions,
    border_share,
    foreground_prompts,
    middle_share,
    object_mask,
)
from zsad.segmentation.segment_anything import SegmentAnything
from zsad.segmentation.segment_foreground import segment_foreground

HEIGHT, WIDTH = 57, 83


class Pieces(Segmenter):
    """Knows the pieces of an image, which its embedding numbers from 0, and outlines those that points touch.

    A box gives itself, as boxes around textures do. The embedding has a fixed size; the image is its upper left.
    """

    model: ClassVar[dict[str, Any]] = {"id": "pieces"}
    device = "cpu"

    def __init__(self, quality=0.95):
        self.quality = quality
        self.calls = []

    def decode(self, embedding, height, width, prompts, *, several=True):
        self.calls.append(len(prompts))
        return [self.candidates(embedding[0][:height, :width], prompt) for prompt in prompts]

    def candidates(self, pieces, prompt):
        height, width = pieces.shape
        if prompt.box is not None:
            x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
            left, top, right, bottom = prompt.box
            mask = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
        else:
            columns, rows = np.floor(prompt.points).astype(int).T
            mask = np.isin(pieces, pieces[rows, columns])
        masks = [mask, np.zeros_like(mask), np.ones_like(mask)]
        return Candidates(np.where(masks, 4.0, -4.0).astype(np.float32), np.full(3, self.quality, np.float32))


class Stubborn(Segmenter):
    """Answers every prompt with the same candidates."""

    def __init__(self, logits, quality):
        self.answer = Candidates(np.asarray(logits, np.float32), np.asarray(quality, np.float32))

    def decode(self, embedding, height, width, prompts, *, several=True):
        return [self.answer] * len(prompts)


class StandIn(SegmenterConfig):
    summary: ClassVar[str] = "A stand-in."
    reference: ClassVar[str] = "None."

    def load(self, device, batch=None):
        return Pieces()


def blank():
    return np.zeros((HEIGHT, WIDTH), np.float16)


def disc(radius=20, row=27, column=45):
    return np.hypot(np.arange(HEIGHT)[:, None] - row, np.arange(WIDTH) - column) <= radius


def found(pieces, segmenter=None, **options):
    return object_mask(segmenter or Pieces(), (pieces,), *pieces.shape, ForegroundOptions(**options))


# --- the choice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "row", "column"), [(20, 27, 45), (16, 25, 38), (25, 30, 40)])
def test_an_object_in_one_piece_is_found_to_the_pixel(radius, row, column):
    part = disc(radius, row, column)
    result = found(part.astype(np.float16))
    np.testing.assert_array_equal(result.mask, part)
    assert result.found
    assert result.note == ""
    assert result.value == pytest.approx(0.95 * (middle_share(part) - border_share(part)))


def test_the_hole_of_a_ring_is_of_the_object_because_a_defect_could_be_one():
    ring = disc() & ~disc(6)
    np.testing.assert_array_equal(found(ring.astype(np.float16)).mask, disc())


def test_an_object_of_many_pieces_is_what_its_background_leaves_out():
    pieces = blank()
    places = [(row, column) for row in range(14, 40, 9) for column in range(20, 60, 9)]
    for number, (row, column) in enumerate(places, start=1):
        pieces[row : row + 8, column : column + 8] = number
    result = found(pieces)
    np.testing.assert_array_equal(result.mask, pieces > 0)
    assert result.prompt["complement"] is True
    assert result.prompt["box"] is None


def test_an_object_from_border_to_border_lies_between_two_backgrounds_that_all_corners_touch():
    pieces = blank()
    pieces[:, 60:] = 1
    pieces[:, 25:60:2] = 2  # an object of many pieces, none of them large
    pieces[:, 26:60:2] = 3
    result = found(pieces)
    np.testing.assert_array_equal(result.mask, pieces > 1)
    assert len(result.prompt["points"]) == 4


def test_a_texture_is_the_object_as_a_whole_and_a_note_says_so():
    result = found(blank())
    assert result.mask.all()
    assert not result.found
    assert result.note == NO_OBJECT
    assert result.value < ForegroundOptions().least_value


def test_a_blemish_of_a_texture_is_no_object_unless_small_objects_are_asked_for():
    pieces = blank()
    pieces[disc(8)] = 1
    assert found(pieces).mask.all()
    np.testing.assert_array_equal(found(pieces, least_value=0.05).mask, disc(8))


@pytest.mark.parametrize("quality", [[1.0, 1.0, 1.0], [np.nan, np.inf, -3.0]])
@pytest.mark.parametrize(
    "logits",
    [
        np.random.default_rng(0).normal(size=(3, HEIGHT, WIDTH)),
        np.ones((3, HEIGHT, WIDTH)),
        -np.ones((3, HEIGHT, WIDTH)),
        np.full((3, HEIGHT, WIDTH), np.nan),
    ],
    ids=["noise", "everything", "nothing", "nan"],
)
def test_a_model_that_answers_nonsense_leaves_the_whole_image(logits, quality):
    result = found(blank(), Stubborn(logits, quality))
    assert result.mask.all()
    assert not result.found
    assert 0 <= result.value < 0.35


def test_a_mask_of_no_known_quality_is_not_chosen():
    logits = np.where([disc(), disc(16)], 1, -1)
    np.testing.assert_array_equal(found(blank(), Stubborn(logits, [np.nan, 0.9])).mask, disc(16))


def test_a_greater_mask_that_the_model_mistrusts_loses():
    logits = np.where([disc(24), disc(20)], 1, -1)
    np.testing.assert_array_equal(found(blank(), Stubborn(logits, [0.4, 0.9])).mask, disc(20))
    np.testing.assert_array_equal(found(blank(), Stubborn(logits, [0.9, 0.9])).mask, disc(24))


def test_crumbs_are_dropped_and_smaller_pieces_of_an_object_are_kept():
    part, crumb = disc(16, 27, 36), np.zeros((HEIGHT, WIDTH), bool)
    part[20:30, 60:70] = True
    crumb[3:5, 3:5] = True
    logits = np.where(part | crumb, 1, -1)[None]
    np.testing.assert_array_equal(found(blank(), Stubborn(logits, [1.0])).mask, part)


def test_a_mirrored_embedding_gives_the_mirrored_object():
    pieces = blank()
    pieces[disc(18, 25, 35)] = 1
    pieces[disc(7, 20, 30)] = 2
    np.testing.assert_array_equal(found(pieces[:, ::-1]).mask, found(pieces).mask[:, ::-1])
    np.testing.assert_array_equal(found(pieces[::-1]).mask, found(pieces).mask[::-1])


@pytest.mark.parametrize(("height", "width"), [(57, 83), (10, 31), (1, 1), (5, 3)])
def test_the_shares_are_those_of_a_plain_loop(height, width):
    mask = np.random.default_rng(1).random((height, width)) < 0.4
    middle, border = [], []
    for row in range(height):
        for column in range(width):
            depth = min(row, height - 1 - row) - int(0.2 * height), min(column, width - 1 - column) - int(0.2 * width)
            if min(depth) >= 0:
                middle.append(mask[row, column])
            depth = min(row, height - 1 - row) - int(0.1 * height), min(column, width - 1 - column) - int(0.1 * width)
            if min(depth) < 0:
                border.append(mask[row, column])
    assert middle_share(mask) == pytest.approx(np.mean(middle))
    assert border_share(mask) == pytest.approx(np.mean(border) if border else 0)


def test_prompts_lie_in_the_image_and_are_the_same_for_all_images_of_a_size():
    prompts = foreground_prompts(HEIGHT, WIDTH)
    points = np.concatenate([prompt.points for prompt in prompts])
    assert (points > 0).all()
    assert (points < (WIDTH, HEIGHT)).all()
    assert all(prompt.labels.tolist() == [1] * len(prompt.points) for prompt in prompts)
    np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(WIDTH - points[:, 0]))
    np.testing.assert_allclose(prompts[0].box, [0.005 * WIDTH, 0.005 * HEIGHT, 0.995 * WIDTH, 0.995 * HEIGHT])


def test_all_prompts_go_in_one_call_unless_the_image_is_large(monkeypatch):
    pieces, whole, split = disc().astype(np.float16), Pieces(), Pieces()
    at_once = found(pieces, whole)
    monkeypatch.setattr(segmentation_base, "CANDIDATE_MEMORY", 4 * 3 * 4 * HEIGHT * WIDTH)
    in_turns = found(pieces, split)
    assert whole.calls == [15]
    assert split.calls == [4, 4, 4, 3]
    np.testing.assert_array_equal(at_once.mask, in_turns.mask)
    assert at_once[1:] == in_turns[1:]


@pytest.mark.parametrize("wrong", [0, 1.5])
def test_a_value_that_nothing_or_everything_reaches_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"f: least_value = .* is not valid"):
        ForegroundOptions.build({"least_value": wrong}, where="f")


# --- the stage ----------------------------------------------------------------------------------------------------

SCENES = {"test/b.png": disc(), "test/a.png": np.zeros((40, 30), bool), "train/c.png": disc(16, 25, 38)}


@pytest.fixture
def run(tmp_path):
    """Write a manifest and embeddings of SCENES, find the parts, and return the path of the masks.

    The images themselves do not exist.
    """

    def segment(ids=tuple(SCENES), *, listed=tuple(SCENES), changed=None, label=0, made_by="pieces", **arguments):
        sizes = {image_id: scene.shape for image_id, scene in SCENES.items()}
        records = []
        for image_id in listed:
            height, width = (changed or sizes).get(image_id, sizes[image_id])
            path, split = f"/nowhere/{image_id}", image_id.partition("/")[0]
            records.append(ListedImage(image_id, path, split, height, width, "0"))
        write_images(tmp_path / "images.csv", records)
        with EmbeddingWriter(
            tmp_path / "embeddings.h5",
            ids,
            {
                "image_list_sha256": "abc",
                "subset": "test",
                "params": {},
                "segmenter": {"id": made_by, "dtype": "float32"},
            },
            windows=np.array([(0, 0, sizes[image_id][1], sizes[image_id][0]) for image_id in ids]),
            shapes=[(HEIGHT, WIDTH)],
        ) as writer:
            for index, image_id in enumerate(ids):
                rows, columns = sizes[image_id]
                pieces = blank()
                pieces[:rows, :columns] = SCENES[image_id]
                writer.write(index, (pieces,))
        output = tmp_path / "masks" / "masks.h5"
        segment_foreground(
            image_list=tmp_path / "images.csv",
            embeddings=tmp_path / "embeddings.h5",
            segmenter=StandIn(),
            device="cpu",
            output=output,
            provenance={"stage": "segment_foreground"},
            **arguments,
        )
        return output

    return segment


def test_every_embedded_image_gets_the_mask_of_its_object_in_the_order_of_the_embeddings(run):
    with MaskReader(run()) as masks:
        assert masks.image_ids == list(SCENES)
        np.testing.assert_array_equal(masks.mask(0), disc())
        np.testing.assert_array_equal(masks.mask(1), np.ones((40, 30), bool))
        np.testing.assert_array_equal(masks.mask(2), disc(16, 25, 38))


def test_the_one_region_names_box_value_prompt_and_whether_an_object_was_found(run):
    with MaskReader(run()) as masks:
        (part,), (whole,) = masks.regions(0), masks.regions(1)
        assert part["box"] == [25, 7, 66, 48]
        assert part["area"] == disc().sum()
        assert part["score"] == pytest.approx(0.95 * (middle_share(disc()) - border_share(disc())))
        assert masks.mask_scores[0] == pytest.approx(part["score"])
        assert (part["accepted"], part["reason"]) == (True, "")
        assert {"points", "quality", "complement"} <= part["prompt"].keys()
        assert whole["box"] == [0, 0, 30, 40]
        assert (whole["accepted"], whole["reason"]) == (False, NO_OBJECT)


def test_embeddings_of_another_model_are_refused_and_those_in_another_number_format_are_not(run):
    run(made_by="pieces")
    with pytest.raises(DataError, match=r"embeddings\.h5 was made by another segmentation model; delete it"):
        run(made_by="others")


def test_an_object_depends_on_its_own_embedding_alone(run):
    def by_id(path):
        with MaskReader(path) as masks:
            return {
                image_id: (masks.mask(index).tobytes(), masks.regions(index))
                for index, image_id in enumerate(masks.image_ids)
            }

    together = by_id(run())
    assert by_id(run(tuple(reversed(SCENES)), label=1)) == together
    assert by_id(run(("test/b.png",))) == {"test/b.png": together["test/b.png"]}


def test_provenance_names_model_options_device_and_origin(run):
    with MaskReader(run(options=ForegroundOptions(least_value=0.5))) as masks:
        provenance = masks.provenance
    assert provenance["stage"] == "segment_foreground"
    assert provenance["segmenter"] == {"id": "pieces"}
    assert provenance["options"] == {"least_value": 0.5}
    assert provenance["device"] == "cpu"
    assert provenance["image_list_sha256"] == "abc"
    assert provenance["subset"] == "test"
    assert provenance["seconds"] > 0


def test_an_image_of_another_size_than_the_list_says_leaves_no_masks(run, tmp_path):
    with pytest.raises(DataError, match=r"'test/a\.png' from \(0, 0\) to \(30, 40\).* 30 x 41 pixels; delete"):
        run(changed={"test/a.png": (41, 30)})
    assert not list(tmp_path.glob("masks/*"))


def test_an_image_that_is_not_listed_leaves_no_masks(run, tmp_path):
    with pytest.raises(DataError, match=r"'train/c\.png', which .*images\.csv does not list"):
        run(listed=("test/a.png", "test/b.png"))
    assert not list(tmp_path.glob("masks/*"))


def test_with_a_network_an_object_is_the_best_of_its_candidates_however_they_are_decoded(tmp_path):
    model = SegmentAnything(model=str(write_segment_anything(tmp_path / "sam.pth"))).load("cpu")
    images = {
        f"test/{seed}.png": np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        for seed, size in enumerate([(40, 64), (64, 50), (57, 57)])
    }
    embeddings = [model.embed([model.prepare(image)])[0] for image in images.values()]
    records = [ListedImage(name, "/nowhere", "test", *images[name].shape[:2], "0") for name in images]
    write_images(tmp_path / "images.csv", records)
    windows = np.array([(0, 0, image.shape[1], image.shape[0]) for image in images.values()])
    with EmbeddingWriter(
        tmp_path / "embeddings.h5", list(images), model.provenance(), windows=windows, shapes=model.shapes
    ) as writer:
        for index, embedding in enumerate(embeddings):
            writer.write(index, embedding)

    segment_foreground(
        image_list=tmp_path / "images.csv",
        embeddings=tmp_path / "embeddings.h5",
        segmenter=SegmentAnything(model=str(tmp_path / "sam.pth")),
        device="cpu",
        output=tmp_path / "masks.h5",
        provenance={},
        options=ForegroundOptions(least_value=1e-6),
    )

    with MaskReader(tmp_path / "masks.h5") as masks:
        assert masks.provenance["segmenter"]["id"] == str(tmp_path / "sam.pth")
        for index, (embedding, image) in enumerate(zip(embeddings, images.values(), strict=True)):
            height, width = image.shape[:2]
            values = []
            for prompt in foreground_prompts(height, width):
                (candidates,) = model.decode(embedding, height, width, [prompt])
                for logits, quality in zip(candidates.logits, candidates.quality, strict=True):
                    mask = logits > 0
                    values.append(np.clip(quality, 0, 1) * abs(middle_share(mask) - border_share(mask)))
            (region,) = masks.regions(index)
            assert region["accepted"]
            assert region["score"] == pytest.approx(max(values), abs=2e-3)
            assert masks.mask(index).shape == (height, width)
            assert masks.mask(index).sum() == region["area"] > 0
