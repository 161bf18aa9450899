"""Quality against cost: which points are drawn, where, and that their names can be read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from zsad.errors import DataError
from zsad.reporting import figures
from zsad.reporting.evaluations import MethodKey
from zsad.reporting.options import ReportOptions
from zsad.reporting.quality_cost import Point, draw_quality_cost, pareto_front, setting_markers

NAN = float("nan")
SETTINGS = ("zero-shot-single", "zero-shot-batch", "few-shot-4", "full-shot")
OPTIONS = ReportOptions(dpi=50)


def key(method: str, setting: str = "zero-shot-single") -> MethodKey:
    return MethodKey(setting, method, "embedded")


def write_metrics(path: Path, values: Mapping[MethodKey, float]) -> Path:
    """A table in which both metrics of a method's mean are the same, with an interval of a tenth to either side."""
    columns = ["image_auroc", "aupro", "image_auroc_low", "image_auroc_high", "aupro_low", "aupro_high"]
    lines = [",".join(["dataset,category,backbone,method,setting,refiner,protocol", *columns])]
    for category, (each, value) in itertools.product(("tile", "mean"), values.items()):
        numbers = [value, value, value - 0.1, value + 0.1, value - 0.1, value + 0.1]
        names = ["parts", category, each.backbone, each.method, each.setting]
        lines += [",".join([*names, refiner, "resize256", *map(str, numbers)]) for refiner in ("none", "guided")]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_costs(path: Path, seconds: Mapping[MethodKey, float | str], group: Mapping[MethodKey, str] = {}) -> Path:
    lines = ["method,setting,backbone,stage,detail,images,seconds,seconds_per_image,peak_mb,shared,group"]
    for each, value in seconds.items():
        for stage, spent in (("score_images", 99), ("total per image", value)):
            row = (each.method, each.setting, each.backbone, stage, "", 10, 1, spent, "", 0, group.get(each, ""))
            lines.append(",".join(map(str, row)))
    path.write_text("\n".join(lines) + "\n")
    return path


class Drawing:
    """A figure as it is saved."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.panels = figure.axes

    def names(self, panel: int = 0) -> dict[str, Bbox]:
        texts = self.panels[panel].texts
        return {text.get_text(): text.get_window_extent() for text in texts if text.get_text()}

    def text(self) -> str:
        return " ".join(" ".join(text.get_text() for text in self.figure.findobj(match=_is_text)).split())


def _is_text(artist: object) -> bool:
    return hasattr(artist, "get_text")


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Draw methods of the given values and seconds, and look at the figure."""
    drawn: list[Figure] = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda figure, *rest: (drawn.append(figure), save(figure, *rest)))

    def draw_them(
        values: Mapping[MethodKey, float], seconds: Mapping[MethodKey, float | str], group: Mapping[MethodKey, str] = {}
    ) -> Drawing:
        draw_quality_cost(
            metrics_csv=write_metrics(tmp_path / "metrics.csv", values),
            cost_csv=write_costs(tmp_path / "cost.csv", seconds, group),
            options=OPTIONS,
            output=tmp_path / "plot.png",
        )
        return Drawing(drawn[-1])

    return draw_them


def point(seconds: float, value: float) -> Point:
    return Point(key("any"), seconds, value, NAN, NAN)


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.5)], [(1, 0.5)]),
        ([(1, 0.5), (2, 0.6)], [(1, 0.5), (2, 0.6)]),
        ([(2, 0.4), (1, 0.5)], [(1, 0.5)]),  # slower and worse
        ([(2, 0.5), (1, 0.5)], [(1, 0.5)]),  # slower and no better
        ([(1, 0.5), (1, 0.6)], [(1, 0.6)]),  # worse in the same time
        ([(3, 0.9), (2, 0.3), (1, 0.5), (4, 0.8)], [(1, 0.5), (3, 0.9)]),
    ],
)
def test_the_front_has_what_no_faster_method_equals(points, front) -> None:
    assert pareto_front([point(*each) for each in points]) == [point(*each) for each in front]


