"""A backbone is one file and one line: whatever it leaves out, everything from the registry to the page works."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from chain import Chain, Step, _execute
from harness import merged
from paths import REPOSITORY
from toy_backbones import SpoiltNetwork, Table
from zsad.cli.command import main
from zsad.data.inspection import inspect_category
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES, find_family
from zsad.files.features import FeatureReader
from zsad.resources.estimate import memory_request, runtime_request
from zsad.resources.feature_files import expected_cost
from zsad.resources.jobs import estimated, threads_of
from zsad.resources.run import Run, uses_network
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
DOCUMENTED = (REPOSITORY / "docs/backbones.md").read_text(encoding="utf-8")
CODE = re.search(r"^```python\n(.*?)^```$", DOCUMENTED, re.S | re.M)[1]
LINE = re.search(r'`"(my_backbone)": "zsad\.features\.(my_backbone:\w+)"`', DOCUMENTED)
TOYS = {
    "strip": "toy_backbones:Strip",
    "measured": "toy_backbones:Measured",
    "table": "toy_backbones:Table",
    "spoilt": "toy_backbones:Spoilt",
    "spoilt_network": "toy_backbones:SpoiltNetwork",
}
ENTRIES: Mapping[str, Any] = {
    "mine": {"family": "my_backbone", "params": {"cells": 6}},
    "wide": {"family": "strip", "params": {"depth": 3}},
    "measured": {"family": "measured"},
}
METHODS = {
    "by_mine": {"scorer": "self_similarity", "backbone": "mine"},
    "by_wide": {"scorer": "mutual", "backbone": "wide"},
    "by_measured": {"scorer": "mutual", "backbone": "measured"},
    "by_table": {"scorer": "memory_bank", "params": {"shots": 2}, "backbone": "toy-table"},
}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, and toys in the registry, by a line each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_backbone.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "toy.txt").write_text("1\n", encoding="utf-8")
    for name, entry in {LINE[1]: LINE[2], **TOYS}.items():
        monkeypatch.setitem(BACKBONES._entries, name, entry)


@pytest.fixture
def images(write_png: Callable[..., Path], tmp_path: Path) -> Path:
    """Images of two shapes, of which some are defective."""
    root = tmp_path / "set"
    shapes = ((40, 48), (48, 48))
    for seed in range(3):
        write_png(root / f"tile/train/good/{seed}.png", size=shapes[seed % 2], seed=seed)
        write_png(root / f"tile/test/good/{seed}.png", size=shapes[seed % 2], seed=10 + seed)
        write_png(root / f"tile/test/dent/{seed}.png", size=shapes[seed % 2], seed=20 + seed)
        mask = np.zeros(shapes[seed % 2], np.uint8)
        mask[10:20, 10:20] = 255
        write_png(root / f"tile/ground_truth/dent/{seed}_mask.png", mask)
    return root


def configuration(root: Path | None = None, **changes: Any) -> dict[str, Any]:
    """All toys that can be used, each in a method."""
    section = {"layout": "mvtec", "root": str(root), "name": "t", "categories": "all"} if root else {}
    base = {**DEFAULT, "dataset": {**DEFAULT["dataset"], **section}, "backbones": dict(ENTRIES), "methods": METHODS}
    changed = {
        "refiners": {},
        "report__refiner": "none",
        "evaluation__bootstrap": 40,
        "report__gallery": 1,
        "report__panel": 64,
        "report__dpi": 50,
        "device": "cpu",
    }
    return merged(base, **{**changed, **changes})


def with_one(family: str, **params: Any) -> dict[str, Any]:
    """One method by one toy."""
    entries = {"toy": {"family": family, "params": params}}
    return configuration(backbones=entries, methods={"only": {"scorer": "mutual", "backbone": "toy"}})


def check(config: Mapping[str, Any]) -> int:
    alone = {part: {**dict.fromkeys(DEFAULT[part]), **config[part]} for part in ("methods", "refiners")}
    Path("mine.yaml").write_text(yaml.safe_dump({**config, **alone}), encoding="utf-8")
    return main(["check", "--configfile", "mine.yaml"])


def draw_page(config: Mapping[str, Any]) -> str:
    """The pictures and the page of what a chain has made; the page's text."""
    settings, base = Settings(config), Path("results/t")
    place = {"dataset": "t", "category": "tile"}
    evaluations, galleries, layers = [], [], []
    for name in settings.methods:
        scores, metrics = base / f"tile/scores/{name}.h5", base / f"tile/metrics/{name}.json"
        galleries.append(base / f"plots/tile/{name}.gallery.json")
        evaluations.append(metrics)
        read = {"manifest": base / "tile/manifest.csv", "scores": scores, "evaluation": metrics, "masks": []}
        read["decisions"] = base / f"tile/decisions/{name}.h5"
        layers.append(base / f"tile/layers/{name}.h5")
        drawn = {"sheet": galleries[-1].with_suffix(".png"), "panels": galleries[-1], "layers": layers[-1]}
        cfg = {"options": settings.report.drawing(), "refiner": settings.report_refiner}
        _make(Step("draw_gallery", read, drawn, cfg, {**place, "method": name}))
    image_list, thumbnails = base / "tile/images.csv", base / "tile/thumbnails.h5"
    small = {"longer_side": settings.report.thumbnail}
    _make(Step("draw_thumbnails", {"image_list": image_list}, {"thumbnails": thumbnails}, small, place))
    plots = {name: base / f"plots/tile/{name}.png" for name in ("curves", "histograms")}
    _make(Step("draw_plots", {"evaluations": evaluations}, plots, settings.report.drawing(), place))
    costs = {"cost_csv": base / "tables/cost.csv", "cost_sums": base / "tables/cost.sha256"}
    tables = {"metrics_csv": base / "tables/metrics.csv", "table_sums": base / "tables/tables.sha256", **costs}
    overall = {name: base / f"plots/{name}.png" for name in ("summary", "bars", "quality_cost")}
    _make(Step("draw_summary", tables, overall, settings.report.drawing(), place))
    made = {f"{name}_csv": base / f"tables/{name}.csv" for name in ("refinement", "comparisons")}
    read = {
        **tables,
        **overall,
        **{name: path for name, path in made.items() if path.exists()},
        **{"evaluations": evaluations, "mask_evaluations": [], "galleries": galleries},
        **{name: [path] for name, path in plots.items()},
        "checks": [base / "tile/check.json"],
        **{"image_lists": [image_list], "thumbnails": [thumbnails], "layers": layers},
        **{name: [] for name in ("class_evaluations", "confusions", "shots", "support_thumbnails")},
    }
    cfg = {
        "categories": ["tile"],
        "with_curves": ["tile"],
        **{name: [] for name in ("confusions", "with_kinds", "supports")},
        "configuration": settings.resolved(),
        "root": settings.data.folder_of_tables,
        "methods": {
            name: {**entry.description, "threshold": settings.threshold_in_words(name)}
            for name, entry in settings.methods.items()
        },
    }
    _make(Step("build_page", read, {"page": base / "report.html", "folder": base / "report"}, cfg, place))
    return (base / "report.html").read_text(encoding="utf-8")


