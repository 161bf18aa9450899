"""The stage that embeds images: each by itself whatever the batch, in the manifest's order, whole or not at all."""

import logging
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from paths import REPOSITORY
from tiny_sam import write_segment_anything
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import read_image
from zsad.errors import DataError, ModelError
from zsad.features.base import Execution
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.files.provenance import file_sha256
from zsad.segmentation.base import Segmenter, SegmenterConfig
from zsad.segmentation.embed_images import embed_images, write_embeddings
from zsad.segmentation.segment_anything import SegmentAnything

SIZES = {"test/a.png": (40, 64), "test/b.png": (64, 50), "test/c.png": (31, 31), "train/d.png": (20, 90)}


@pytest.fixture
def image_list(tmp_path):
    """Four images, one of which is a training image."""
    rng = np.random.default_rng(0)
    records = []
    for image_id, (height, width) in SIZES.items():
        path = tmp_path / image_id.replace("/", "-")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        split = image_id.split("/")[0]
        records.append(ListedImage(image_id, str(path), split, height, width, file_sha256(path)))
    write_images(tmp_path / "images.csv", records)
    return tmp_path / "images.csv"


class Means(Segmenter):
    """Embeds an image as its size and mean colour; the batch is halved once, as if memory had run out."""

    model: ClassVar[dict[str, Any]] = {"id": "means", "weights_sha256": {"means.pth": "ab"}}
    device = "cpu"
    shapes: ClassVar[list[tuple[int, ...]]] = [(2,), (1, 3)]

    def __init__(self, batch, fails_at=None):
        self.batch, self.fails_at = batch or 1, fails_at
        self.batches = []

    def prepare(self, image):
        return image[::2]

    def capacity(self):
        return self.batch

    def embed(self, prepared):
        self.batches.append(len(prepared))
        if len(self.batches) == self.fails_at:
            raise ModelError("out of memory with a single image")
        self.batch = min(self.batch, 2)
        return [
            (np.array(one.shape[:2], np.float16), one.mean(axis=(0, 1)).astype(np.float16)[None]) for one in prepared
        ]


loaded: list[Means] = []


class MeansPart(SegmenterConfig):
    summary: ClassVar[str] = "A stand-in."
    reference: ClassVar[str] = "None."

    fails_at: int | None = None

    def load(self, device, batch=None):
        loaded.append(Means(batch, self.fails_at))
        return loaded[-1]


def embed(image_list, segmenter=None, subset="test", **execution):
    output = image_list.parent / "out" / "embeddings.h5"
    embed_images(
        image_list=image_list,
        category="t",
        subset=subset,
        segmenter=segmenter or MeansPart(),
        execution=Execution(**({"device": "cpu"} | execution)),
        output=output,
        provenance={"stage": "embed_images"},
    )
    return output