def test_each_setting_has_a_marker_in_the_order_of_settings() -> None:
    markers = setting_markers([key("a", "full-shot"), key("b", "few-shot-4"), key("c"), key("d", "few-shot-1")])
    assert list(markers) == ["zero-shot-single", "few-shot-1", "few-shot-4", "full-shot"]
    assert len(set(markers.values())) == 4


def test_a_point_is_the_mean_against_the_total_of_an_image_with_its_interval(draw) -> None:
    drawing = draw({key("plain"): 0.7}, {key("plain"): 0.25})
    for panel in drawing.panels:
        lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines]
        assert ([0.25], [0.7]) in lines
        assert ([0.25, 0.25], [pytest.approx(0.6), pytest.approx(0.8)]) in lines
        assert panel.get_xscale() == "log"
    assert drawing.names().keys() == {"plain"}


def test_the_figure_says_the_protocol_what_is_counted_and_whose_line_it_is(draw) -> None:
    text = draw({key("plain"): 0.7}, {key("plain"): 0.25}).text()
    for words in ("256 × 256", "95 % interval", "wall-clock seconds", "references", "no faster method equals"):
        assert words in text


def test_many_methods_close_together_have_names_that_do_not_cover_each_other(draw) -> None:
    keys = [key(f"some_method_{index}", SETTINGS[index % 4]) for index in range(13)]
    values = {each: 0.6 + 0.02 * (7 * index % 13) for index, each in enumerate(keys)}
    seconds = {each: 0.2 * 1.05 ** (5 * index % 13) for index, each in enumerate(keys)}
    drawing = draw(values, seconds)
    for panel in (0, 1):
        boxes = drawing.names(panel)
        assert len(boxes) == 13
        assert not [pair for pair in itertools.combinations(boxes.values(), 2) if Bbox.intersection(*pair)]


def test_of_a_method_with_seeds_the_mean_is_drawn(draw) -> None:
    seeds, mean = [key("bank-seed0"), key("bank-seed1")], key("bank")
    every = dict.fromkeys([*seeds, mean], 0.7)
    drawing = draw(every, dict.fromkeys(every, 0.1), group=dict.fromkeys(seeds, "bank"))
    assert drawing.names().keys() == {"bank"}


@pytest.mark.parametrize("seconds", ["", "0.000000"])
def test_a_method_without_a_cost_is_left_out_and_named(draw, seconds: str) -> None:
    drawing = draw({key("plain"): 0.7, key("lost"): 0.8}, {key("plain"): 0.25, key("lost"): seconds})
    assert drawing.names().keys() == {"plain"}
    assert "Left out because benchmarks are missing: lost." in drawing.text()


@pytest.mark.parametrize(
    ("value", "seconds", "sentence"),
    [(NAN, 0.1, "the data set has no labels or masks"), (0.7, "", "no method has both a mean and the benchmarks")],
    ids=["no labels", "no benchmarks"],
)
def test_a_sentence_stands_where_nothing_can_be_drawn(draw, value, seconds, sentence) -> None:
    drawing = draw({key("plain"): value}, {key("plain"): seconds})
    assert drawing.text().count(sentence) == 2
    assert not any(panel.lines for panel in drawing.panels)


def test_the_same_tables_give_the_same_bytes(draw, tmp_path: Path) -> None:
    values = {key("a"): 0.7, key("b", "few-shot-4"): 0.8}
    pictures = []
    for _ in range(2):
        draw(values, {key("a"): 0.1, key("b", "few-shot-4"): 0.3})
        pictures.append((tmp_path / "plot.png").read_bytes())
    assert pictures[0] == pictures[1]
    with Image.open(tmp_path / "plot.png") as image:
        assert image.size == (500, 290)


def test_a_table_of_something_else_is_named_and_nothing_is_drawn(tmp_path: Path) -> None:
    metrics = write_metrics(tmp_path / "metrics.csv", {key("plain"): 0.7})
    (tmp_path / "cost.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"cost\.csv is not a table of costs .*; delete it and run again"):
        draw_quality_cost(
            metrics_csv=metrics, cost_csv=tmp_path / "cost.csv", options=OPTIONS, output=tmp_path / "plot.png"
        )
    assert not (tmp_path / "plot.png").exists()
