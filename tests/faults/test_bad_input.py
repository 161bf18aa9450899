"""Whatever is wrong with images or models, a run ends with one sentence, a non-zero status and no half results."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Project, merged

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "dataset": {"name": "t", "layout": "mvtec", "root": "images"},
    "backbones": {"embedded": {"params": {"resolution": 32}}},
    "methods": dict.fromkeys(("self_similarity", "mirror_symmetry", "flip_consistency", "mutual")),
    "refiners": {"grabcut": None},
    "evaluation": {"bootstrap": 50},
    "report": {"gallery": 1, "panel": 64, "dpi": 50},
}
CONFIG["methods"]["memory_bank"] = {"params": {"shots": 2}}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copy_of_repository(tmp_path_factory.mktemp("faults") / "template")


@pytest.fixture
def project(template: Project, tmp_path: Path, write_png: Callable[..., Path]) -> Project:
    """A project with one small category of its own: three good training images, two good and two cracked ones."""
    project = template.copy(tmp_path / "project")
    folder = project.folder / "images" / "tile"
    for index in range(3):
        write_png(folder / f"train/good/{index}.png", size=(32, 40), seed=index)
    for index in range(2):
        write_png(folder / f"test/good/{index}.png", size=(32, 40), seed=10 + index)
        write_png(folder / f"test/crack/{index}.png", size=(32, 40), seed=20 + index)
        mask = np.zeros((32, 40), np.uint8)
        mask[8:16, 8:16] = 255
        write_png(folder / f"ground_truth/crack/{index}_mask.png", mask)
    return project


def truncate(project: Project) -> None:
    path = project.folder / "images/tile/test/crack/1.png"
    path.write_bytes(path.read_bytes()[:-200])


def save_page_as_image(project: Project) -> None:
    (project.folder / "images/tile/test/good/1.png").write_text("<html>not found</html>")


def shrink_mask(project: Project) -> None:
    from PIL import Image

    Image.new("L", (20, 16), 255).save(project.folder / "images/tile/ground_truth/crack/0_mask.png")


def empty_category(project: Project) -> None:
    shutil.rmtree(project.folder / "images/tile/test")
    (project.folder / "images/tile/test").mkdir()


def remove_training_images(project: Project) -> None:
    shutil.rmtree(project.folder / "images/tile/train")


def keep_one_test_image(project: Project) -> None:
    shutil.rmtree(project.folder / "images/tile/test/crack")
    (project.folder / "images/tile/test/good/1.png").unlink()


def nothing(project: Project) -> None:
    """Leave the images as they are."""


MUTUAL = {"methods__mutual": {"scorer": "mutual"}}


@pytest.mark.parametrize(
    ("damage", "changes", "sentence", "absent"),
    [
        (truncate, {}, r"images/tile/test/crack/1\.png cannot be read as an image", "features"),
        (save_page_as_image, {}, r"images/tile/test/good/1\.png cannot be read as an image", "manifest.csv"),
        (shrink_mask, {}, r"0_mask\.png is 20 x 16 pixels but its image is 40 x 32", "metrics"),
        (empty_category, {}, r"category 'tile' has no test images", "manifest.csv"),
        (remove_training_images, {}, r"category 'tile' has 0 training images, fewer than the 2 references", "scores"),
        (
            nothing,
            {"methods__memory_bank__params": {"shots": 4}},
            r"has 3 training images, fewer than the 4 references",
            "scores",
        ),
        (keep_one_test_image, MUTUAL, r"mutual .*at least (2|two)", "scores/mutual.h5"),
        (
            nothing,
            {"dataset__categories": ["tiles"]},
            r"category 'tiles' does not exist .*did you mean 'tile'\?",
            "manifest.csv",
        ),
        (nothing, {"dataset__rot": 1}, r"unknown key 'rot' in 'dataset'; did you mean 'root'\?", "manifest.csv"),
        (nothing, {"backbone": "facebook/no-such-model"}, r"facebook/no-such-model", "features"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_input_ends_with_one_sentence_and_no_half_results(
    project: Project, damage: Callable[[Project], None], changes: dict[str, Any], sentence: str, absent: str
) -> None:
    damage(project)
    run = project.run(merged(CONFIG, **changes))
    assert run.status != 0
    said = [line for line in run.output.splitlines() if re.search(sentence, line)]
    assert said, run.output
    assert "Traceback" not in run.output
    assert (
        not [path for path in run.made if f"t/tile/{absent}" in path and "test.original" not in path]
        or absent == "scores"
    )
    assert not list(project.folder.glob("results/**/*.tmp"))
    assert not project.result("t/tables/metrics.csv").exists()


def test_a_mended_input_finishes_the_run(project: Project) -> None:
    intact = (project.folder / "images/tile/test/crack/1.png").read_bytes()
    truncate(project)
    assert project.run(CONFIG).status != 0
    (project.folder / "images/tile/test/crack/1.png").write_bytes(intact)
    assert project.run(CONFIG).status == 0
    assert project.result("t/report.html").exists()


def test_a_test_set_of_one_class_is_measured_as_far_as_it_goes(project: Project) -> None:
    shutil.rmtree(project.folder / "images/tile/test/good")
    run = project.run(CONFIG)
    assert run.status == 0, run.output
    header, row, *_ = project.result("t/tables/metrics.csv").read_text().splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert values["image_auroc"] == "NaN"
    assert 0 <= float(values["pixel_auroc"]) <= 1
    assert "image metrics" in project.result("t/report.html").read_text()


def test_two_images_are_enough_for_mutual(project: Project) -> None:
    for name in ("good/1.png", "crack/1.png"):
        (project.folder / "images/tile/test" / name).unlink()
    run = project.run(merged(CONFIG, **MUTUAL))
    assert run.status == 0, run.output


def test_images_of_every_kind_and_shape_go_all_the_way(project: Project) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = project.folder / "images" / "tile" / "test" / "good"
    grey = rng.integers(0, 256, (48, 33), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "grey.JPG")
    Image.fromarray(grey).convert("P").save(folder / "palette.png")
    Image.fromarray(rng.integers(0, 65536, (70, 35), dtype=np.uint16)).save(folder / "deep.tif")
    Image.fromarray(rng.integers(0, 256, (33, 90, 4), dtype=np.uint8)).save(folder / "alpha 1.png")
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / "täst.bmp")
    run = project.run(merged(CONFIG, **MUTUAL))
    assert run.status == 0, run.output
    assert project.result("t/tables/images.csv").read_text().count("good/") == 2 * 7


def test_an_image_that_changes_is_seen_and_its_category_alone_runs_again(
    project: Project, write_png: Callable[..., Path]
) -> None:
    shutil.copytree(project.folder / "images/tile", project.folder / "images/other")
    assert project.run(CONFIG).status == 0
    write_png(project.folder / "images/tile/test/good/0.png", size=(32, 40), seed=99)
    run = project.run(CONFIG)
    assert run.status == 0, run.output
    assert run.made_by("/tile/manifest.csv", "/tile/features/", "/tile/scores/", "/tile/metrics/")
    assert not run.made_by("/other/")

    write_png(project.folder / "images/other/test/good/new.png", size=(32, 40), seed=100)
    run = project.run(CONFIG)
    assert run.made_by("/other/manifest.csv", "/other/scores/")
    assert not run.made_by("/tile/")
