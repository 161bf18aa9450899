"""A plot of a sweep is a line, a heat map or points, as the swept parameters are."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest
from PIL import Image

from reporting_files import metrics_row, write_metrics
from zsad.reporting.draw_sweep import Sweep, draw_sweep
from zsad.reporting.options import ReportOptions

OPTIONS = ReportOptions(dpi=50)
SHOTS = Sweep("bank", ["bank.shots"], {f"bank-shots{n}": {"bank.shots": n} for n in (16, 1, 4)})
GRID = Sweep(
    "bank",
    ["bank.shots", "bank.k"],
    {f"bank-shots{n}-k{k}": {"bank.shots": n, "bank.k": k} for n, k in itertools.product((1, 4, 16), (1, 3))},
)
ZIPPED = GRID._replace(entries=dict(list(GRID.entries.items())[::2][:2]) | dict([list(GRID.entries.items())[3]]))
WORDS = Sweep("bank", ["bank.rule"], {f"bank-rule_{rule}": {"bank.rule": rule} for rule in ("tail", "share")})


def table(path: Path, sweep: Sweep, **values: float) -> Path:
    """Of two categories and their mean; the more values, the better."""
    rows = [
        metrics_row(
            category,
            name,
            "few-shot-1",
            **{"image_auroc": 0.6 + 0.05 * place, "image_auroc_low": 0.55, "image_auroc_high": 0.95, **values},
        )
        for category in ("ring", "board", "mean")
        for place, name in enumerate((*sweep.entries, "another"))
    ]
    return write_metrics(path, rows)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What is drawn: the places of lines with limits, the table of heat maps, and the words in cells."""
    found: dict[str, list[Any]] = {"errorbar": [], "imshow": [], "text": []}
    for name, calls in found.items():
        plain = getattr(matplotlib.axes.Axes, name)

        def noted(axes: Any, *given: Any, calls: list[Any] = calls, plain: Any = plain, **options: Any) -> Any:
            calls.append(given)
            return plain(axes, *given, **options)

        monkeypatch.setattr(matplotlib.axes.Axes, name, noted)
    return found


def test_one_numeric_parameter_is_a_line_from_the_least_to_the_greatest(
    tmp_path: Path, drawn: dict[str, list[Any]]
) -> None:
    draw_sweep(metrics_csv=table(tmp_path / "m.csv", SHOTS), sweep=SHOTS, options=OPTIONS, output=tmp_path / "p.png")
    (places, values) = drawn["errorbar"][0]
    assert list(places) == [1.0, 4.0, 16.0]
    assert values == pytest.approx([0.65, 0.7, 0.6])
    assert drawn["imshow"] == []
    assert Image.open(tmp_path / "p.png").width > 400


def test_all_combinations_of_two_parameters_are_a_heat_map(tmp_path: Path, drawn: dict[str, list[Any]]) -> None:
    draw_sweep(metrics_csv=table(tmp_path / "m.csv", GRID), sweep=GRID, options=OPTIONS, output=tmp_path / "p.png")
    (values,) = drawn["imshow"][0]
    np.testing.assert_allclose(values, [[0.6, 0.7, 0.8], [0.65, 0.75, 0.85]])
    assert [call[2] for call in drawn["text"][:6]] == ["60.0", "70.0", "80.0", "65.0", "75.0", "85.0"]


@pytest.mark.parametrize("sweep", [ZIPPED, WORDS], ids=["zip", "words"])
def test_others_are_a_point_an_entry(tmp_path: Path, drawn: dict[str, list[Any]], sweep: Sweep) -> None:
    draw_sweep(metrics_csv=table(tmp_path / "m.csv", sweep), sweep=sweep, options=OPTIONS, output=tmp_path / "p.png")
    assert [call[1] for call in drawn["errorbar"]] == [[place] for place in range(len(sweep.entries))]
    assert drawn["imshow"] == []


def test_entries_without_figures_are_left_open(tmp_path: Path, drawn: dict[str, list[Any]]) -> None:
    rows = [
        metrics_row(category, name, "few-shot-1", **({"image_auroc": 0.7} if "k1" in name else {}))
        for category in ("ring", "mean")
        for name in GRID.entries
    ]
    metrics = write_metrics(tmp_path / "m.csv", rows)
    draw_sweep(metrics_csv=metrics, sweep=GRID, options=OPTIONS, output=tmp_path / "p.png")
    assert [math.isnan(value) for value in drawn["imshow"][0][0].ravel()] == [False] * 3 + [True] * 3


def test_without_labels_the_plot_says_so(tmp_path: Path, drawn: dict[str, list[Any]]) -> None:
    rows = [metrics_row(category, name, "few-shot-1") for category in ("ring", "mean") for name in SHOTS.entries]
    metrics = write_metrics(tmp_path / "m.csv", rows)
    draw_sweep(metrics_csv=metrics, sweep=SHOTS, options=OPTIONS, output=tmp_path / "p.png")
    assert {call[2] for call in drawn["text"]} == {"Not available: the data set has no labels or masks for it."}


def test_a_plot_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    metrics = table(tmp_path / "m.csv", SHOTS)
    for name in ("first", "second"):
        draw_sweep(metrics_csv=metrics, sweep=SHOTS, options=OPTIONS, output=tmp_path / f"{name}.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
