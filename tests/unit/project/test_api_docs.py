"""The examples of docs/api.md and of docstrings run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
from pathlib import Path

import pytest

import zsad
from harness import Project
from paths import REPOSITORY
from zsad.classification.classify_images import classify_images
from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.nearest_exemplar import NearestExemplar
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.splits import TEST, SplitRow, write_split
from zsad.data.image_list import read_image_list
from zsad.data.subsets import base_id
from zsad.files.features import FeatureReader
from zsad.files.json_files import read_json

DOCUMENT = REPOSITORY / "docs/api.md"
MODULES = [
    "zsad.metrics",
    "zsad.metrics.images",
    "zsad.metrics.masks",
    "zsad.metrics.pixels",
    "zsad.interactive.classifying",
    "zsad.interactive.deciding",
    "zsad.interactive.trying",
]


@pytest.fixture
def run(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the results of a small run, to work in."""
    shutil.copytree(finished.folder / "results", tmp_path / "results")
    classify(tmp_path / "results/t/ring")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(category: Path) -> None:
    """Name the kinds of its images from one example of each."""
    features = category / "features/embedded/test.original.h5"
    digests = {image.image_id: image.sha256 for image in read_image_list(category / "images.csv")}
    with FeatureReader(features) as reader:
        examples = {"test/chip/000.png": "chip", "test/good/000.png": "good"}
        rows = [
            SplitRow(0, TEST, name, "support", 1, examples[name], digests[name])
            if name in examples
            else SplitRow(0, TEST, name, "query", None, "", digests[name])
            for name in reader.image_ids
        ]
    write_split(category / "splits/nearest.csv", rows)
    classify_images(
        split=category / "splits/nearest.csv",
        features=features,
        support_features=None,
        scores=None,
        support_scores=None,
        masks=None,
        regions="image",
        classifier=NearestExemplar(),
        embedding=EmbeddingOptions(),
        shots=[1],
        probabilities=ProbabilityOptions(),
        conformal=ConformalOptions(),
        output=category / "classification/nearest.h5",
        provenance={},
    )


def test_the_document_runs_as_it_stands(run: Path) -> None:
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, encoding="utf-8")
    assert tried > 40
    assert not failed
    assert (run / "rings.h5").is_file()


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_run_as_they_stand(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed


def test_every_public_metric_has_an_example_that_says_what_it_takes_and_gives() -> None:
    for name in zsad.metrics.__all__:
        value = getattr(zsad.metrics, name)
        if not isinstance(value, type):
            assert ">>> " in value.__doc__, name
            assert name in value.__doc__.split(">>> ", 1)[1], name


def test_the_document_names_all_that_is_offered() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in zsad.__all__:
        assert name in text, name
    for name in zsad.metrics.__all__:
        assert name in text or isinstance(getattr(zsad.metrics, name), type), name


@pytest.mark.parametrize("document", ["README.md", "docs/api.md"])
def test_the_files_that_are_linked_are_there(document: str) -> None:
    path = REPOSITORY / document
    linked = re.findall(r"\]\(([\w./-]+\.(?:ipynb|md))\)", path.read_text(encoding="utf-8"))
    assert linked
    for place in linked:
        assert (path.parent / place).is_file(), place


def test_the_readme_shows_how_it_begins(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (block,) = [text for text in re.findall(r"^```python\n(.*?)^```$", readme, re.S | re.M) if "import zsad\n" in text]
    Path("path/to").mkdir(parents=True)
    shutil.copytree("results/data/t/ring/train/good", "path/to/good")
    shutil.copy("results/data/t/ring/test/chip/000.png", "path/to/photograph.png")
    Path("results/t").rename("results/demo")
    exec(compile(block, "README.md", "exec"), {})
    inspected, measured = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d\.\d+ (True|False) \[.*\]", inspected)
    told = read_json(run / "results/demo/ring/metrics/memory_bank.json")["metrics"]
    assert measured == f"{told['image_auroc']} {told['aupro']}"


def test_a_model_of_the_same_references_is_that_of_the_workflow(run: Path) -> None:
    with zsad.load("results/t/ring/models/memory_bank.h5") as theirs:
        drawn = dict.fromkeys(base_id(image_id) for image_id in theirs.provenance["references"]["image_ids"])
        described, params = theirs.provenance["backbone"], theirs.provenance["scorer"]["params"]
        good = [Path("results/data/t/ring", name) for name in drawn]
        made = zsad.fit(
            "mine.h5", good, "memory_bank", params, backbone=described["family"], backbone_params=described["params"]
        )
        with zsad.load(made) as mine:
            for path in sorted(Path("results/data/t/ring/test").rglob("*.png")):
                one, other = mine.inspect(path), theirs.inspect(path)
                assert (one.score, one.threshold, one.threshold_from) == (other.score, other.threshold, "references")
                assert (one.anomaly_map == other.anomaly_map).all()
