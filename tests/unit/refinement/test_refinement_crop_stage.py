"""The stage that embeds crops: exactly the windows that the refiner will ask for, cut from the right images."""

from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import zsad.refinement.embed_crops as crop_stage
from decision_files import write_decisions
from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import read_image
from zsad.errors import DataError
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.masks import MaskReader
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.refinement.embed_crops import embed_crops
from zsad.refinement.refine_masks import Prompting, refine_masks
from zsad.refinement.regions import slices
from zsad.refinement.sam import Sam
from zsad.segmentation.base import Candidates, Segmenter, SegmenterConfig

SIZES = [(97, 61), (64, 128), (33, 33), (75, 210), (51, 50), (128, 127)]
IDS = [f"test/{index}.png" for index in range(len(SIZES))]


class Means(Segmenter):
    """Embeds an image as its size and mean colour, and outlines the box of every prompt."""

    model: ClassVar[dict[str, Any]] = {"id": "means"}
    device = "cpu"
    shapes: ClassVar[list[tuple[int, ...]]] = [(5,)]

    def __init__(self, batch=None):
        self.batch = batch or 1

    def prepare(self, image):
        return image

    def capacity(self):
        return self.batch

    def embed(self, prepared):
        assert len(prepared) <= self.batch
        return [(described(image),) for image in prepared]

    def decode(self, embedding, height, width, prompts, *, several=True):
        assert embedding[0][:2].tolist() in ([height, width], [0, 0])
        answers = []
        for prompt in prompts:
            left, top, right, bottom = (round(side) for side in prompt.box)
            logits = np.full((1, height, width), -4, np.float32)
            logits[0, top:bottom, left:right] = 4
            answers.append(Candidates(logits, np.ones(1, np.float32)))
        return answers


class MeansPart(SegmenterConfig):
    summary: ClassVar[str] = "A stand-in."
    reference: ClassVar[str] = "None."

    def load(self, device, batch=None):
        return Means(batch)


def described(image):
    return np.array([*image.shape[:2], *image.mean(axis=(0, 1))], np.float16)


def write_inputs(folder, seed=0, scored=tuple(IDS), localises=True):
    """Images of odd sizes, and maps with peaks of all sizes on grids of odd sizes."""
    rng = np.random.default_rng(seed)
    records = []
    for image_id, (height, width) in zip(IDS, SIZES, strict=True):
        path = folder / image_id.replace("/", "-")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        records.append(ListedImage(image_id, str(path), "test", height, width, file_sha256(path)))
    write_images(folder / "images.csv", records)
    grids = rng.integers(5, 15, (len(scored), 2))
    with ScoreWriter(
        folder / "scores.h5",
        scored,
        {"image_list_sha256": "abc"},
        grid_sizes=grids,
        setting="zero-shot-single",
        localises=localises,
    ) as writer:
        for index, grid in enumerate(grids):
            writer.write(index, (rng.random(grid) ** 2).astype(np.float32), 1.0)
    write_decisions(folder / "decisions.h5", folder / "scores.h5", rng.uniform(0.7, 1, len(scored)), 0.7)


def embed(folder, refiner, batch=None):
    embed_crops(
        image_list=folder / "images.csv",
        scores=folder / "scores.h5",
        decisions=folder / "decisions.h5",
        options=refiner.crops,
        min_area=refiner.min_area,
        max_prompts=refiner.max_prompts,
        segmenter=MeansPart(),
        device="cpu",
        batch=batch,
        output=folder / "out" / "crops.h5",
        provenance={"stage": "embed_crops"},
    )
    return folder / "out" / "crops.h5"


def refine(folder, refiner, crops):
    """The records of all regions of all images, by a refine run with the crops."""
    windows = np.array([(0, 0, width, height) for height, width in SIZES])
    whole = folder / "embeddings.h5"
    with EmbeddingWriter(whole, IDS, {"segmenter": Means.model}, windows=windows, shapes=Means.shapes) as writer:
        for index in range(len(IDS)):
            writer.write(index, (np.zeros(5, np.float16),))
    refine_masks(
        image_list=folder / "images.csv",
        scores=folder / "scores.h5",
        decisions=folder / "decisions.h5",
        refiner=refiner,
        output=folder / "masks.h5",
        provenance={},
        prompting=Prompting(MeansPart(), "cpu", whole, crops=crops),
    )
    with MaskReader(folder / "masks.h5") as masks:
        return {image_id: masks.regions(index) for index, image_id in enumerate(masks.image_ids)}


def sam(crops, **params):
    return Sam.build({"crops": crops, "foreground": False, **params}, where="here")


ALL = {"below": 1, "context": 2}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "refiner",
    [
        sam({}),
        sam(ALL),
        sam({"below": 0.3, "context": 1, "least": 0.01}, min_area=0, max_prompts=1000),
        sam({"below": 0.2, "context": 3.3, "least": 0.15}, min_area=0.002, max_prompts=3, consensus=0),
    ],
    ids=["default", "all", "tight", "few"],
)
def test_a_refiner_finds_every_crop_that_it_asks_for_and_asks_for_every_crop(tmp_path, refiner, seed):
    write_inputs(tmp_path, seed)

    crops = embed(tmp_path, refiner)
    regions = refine(tmp_path, refiner, crops)

    asked = {
        (image_id, *region["crop"]) for image_id, found in regions.items() for region in found if region.get("crop")
    }
    with EmbeddingReader(crops) as embeddings:
        made = [
            (image_id, *window)
            for image_id, window in zip(embeddings.image_ids, embeddings.windows.tolist(), strict=True)
        ]
    assert set(made) == asked
    assert len(made) == len(set(made))
    if refiner.crops.below > 0.25:
        assert len(made) > len(SIZES)


