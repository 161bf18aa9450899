"""The stage that makes images for training: files, lists, where they come from, and what becomes of it on an error."""

from __future__ import annotations

import errno
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from zsad.adaptation.make_synthetic import make_synthetic
from zsad.adaptation.origins import read_origins, synthetic_marks, write_origins
from zsad.adaptation.synthetic_sheet import MOST_A_ROW
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import image_facts, read_image
from zsad.data.manifest import read_manifest
from zsad.data.masks import read_mask
from zsad.data.subsets import select
from zsad.errors import DamagedFileError, DataError

SUBSET = "synthetic-k3-seed0-n9-cpns"


def photograph(seed: int, height: int = 60, width: int = 44) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 5, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def listed(folder: Path, white: float | None = None) -> Path:
    """A list of all images in a folder, for training."""
    images = []
    for path in sorted(folder.iterdir()):
        height, width, sha256 = image_facts(path, white)
        images.append(ListedImage(path.name, path.as_posix(), "train", height, width, sha256, white))
    write_images(folder.parent / "training.csv", images)
    return folder.parent / "training.csv"


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """The list of four images: of colour, grey, oblong, and turned by its orientation tag."""
    folder = tmp_path / "good"
    folder.mkdir()
    Image.fromarray(photograph(0)).save(folder / "a.png")
    Image.fromarray(photograph(1)[..., 0]).save(folder / "b.png")
    Image.fromarray(photograph(2, 30, 90)).save(folder / "c.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(3)).save(folder / "d.jpg", quality=95, exif=exif)
    return listed(folder)


def made(training_list: Path, subset: str = SUBSET, *, name: str = "made", threads: int = 1) -> Path:
    """The folder of a subset."""
    folder = training_list.parent / name
    folder.mkdir(exist_ok=True)
    make_synthetic(
        training_list=training_list,
        category="lid",
        subset=subset,
        images=folder / "images.csv",
        manifest=folder / "manifest.csv",
        origins=folder / "made_from.csv",
        sheet=folder / "sheet.png",
        threads=threads,
    )
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_lists_pictures_and_masks_belong_together(training: Path) -> None:
    folder = made(training)
    references = {each.image_id: each for each in select(read_image_list(training), "references-k3-seed0", "lid")}
    images, manifest = read_image_list(folder / "images.csv"), read_manifest(folder / "manifest.csv")
    origins = read_origins(folder / "made_from.csv")
    assert [image.image_id for image in images] == [record.image_id for record in manifest] == list(origins)
    assert len(images) == 9
    assert {record.defect_type for record in manifest} == {"cutpaste", "perlin", "normal_patch", "scar"}
    for image, record in zip(images, manifest, strict=True):
        assert (image.split, record.label) == ("test", 1)
        base = references[origins[image.image_id][0]]
        assert set(origins[image.image_id]) <= references.keys()
        assert (image.height, image.width) == (base.height, base.width)
        shown = read_image(image.path, image.sha256, image.white)
        mask = read_mask(record.mask_path, record.height, record.width, record.mask_sha256)
        original = read_image(base.path, base.sha256)
        assert 0 < mask.mean() < 0.5
        np.testing.assert_array_equal(shown[~mask], original[~mask])
        assert (shown[mask] != original[mask]).any(axis=1).mean() > 0.5
    assert {path.name for path in folder.iterdir()} == {
        "images", "masks", "images.csv", "manifest.csv", "made_from.csv", "sheet.png",
    }  # fmt: skip


def test_a_patch_of_another_image_names_both_and_a_cut_one_its_own(training: Path) -> None:
    origins = read_origins(made(training) / "made_from.csv")
    assert all(len(references) == 2 for image_id, references in origins.items() if "normal_patch" in image_id)
    assert all(len(references) == 1 for image_id, references in origins.items() if "cutpaste" in image_id)
    assert all(len(set(references)) == len(references) for references in origins.values())


def test_the_same_bytes_come_whatever_the_threads_and_the_folder_held_before(training: Path) -> None:
    again = made(training)
    first = contents(again)
    stray = again / "images" / "0099.scar.png"
    stray.write_bytes(b"of an earlier attempt")
    assert contents(made(training)) == first
    threaded = contents(made(training, name="side", threads=3))
    pictures = [name for name in first if name.endswith(".png")]
    assert len(pictures) == 19
    assert all(threaded[name] == first[name] for name in pictures)


def test_the_first_of_many_images_are_those_of_few_and_another_seed_makes_others(training: Path) -> None:
    few, many = (contents(made(training, f"synthetic-all-seed0-n{count}-cs", name=str(count))) for count in (3, 8))
    pictures = [name for name in few if name.startswith(("images/", "masks/"))]
    assert len(pictures) == 6
    assert all(many[name] == few[name] for name in pictures)
    other = contents(made(training, "synthetic-all-seed1-n3-cs", name="other"))
    assert all(other[name] != few[name] for name in pictures)


def test_a_single_reference_is_enough(training: Path) -> None:
    folder = made(training, "synthetic-k1-seed0-n8-cpns")
    assert {len(references) for references in read_origins(folder / "made_from.csv").values()} == {1}


@pytest.mark.parametrize("white", [None, 4095.0])
def test_of_16_bits_is_seen_what_is_seen_of_the_references(tmp_path: Path, white: float | None) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for seed in range(2):
        deep = photograph(seed)[..., 0].astype(np.uint16) * (16 if white else 257) + seed
        cv2.imwrite(str(folder / f"{seed}.png"), deep)
    training_list = listed(folder, white)
    subset = made(training_list, "synthetic-all-seed0-n8-cpns")
    originals = {image.image_id: read_image(image.path, None, white) for image in read_image_list(training_list)}
    origins = read_origins(subset / "made_from.csv")
    records = {record.image_id: record for record in read_manifest(subset / "manifest.csv")}
    for image in read_image_list(subset / "images.csv"):
        assert image.white is None
        mask = read_mask(records[image.image_id].mask_path, image.height, image.width)
        shown = read_image(image.path, image.sha256, image.white)
        np.testing.assert_array_equal(shown[~mask], originals[origins[image.image_id][0]][~mask])
        assert len(np.unique(shown)) > 50


def test_the_sheet_shows_some_of_each_recipe(training: Path) -> None:
    sheet = np.asarray(Image.open(made(training, "synthetic-all-seed0-n16-cp") / "sheet.png")).astype(int)
    assert sheet.shape[1] < 1500
    assert sheet.shape[0] < 1200
    assert np.count_nonzero(np.abs(sheet - (255, 176, 0)).max(axis=2) < 50) > 200


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def until_full(path: Path, content: bytes) -> int:
        if path.name.startswith("0002"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    with pytest.raises(DataError, match="free some space"):
        made(training)
    assert not list((training.parent / "made").iterdir())


@pytest.mark.parametrize("what", ["changed", "gone", "no image"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_reference_that_cannot_be_read_leaves_nothing_behind(training: Path, what: str, threads: int) -> None:
    folder = made(training, "synthetic-all-seed0-n8-cs")
    victim = training.parent / "good" / "c.jpg"
    victim.unlink()
    if what != "gone":
        victim.write_bytes(b"no image" if what == "no image" else cv2.imencode(".jpg", photograph(9))[1].tobytes())
    with pytest.raises(DataError, match=r"c\.jpg"):
        made(training, "synthetic-all-seed0-n8-cs", threads=threads)
    assert not (folder / "images.csv").exists()
    assert not list(folder.glob("images/*"))
    assert not list(folder.glob("masks/*"))


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(photograph(seed, 200, 200)).save(folder / f"{seed}.png")
    training_list = listed(folder)

    def peak(count: int) -> int:
        tracemalloc.start()
        made(training_list, f"synthetic-all-seed0-n{count}-c")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(MOST_A_ROW)  # what is imported late
    few, many = 2 * MOST_A_ROW, 6 * MOST_A_ROW
    assert peak(many) < peak(few) + (many - few) // 2 * 200 * 200 * 3


def test_too_few_references_are_one_sentence(training: Path) -> None:
    with pytest.raises(DataError, match="has 4 training images, fewer than the 5 references"):
        made(training, "synthetic-k5-seed0-n8-cs")
    with pytest.raises(ValueError, match="is not a subset of synthetic images"):
        made(training, "references-k2-seed0")


def test_marks_tell_where_and_of_which_references(training: Path) -> None:
    folder = made(training)
    image_ids = [image.image_id for image in read_image_list(folder / "images.csv")][::-1]
    marks = synthetic_marks(folder / "manifest.csv", folder / "made_from.csv", image_ids)
    assert marks.labels == [1] * 9
    origins = read_origins(folder / "made_from.csv")
    assert marks.made_from == [origins[image_id] for image_id in image_ids]
    shares = marks.shares(0, 6, 4)
    assert shares is not None
    assert shares.shape == (6, 4)
    assert 0 < shares.mean() < 0.5


@pytest.mark.parametrize("what", ["missing", "has changed"])
def test_a_mask_that_is_not_as_it_was_made_has_all_made_anew(training: Path, what: str) -> None:
    folder = made(training)
    image_ids = [image.image_id for image in read_image_list(folder / "images.csv")]
    mask = folder / "masks" / image_ids[2]
    mask.unlink()
    if what == "has changed":
        cv2.imwrite(str(mask), np.zeros((60, 44), np.uint8))
    with pytest.raises(DamagedFileError, match=rf"{image_ids[2]}, which .*{what}") as told:
        synthetic_marks(folder / "manifest.csv", folder / "made_from.csv", image_ids)
    assert told.value.path == folder / "manifest.csv"
    synthetic_marks(folder / "manifest.csv", folder / "made_from.csv", image_ids[:2])


def test_origins_that_were_changed_by_hand_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made_from.csv"
    origins = {"0.png": ("a/b.png", "c.png"), "1.png": ("c.png",)}
    write_origins(path, origins)
    assert read_origins(path) == origins
    path.write_text(path.read_text().replace("c.png", "d.png"))
    with pytest.raises(DataError, match="was changed"):
        read_origins(path)
