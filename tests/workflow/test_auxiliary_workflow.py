"""Two data sets in one run: one under test, and one that a method learns from, through the same rules."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import SMALL, Project, merged
from paths import REPOSITORY
from zsad.data.image_list import read_image_list
from zsad.files.json_files import read_json
from zsad.files.learned import Learned, write_learned

pytestmark = pytest.mark.slow

OTHERS = {"layout": "demo", "name": "others", "categories": ["board"], "demo": SMALL["dataset"]["demo"]}
LEARNED = {"scorer": "direction", "params": {"shots": 2}}
CONFIG = merged(
    SMALL,
    auxiliary=OTHERS,
    methods__learned=LEARNED,
    methods__mirror_symmetry=None,
    methods__memory_bank=None,
)
UNSEEN = "results/t/ring/unseen/learned.json"
PREPARED = {"images.csv", "manifest.csv", "unreadable.csv", "check.json", "training.csv"}
WritePng = Callable[..., Path]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a trained method and no results; copy it, do not change it."""
    project = Project.copy_of_repository(tmp_path_factory.mktemp("auxiliary") / "project")
    shutil.copy(REPOSITORY / "tests/toy_trained.py", project.folder / "zsad/scoring/direction.py")
    registry = project.folder / "zsad/scoring/registry.py"
    line = '        "direction": "zsad.scoring.direction:Direction",\n        "mutual":'
    registry.write_text(registry.read_text().replace('        "mutual":', line))
    return project