@pytest.mark.parametrize("batch", [None, 3, 100])
def test_a_crop_shows_the_image_at_its_window_pixel_by_pixel(tmp_path, batch):
    write_inputs(tmp_path)

    with EmbeddingReader(embed(tmp_path, sam(ALL), batch)) as embeddings:
        assert len(embeddings) > len(SIZES)
        for image_id, window in zip(embeddings.image_ids, embeddings.windows.tolist(), strict=True):
            image = read_image(tmp_path / image_id.replace("/", "-"))
            np.testing.assert_array_equal(embeddings.find(image_id, tuple(window))[0], described(image[slices(window)]))


def test_crops_show_only_what_stands_out_in_images_that_are_called_defective(tmp_path):
    write_inputs(tmp_path)
    with ScoreReader(tmp_path / "scores.h5") as scores:
        peaks = np.array([scores.anomaly_map(index).max() for index in range(len(scores))])
    order = np.argsort(peaks)
    region = np.where(np.isin(np.arange(len(peaks)), order[:2]), 2.0, np.nextafter(peaks, np.float32(0)))
    write_decisions(tmp_path / "decisions.h5", tmp_path / "scores.h5", region, 0.7)  # of the others the peak alone

    with EmbeddingReader(embed(tmp_path, sam(ALL))) as embeddings:
        assert set(embeddings.image_ids) == {IDS[place] for place in order[2:]}


def test_decisions_of_other_images_are_refused_and_leave_no_file(tmp_path):
    write_inputs(tmp_path)
    (tmp_path / "other").mkdir()
    write_inputs(tmp_path / "other", scored=tuple(reversed(IDS)))
    (tmp_path / "other" / "decisions.h5").replace(tmp_path / "decisions.h5")

    with pytest.raises(DataError, match=r"decisions\.h5 and .*scores\.h5 do not contain the same images"):
        embed(tmp_path, sam(ALL))

    assert list(tmp_path.glob("out/*")) == []


def test_the_order_is_that_of_the_scores(tmp_path):
    write_inputs(tmp_path, scored=tuple(reversed(IDS)))

    with EmbeddingReader(embed(tmp_path, sam(ALL))) as embeddings:
        assert list(dict.fromkeys(embeddings.image_ids)) == [
            image_id for image_id in reversed(IDS) if image_id in embeddings.image_ids
        ]


def test_an_image_is_read_once_for_all_its_crops_and_not_at_all_for_none(tmp_path, monkeypatch):
    write_inputs(tmp_path)
    read = []
    monkeypatch.setattr(
        crop_stage, "read_image", lambda path, sha256, white: read.append(path) or read_image(path, sha256, white)
    )

    with EmbeddingReader(embed(tmp_path, sam({"below": 0.12}))) as embeddings:
        shown = list(dict.fromkeys(embeddings.image_ids))

    assert [path.rsplit("/", 1)[1] for path in read] == [image_id.replace("/", "-") for image_id in shown]
    assert 0 < len(shown) < len(SIZES)


@pytest.mark.parametrize("localises", [True, False])
def test_a_category_without_small_components_has_an_empty_file_with_which_refinement_goes_on(tmp_path, localises):
    write_inputs(tmp_path, localises=localises)
    refiner = sam({"below": 0.001} if localises else ALL)

    crops = embed(tmp_path, refiner)

    with EmbeddingReader(crops) as embeddings:
        assert len(embeddings) == 0
        assert embeddings.windows.shape == (0, 4)
    regions = refine(tmp_path, refiner, crops)
    assert any(regions.values()) == localises
    assert not any(region.get("crop") for found in regions.values() for region in found)


def test_provenance_names_the_model_and_the_origin(tmp_path):
    write_inputs(tmp_path)

    with EmbeddingReader(embed(tmp_path, sam({}))) as embeddings:
        assert embeddings.provenance["segmenter"] == Means.model
        assert embeddings.provenance["stage"] == "embed_crops"
        assert embeddings.provenance["image_list_sha256"] == "abc"
        assert 0 <= embeddings.provenance["seconds"] < 600


def test_a_changed_image_leaves_no_output(tmp_path):
    write_inputs(tmp_path)
    Image.new("RGB", SIZES[1][::-1]).save(tmp_path / "test-1.png")

    with pytest.raises(DataError, match="has changed since it was listed"):
        embed(tmp_path, sam(ALL))

    assert list((tmp_path / "out").glob("*")) == []


def test_a_scored_image_that_the_list_lacks_is_named(tmp_path):
    write_inputs(tmp_path, scored=("test/0.png", "test/gone.png"))

    with pytest.raises(DataError, match=r"'test/gone\.png'; run the scoring again"):
        embed(tmp_path, sam(ALL))
