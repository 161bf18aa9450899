"""A sweep adds a column a parameter at the end of metrics.csv, and changes nothing else there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from evaluation_files import Run, mask_document, score_document
from zsad.tables.csv_tables import METRICS

SWEPT = {
    "memory_bank.shots": {"memory_bank-shots1": 1, "memory_bank-shots4": 4, "memory_bank-shots4-seed0": 4},
    "memory_bank.shift": {"memory_bank-shots1": -0.5, "memory_bank-shots4": None},
    "mutual.words": {"mutual": "=1+1"},
}


def collected(folder: Path, swept: dict[str, dict[str, Any]] | None = None) -> bytes:
    """What metrics.csv holds."""
    methods = ("memory_bank-shots1", "memory_bank-shots4", "mutual")
    folder.mkdir()
    run = Run(folder).collect(
        [score_document("tile", method, 0.8) for method in methods],
        [mask_document("tile", method, 0.6) for method in methods],
        swept=swept,
    )
    return run.outputs["metrics_csv"].read_bytes()


def test_the_columns_stand_at_the_end_and_are_empty_for_other_methods(tmp_path: Path) -> None:
    collected(tmp_path / "run", swept=SWEPT)
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert lines[0].endswith(",training,memory_bank.shots,memory_bank.shift,mutual.words")
    ends = {line.split(",")[3]: line.split(",")[-3:] for line in lines[1:]}
    assert ends == {
        "memory_bank-shots1": ["1", "-0.5", ""],
        "memory_bank-shots4": ["4", "null", ""],
        "mutual": ["", "", "'=1+1"],
    }


def test_pandas_reads_numbers_as_numbers(tmp_path: Path) -> None:
    collected(tmp_path / "run", swept=SWEPT)
    frame = pd.read_csv(tmp_path / "run" / "metrics.csv")
    swept = frame[frame["memory_bank.shots"].notna()]
    assert set(swept["method"]) == {"memory_bank-shots1", "memory_bank-shots4"}
    assert set(swept["memory_bank.shots"]) == {1.0, 4.0}


def test_without_a_sweep_the_table_is_what_it_was_byte_for_byte(tmp_path: Path) -> None:
    plain = collected(tmp_path / "plain")
    assert collected(tmp_path / "empty", swept={}) == plain
    assert plain.splitlines()[0].decode().split(",") == list(METRICS.columns)
    with_sweep = collected(tmp_path / "swept", swept=SWEPT).splitlines()
    assert all(line.startswith(before + b",") for line, before in zip(with_sweep, plain.splitlines(), strict=True))


def test_columns_of_a_sweep_are_passed_over_where_the_table_is_read(tmp_path: Path) -> None:
    collected(tmp_path / "run", swept=SWEPT)
    collected(tmp_path / "plain")
    frames = [METRICS.read(tmp_path / name / "metrics.csv") for name in ("run", "plain")]
    pd.testing.assert_frame_equal(*frames)
