"""What Snakemake does about bad input: one sentence, a status other than zero, no half results, and the least anew.

The table in test_faults.py has every other kind of bad input, without Snakemake.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cases.sound import archive, archived_files, described, draw_tile
from damages import draw
from file_server import ServedFile, running_file_server
from harness import Project, merged

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    "dataset": {"name": "t", "layout": "mvtec", "root": "images"},
    "backbone": "embedded",
    "backbones": {"embedded": {"params": {"resolution": 32}}},
    "methods": dict.fromkeys(("self_similarity", "mirror_symmetry", "flip_consistency", "mutual")),
    "refiners": {"grabcut": None},
    "evaluation": {"bootstrap": 50},
    "report": {"gallery": 1, "panel": 64, "dpi": 50},
}
CONFIG["methods"]["memory_bank"] = {"params": {"shots": 2}}
MUTUAL = {"methods__mutual": {"scorer": "mutual"}}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copy_of_repository(tmp_path_factory.mktemp("faults") / "template")


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A project with one small category of its own."""
    project = template.copy(tmp_path / "project")
    draw_tile(project.folder / "images/tile")
    return project


def nothing(image: Path) -> None:
    """Leave the image as it is."""


def cut_off(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("damage", "changes", "sentence", "absent"),
    [
        (cut_off, {}, r"images/tile/test/crack/1\.png cannot be read as an image", "features/embedded/test."),
        (nothing, {"dataset__categories": ["tiles"]}, r"category 'tiles' does not exist .*'tile'\?", "manifest.csv"),
        (nothing, {"dataset__rot": 1}, r"unknown key 'rot' in 'dataset'; did you mean 'root'\?", "manifest.csv"),
    ],
    ids=["a failed job", "a category that does not exist", "a key that does not exist"],
)
def test_bad_input_ends_with_one_sentence_and_no_half_results(
    project: Project, damage: Callable[[Path], None], changes: dict[str, Any], sentence: str, absent: str
) -> None:
    damage(project.folder / "images/tile/test/crack/1.png")
    run = project.run(merged(CONFIG, **changes))
    assert run.status != 0
    assert len(re.findall(sentence, run.output)) == 1, run.output
    assert not any(word in run.output for word in ("Traceback", "RuleException", "Command '", "Logfile"))
    assert not run.made_by(f"t/tile/{absent}")
    assert not list(project.folder.glob("results/**/*.tmp"))
    assert not project.result("t/tables/metrics.csv").exists()


def test_a_test_set_of_one_class_is_measured_as_far_as_it_goes(project: Project) -> None:
    shutil.rmtree(project.folder / "images/tile/test/good")
    run = project.run(CONFIG)
    assert run.status == 0, run.output
    header, row, *_ = project.result("t/tables/metrics.csv").read_text().splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert values["image_auroc"] == "NaN"
    assert 0 <= float(values["pixel_auroc"]) <= 1
    page = project.result("t/report.html").read_text()
    assert "Thresholds and decisions of each method" in page
    assert "Mean image metrics" not in page


def test_images_of_every_kind_and_shape_go_all_the_way(project: Project) -> None:
    rng = np.random.default_rng(0)
    folder = project.folder / "images" / "tile" / "test" / "good"
    grey = rng.integers(0, 256, (48, 33), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "grey.JPG")
    Image.fromarray(grey).convert("P").save(folder / "palette.png")
    Image.fromarray(rng.integers(0, 65536, (70, 35), dtype=np.uint16)).save(folder / "deep.tif")
    Image.fromarray(rng.integers(0, 256, (33, 90, 4), dtype=np.uint8)).save(folder / "alpha 1.png")
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / "täst.bmp")
    run = project.run(merged(CONFIG, **MUTUAL), "tables")
    assert run.status == 0, run.output
    assert project.result("t/tables/images.csv").read_text().count("good/") == 2 * 7


