"""A folder in the MVTec AD layout becomes a manifest that says what is on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.manifest import COLUMNS, read_manifest, write_manifest
from zsad.data.masks import mask_sha256
from zsad.data.readings import read_all
from zsad.data.subsets import references, references_count, select, support_subset
from zsad.errors import DataError
from zsad.files.provenance import file_sha256

LAYOUT = MvtecLayout()


@pytest.fixture
def category(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    folder = tmp_path / "root" / "bottle"
    mask = np.full((12, 16), 255, np.uint8)
    for index in range(3):
        write_png(folder / f"train/good/{index:03}.png", seed=index)
    write_png(folder / "test/good/000.png", seed=10)
    write_png(folder / "test/crack/000.png", seed=11)
    write_png(folder / "test/crack/001.PNG", seed=12)
    write_png(folder / "test/crack/002.bmp", seed=13)
    write_png(folder / "test/dent [1]/a b.jpg", size=(20, 8))
    write_png(folder / "ground_truth/crack/000_mask.png", mask)
    write_png(folder / "ground_truth/crack/001.png", mask)
    write_png(folder / "ground_truth/crack/002/0.png", mask)
    write_png(folder / "ground_truth/crack/002/1.png", mask)
    (folder / "test/crack/.hidden.png").write_text("")
    (folder / "test/crack/Thumbs.db").write_text("")
    (folder / "readme.txt").write_text("not an image")
    return folder


def test_every_image_is_listed_once_with_label_mask_size_and_checksum(category: Path) -> None:
    records = {record.image_id: record for record in LAYOUT.records(category.parent, "bottle")}
    assert sorted(records) == [
        "test/crack/000.png",
        "test/crack/001.PNG",
        "test/crack/002.bmp",
        "test/dent [1]/a b.jpg",
        "test/good/000.png",
        "train/good/000.png",
        "train/good/001.png",
        "train/good/002.png",
    ]
    masks = {name: Path(record.mask_path).name for name, record in records.items()}
    assert masks["test/crack/000.png"] == "000_mask.png"
    assert masks["test/crack/001.PNG"] == "001.png"
    assert masks["test/crack/002.bmp"] == "002"
    assert masks["test/dent [1]/a b.jpg"] == masks["test/good/000.png"] == masks["train/good/000.png"] == ""
    assert records["test/crack/001.PNG"].mask_sha256 == file_sha256(category / "ground_truth/crack/001.png")
    union = mask_sha256(category / "ground_truth/crack/002")
    assert records["test/crack/002.bmp"].mask_sha256 == union
    (category / "ground_truth/crack/002/1.png").rename(category / "ground_truth/crack/002/2.png")
    assert mask_sha256(category / "ground_truth/crack/002") != union
    dent = records["test/dent [1]/a b.jpg"]
    assert (dent.label, dent.defect_type, dent.height, dent.width) == (1, "dent [1]", 20, 8)
    assert dent.sha256 == hashlib.sha256(Path(dent.path).read_bytes()).hexdigest()
    assert {record.label for name, record in records.items() if "good" in name} == {0}


def test_the_files_of_a_category_are_its_images_and_masks(category: Path) -> None:
    names = {path.relative_to(category).as_posix() for path in LAYOUT.files(category.parent, "bottle")}
    assert {"ground_truth/crack/002/0.png", "ground_truth/crack/002/1.png", "ground_truth/crack/001.png"} < names
    assert len(names) == 8 + 4
    assert not any("Thumbs" in name or "hidden" in name or "readme" in name for name in names)


def test_categories_are_the_folders_with_a_test_folder(category: Path) -> None:
    (category.parent / "license").mkdir()
    assert LAYOUT.categories(category.parent) == ["bottle"]
    with pytest.raises(DataError, match=r"does not exist; set dataset\.root"):
        LAYOUT.categories(category / "nowhere")
    with pytest.raises(DataError, match="looks like a single category: give its parent folder"):
        LAYOUT.categories(category)


def test_an_empty_category_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty" / "test").mkdir(parents=True)
    with pytest.raises(DataError, match="category 'empty' has no test images"):
        LAYOUT.records(tmp_path, "empty")


def test_a_manifest_is_sorted_and_deterministic_and_the_list_is_it_without_truth(
    category: Path, tmp_path: Path
) -> None:
    records = LAYOUT.records(category.parent, "bottle")
    write_manifest(tmp_path / "a.csv", records)
    write_manifest(tmp_path / "b.csv", records[::-1])
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == ",".join([*COLUMNS, "digest"])
    assert ",".join(COLUMNS) == "image_id,path,split,label,defect_type,mask_path,height,width,sha256,mask_sha256"
    assert read_manifest(tmp_path / "a.csv") == sorted(records, key=lambda record: record.image_id)
    listed = LAYOUT.listed(category.parent, "bottle", read_all(sorted(category.glob("t*/**/*.*"))))
    write_images(tmp_path / "listed.csv", listed)
    assert (tmp_path / "listed.csv").read_text().splitlines()[0] == "image_id,path,split,height,width,sha256,digest"
    shared = [ListedImage(*(getattr(record, field.name) for field in fields(ListedImage))) for record in records]
    assert read_image_list(tmp_path / "listed.csv") == sorted(shared, key=lambda image: image.image_id)


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not a valid manifest"):
        read_manifest(tmp_path / "other.csv")


def test_an_image_of_an_unknown_split_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "images.csv", [ListedImage("a.png", "a.png", "dev", 8, 8, "0" * 64)])
    with pytest.raises(DataError, match="is not a valid list of images \\('dev' is not a split\\)"):
        read_image_list(tmp_path / "images.csv")


def test_reference_draws_are_seeded_nested_and_from_train_alone(category: Path) -> None:
    records = LAYOUT.records(category.parent, "bottle")
    two = select(records, references(2, 0), "bottle")
    assert two == select(records, "references-k2-seed0", "bottle")
    assert set(select(records, references(1, 0), "bottle")) < set(two)
    assert {record.split for record in two} == {"train"}
    draws = {tuple(record.image_id for record in select(records, references(1, seed), "bottle")) for seed in range(10)}
    assert len(draws) > 1


def test_consecutive_references_are_the_next_files_by_name(category: Path) -> None:
    """AnomalyDINO's ``sorted(train)[seed * k:(seed + 1) * k]``, whatever the order of the list."""
    records = LAYOUT.records(category.parent, "bottle")
    names = sorted(record.image_id for record in records if record.split == "train")
    for shots, seed in ((1, 0), (1, 2), (3, 0)):
        drawn = select(records[::-1], references(shots, seed, consecutive=True), "bottle")
        assert [record.image_id for record in drawn] == names[seed * shots : (seed + 1) * shots]
    assert references_count(references(3, 1, consecutive=True)) == 3
    with pytest.raises(DataError, match=r"has 3 training images, and 'draw: consecutive' of 2 with seed 1 .* number 4"):
        select(records, references(2, 1, consecutive=True), "bottle")


