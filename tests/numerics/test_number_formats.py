"""What tables show is the same on every machine by default; 16 bits, where they are asked for, change it a little."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

from auxiliary_sets import ready
from closeness import assert_close
from faults.chain import Chain
from harness import merged
from made_images import made_of
from small_methods import small
from text_files import asked_of, layers_for
from zsad.data.demo.generate import write_image, write_image_and_mask
from zsad.data.demo.plan import DemoOptions
from zsad.data.images import read_image
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.features.views import variants
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens
from zsad.workflow.settings import DEFAULT_PATH

CATEGORY, DEFECTS, GOOD, REFERENCES = "brick", ("crack", "stain"), 6, 3
SIZE = 96  # px
SHOWN = 5e-4  # half a step of the third decimal
NATIVE = {"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": True, "bf16": True}
WITHOUT = {"avx2": True, "avx512_f": False}


@contextmanager
def machine(capabilities: dict[str, bool], threads: int) -> Iterator[None]:
    """A processor that computes in these formats by itself, of so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photographed texture with drawn defects, small."""
    folder = tmp_path_factory.mktemp("drawn")
    options = DemoOptions(size=SIZE)
    for index in range(REFERENCES):
        write_image(folder / CATEGORY, CATEGORY, "train", index, options)
    for index in range(GOOD):
        write_image(folder / CATEGORY, CATEGORY, "test", index, options)
    for kind in DEFECTS:
        for index in range(3):
            write_image_and_mask(folder / CATEGORY, CATEGORY, kind, index, options)
    return folder


# --- the default, from images to tables -----------------------------------------------------------------------------


def tables_on(capabilities: dict[str, bool], threads: int, drawn: Path, place: Path) -> dict[str, list[dict[str, str]]]:
    """Every row of every table of a run with the methods, refiners and thresholds of ``config.yaml``."""
    default: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    config = merged(
        default,
        dataset=default["dataset"] | {"name": "t", "layout": "mvtec", "root": str(drawn)},
        backbones={"embedded": {"family": "embedded", "params": {"resolution": SIZE}}},
        methods__memory_bank__params={"shots": 2},
        methods__mirror_symmetry__params={"max_tilt": 0},  # thousands of tiny products, which threads wait for
        evaluation__bootstrap=40,
    )
    place.mkdir()
    with machine(capabilities, threads), pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        outcome = Chain().run(config)
    assert outcome.status == 0, outcome.said
    found = {}
    for table in sorted((place / "results" / "t" / "tables").glob("*.csv")):
        if not table.name.startswith("cost"):
            with table.open(encoding="utf-8", newline="") as stream:
                found[table.name] = list(csv.DictReader(stream))
    return found


def differences(some: list[dict[str, str]], others: list[dict[str, str]]) -> list[str]:
    """The cells that are not equal to three decimals, but for times."""
    assert len(some) == len(others)
    return [
        f"{name} of {row.get('method')}: {value} and {other[name]}"
        for row, other in zip(some, others, strict=True)
        for name, value in row.items()
        if name != "seconds" and value != other[name] and not _alike(value, other[name])
    ]


def _alike(value: str, other: str) -> bool:
    try:
        return abs(float(value) - float(other)) <= SHOWN
    except ValueError:
        return False


def test_no_table_of_the_default_names_the_processor_or_its_cores(drawn: Path, tmp_path: Path) -> None:
    newer = tables_on(NATIVE, 2, drawn, tmp_path / "newer")
    older = tables_on(WITHOUT, 1, drawn, tmp_path / "older")
    tables = ("metrics", "images", "decisions", "defect_types", "refinement", "comparisons")
    assert {f"{table}.csv" for table in tables} <= newer.keys()
    assert newer.keys() == older.keys()
    for name, rows in newer.items():
        assert not differences(rows, older[name]), name


# --- each scorer ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(drawn: Path) -> dict[str, list[np.ndarray]]:
    """Photographs, uint8 ``[height, width, 3]``: references, and test images, the normal ones first."""
    test = [
        *sorted(drawn.glob("*/test/good/*")),
        *(path for kind in DEFECTS for path in sorted(drawn.glob(f"*/test/{kind}/*"))),
    ]
    references = sorted(drawn.glob("*/train/good/*"))
    return {"test": [read_image(path) for path in test], "references": [read_image(path) for path in references]}


@pytest.fixture(scope="module")
def tokens(images: dict[str, list[np.ndarray]]) -> dict[tuple[str, str], list[np.ndarray]]:
    """Tokens ``[layer, row, column, channel]`` by subset and view."""
    extractor = Embedded(resolution=SIZE).load(Execution(device="cpu"))
    return {
        (subset, view): [
            extractor.extract(variant.of(image)).patch_tokens for image in shown for variant in variants(view)
        ]
        for subset, shown in images.items()
        for view in ("original", "hflip", "vflip", "rot180", "rotations")
        if (subset, view) != ("test", "rotations")
    }


def scored(name: str, tokens: dict[tuple[str, str], list[np.ndarray]], folder: Path, precision: str) -> np.ndarray:
    """The image scores of a scorer with its defaults, but for those that would take long."""
    all_references = {"shots": "all"} if "shots" in SCORERS.load(name).model_fields else {}
    scorer = SCORERS.build(name, {**small(name), **all_references})
    roles = {
        role: tokens["test" if wanted.subset == "test" else "references", wanted.view]
        for role, wanted in scorer.feature_sets().items()
    }
    if scorer.reads_windows:  # the same tokens stand for windows
        roles = {role: [np.concatenate([image, image]) for image in images] for role, images in roles.items()}
    layers, *_, channels = roles["test"][0].shape
    names = layers_for(scorer, layers)
    scorer = ready(scorer, folder, layers=names, channels=channels, cls_source="mean of patch tokens")
    readers = {
        role: MemoryTokens(
            images,
            layers=names,
            texts=asked_of(scorer, channels) if role == scorer.text_role else None,
        )
        for role, images in roles.items()
    }
    if "synthetic" in readers:
        readers["references"].synthetic = made_of(readers["references"])
    found = sorted(scorer.score(readers, Compute(precision=precision)), key=lambda score: score.index)
    scoring = ImageScoring()
    return np.array(
        [one.image_score if one.anomaly_map is None else scoring.image_score(one.anomaly_map) for one in found]
    )


@pytest.mark.parametrize("name", SCORERS.names())
def test_scores_are_those_of_float32_by_default_and_rank_alike_in_16_bits(name, tokens, tmp_path) -> None:
    with machine(WITHOUT, 1):
        exact = scored(name, tokens, tmp_path, "float32")
    with machine(NATIVE, 1):
        by_default = scored(name, tokens, tmp_path, "auto")
    rounded = scored(name, tokens, tmp_path, "bfloat16")
    assert_close(by_default, exact)
    assert_close(rounded, exact, share=0.02)
    labels = np.arange(len(exact)) >= GOOD
    assert abs(roc_auc_score(labels, rounded) - roc_auc_score(labels, exact)) <= 2 / 36  # two pairs of images


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("capabilities", [NATIVE, WITHOUT, {"architecture": "aarch64", "bf16": True}])
def test_auto_is_float32_on_every_device(device: str, capabilities: dict[str, Any], monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_: True)
    assert Compute(device, precision="auto").format == torch.float32
    assert Compute(device, precision="bfloat16").format == torch.bfloat16