def test_an_image_that_changes_is_seen_and_its_category_alone_would_run_again(project: Project) -> None:
    shutil.copytree(project.folder / "images/tile", project.folder / "images/other")
    assert project.run(CONFIG, "tables").status == 0
    image = project.folder / "images/tile/test/good/0.png"
    before = image.read_bytes()
    draw(image, seed=99)
    planned = project.would_make(CONFIG, "tables")
    stages = ("manifest.csv", "features/embedded/test.original.h5", "scores/memory_bank.h5", "metrics/memory_bank.json")
    assert {f"t/tile/{stage}" for stage in stages} <= planned
    of_references = {
        "t/tile/training.csv",
        "t/tile/features/embedded/references-k2-seed0.rotations.h5",
        "t/tile/models/memory_bank.h5",
    }
    assert not of_references & planned, "a test image is none of theirs"
    assert not any("/other/" in path for path in planned)

    image.write_bytes(before)
    draw(project.folder / "images/other/test/good/new.png", seed=100)
    planned = project.would_make(CONFIG, "tables")
    assert {"t/other/manifest.csv", "t/other/scores/memory_bank.h5"} <= planned
    assert not any("/tile/" in path or path.startswith(("t/other/training", "t/other/models/")) for path in planned)

    (project.folder / "images/other/test/good/new.png").unlink()
    draw(project.folder / "images/tile/train/good/0.png", seed=101)
    planned = project.would_make(CONFIG, "tables")
    assert of_references | {"t/tile/scores/memory_bank.h5"} <= planned
    assert not any("/other/" in path for path in planned)


def test_a_data_set_is_downloaded_once_and_used_from_then_on(template: Project, tmp_path: Path) -> None:
    project = template.copy(tmp_path / "project")
    config = merged(CONFIG, dataset={"name": "t", "layout": "mpdd"})
    with running_file_server() as server:
        (project.folder / "zsad/data/catalogue.yaml").write_text(described(server))
        server.files["/MPDD.zip"] = ServedFile(archive())
        run = project.run(config, offline=False)
        assert run.status == 0, run.output
        assert project.result("t/report.html").exists()
        assert server.parts() == [""]
        assert len(project.result("t/tile/manifest.csv").read_text().splitlines()) == 1 + 7
        folder = project.folder / "data/mpdd"
        assert {name: (folder / name).read_bytes() for name in archived_files()} == archived_files()
        assert project.run(config, offline=False).made == set()

        (project.folder / "data/mpdd.json").unlink()
        shutil.rmtree(project.folder / "data/archives")
        run = project.run(config, offline=False)
        assert run.status == 0, run.output
        assert (project.folder / "data/mpdd.json").exists()
        assert run.made <= {
            *(f"t/plots/{name}.png" for name in ("summary", "bars", "quality_cost")),
            "t/report.html",
        }
        assert server.parts() == [""]

    planned = project.would_make(merged(config, evaluation__bootstrap=60))
    assert any("/metrics/" in path for path in planned)
    assert not any(stage in path for path in planned for stage in ("/features/", "/scores/"))


def test_a_data_set_that_is_learned_from_is_downloaded_and_may_not_be_the_one_under_test(project: Project) -> None:
    """The images of the project are drawn as those of the archive, so that only others may be tested on."""
    config = merged(CONFIG, auxiliary={"layout": "mpdd"}, methods__learned={"scorer": "prompt_memory"})
    target = "results/t/tile/unseen/learned.json"
    with running_file_server() as server:
        (project.folder / "zsad/data/catalogue.yaml").write_text(described(server))
        server.files["/MPDD.zip"] = ServedFile(archive())
        run = project.run(config, target, offline=False)
        assert run.status == 1
        copies = "images/tile/test/crack/0.png is under test, and data/mpdd/MPDD/tile/test/crack/0.png, which is"
        assert f"{copies} for training, is the same image (and 6 more are in both)" in run.output
        assert not run.made_by("/unseen/")
        assert {"mpdd/tile/images.csv", "t/tile/images.csv"} <= run.made

        for seed, path in enumerate(sorted(project.folder.glob("images/tile/*/*/*[0-9].*"))):
            draw(path, seed=1000 + seed)
        run = project.run(config, target, offline=False)
        assert run.status == 0, run.output
        assert server.parts() == [""]
    assert not any(path.startswith("mpdd/") for path in run.made)
    assert project.would_make(config, target) == set()