def test_fewer_training_images_than_references_is_an_error_with_both_numbers(category: Path) -> None:
    records = LAYOUT.records(category.parent, "bottle")
    with pytest.raises(DataError, match="has 3 training images, fewer than the 4 references"):
        select(records, references(4, 0), "bottle")
    with pytest.raises(DataError, match="has no train images"):
        select([record for record in records if record.split == "test"], "train", "bottle")
    with pytest.raises(DataError, match="is not a subset"):
        select(records, "validation", "bottle")
    assert select(records, support_subset("known"), "bottle") == records, "which are then those of the support"
    with pytest.raises(DataError, match="support 'known' has no images for category 'bottle'"):
        select([], support_subset("known"), "bottle")


def test_the_real_photographs_are_read_as_counted_by_hand(real_root: Path) -> None:
    records = LAYOUT.records(real_root, "magnetic_tile")
    counts = dict.fromkeys({(record.split, record.defect_type) for record in records}, 0)
    for record in records:
        counts[record.split, record.defect_type] += 1
    assert counts == {
        ("train", "good"): 40,
        ("test", "good"): 40,
        ("test", "blowhole"): 20,
        ("test", "break"): 20,
        ("test", "crack"): 20,
    }
    assert all(bool(record.mask_path) == (record.label == 1) for record in records)