def _make(step: Step) -> None:
    for path in step.outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    _execute(step)


def test_from_the_registry_to_the_page(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configuration(images)
    assert check(config) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines() if re.search(r" test +original ", line)]
    assert {line[0]: (line[3], line[4] == "?") for line in told} == {
        "mine": ("6", False),
        "wide": ("6", True),  # a network that says nothing of itself
        "measured": ("6", False),
        "toy-table": ("6", False),
    }
    costs = expected_cost(Settings(config), [inspect_category(MvtecLayout(), images, "tile")])
    outcome = Chain().run(config)
    assert outcome.status == 0, outcome.said
    shapes = {}
    for cost in costs:
        with FeatureReader(Path(f"results/t/tile/features/{cost.source}/{cost.subset}.{cost.view}.h5")) as reader:
            tokens = [reader.patch_tokens(index) for index in range(len(reader))]
        assert cost.images == len(tokens)
        assert (cost.seconds is None) == (cost.source == "wide")
        if cost.bytes is not None and cost.subset == "test":
            assert cost.bytes == sum(2 * each.size + 4 * each.shape[0] * each.shape[-1] for each in tokens)
        shapes[cost.source] = {each.shape for each in tokens}
    assert shapes == {
        "mine": {(1, 6, 7, 6), (1, 6, 6, 6)},
        "wide": {(3, 4, 9, 1)},
        "measured": {(1, 5, 3, 1)},
        "toy-table": {(1, 6, 7, 1), (1, 6, 6, 1)},
    }
    page = draw_page(config)
    assert all(name in page for name in METHODS)


