"""Features and embeddings of one user are those of the next, if the images are equal, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tiny_sam import write_segment_anything
from zsad.data.image_list import ListedImage, write_images
from zsad.features.base import Execution
from zsad.features.embedded import Embedded, EmbeddedExtractor
from zsad.features.extract_features import extract_features
from zsad.files.embeddings import EmbeddingReader
from zsad.files.features import FeatureReader
from zsad.files.provenance import file_sha256, stage_provenance
from zsad.segmentation.embed_images import embed_images
from zsad.segmentation.network import NetworkSegmenter
from zsad.segmentation.segment_anything import SegmentAnything

SIZES = {"test/a.png": (40, 64), "test/b.png": (64, 50), "train/c.png": (40, 40)}


def home(folder: Path, seed: int = 0) -> Path:
    """A user's folder with images, and their manifest."""
    rng = np.random.default_rng(seed)
    records = []
    for image_id, (height, width) in SIZES.items():
        path = folder / image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        digest = file_sha256(path)
        records.append(ListedImage(image_id, str(path), image_id[:5].strip("/"), height, width, digest))
    write_images(folder / "images.csv", records)
    return folder


def extracted(folder: Path, shared: Path | None, *, resolution: int = 32, view: str = "rotations") -> Path:
    backbone = Embedded(resolution=resolution)
    extract_features(
        image_list=folder / "images.csv",
        category="tile",
        subset="test",
        view=view,
        backbone=backbone,
        execution=Execution("cpu"),
        output=folder / "features.h5",
        provenance=stage_provenance("extract_features", backbone.parameters(), code={}),
        shared=shared,
    )
    return folder / "features.h5"


def embedded(folder: Path, shared: Path | None, weights: Path) -> Path:
    segmenter = SegmentAnything(model=str(weights), dtype="float32")
    embed_images(
        image_list=folder / "images.csv",
        category="tile",
        subset="test",
        segmenter=segmenter,
        execution=Execution("cpu"),
        output=folder / "embeddings.h5",
        provenance=stage_provenance("embed_images", segmenter.parameters(), code={}),
        shared=shared,
        model_files=[weights],
    )
    return folder / "embeddings.h5"


def must_not_compute(*_: Any) -> None:
    pytest.fail("an image is computed")


def test_features_are_taken_from_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = extracted(home(tmp_path / "anna"), tmp_path / "shared")
    monkeypatch.setattr(EmbeddedExtractor, "begin", must_not_compute)
    second = extracted(home(tmp_path / "bert"), tmp_path / "shared")
    assert second.samefile(first)
    with FeatureReader(second) as reader:
        assert len(reader) == 16  # two images at eight angles
        assert reader.provenance["content_key"] == first.resolve().stem
        assert len(reader.provenance["images_sha256"]) == 64


@pytest.mark.parametrize(
    ("seed", "changes"), [(1, {}), (0, {"resolution": 40}), (0, {"view": "original"})], ids=["pixels", "size", "view"]
)
def test_other_features_are_another_file(tmp_path: Path, seed: int, changes: dict[str, Any]) -> None:
    first = extracted(home(tmp_path / "anna"), tmp_path / "shared")
    second = extracted(home(tmp_path / "bert", seed), tmp_path / "shared", **changes)
    assert second.is_symlink()
    assert not second.samefile(first)


def test_shared_features_are_those_that_are_computed_alone(tmp_path: Path) -> None:
    alone = extracted(home(tmp_path / "anna"), None)
    shared = extracted(home(tmp_path / "bert"), tmp_path / "shared")
    assert (alone.is_symlink(), shared.is_symlink()) == (False, True)
    with FeatureReader(alone) as mine, FeatureReader(shared) as ours:
        assert mine.image_ids == ours.image_ids
        for index in range(len(mine)):
            np.testing.assert_array_equal(mine.half_tokens(index), ours.half_tokens(index))
        np.testing.assert_array_equal(mine.cls_tokens(), ours.cls_tokens())


def test_a_new_parameter_writes_a_new_file_and_not_through_the_link(tmp_path: Path) -> None:
    folder = home(tmp_path / "anna")
    shared = extracted(folder, tmp_path / "shared").resolve()
    before = shared.read_bytes()
    output = extracted(folder, None, resolution=40)
    assert not output.is_symlink()
    assert shared.read_bytes() == before


def test_embeddings_are_taken_from_another_user_if_the_weights_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_segment_anything(tmp_path / "sam.pth")
    first = embedded(home(tmp_path / "anna"), tmp_path / "shared", weights)
    embed: Callable[..., Any] = NetworkSegmenter.embed
    monkeypatch.setattr(NetworkSegmenter, "embed", must_not_compute)
    second = embedded(home(tmp_path / "bert"), tmp_path / "shared", weights)
    assert second.samefile(first)
    with EmbeddingReader(second) as reader:
        assert reader.image_ids == ["test/a.png", "test/b.png"]

    monkeypatch.setattr(NetworkSegmenter, "embed", embed)
    write_segment_anything(weights, seed=1)
    third = embedded(tmp_path / "bert", tmp_path / "shared", weights)
    assert not third.samefile(first)
