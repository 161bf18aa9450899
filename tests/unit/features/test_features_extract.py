"""The extraction stage: image by image, whole or absent, and never with a label."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import read_image
from zsad.errors import ConfigError, DataError
from zsad.features import extract_features as extract
from zsad.features import loading
from zsad.features.base import Backbone, Execution, Extractor, Tokens
from zsad.features.embedded import Embedded
from zsad.features.huggingface import HuggingFace
from zsad.features.writing import BATCHES_WAITING
from zsad.files.features import FeatureReader
from zsad.files.provenance import contents_sha256, file_sha256

SIZES = {"test/bad/0.png": (40, 40), "test/good/0.png": (40, 90), "test/good/1.png": (70, 35)}
BACKBONE = Embedded(resolution=32)
IN_THIS_PROCESS = Execution()


@pytest.fixture
def category(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    """A folder of images of three shapes with their list."""
    records = []
    for seed, (image_id, size) in enumerate({**SIZES, "train/good/0.png": (40, 40)}.items()):
        path = write_png(tmp_path / "images" / image_id, size=size, seed=seed)
        split = image_id.partition("/")[0]
        records.append(ListedImage(image_id, str(path), split, *size, file_sha256(path)))
    write_images(tmp_path / "images.csv", records)
    return tmp_path


def extracted(
    category: Path,
    *,
    backbone: Backbone = BACKBONE,
    subset: str = "test",
    view: str = "original",
    execution: Execution = IN_THIS_PROCESS,
) -> Path:
    output = category / "features.h5"
    extract.extract_features(
        image_list=category / "images.csv",
        category="tile",
        subset=subset,
        view=view,
        backbone=backbone,
        execution=execution,
        output=output,
        provenance={"stage": "extract_features", "params": {"family": "embedded"}},
    )
    return output


def left_behind(category: Path) -> list[str]:
    return sorted(path.name for path in category.iterdir() if path.name not in ("images", "images.csv"))


def test_every_image_of_the_subset_is_stored_with_its_own_grid(category: Path) -> None:
    extractor = BACKBONE.load(Execution("cpu"))
    with FeatureReader(extracted(category)) as reader:
        assert reader.image_ids == list(SIZES)
        assert reader.grid_sizes.tolist() == [[4, 4], [4, 9], [8, 4]]
        assert reader.layers == ["filters"]
        for index, image_id in enumerate(reader.image_ids):
            expected = extractor.extract(read_image(category / "images" / image_id))
            np.testing.assert_array_equal(reader.patch_tokens(index), np.float16(expected.patch_tokens))
            np.testing.assert_array_equal(reader.cls_tokens()[index], expected.cls_tokens)


def test_the_flipped_view_holds_the_tokens_of_the_flipped_image(category: Path) -> None:
    extractor = BACKBONE.load(Execution("cpu"))
    with FeatureReader(extracted(category, view="hflip")) as reader:
        for index, image_id in enumerate(reader.image_ids):
            image = read_image(category / "images" / image_id)
            np.testing.assert_array_equal(
                reader.patch_tokens(index), np.float16(extractor.extract(np.fliplr(image)).patch_tokens)
            )
            assert np.abs(reader.patch_tokens(index) - extractor.extract(image).patch_tokens).max() > 0.05


def test_a_subset_holds_its_images_alone(category: Path) -> None:
    with FeatureReader(extracted(category, subset="references-k1-seed0")) as reader:
        assert reader.image_ids == ["train/good/0.png"]


def test_the_provenance_tells_what_made_the_file(category: Path) -> None:
    with FeatureReader(extracted(category, view="hflip")) as reader:
        provenance = reader.provenance
    assert provenance["stage"] == "extract_features"
    assert provenance["params"] == {"family": "embedded"}
    assert provenance["image_list_sha256"] == file_sha256(category / "images.csv")
    listed = [image for image in read_image_list(category / "images.csv") if image.split == "test"]
    assert provenance["contents_sha256"] == contents_sha256({image.image_id: image.sha256 for image in listed})
    assert (provenance["subset"], provenance["view"], provenance["device"]) == ("test", "hflip", "cpu")
    assert provenance["backbone"] == {"resolution": 32, "stride": 8}
    assert provenance["model"]["id"] == "embedded"
    assert provenance["seconds"] >= 0


def test_a_slow_disk_holds_the_reading_up_so_that_few_images_are_in_memory(
    tmp_path: Path, write_png: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = []
    for seed in range(20):
        path = write_png(tmp_path / "images" / f"{seed:02d}.png", size=(40, 40), seed=seed)
        records.append(ListedImage(f"test/{path.name}", str(path), "test", 40, 40, file_sha256(path)))
    write_images(tmp_path / "images.csv", records)
    events: list[str] = []

    def read(path: str, sha256: str, white: float | None) -> np.ndarray:
        events.append("read")
        return read_image(path, sha256, white)

    class Writer(extract.FeatureWriter):
        def write(self, *values: object) -> None:
            time.sleep(0.02)
            events.append("write")
            super().write(*values)

    monkeypatch.setattr(loading, "read_image", read)
    monkeypatch.setattr(extract, "FeatureWriter", Writer)
    extracted(tmp_path)
    held = np.cumsum([1 if event == "read" else -1 for event in events])
    assert held[-1] == 0
    assert held.max() <= BATCHES_WAITING + 3  # those that wait, and one each being written, handed on and batched


def test_worker_processes_change_nothing(category: Path) -> None:
    with FeatureReader(extracted(category)) as reader:
        alone = [reader.patch_tokens(index) for index in range(3)]
    with FeatureReader(extracted(category, execution=Execution(workers=2))) as reader:
        for index in range(3):
            np.testing.assert_array_equal(reader.patch_tokens(index), alone[index])


@pytest.mark.parametrize(
    ("device", "threads", "images", "side", "expected"),
    [
        ("cpu", 1, 100, 1024, (0, False)),  # a single core: nothing to gain
        ("cpu", 8, 100, 1024, (8, True)),
        ("cpu", 8, 9, 4096, (2, True)),  # few images are not worth many processes
        ("cpu", 8, 100, 320, (0, True)),  # nor are small ones
        ("cuda", 8, 100, 1024, (7, False)),
        ("cuda", 16, 3, 8192, (0, False)),
    ],
)
def test_readers_take_turns_with_a_network_on_the_cpu_and_leave_a_core_to_a_gpu(
    device: str, threads: int, images: int, side: int, expected: tuple[int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "resolve_device", lambda _: device)
    records = [SimpleNamespace(pixels=side * side)] * images
    loader = extract._loader(Execution("auto", threads, workers=None), HuggingFace(model="a/b"), records)
    assert (loader.workers, loader._in_turns) == expected
    assert extract._loader(Execution("auto", threads, workers=1), HuggingFace(model="a/b"), records).workers == 1
    assert extract._loader(Execution("auto", threads, workers=None), BACKBONE, records).workers == 0


def test_images_of_one_shape_are_batched_and_stay_under_their_own_names(category: Path) -> None:
    batched = Counting()
    with FeatureReader(extracted(category, backbone=batched, view="rotations")) as reader:
        assert reader.grid_sizes.tolist() == [[40, 1]] * 8 + [[40, 2]] * 8 + [[70, 1]] * 8
        means = [float(reader.patch_tokens(index)[..., 0].mean()) for index in range(24)]
    names = [f"test/{name}" for name in ("bad/0.png", "good/0.png", "good/1.png")]
    for image, name in enumerate(names):
        upright = read_image(category / "images" / name)
        assert means[8 * image] == pytest.approx(upright.mean(), rel=1e-3)
        assert means[8 * image + 4] == pytest.approx(upright.mean(), rel=1e-3)
    assert SIZES_OF_BATCHES == [3, 3, 2] * 3


def test_batches_end_where_the_shape_changes_or_the_capacity_is_reached() -> None:
    small, large = np.zeros((2, 2, 3)), np.zeros((4, 4, 3))
    images = list(enumerate([small] * 5 + [large] * 2 + [small]))
    found = [indices for indices, _ in extract.batches(images, lambda height, _: 3 if height == 2 else 1)]
    assert found == [[0, 1, 2], [3, 4], [5], [6], [7]]


def test_an_image_changed_since_the_manifest_leaves_no_file(category: Path, write_png: Callable[..., Path]) -> None:
    write_png(category / "images/test/good/1.png", size=(70, 35), seed=99)
    with pytest.raises(DataError, match=r"good/1\.png has changed since it was listed"):
        extracted(category)
    assert left_behind(category) == []


def test_a_truncated_image_leaves_no_file(category: Path) -> None:
    path = category / "images/test/good/1.png"
    path.write_bytes(path.read_bytes()[:-300])
    listed = read_image_list(category / "images.csv")
    of_now = [replace(image, sha256=file_sha256(path)) if image.path == str(path) else image for image in listed]
    write_images(category / "images.csv", of_now)
    with pytest.raises(DataError, match=r"good/1\.png cannot be read as an image"):
        extracted(category)
    assert left_behind(category) == []


@pytest.mark.parametrize("spoilt", ["patch_tokens", "cls_tokens"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_leave_no_file(category: Path, spoilt: str, value: float) -> None:
    with pytest.raises(DataError, match=r"features of test/bad/0\.png are not finite"):
        extracted(category, backbone=Broken(spoilt=spoilt, value=str(value)))
    assert left_behind(category) == []


class Broken(Backbone):
    """A backbone that gives one value that is not finite."""

    summary: ClassVar[str] = "Broken."
    spoilt: str
    value: str

    def load(self, execution: Execution) -> Extractor:
        return BrokenExtractor(self)


class Plain(Extractor):
    """An extractor of one layer that does nothing to the images."""

    layers: ClassVar[list[str]] = ["0"]
    channels = 2
    cls_source = "class token"
    device = "cpu"
    model: ClassVar[dict[str, str]] = {"id": "plain"}

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image


class BrokenExtractor(Plain):
    def __init__(self, backbone: Broken) -> None:
        self.backbone = backbone

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        return (1, 1)

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        tokens = Tokens(np.ones((1, 1, 1, 1, 2), np.float32), np.ones((1, 1, 2), np.float32))
        getattr(tokens, self.backbone.spoilt).flat[0] = float(self.backbone.value)
        return lambda: tokens


SIZES_OF_BATCHES: list[int] = []


class Counting(Backbone):
    """A backbone that takes three images at a time, and whose tokens are the mean of the image."""

    summary: ClassVar[str] = "Counting."
    is_network: ClassVar[bool] = False

    def load(self, execution: Execution) -> Extractor:
        SIZES_OF_BATCHES.clear()
        return CountingExtractor()


class CountingExtractor(Plain):
    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        return (height, width // 40 or 1)

    def capacity(self, height: int, width: int) -> int:
        return 3

    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        SIZES_OF_BATCHES.append(len(prepared))
        rows, columns = self.grid_size(*prepared[0].shape[:2])
        means = np.array([image.mean() for image in prepared], np.float32)
        tokens = np.broadcast_to(means[:, None, None, None, None], (len(prepared), 1, rows, columns, 2))
        return lambda: Tokens(tokens, tokens[:, :, 0, 0])


def test_an_unknown_view_names_the_known_one(category: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no view 'hflipped'; did you mean 'hflip'\?"):
        extracted(category, view="hflipped")


def test_an_empty_subset_is_refused(category: Path) -> None:
    with pytest.raises(DataError, match="fewer than the 4 references"):
        extracted(category, subset="references-k4-seed0")