@pytest.fixture(scope="module")
def whole(ready: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with features of both data sets; likewise."""
    project = ready.copy(tmp_path_factory.mktemp("whole") / "project")
    done = project.run(CONFIG, "features", UNSEEN)
    assert done.status == 0, done.output
    return project


def test_both_data_sets_go_through_the_same_rules(whole: Project) -> None:
    made = {path.relative_to(whole.result("")).as_posix() for path in whole.result("").rglob("*") if path.is_file()}
    assert {f"others/board/{name}" for name in PREPARED} <= made
    assert {f"t/ring/{name}" for name in PREPARED - {"training.csv"}} <= made  # no method asks for references there
    assert {path for path in made if path.startswith("others/board/features")} == {
        "others/board/features/embedded/test.original.h5",
        "others/board/features/embedded/references-k2-seed0.original.h5",
    }
    assert "others/logs/read_images/board.log" in made
    assert "others/benchmarks/extract_features/board.embedded.test.original.tsv" in made
    assert not [path for path in made if path.startswith("others/board/") and "/scores/" in path]
    told = read_json(whole.folder / UNSEEN)
    assert (told["images"], told["learned_from"]) == (11, 11)
    assert told["provenance"]["params"] == {"trained_on": "others", "weights": None}
    assert whole.would_make(CONFIG, "features", UNSEEN) == set()


def test_an_image_that_is_in_both_stops_the_run_before_anything_is_computed(
    ready: Project, tmp_path: Path, write_png: WritePng
) -> None:
    project = ready.copy(tmp_path / "project")
    config = own_images(project.folder, write_png)
    copy = "more/lid/train/good/2.png"  # beside as many as the training reads
    shutil.copy(project.folder / "parts/lid/test/bad/0.png", project.folder / copy)
    done = project.run(config, "results/parts/lid/unseen/learned.json", "features")
    assert done.status == 1
    assert f"parts/lid/test/bad/0.png is under test, and {copy}, which is for training, is" in done.output
    assert "Traceback" not in done.output
    assert not done.made_by("/unseen/")
    (project.folder / copy).unlink()
    done = project.run(config, "results/parts/lid/unseen/learned.json")
    assert done.status == 0, done.output
    # An image that comes later is looked for again.
    shutil.copy(project.folder / "parts/lid/test/bad/0.png", project.folder / "more/lid/test/good/2.png")
    done = project.run(config, "results/parts/lid/unseen/learned.json")
    assert done.status == 1
    assert "more/lid/test/good/2.png, which is for training, is the same" in done.output
    assert not (project.folder / "results/parts/lid/unseen/learned.json").exists()


def test_weights_that_are_given_tell_of_the_images_that_they_were_learned_from(whole: Project, tmp_path: Path) -> None:
    project = whole.copy(tmp_path / "project")
    under_test = read_image_list(project.result("t/ring/images.csv"))
    facts = {"method": "direction", "trained_on": "elsewhere"}
    config = merged(CONFIG, methods__learned={"scorer": "direction", "params": {"weights": "own.safetensors"}})
    weights = project.folder / "own.safetensors"
    for hashes, status in (([under_test[3].sha256], 1), (["0" * 64], 0)):
        write_learned(weights, Learned({}, {**facts, "images_sha256": hashes}))
        done = project.run(config, UNSEEN)
        assert done.status == status, done.output
        said = f"{under_test[3].path} is under test, and own.safetensors was trained on the same image; scores on"
        assert (said in done.output) == bool(status)
        assert "the section 'auxiliary' is not read" in done.output
        assert done.made == ({"t/ring/unseen/learned.json"} if status == 0 else set())
    # Those that do not tell are refused before a run begins.
    write_learned(weights, Learned({}, facts))
    done = project.run(config, UNSEEN)
    assert done.status == 1
    assert "own.safetensors does not name the images that it was trained on" in done.output
    assert done.made == set()


def own_images(folder: Path, write_png: WritePng) -> dict[str, Any]:
    """Two folders of different images with a category of the same name, and a configuration of both."""
    for place in ("parts", "more"):
        for split in ("train/good", "test/good", "test/bad"):
            for index in range(2):
                path = folder / place / "lid" / split / f"{index}.png"
                write_png(path, size=(32, 32), seed=zlib.crc32(path.relative_to(folder).as_posix().encode()))
    section = {"layout": "mvtec", "categories": "all"}
    return merged(
        CONFIG,
        dataset={**section, "name": "parts", "root": "parts"},
        auxiliary={**section, "name": "more", "root": "more"},
    )


def test_categories_of_one_name_are_submitted_apart(ready: Project, tmp_path: Path, write_png: WritePng) -> None:
    project = ready.copy(tmp_path / "project")
    config = own_images(project.folder, write_png)
    config["backbones"]["fine"] = {"family": "embedded", "params": {"resolution": 96}}
    config["methods"]["learned"] = {**LEARNED, "backbone": ["embedded", "fine"]}
    done = project.run(config, "features", "results/parts/lid/unseen/learned.json", "-n")
    assert done.status == 0, done.output
    assert re.search(r"^join_features +3$", done.output, re.M)  # of the one test images, of the other references too
    groups: dict[str, set[str]] = {}
    for name, jobs in re.findall(r"Group job (\S+) \(.*?\):(.*?)(?=\n\[|\nrule|\nReasons|\Z)", done.output, re.S):
        groups.setdefault(name, set()).update(re.findall(r"Missing output files: results/(\w+)/lid", jobs))
    assert groups == {
        "prepare-lid": {"parts"},
        "prepare_auxiliary-lid": {"more"},
        "detect-lid": {"parts"},
        "detect_auxiliary-lid": {"more"},
    }


def test_a_change_of_what_is_learned_from_makes_nothing_anew_of_what_is_under_test(
    whole: Project, tmp_path: Path
) -> None:
    project = whole.copy(tmp_path / "project")
    changed = merged(CONFIG, auxiliary__demo__defective=5)
    made = project.would_make(changed, "features", UNSEEN)
    assert made == {
        "data/others/board.sha256",
        *(f"others/board/{name}" for name in PREPARED),
        "others/board/features/embedded/test.original.h5",
        "others/board/features/embedded/references-k2-seed0.original.h5",
        "t/ring/unseen/learned.json",
    }
    # Nor the other way round.
    made = project.would_make(merged(CONFIG, dataset__demo__defective=5), "features", UNSEEN)
    assert {path.split("/")[0] for path in made} == {"data", "t"}
    assert "data/others/board.sha256" not in made


def test_what_was_learned_from_is_under_test_in_another_run_without_being_read_again(whole: Project) -> None:
    other_way = merged(CONFIG, dataset=OTHERS, auxiliary={**SMALL["dataset"], "layout": "demo"})
    made = whole.would_make(other_way, "features", "results/others/board/unseen/learned.json")
    assert made == {
        "others/board/unseen/learned.json",
        # What is read of the one as a test image, and of the other as a reference.
        "t/ring/training.csv",
        "t/ring/features/embedded/references-k2-seed0.original.h5",
    }


def test_a_table_that_was_changed_is_put_aside_in_either(whole: Project, tmp_path: Path) -> None:
    project = whole.copy(tmp_path / "project")
    table = project.result("others/board/manifest.csv")
    table.write_text(table.read_text().replace("good", "odd"))
    done = project.run(CONFIG, "results/others/board/check.json", "results/others/board/manifest.csv")
    assert done.status == 0, done.output
    assert "results/others/board/manifest.csv was changed after it was made, and is put aside" in done.output
    assert {"others/board/manifest.csv", "others/board/check.json"} <= done.made
    assert "odd" not in table.read_text()


def test_a_message_of_a_job_names_the_section_of_its_images(
    ready: Project, tmp_path: Path, write_png: WritePng
) -> None:
    project = ready.copy(tmp_path / "project")
    config = own_images(project.folder, write_png)
    write_png(project.folder / "more/lid/test/bad/long.png", size=(4, 400))
    done = project.run(config, "results/more/lid/images.csv")
    assert done.status == 1
    assert "more than auxiliary.max_aspect 50 allows" in done.output
    assert "dataset." not in done.output.split("long.png has")[1].split("\n")[0]


def test_features_are_shared_with_those_who_test_on_what_is_learned_from(ready: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    target = "results/others/board/features/embedded/test.original.h5"
    config = merged(CONFIG, sharing={"root": str(shared), "features": True})
    one, other = (ready.copy(tmp_path / name) for name in ("one", "other"))
    done = one.run(config, target)
    assert done.status == 0, done.output
    under_test = merged(config, dataset=OTHERS, auxiliary={**SMALL["dataset"], "layout": "demo"})
    done = other.run(under_test, target)
    assert done.status == 0, done.output
    assert (other.folder / target).resolve() == (one.folder / target).resolve()
    assert (one.folder / target).resolve().is_relative_to(shared)


def test_a_module_learns_from_another_data_set_in_its_own_folder(ready: Project, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    module = (
        "module {name}:\n    snakefile: {snakefile!r}\n    config: config['{section}']\n    prefix: '{prefix}'\n"
        "use rule * from {name} as {name}_*\n"
    )
    parts = [
        module.format(name=name, snakefile=str(ready.folder / "Snakefile"), section=section, prefix=prefix)
        for name, section, prefix in (("one", "one", "moved"), ("two", "two", "beside"))
    ]
    targets = [f"{place}/{UNSEEN}" for place in ("moved", "beside")]
    (host / "Snakefile").write_text(f"configfile: 'host.yaml'\nrule all:\n    input: {targets}\n" + "\n".join(parts))
    plain = {key: {n: e for n, e in CONFIG[key].items() if e is not None} for key in ("methods", "refiners")}
    backbones = {"embedded": {"family": "embedded", "params": {"resolution": 64}}}
    one = {**CONFIG, **plain, "backbones": backbones, "refiners": {}, "report": {"refiner": "none"}}
    (host / "host.yaml").write_text(yaml.safe_dump({"one": one, "two": one}))
    done = Project(host).run(None)
    assert done.status == 0, done.output
    for place in ("moved", "beside"):
        assert (host / place / UNSEEN).is_file()
        assert (host / place / "results/others/board/images.csv").is_file()
        assert (host / place / "results/data/others/board.sha256").is_file()
    # Two modules that would make the features of one data set are refused.
    (host / "Snakefile").write_text((host / "Snakefile").read_text().replace("beside", "moved"))
    (host / "host.yaml").write_text(
        yaml.safe_dump({"one": one, "two": {**one, "dataset": {**one["dataset"], "name": "u"}}})
    )
    done = Project(host).run(None, "-n")
    assert done.status == 1
    said = "its results go to moved/results/others, as do those of the module 'one'; give one of them another"
    assert f"module 'two': {said} auxiliary.name, or a prefix" in done.output