def test_families_and_their_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones"]) == 0
    shown = capsys.readouterr().out
    assert "toy-table - ? ? MIT - - - - yes" in [" ".join(line.split()) for line in shown.splitlines()]
    for name in (LINE[1], *TOYS):
        assert f"  {name}: {BACKBONES.load(name).summary}\n" in shown
    assert "    table (required): file of the sizes\n" in shown
    Path("toy.txt").unlink()
    assert main(["backbones", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert next(model for model in listed["models"] if model["name"] == "toy-table")["cached"] is False


def test_only_models_of_a_hub_are_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "toy-table"]) == 0
    assert capsys.readouterr().out == "toy-table: family 'table', on this machine: nothing is downloaded\n"
    Path("toy.txt").unlink()
    assert main(["download", "toy-table"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("zsad: model 'toy-table' of family 'table' is not on this machine and cannot be")
    assert said.count("\n") == 1


PLANNED = ("extract_features", "score_images", "refine_masks", "evaluate_scores", "evaluate_masks", "build_page")
OWN = {"my_backbone": {"cells": 6}, "strip": {}, "measured": {}, "table": {"table": "toy.txt"}}


@pytest.mark.parametrize("batch", [None, 7])
@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("family", [*OWN, "spoilt", "spoilt_network"])
def test_every_family_can_be_planned(images: Path, family: str, on_gpu: bool, batch: int | None) -> None:
    config = with_one(family, **OWN.get(family, {}))
    config = merged(config, dataset=configuration(images)["dataset"], extraction__batch=batch)
    run = Run(Settings(merged(config, refiners={"guided": {"refiner": "guided"}})), on_gpu=on_gpu)
    names = {"category": "tile", "backbone": "toy", "subset": "test", "view": "original", "method": "only"}
    for rule in PLANNED:
        estimate = estimated(run, rule, {**names, "refiner": "guided"})
        assert 600 <= memory_request(estimate) < 20_000
        assert 10 <= runtime_request(estimate) < 24 * 60
    is_network = BACKBONES.load(family).is_network
    assert uses_network(run.settings) == is_network
    assert threads_of(run, "extract_features", names) == ((4 if on_gpu else 6) if is_network else 1)


def test_what_a_family_says_of_itself_is_asked_for(images: Path) -> None:
    """Twice the operations, and half a gigabyte of weights, of memory, or of more images at a time."""
    names = {"category": "tile", "backbone": "toy", "subset": "test", "view": "original"}

    def expected(batch: int | None = None, **answers: Any) -> Any:
        settings = Settings({**with_one("table", table="toy.txt"), "dataset": configuration(images)["dataset"]})
        settings = Settings(merged(settings.config, extraction__batch=batch))
        with pytest.MonkeyPatch.context() as patch:
            for name, answer in answers.items():
                patch.setattr(Table, name, answer)
            return estimated(Run(settings), "extract_features", names)

    plain = expected()
    twice = expected(operations=lambda self, height, width: 12e9)
    assert twice.seconds - plain.seconds == pytest.approx(6 * 6e9 / 8e10)
    assert twice.megabytes == plain.megabytes
    heavy = expected(weights_megabytes=lambda self: 500)
    assert heavy.megabytes - plain.megabytes == pytest.approx(2 * (500 - 2))
    wide = expected(batch=1, working_bytes=lambda self, height, width: 5e8)
    assert wide.megabytes - expected(batch=1).megabytes == pytest.approx(500, abs=0.1)
    three = expected(batch=3, working_bytes=lambda self, height, width: 5e8)
    assert three.megabytes - wide.megabytes == pytest.approx(1000, abs=0.1)


def test_a_word_stands_for_the_parameters_of_the_family_that_knows_it() -> None:
    entries = Settings(configuration()).backbones
    assert (entries["toy-table"].family, entries["toy-table"].params) == ("table", {"table": "toy.txt", "cells": 6})
    own = Settings(with_one("table", table="toy-table")).backbones["toy"]
    assert own.params == {"table": "toy.txt", "cells": 6}
    chosen = Settings(with_one("table", table="toy-table", cells=2)).backbones["toy"]
    assert chosen.params == {"table": "toy.txt", "cells": 2}
    assert find_family("toy.txt")[0] == "table"  # a file that exists, which `transformers` would take
    assert find_family("someone/toy.txt") == ("transformers", {"model": "someone/toy.txt"})
    assert find_family("toy-tables") is None
    with pytest.raises(ConfigError, match=r"'toy-tables' is neither .*did you mean 'toy-table'\?"):
        Settings(configuration(methods={"one": {"scorer": "mutual", "backbone": "toy-tables"}}))
    with pytest.raises(ConfigError, match=r"backbones\.toy\.params: parameter 'table' is missing"):
        Settings(with_one("table"))


def test_files_of_a_model_are_followed_and_missed(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = merged(with_one("table", table="toy.txt"), dataset=configuration(images)["dataset"])
    assert Settings(config).backbones["toy"].local_files() == ["toy.txt"]
    Path("toy.txt").unlink()
    assert check(config) == 1
    assert capsys.readouterr().err == (
        "zsad: backbone 'toy': toy.txt of its model does not exist; put it back, or correct the backbone's parameters\n"
    )
    with pytest.raises(ModelError, match=r"toy\.txt of its model does not exist"):
        Settings(config).check_models()
    gone = estimated(Run(Settings(config)), "extract_features", {"category": "tile", "backbone": "toy", **TEST})
    assert gone.megabytes > 2 * 1200  # nothing is known of the weights any more


def test_files_that_cannot_be_listed_are_told_at_the_start(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlisted(self: Table) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", "models/toy")

    monkeypatch.setattr(Table, "local_files", unlisted)
    config = merged(with_one("table", table="toy.txt"), dataset=configuration(images)["dataset"])
    with pytest.raises(
        ModelError, match=r"backbone 'toy': models/toy of its model cannot be read \(Permission denied\)"
    ):
        Settings(config).check_models()


def test_a_file_that_vanishes_under_a_run_fails_the_job_in_a_sentence(images: Path) -> None:
    config = merged(with_one("table", table="toy.txt"), dataset=configuration(images)["dataset"])
    outcome = Chain().run(config, {"extract_features": Path("toy.txt").unlink})
    assert outcome.status == 1
    assert re.fullmatch(r"zsad: extract_features: .*toy\.txt.*", outcome.said[-1])
    assert not any(path.exists() for path in outcome.failed)
    Path("toy.txt").write_text("1\n", encoding="utf-8")
    assert Chain().run(config).status == 0


TEST = {"subset": "test", "view": "original"}


@pytest.mark.parametrize("family", ["spoilt", "spoilt_network"])
def test_a_model_that_cannot_be_used_is_told_in_its_own_words(
    images: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    config = merged(with_one(family), dataset=configuration(images)["dataset"])
    assert check(config) == 1
    assert capsys.readouterr().err == "zsad: the toy is spoilt; take another\n"


def test_a_model_that_fails_as_it_is_loaded_fails_its_job_and_leaves_nothing(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("known_layout", "working_bytes", "weights_megabytes"):
        monkeypatch.setattr(SpoiltNetwork, name, getattr(Backbone, name))
    outcome = Chain().run(merged(with_one("spoilt_network"), dataset=configuration(images)["dataset"]))
    assert outcome.status == 1
    assert outcome.said[-1] == "zsad: extract_features: the toy is spoilt; take another"
    assert outcome.failed
    assert not any(path.exists() for path in outcome.failed)


def test_too_many_patches_are_told_without_parameters_that_a_family_does_not_have(images: Path) -> None:
    config = merged(with_one("my_backbone", cells=300), dataset=configuration(images)["dataset"])
    with pytest.raises(ConfigError, match=r"backbone 'toy' computes 90000 patches .*; change its parameters, or raise"):
        Settings(config).check_models()


def test_declaring_and_asking_the_families_imports_no_framework() -> None:
    script = (
        "import sys\nfrom zsad.features.registry import BACKBONES, model_names, find_family\n"
        "assert find_family('no such model') is None and model_names()\n"
        "for family in map(BACKBONES.load, BACKBONES.names()):\n"
        "    for model in family.models():\n"
        "        backbone = family(**family.params_of(model.name))\n"
        "        assert backbone.known_layout() and backbone.weights_megabytes() and not backbone.local_files()\n"
        "        assert backbone.operations(64, 96) == backbone.assumed_operations(64, 96) > 0\n"
        "        assert backbone.working_bytes(64, 96) > 0 and backbone.assumed_layout().layers\n"
        "print({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr
