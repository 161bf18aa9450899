"""The examples in Python of the guides, executed as they stand on a small finished run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from class_files import write_classified
from harness import Project
from paths import REPOSITORY
from zsad.data.manifest import read_manifest
from zsad.files.json_files import read_json

PAGES = ("howto/result_files.md", "tutorials/researcher.md", "faq.md")
Values = Mapping[str, Any]


def examples() -> dict[str, list[str]]:
    """The blocks in Python of the pages, by the heading above them."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        heading, code = "", None
        for line in (REPOSITORY / "docs" / page).read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                if code is not None:
                    found.setdefault(heading, []).append("\n".join(code))
                code = [] if line == "```python" else None
            elif code is not None:
                code.append(line)
            elif title := re.match(r"#+ (.*)", line):
                heading = title[1]
    return found


EXAMPLES = examples()
METRICS = "results/demo/ring/metrics/memory_bank.json"

# What the examples leave behind, by their heading, and what they print.
CHECKS: dict[str, Callable[[Values, str], bool]] = {
    "Images, labels and ground truth": lambda left, said: (
        left["labels"].tolist() == [1, 1, 0, 0, 0, 1, 1]
        and (left["mask"].shape, left["mask"].any()) == ((64, 64), True)
        and said == "[] []\n"
    ),
    "Features": lambda left, said: (left["tokens"].shape, left["class_tokens"].shape) == ((1, 8, 8, 33), (7, 1, 33)),
    "Scores and anomaly maps": lambda left, said: left["anomaly_map"].shape == (8, 8) and len(left["ranked"]) == 7,
    "Decisions": lambda left, said: (
        said.split()[0] == str("test/chip/000.png" in left["called"]) and len(said.split()) == 4
    ),
    "Masks": lambda left, said: left["mask"].shape == (64, 64) and isinstance(left["regions"], list),
    "Evaluation of one method and category": lambda left, said: (
        said.split()[0] == str(read_json(METRICS)["metrics"]["aupro"]) and len(left["aupro"]) == 50
    ),
    "Tables": lambda left, said: "| few-shot-2" in said and left["ring"]["rank"].min() == 1,
    "Models": lambda left, said: re.fullmatch(r"[\d.]+ (True|False) \[.*\]\n", said) is not None,
    "Defect types": lambda left, said: left["answer"].role in ("query", "support"),
    "Where a result comes from": lambda left, said: "'class': 'MemoryBank'" in said and "'torch': " in said,
    "Without zsad": lambda left, said: left["maps"].shape == (7, 8, 8) and "few-shot-2" in said,
    "9. The LaTeX table": lambda left, said: (
        r"\toprule" in said and "few-shot-2 & memory_bank" in said.replace("\\", "")
    ),
    'Which of the metrics is "the" AUROC? Where is PRO?': lambda left, said: "aupro" in said and "memory_bank" in said,
}


@pytest.fixture(scope="module")
def run(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results that the pages speak of."""
    results = tmp_path_factory.mktemp("guides") / "results"
    shutil.copytree(finished.folder / "results", results)
    (results / "t").rename(results / "demo")
    (results / "study").symlink_to("demo")
    (results / "data/demo").symlink_to("t")  # the manifest leads to the folder that it was made from
    tests = [record for record in read_manifest(results / "demo/ring/manifest.csv") if record.split == "test"]
    kinds = {record.image_id: record.defect_type for record in tests}
    write_classified(results / "demo/ring/classification/kinds.h5", kinds, kinds=["chip", "good"], calibration=0)
    return results.parent


def test_every_example_is_known() -> None:
    assert list(EXAMPLES) == list(CHECKS)


@pytest.mark.parametrize("heading", CHECKS)
def test_an_example_reads_what_it_says(
    heading: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run)
    left: dict[str, Any] = {}
    for code in EXAMPLES[heading]:
        exec(compile(code, heading, "exec"), left)
    assert CHECKS[heading](left, capsys.readouterr().out)


def test_the_datasets_that_the_page_lists_are_those_of_the_files(run: Path) -> None:
    text = (REPOSITORY / "docs/howto/result_files.md").read_text(encoding="utf-8")
    for kind, place in {
        "features": "features/embedded/test.original.h5",
        "scores": "scores/memory_bank.h5",
        "decisions": "decisions/memory_bank.h5",
        "masks": "masks/memory_bank.guided.h5",
    }.items():
        (row,) = re.findall(rf"^\| {kind} \| (.*) \|$", text, re.M)
        datasets, _, attributes = row.partition("; attributes ")
        named = {name for name in re.findall(r"`(\w+)`", datasets) if name != "float16"}
        with h5py.File(run / "results/demo/ring" / place) as file:
            assert named == {name for name in file if name not in ("image_id",)}, kind
            assert {*re.findall(r"`(\w+)`", attributes)} <= {*file.attrs}
    with h5py.File(run / "results/demo/ring/draws/memory_bank.h5") as file:
        assert np.isfinite(file["draws/aupro"][:]).all()
