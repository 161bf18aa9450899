"""How many images a category has and how large they are, with and without their list."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from zsad.data.dataset import Dataset
from zsad.data.image_list import ListedImage, write_images
from zsad.resources.run import Run
from zsad.resources.workload import Images, Size, Workload, workload_of
from zsad.workflow.settings import load

NO_LIST = Path("does not exist.csv")


def dataset(root: Path | None, layout: str = "mvtec", **changes) -> Dataset:
    config = {"layout": layout, "root": None if root is None else str(root), **changes}
    return load(dataset=config).data


def write_image(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two categories of MVTec's layout: three training and four test images of one size, the last test image larger."""
    for category in ("bolt", "nut"):
        for index in range(3):
            write_image(tmp_path / category / "train" / "good" / f"{index}.png", 20, 30)
        for index in range(3):
            write_image(tmp_path / category / "test" / "good" / f"{index}.png", 20, 30)
        write_image(tmp_path / category / "test" / "scratch" / "0.png", 40, 60)
        write_image(tmp_path / category / "ground_truth" / "scratch" / "0_mask.png", 40, 60)
    return tmp_path


def test_the_list_of_images_says_it_exactly(tmp_path: Path) -> None:
    records = [
        ListedImage(f"{split}/{index}.png", "", split, height, 100, "")
        for index, (split, height) in enumerate([("train", 50), ("test", 50), ("test", 70), ("test", 50)])
    ]
    listed = tmp_path / "images.csv"
    write_images(listed, records)
    workload = workload_of(load().data, "ring", listed)
    assert workload == Workload(Images((Size(50, 100, 1),)), Images((Size(70, 100, 1), Size(50, 100, 2))))
    assert (workload.test.number, workload.test.pixels, workload.every.number) == (3, 17_000, 4)


def test_a_demo_category_is_what_its_options_say() -> None:
    data = load(dataset={"demo": {"size": 64, "train": 2, "good": 3, "defective": 4}}).data
    assert workload_of(data, "ring", NO_LIST) == Workload(Images((Size(64, 64, 2),)), Images((Size(64, 64, 7),)))


def test_a_listing_counts_and_three_headers_tell_the_size(root: Path) -> None:
    workload = workload_of(dataset(root), "bolt", NO_LIST)
    assert workload.train == Images((Size(20, 30, 3),))
    assert workload.test.number == 4
    assert workload.test.largest[:2] == (40, 60)


def test_an_image_that_cannot_be_read_is_taken_for_one_like_the_others(root: Path) -> None:
    for path in (root / "nut" / "train" / "good").iterdir():
        path.write_bytes(b"")
    (root / "nut" / "test" / "scratch" / "0.png").write_bytes(b"no image")
    workload = workload_of(dataset(root), "nut", NO_LIST)
    assert workload == Workload(Images((Size(20, 30, 3),)), Images((Size(20, 30, 4),)))


def test_images_of_which_nothing_can_be_read_are_of_the_usual_size(root: Path) -> None:
    for path in (root / "nut").rglob("*.png"):
        path.write_bytes(b"")
    assert workload_of(dataset(root), "nut", NO_LIST).test == Images((Size(1024, 1024, 4),))


def test_a_data_set_that_is_not_here_yet_is_as_published(tmp_path: Path) -> None:
    data = dataset(None, "mvtec_ad", download_to=str(tmp_path / "nothing"))
    category, counts = next((name, counts) for name, counts in data.facts.categories.items() if counts)
    workload = workload_of(data, category, NO_LIST)
    assert (workload.train.number, workload.test.number) == (counts.train, counts.test)
    assert workload_of(data, "unknown", NO_LIST).test.number > 0


def test_a_subset_and_a_view_are_counted_as_they_are_shown() -> None:
    data = load(dataset={"demo": {"size": 64, "train": 5}}).data
    workload = workload_of(data, "ring", NO_LIST)
    counts = [
        workload.of(subset, view).number
        for subset, view in [
            ("train", "original"),
            ("references-k2-seed0", "original"),
            ("references-k2-seed0", "rotations"),
            ("references-k9-seed0", "original"),
            ("test", "hflip"),
            ("synthetic-k2-seed0-n7-cs", "original"),
            ("synthetic-all-seed0-n2-cs", "original"),
        ]
    ]
    assert counts == [5, 2, 16, 5, 40, 7, 2]


def test_images_made_for_training_are_as_large_as_what_they_are_made_from() -> None:
    workload = Workload(Images.of([(30, 40), (10, 10), (10, 10)]), Images.of([(90, 90)]))
    assert workload.of("synthetic-all-seed0-n7-c").sizes == (Size(30, 40, 3), Size(10, 10, 4))
    assert workload.of("synthetic-all-seed0-n1-c").sizes == (Size(30, 40, 1),)
    assert workload.of("synthetic-k1-seed0-n3-c").sizes == (Size(30, 40, 3),)
    assert Workload(Images(()), Images(())).of("synthetic-all-seed0-n7-c").number == 0


def test_a_category_is_looked_at_once_and_again_when_its_images_are_listed(root: Path, tmp_path: Path) -> None:
    run = Run(load(dataset={"layout": "mvtec", "root": str(root), "name": "t"}), tmp_path / "results")
    assert run.workload("bolt") is run.workload("bolt")
    listed = tmp_path / "results" / "t" / "bolt" / "images.csv"
    listed.parent.mkdir(parents=True)
    write_images(listed, [ListedImage("test/0.png", "", "test", 8, 9, "")])
    assert run.workload("bolt").test == Images((Size(8, 9, 1),))


def test_fifteen_categories_of_a_hundred_images_are_looked_at_at_once(tmp_path: Path) -> None:
    for category in range(15):
        folder = tmp_path / f"category{category}"
        write_image(folder / "train" / "good" / "000.png", 64, 64)
        write_image(folder / "test" / "good" / "000.png", 64, 64)
        for split in ("train", "test"):
            for index in range(1, 50):
                (folder / split / "good" / f"{index:03d}.png").hardlink_to(folder / split / "good" / "000.png")
    run = Run(load(dataset={"layout": "mvtec", "root": str(tmp_path)}), tmp_path / "results")
    start = time.process_time()
    counts = {run.workload(category).every.number for category in run.categories}
    assert counts == {100}
    assert time.process_time() - start < 0.3


def test_examples_are_counted_from_their_folder_and_then_from_their_list(tmp_path: Path) -> None:
    for kind, height in (("dent", 20), ("scratch", 40)):
        for index in range(2):
            write_image(tmp_path / "known" / kind / f"{index}.png", height, 30)
    config = tmp_path / "kinds.yaml"
    nearest = {"classifier": "nearest_exemplar", "backbone": "embedded", "support": "known", "shots": 1}
    content = {"supports": {"known": {"folder": str(tmp_path / "known")}}, "classifiers": {"nearest": nearest}}
    config.write_text(yaml.safe_dump(content))
    run = Run(load(config), tmp_path / "results")
    before = run.images("ring", "support-known", "hflip")
    assert (before.number, {size.height for size in before.sizes}) == (4, {20, 40})
    assert run.images("ring", "support-known", "rotations").number == 4 * 8
    listed = tmp_path / "results/demo/ring/labelled/known.csv"
    listed.parent.mkdir(parents=True)
    write_images(listed, [ListedImage(f"dent/{index}.png", "", "test", 50, 60, "") for index in range(3)])
    assert run.images("ring", "support-known").sizes == (Size(50, 60, 3),)
    assert run.images("ring", "test") == run.workload("ring").test
