"""What a run costs besides its work, as jobs tell it and the benchmark adds it up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from paths import load_script
from zsad.timing import HASHES, IMPORTS, MODEL, START, WORK, Spending, described, read_line


@pytest.fixture(scope="module")
def overhead() -> ModuleType:
    """benchmarks/overhead.py, which is a script and no part of a package."""
    return load_script("benchmarks/overhead.py")


def test_what_is_counted_within_another_count_is_the_inner_one_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 11.0])
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    spending = Spending()
    with spending.counted(MODEL), spending.counted(IMPORTS):
        pass
    with pytest.raises(KeyError), spending.counted(IMPORTS):
        raise KeyError
    assert (spending.seconds(MODEL), spending.seconds(IMPORTS), spending.seconds(HASHES)) == (4.0, 3.0, 0.0)


def test_a_function_can_be_counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(np.arange(8.0))
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    spending = Spending()

    @spending.counted(MODEL)
    def load(deeper: int) -> None:
        if deeper:
            load(deeper - 1)

    load(1)
    load(0)
    assert spending.seconds(MODEL) == 4.0


def test_a_log_tells_what_the_benchmark_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.5])
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    spending = Spending()
    with spending.counted(MODEL):
        pass
    line = f"2026-01-02 10:11:12,123 INFO zsad.workflow.job: {described(0.25, 2.0, spending)}"
    assert read_line(line) == {START: 0.25, IMPORTS: 0.0, MODEL: 0.5, HASHES: 0.0, WORK: 1.25}
    assert read_line(line.replace("seconds of the processor", "seconds")) is None
    assert read_line("2026-01-02 10:11:12,123 INFO zsad.workflow.job: done") is None


def write_job(results: Path, name: str, clock: float, line: str, processor: str = "0.0") -> None:
    """The benchmark file and the log of a job, as Snakemake and the job leave them."""
    for folder, suffix, text in (
        ("benchmarks", ".tsv", f"s\th:m:s\tcpu_time\n{clock}\t0:00:01\t{processor}\n"),
        ("logs", ".log", f"2026 INFO zsad.workflow.job: with {{}}\n{line}\n2026 INFO zsad.workflow.job: done\n"),
    ):
        path = results / "t" / folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def told(start: float, total: float) -> str:
    return f"2026 INFO zsad.workflow.job: {described(start, total, Spending())}"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three jobs of two rules, one of a revision that does not tell of its time, and one too short to measure."""
    write_job(tmp_path, "score_images/ring.a", 3.0, told(0.5, 2.0))
    write_job(tmp_path, "score_images/ring.b.c", 1.0, told(0.5, 1.5))
    write_job(tmp_path, "collect_tables", 1.0, told(0.25, 1.0))
    write_job(tmp_path, "read_images/ring", 4.0, "2026 INFO zsad.data: read", processor="3.5")
    write_job(tmp_path, "check_images/ring", 0.1, "2026 INFO zsad.data: read", processor="NA")
    return tmp_path


def test_jobs_are_added_up_by_rule(overhead: ModuleType, results: Path) -> None:
    rules = overhead.read_rules(results)
    assert set(rules) == {"score_images", "collect_tables", "read_images", "check_images"}
    scoring = rules["score_images"]
    assert (scoring.jobs, scoring.clock, scoring.processor) == (2, 4.0, 3.5)
    assert scoring.outside == pytest.approx(1 / 3.5)
    assert rules["collect_tables"].outside == 0.25
    assert (rules["read_images"].processor, rules["read_images"].outside) == (3.5, 0.0)
    assert (rules["check_images"].processor, rules["check_images"].outside) == (0.0, 0.0)


def test_the_table_has_all_rules_in_order_and_the_share_outside(overhead: ModuleType, results: Path) -> None:
    rules = overhead.read_rules(results)
    rules[overhead.SNAKEMAKE] = overhead.Spent(0, 0.0, {START: 2.0})
    rules[overhead.ALL] = overhead.added(rules.values())
    head, rule, *rows = overhead.table(rules).splitlines()
    assert head.count("|") == rule.count("|") == rows[0].count("|")
    first = [row.split(" | ")[0].removeprefix("| ") for row in rows]
    assert first == ["read_images", "score_images", "collect_tables", "check_images", overhead.SNAKEMAKE, overhead.ALL]
    assert rows[1] == "| score_images | 2 | 4.0 | 3.5 | 2.5 | 1.0 | 0.0 | 0.0 | 0.0 | 29% |"
    assert rows[-1].endswith(" | 32% |")  # 3.25 of 10 seconds


def spent(overhead: ModuleType, **seconds: float) -> Mapping[str, object]:
    return {name: overhead.Spent(1, 1.0, {WORK: value}) for name, value in seconds.items()}


def test_medians_are_of_turns_and_ratios_are_of_the_same_turn(overhead: ModuleType) -> None:
    before = [spent(overhead, a=2.0, b=1.0), spent(overhead, a=9.0, b=1.0), spent(overhead, a=4.0, b=1.0)]
    now = [spent(overhead, a=1.0, c=3.0), spent(overhead, a=3.0, c=3.0), spent(overhead, a=1.0, c=3.0)]
    assert overhead.medians(before)["a"].processor == 4.0
    assert overhead.medians(before[:2])["a"].processor == 2.0
    rows = overhead.comparison(before, now).splitlines()[2:]
    assert rows == [
        "| a | 1 | 1 | 4.0 | 1.0 | 3.00 |",
        "| b | 1 | 0 | 1.0 | 0.0 | - |",
        "| c | 0 | 1 | 0.0 | 3.0 | - |",
    ]


def test_the_drawn_data_set_is_in_the_layout_with_a_mask_for_each_defect(overhead: ModuleType, tmp_path: Path) -> None:
    overhead.draw_data_set(tmp_path, 2)
    images = [path for path in tmp_path.rglob("*.png") if "ground_truth" not in path.parts]
    assert len(images) == 2 * 20
    mask = cv2.imread(str(tmp_path / "c01" / "ground_truth" / "spot" / "003_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(mask)) == {0, 255}
    assert cv2.imread(str(tmp_path / "c01" / "test" / "spot" / "003.png")).shape == (overhead.SIDE, overhead.SIDE, 3)
    first, second = ((tmp_path / "c00" / "train" / "good" / name).read_bytes() for name in ("000.png", "001.png"))
    assert first != second
