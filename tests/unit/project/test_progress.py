"""Progress: what the log says of it, and when the time left is known."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from zsad.progress import Meter, Pace, Progress, Report, progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture):
    """The reports so far, from the text of the log."""
    caplog.set_level(logging.INFO, logger="zsad.progress")

    def so_far() -> list[Report]:
        lines = [f"2026-01-02 10:11:12,123 INFO {record.name}: {record.getMessage()}" for record in caplog.records]
        found = [Report.of_line(line) for line in lines]
        assert None not in found
        return found

    return so_far


def test_time_left_goes_by_work_and_not_by_items(reports) -> None:
    clock = Clock()
    with Meter("refining", 1000, 4, clock) as meter:
        for work, seconds in ((100, 10), (100, 10), (100, 10)):
            clock.now += seconds
            meter.add(work)
    assert reports()[-1] == Report("refining", 30, 3, 4, 30.0, 70)


def test_what_came_before_the_first_result_is_no_pace() -> None:
    pace = Pace(100)
    assert pace.left(1000, 10) is None  # 1000 s of preparation
    assert pace.left(1019, 40) is None  # came together with the first
    assert pace.left(1029, 50) == pytest.approx(50)


@pytest.mark.parametrize(("seconds", "done"), [(2.9, 60), (50, 14), (50, 100)], ids=["early", "little", "done"])
def test_no_time_left_until_enough_is_done_and_at_the_end(seconds: float, done: float) -> None:
    pace = Pace(100)
    assert pace.left(1, 10) is None
    assert pace.left(1 + seconds, done) is None


def test_lines_grow_rarer_and_the_end_is_always_told(reports) -> None:
    clock = Clock()
    with Meter("x", 10_000, 10_000, clock) as meter:
        for _ in range(10_000):
            clock.now += 0.1
            meter.add(1)
    seconds = [report.seconds for report in reports()]
    assert 100 < len(seconds) < 200
    assert min(b - a for a, b in pairwise(seconds[:-1])) >= 0.9
    assert max(b - a for a, b in pairwise(seconds)) <= 10.2
    assert reports()[-1] == Report("x", 100, 10_000, 10_000, pytest.approx(1000), None)


def test_all_work_is_done_only_with_the_last_item(reports) -> None:
    clock = Clock()
    with Meter("x", 1.0, 3, clock) as meter:
        for work in (0.5, 0.5, 0.0):
            clock.now += 2
            meter.add(work)
    assert [report.percent for report in reports()] == [0, 50, 99, 100]


def test_items_pass_through_and_their_work_must_be_known(reports) -> None:
    assert list(progress(iter("abc"), total=3, label="a: b, c", work=[1, 2, 3])) == ["a", "b", "c"]
    assert [(report.label, report.done) for report in reports()] == [("a: b, c", 0), ("a: b, c", 3)]
    assert list(progress([], total=0, label="none")) == []
    with pytest.raises(ValueError, match="3 items"):
        list(progress("abc", total=3, label="x", work=[1]))


def test_bytes_that_were_there_before_are_no_pace(reports) -> None:
    clock = Clock()
    with Progress("downloading 'x'", bar=False, clock=clock) as way:
        way.start(1000, done=500)
        for _ in range(4):
            clock.now += 5
            way.add(100)
    assert reports()[-1] == Report("downloading 'x'", 90, None, None, 20.0, 5)


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-02 10:11:12,123 INFO zsad.workflow.job: refining: 45 %, 1 of 2, 3.0 s",
        "2026-01-02 10:11:12,123 INFO zsad.progress: refining: 45 %, 1 of 2, 3.0 s, about 2",
        "2026-01-02 10:11:12,123 INFO zsad.progress: refining",
        "",
    ],
)
def test_other_lines_and_halves_of_lines_are_no_reports(line: str) -> None:
    assert Report.of_line(line) is None


def test_nothing_goes_to_a_terminal_that_somebody_else_writes_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("ZSAD_WATCHED", "1")
    list(progress("abc", total=3, label="counting"))
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("ZSAD_WATCHED")
    list(progress("abc", total=3, label="counting"))
    assert "counting" in capsys.readouterr().err
