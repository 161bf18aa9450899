"""What of a listing matters to the images, and what to their labels alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paths import REPOSITORY
from zsad.data.build_manifest import build_manifest
from zsad.data.image_list import read_image_list
from zsad.data.layouts.csv_table import CsvLayout
from zsad.data.layouts.item import Item
from zsad.data.layouts.kolektor_sdd2 import KolektorSdd2Layout
from zsad.data.listing import image_files, images_digest, truth_digest, truth_files
from zsad.data.manifest import read_manifest
from zsad.data.read_images import read_images
from zsad.workflow.codetrace import code_hashes

ITEMS = (
    Item(Path("a/0.png"), "0.png", "train", 0, "good"),
    Item(Path("a/1.png"), "1.png", "train", "mask", "hole", Path("a/1_mask.png")),
    Item(Path("a/2.png"), "2.png", "test", "mask", "hole", Path("a/2_mask.png")),
    Item(Path("a/3.png"), "3.png", "test", 1, "hole", Path("a/3_mask.png")),
    Item(Path("a/4.png"), "4.png", "test", None, ""),
)
BEFORE_THE_EVALUATION = (
    "extract_features", "join_features", "encode_texts", "embed_images", "segment_foreground",
    "score_images", "fuse_scores", "modulate_scores", "decide_images", "adopt_decisions", "embed_crops", "refine_masks",
)  # fmt: skip


@pytest.mark.parametrize("script", BEFORE_THE_EVALUATION)
def test_no_code_before_the_evaluation_can_read_a_manifest(script: str) -> None:
    code = code_hashes(REPOSITORY, f"workflow_scripts/{script}.py")
    assert "zsad/data/manifest.py" not in code
    assert not any(file.startswith(("zsad/evaluation/", "zsad/data/layouts/")) for file in code)


def test_a_fit_can_read_the_manifest_of_images_that_were_made_for_training_alone() -> None:
    code = code_hashes(REPOSITORY, "workflow_scripts/fit_method.py")
    sources = {file: (REPOSITORY / file).read_text(encoding="utf-8") for file in code if file.endswith(".py")}
    readers = {file for file, source in sources.items() if "import read_manifest" in source}
    assert readers == {"zsad/adaptation/marks.py", "zsad/adaptation/origins.py"}
    assert "origins" in sources["zsad/scoring/fit_method.py"]
    assert "marks import" not in sources["zsad/scoring/fit_method.py"].replace("origins import synthetic_marks", "")
    assert not any(file.startswith(("zsad/evaluation/", "zsad/data/layouts/")) for file in code)


def changed(index: int, **changes: object) -> list[Item]:
    return [replace(item, **changes) if place == index else item for place, item in enumerate(ITEMS)]


@pytest.mark.parametrize(
    "items",
    [
        changed(3, label=0, defect_type="good"),
        changed(3, label=None, defect_type=""),
        changed(3, defect_type="crack"),
        changed(3, mask=None),
        changed(2, label=1),
        changed(4, label=1, mask=Path("a/4_mask.png")),
    ],
)
def test_a_corrected_label_type_or_mask_of_a_test_is_another_truth_of_the_same_images(items: list[Item]) -> None:
    assert images_digest(items) == images_digest(ITEMS)
    assert image_files(items) == image_files(ITEMS)
    assert truth_digest(items) != truth_digest(ITEMS)


@pytest.mark.parametrize(
    "items",
    [
        changed(0, label=1),
        changed(0, split="test"),
        changed(1, label=1),
        changed(1, mask=Path("a/other.png")),
        changed(4, image_id="5.png"),
        changed(4, path=Path("b/4.png")),
        changed(4, split="train"),
        ITEMS[:-1],
        [*ITEMS, Item(Path("a/5.png"), "5.png", "test", 0, "good")],
    ],
)
def test_what_is_trained_and_tested_on_is_a_matter_of_the_images(items: list[Item]) -> None:
    assert images_digest(items) != images_digest(ITEMS)


def test_only_masks_that_tell_who_is_trained_on_are_read_with_the_images() -> None:
    assert [path.name for path in image_files(ITEMS)] == ["0.png", "1.png", "1_mask.png", "2.png", "3.png", "4.png"]
    assert [path.name for path in truth_files(ITEMS)] == ["1_mask.png", "2_mask.png", "3_mask.png"]


@pytest.mark.parametrize("marks", [True, False])
def test_a_mask_that_marks_a_training_image_leaves_it_out_of_both_lists(
    tmp_path: Path, write_png: Callable[..., Path], marks: bool
) -> None:
    for split, name in (("train", "10000"), ("train", "10001"), ("test", "20000")):
        write_png(tmp_path / split / f"{name}.png", size=(12, 16))
        mask = np.full((12, 16), 255 if marks and name != "10000" else 0, np.uint8)
        write_png(tmp_path / split / f"{name}_GT.png", mask)
    layout = KolektorSdd2Layout()
    (category,) = layout.categories(tmp_path)
    images, manifest = tmp_path / "images.csv", tmp_path / "manifest.csv"
    read_images(layout, tmp_path, category, images, tmp_path / "unreadable.csv")
    build_manifest(layout, tmp_path, category, images, manifest)
    listed = [image.image_id for image in read_image_list(images)]
    assert listed == [record.image_id for record in read_manifest(manifest)]
    assert len(listed) == (2 if marks else 3)
    assert [record.label for record in read_manifest(manifest) if record.split == "test"] == [int(marks)]


def test_the_list_of_images_is_the_same_whatever_a_table_calls_them(
    tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    for name in "abc":
        write_png(tmp_path / f"{name}.png")
    lists, manifests = [], []
    for label in ("good", "defective", ""):
        table = f"path,category,split,label\na.png,lid,train,good\nb.png,lid,,{label}\n"
        (tmp_path / "manifest.csv").write_text(table)
        read_images(CsvLayout(), tmp_path, "lid", tmp_path / "i.csv", tmp_path / "u.csv")
        build_manifest(CsvLayout(), tmp_path, "lid", tmp_path / "i.csv", tmp_path / "m.csv")
        lists.append((tmp_path / "i.csv").read_bytes())
        manifests.append([record.label for record in read_manifest(tmp_path / "m.csv")])
    assert lists == lists[:1] * 3
    assert manifests == [[0, 0], [0, 1], [0, None]]
