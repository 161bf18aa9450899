"""The methods and the data set of the guides are added by what the pages say, and run to the tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness import SMALL, Project, merged
from paths import REPOSITORY
from zsad.data.manifest import read_manifest
from zsad.files.scores import ScoreReader

pytestmark = pytest.mark.slow

METHODS = (REPOSITORY / "docs/howto/add_method.md").read_text(encoding="utf-8")
DATA_SET = (REPOSITORY / "docs/howto/add_data_set.md").read_text(encoding="utf-8")


def add(project: Project, text: str, registry: str) -> list[str]:
    """Write the files of a page and the lines of a registry, and return the names that were registered.

    Every Python block follows the name of its file; every line of the registry is the only code of its kind.
    """
    for path, code in re.findall(r"`(zsad/[\w/]+\.py)`[^`]*?```python\n(.*?)^```$", text, re.S | re.M):
        assert not (project.folder / path).exists()
        (project.folder / path).write_text(code)
    lines = re.findall(r'`("\w+": "zsad[\w.]+:\w+",)`', text)
    place = project.folder / registry
    content = place.read_text()
    first = re.search(r"\n( +)\"\w+\": \"", content)
    added = "".join(f"\n{first[1]}{line}" for line in lines)
    place.write_text(content[: first.start()] + added + content[first.start() :])
    return [re.match(r'"(\w+)"', line)[1] for line in lines]


def configuration(text: str, name: str) -> dict:
    """A block of YAML of a page by the name in its first line."""
    (block,) = re.findall(rf"^```yaml\n# {re.escape(name)}\n(.*?)^```$", text, re.S | re.M)
    return yaml.safe_load(block)


def test_two_methods_are_added_by_a_file_and_a_line_each_and_run_alone(project: Project) -> None:
    assert add(project, METHODS, "zsad/scoring/registry.py") == ["my_method", "mean_reference"]
    added = merged(SMALL)
    for name in ("my_method", "mean_reference"):
        added["methods"] |= configuration(METHODS, f"{name}.yaml")["methods"]
    assert added["methods"]["mean_reference"].pop("seeds") == [0, 1, 2]  # one of them is enough here
    run = project.run(added, "scores")
    assert run.status == 0, run.output
    assert run.made_by("/features/", "/models/", "/scores/") == {
        "t/ring/features/embedded/references-k4-seed0.original.h5",
        "t/ring/models/mean_reference.h5",
        "t/ring/scores/mean_reference.h5",
        "t/ring/scores/my_method.h5",
    }
    with ScoreReader(project.result("t/ring/scores/mean_reference.h5")) as reader:
        assert reader.setting == "few-shot-4"
        assert reader.image_scores.min() > 0


def test_a_layout_is_added_by_a_file_and_a_line_and_runs_to_the_tables(
    tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    project = Project.copy_of_repository(tmp_path / "project")
    assert add(project, DATA_SET, "zsad/data/layouts/registry.py") == ["line_camera"]
    camera = configuration(DATA_SET, "camera.yaml")
    root = project.folder / camera["dataset"]["root"]
    names = re.search(r"^```text\n(lid/.*?)^```$", DATA_SET, re.S | re.M)[1]
    shown = [line.split()[0] for line in names.splitlines()]
    size = (64, 64)
    for seed, name in enumerate([*shown, "lid/golden/0002.png", "lid/ok_0008.png", "lid/ng_dent_0013.png"]):
        write_png(root / name, np.eye(64, dtype=np.uint8) * 255 if "mask" in name else None, size=size, seed=seed)
    small = merged(SMALL, methods={"mutual": None}, refiners={"guided": None, "grabcut": None}, report__refiner="none")
    for name in ("self_similarity", "mirror_symmetry", "flip_consistency", "memory_bank"):
        small["methods"][name] = None
    small["methods"]["mutual"] = {"scorer": "mutual"}
    small["dataset"] = camera["dataset"]
    run = project.run(small, "tables")
    assert run.status == 0, run.output
    with project.result("line_camera/tables/images.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["image_id"]: (row["label"], row["defect_type"]) for row in csv.DictReader(stream)}
    assert rows == {
        "ok_0007.png": ("0", "good"),
        "ok_0008.png": ("0", "good"),
        "ng_scratch_0012.png": ("1", "scratch"),
        "ng_dent_0013.png": ("1", "dent"),
    }
    manifest = read_manifest(project.result("line_camera/lid/manifest.csv"))
    trained = [record.image_id for record in manifest if record.split == "train"]
    assert trained == ["golden/0001.png", "golden/0002.png"]
    masks = [Path(record.mask_path).name for record in manifest if record.mask_path]
    assert masks == ["ng_scratch_0012_mask.png"]
