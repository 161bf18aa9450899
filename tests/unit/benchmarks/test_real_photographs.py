"""benchmarks/real_photographs.py makes the README's first table and picture from finished runs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from paths import load_script
from reporting_files import evaluation_of, metrics_row, write_metrics
from zsad.data.manifest import ImageRecord
from zsad.files.json_files import write_json

METHODS = {"memory_bank": "few-shot-8", "mutual": "zero-shot-batch", "self_similarity": "zero-shot-single"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmarks/real_photographs.py")


def finished(folder: Path, backbone: str, first: float, categories: tuple[str, ...] = ("mono", "poly")) -> Path:
    """What a run leaves of its figures."""
    records = [ImageRecord(f"{i}.png", "", "test", i % 2, ("good", "crack")[i % 2], "", 8, 8, "") for i in range(6)]
    rows = []
    for category in categories:
        (folder / category / "metrics").mkdir(parents=True)
        for place, (method, setting) in enumerate(METHODS.items()):
            scores = [0.1 * (i + place) for i in range(6)]
            evaluation = evaluation_of(records, scores, category=category, method=method, setting=setting)
            write_json(folder / category / "metrics" / f"{method}.json", evaluation | {"backbone": backbone})
            value = first - 0.1 * place
            limits = {"image_auroc_low": value - 0.05, "image_auroc_high": value + 0.05}
            rows.append(metrics_row(category, method, setting, image_auroc=value, **limits) | {"backbone": backbone})
    (folder / "tables").mkdir()
    write_metrics(folder / "tables" / "metrics.csv", rows)
    return folder


def test_runs_of_several_backbones_share_the_rows_of_a_data_set(script: ModuleType, tmp_path: Path) -> None:
    one = finished(tmp_path / "elpv", "embedded", 0.8)
    other = finished(tmp_path / "elpv-lite0", "lite0", 0.9)
    third = finished(tmp_path / "tiles", "lite0", 0.7, ("tiles",))
    lines = script.table([one, other, third], ["memory_bank", "mutual"]).splitlines()
    assert lines[0] == "| photographs | method | `embedded` | `lite0` |"
    assert lines[2] == "| elpv, mono | `memory_bank` | 80.0 (75.0–85.0) | 90.0 (85.0–95.0) |"
    assert lines[-1] == "| tiles | `mutual` |  | 60.0 (55.0–65.0) |"
    assert len(lines) == 2 + 2 * 3


def test_the_picture_has_a_column_a_category(script: ModuleType, tmp_path: Path) -> None:
    runs = [finished(tmp_path / "elpv", "embedded", 0.8), finished(tmp_path / "tiles", "embedded", 0.8, ("tile",))]
    script.draw(runs, list(METHODS), tmp_path / "real.png")
    with Image.open(tmp_path / "real.png") as picture:
        assert picture.width == round(3 * script.COLUMN_WIDTH * script.DPI)
        assert len(picture.getcolors(1 << 20)) > 50