def test_every_image_of_the_subset_is_embedded_whole_in_the_order_of_the_list(image_list):
    with EmbeddingReader(embed(image_list)) as embeddings:
        assert embeddings.image_ids == ["test/a.png", "test/b.png", "test/c.png"]
        for index, image_id in enumerate(embeddings.image_ids):
            height, width = SIZES[image_id]
            assert embeddings.windows[index].tolist() == [0, 0, width, height]
            size, colour = embeddings.find(image_id, (0, 0, width, height))
            image = read_image(image_list.parent / image_id.replace("/", "-"))[::2]
            assert size.tolist() == [(height + 1) // 2, width]
            np.testing.assert_array_equal(colour[0], image.mean(axis=(0, 1)).astype(np.float16))


def test_a_subset_of_training_images_is_embedded_alone(image_list):
    with EmbeddingReader(embed(image_list, subset="references-k1-seed0")) as embeddings:
        assert embeddings.image_ids == ["train/d.png"]
        assert embeddings.provenance["subset"] == "references-k1-seed0"


@pytest.mark.parametrize(("batch", "sizes"), [(None, [1, 1, 1]), (1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (8, [3])])
def test_as_many_images_are_embedded_at_a_time_as_are_asked_for(image_list, batch, sizes):
    embed(image_list, batch=batch)

    assert loaded[-1].batches == sizes


def test_a_capacity_that_shrinks_is_followed(image_list):
    records = read_image_list(image_list)
    copies = [replace(record, image_id=f"test/{n}.png", split="test") for n, record in enumerate(records * 2)]
    write_images(image_list, copies)

    with EmbeddingReader(embed(image_list, batch=3)) as embeddings:
        assert loaded[-1].batches == [3, 2, 2, 1]
        sizes = [embeddings.embedding(index)[0].tolist() for index in range(8)]
    assert sizes == [[(height + 1) // 2, width] for height, width in SIZES.values()] * 2


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_embeddings_are_those_that_the_network_makes_of_each_image_by_itself(image_list, batch):
    part = SegmentAnything(model=str(write_segment_anything(image_list.parent / "sam.pth")), dtype="float32")
    model = part.load("cpu")

    with EmbeddingReader(embed(image_list, part, batch=batch)) as embeddings:
        for index, image_id in enumerate(embeddings.image_ids):
            image = read_image(image_list.parent / image_id.replace("/", "-"))
            (expected,) = model.embed([model.prepare(image)])
            found = embeddings.embedding(index)
            assert [array.dtype for array in found] == [np.float16] * len(model.shapes)
            for array, other in zip(found, expected, strict=True):
                if batch == 1:
                    np.testing.assert_array_equal(array, other)
                np.testing.assert_allclose(array, other, rtol=2e-3, atol=2e-3)  # a rounding of float16


def test_provenance_names_list_subset_model_and_device(image_list):
    with EmbeddingReader(embed(image_list)) as embeddings:
        provenance = embeddings.provenance
    assert provenance["stage"] == "embed_images"
    assert provenance["image_list_sha256"] == file_sha256(image_list)
    assert (provenance["subset"], provenance["device"]) == ("test", "cpu")
    assert provenance["segmenter"] == Means.model
    assert provenance["seconds"] >= 0


def test_the_log_says_when_all_are_done(image_list, caplog):
    with caplog.at_level(logging.INFO):
        embed(image_list, batch=2)

    assert any("embeddings of t: 100 %, 3 of 3" in message for message in caplog.messages)


@pytest.mark.parametrize("images", [1, 3])
def test_fewer_or_more_embeddings_than_entries_leave_nothing(tmp_path, images):
    windows = np.array([(0, 0, 4, 4)] * 2)
    with (
        pytest.raises(ValueError, match=r"argument 2 is (shorter|longer)"),
        EmbeddingWriter(tmp_path / "out" / "e.h5", ["a", "b"], {}, windows=windows, shapes=Means.shapes) as writer,
    ):
        write_embeddings(writer, Means(2), [np.zeros((4, 4, 3), np.uint8)] * images, "test")
    assert list((tmp_path / "out").iterdir()) == []


def assert_nothing_left(image_list):
    assert list((image_list.parent / "out").glob("*")) == []


def test_a_failure_in_the_middle_leaves_nothing(image_list):
    with pytest.raises(ModelError, match="out of memory with a single image"):
        embed(image_list, MeansPart(fails_at=3))

    assert loaded[-1].batches == [1, 1, 1]
    assert_nothing_left(image_list)


@pytest.mark.parametrize("image_id", ["test/a.png", "test/c.png"])
def test_a_changed_image_leaves_nothing(image_list, image_id):
    Image.new("RGB", SIZES[image_id][::-1]).save(image_list.parent / image_id.replace("/", "-"))

    with pytest.raises(DataError, match=rf"{image_id[-5:]} has changed since it was listed"):
        embed(image_list)

    assert_nothing_left(image_list)


def test_a_missing_image_leaves_nothing(image_list):
    (image_list.parent / "test-b.png").unlink()

    with pytest.raises(DataError, match=r"b\.png does not exist"):
        embed(image_list)

    assert_nothing_left(image_list)


def test_an_empty_subset_is_named_before_a_model_is_loaded(image_list):
    before = len(loaded)

    with pytest.raises(DataError, match="category 't' has 1 training images, fewer than the 2 references"):
        embed(image_list, subset="references-k2-seed0")

    assert len(loaded) == before
    assert_nothing_left(image_list)


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
import test_segmentation_embedding_stage as stage

def killed(self, prepared, embed=stage.Means.embed):
    if len(self.batches) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return embed(self, prepared)

stage.Means.embed = killed
stage.embed(Path(sys.argv[1]))
"""


def test_a_job_that_is_killed_leaves_nothing_that_looks_finished_and_the_next_clears_up(image_list):
    paths = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests/unit/segmentation")]
    job = subprocess.run([sys.executable, "-c", KILLED, str(image_list), *paths], check=False, capture_output=True)

    assert job.returncode == -signal.SIGKILL, job.stderr.decode()
    (remains,) = (image_list.parent / "out").glob("*")
    assert remains.name.startswith(".embeddings.h5.")
    assert remains.name.endswith(".tmp")

    with EmbeddingReader(embed(image_list)) as embeddings:
        assert len(embeddings) == 3
    assert [path.name for path in (image_list.parent / "out").iterdir()] == ["embeddings.h5"]
