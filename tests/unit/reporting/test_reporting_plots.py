import math

import pytest
from matplotlib.figure import Figure
from PIL import Image

from reporting_files import metrics_row, write_metrics, write_results
from zsad.errors import ConfigError, DataError
from zsad.files.json_files import read_json, write_json
from zsad.names import is_of_detector, setting_order
from zsad.reporting.bars import draw_bars, groups_of, rows_of_groups
from zsad.reporting.curves import draw_curves, with_bands
from zsad.reporting.distributions import draw_histograms
from zsad.reporting.evaluations import MethodKey, display_names, protocol_in_words
from zsad.reporting.figures import method_lines, write_title
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import interval_of, known_metrics, read_metrics, with_any
from zsad.reporting.summary import draw_means
from zsad.tables.frames import rows_of
from zsad.tables.notation import signed, with_interval

OPTIONS = ReportOptions(dpi=50)


@pytest.fixture
def evaluations(tmp_path):
    methods = {"memory_bank": "few-shot-4", "self_similarity": "zero-shot-single"}
    return [
        write_results(tmp_path / method, method=method, setting=setting).evaluation
        for method, setting in methods.items()
    ]


@pytest.fixture
def metrics(tmp_path):
    rows = [
        metrics_row("ring", "mutual", "zero-shot-batch", image_auroc=0.9, image_auroc_low=0.8, image_auroc_high=0.95),
        metrics_row("ring", "mutual", "zero-shot-batch", "guided", image_auroc=0.9),
        metrics_row("board", "mutual", "zero-shot-batch"),
        metrics_row("mean", "mutual", "zero-shot-batch", image_auroc=0.9, image_auroc_low=0.8, image_auroc_high=0.95),
    ]
    return write_metrics(tmp_path / "metrics.csv", rows)


def test_plots_are_the_same_bytes_each_time_in_whatever_order_and_carry_no_date(tmp_path, evaluations, metrics):
    for name, given in (("first", evaluations), ("second", evaluations[::-1])):
        folder = tmp_path / name
        draw_curves(evaluations=given, options=OPTIONS, output=folder / "curves.png")
        draw_histograms(evaluations=given, options=OPTIONS, output=folder / "histograms.png")
        draw_means(metrics_csv=metrics, options=OPTIONS, output=folder / "summary.png")
        draw_bars(metrics_csv=metrics, options=OPTIONS, output=folder / "bars.png")
    for plot in ("curves", "histograms", "summary", "bars"):
        first, second = (tmp_path / name / f"{plot}.png" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert set(Image.open(first).info) == {"dpi"}


def draw_all(folder, evaluations, metrics, options):
    draw_curves(evaluations=evaluations, options=options, output=folder / "curves.png")
    draw_histograms(evaluations=evaluations, options=options, output=folder / "histograms.png")
    draw_means(metrics_csv=metrics, options=options, output=folder / "summary.png")
    draw_bars(metrics_csv=metrics, options=options, output=folder / "bars.png")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_vector_formats_lie_beside_the_png_and_are_the_same_bytes_each_time(tmp_path, evaluations, metrics):
    options = ReportOptions(dpi=50, format=["svg", "pdf"])
    first = draw_all(tmp_path / "first", evaluations, metrics, options)
    for draw in (draw_histograms, draw_curves):
        draw(evaluations=evaluations, options=options, output=tmp_path / "again.png")
        for ending in ("png", "pdf", "svg"):
            name = f"{draw.__name__.removeprefix('draw_')}.{ending}"
            assert (tmp_path / f"again.{ending}").read_bytes() == first[name]
    plots = ("curves", "histograms", "summary", "bars")
    assert first.keys() == {f"{plot}.{ending}" for plot in plots for ending in ("png", "pdf", "svg")}
    plain = draw_all(tmp_path / "plain", evaluations, metrics, OPTIONS)
    assert plain == {name: content for name, content in first.items() if name.endswith("png")}
    for plot in plots:
        document = first[f"{plot}.pdf"]
        assert document.startswith(b"%PDF-")
        assert b"/CIDFontType2" in document  # fonts are embedded as TrueType
        assert b"/Type3" not in document
        assert b"Date" not in document
        assert b"Matplotlib" not in document
        picture = first[f"{plot}.svg"]
        assert b"<svg" in picture
        assert b"<dc:date>" not in picture


def test_a_vector_file_that_is_no_longer_asked_for_is_removed(tmp_path, evaluations):
    plot = {"evaluations": evaluations, "output": tmp_path / "plot.png"}
    draw_histograms(**plot, options=ReportOptions(dpi=50, format=["png", "pdf", "svg"]))
    draw_histograms(**plot, options=ReportOptions(dpi=50, format=["pdf"]))
    assert {path.suffix for path in tmp_path.glob("plot.*")} == {".png", ".pdf"}
    draw_histograms(**plot, options=OPTIONS)
    assert {path.suffix for path in tmp_path.glob("plot.*")} == {".png"}


def test_an_unknown_format_is_one_sentence():
    with pytest.raises(ConfigError, match="item 2 of format = 'eps' is not valid; choose from: png, pdf, svg"):
        ReportOptions.build({"format": ["png", "eps"]}, where="report")


def test_the_options_of_the_caller_change_the_plot_and_a_changed_style_of_the_process_does_not(tmp_path, evaluations):
    import matplotlib

    draw_histograms(evaluations=evaluations, options=OPTIONS, output=tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        draw_histograms(evaluations=evaluations, options=OPTIONS, output=tmp_path / "styled.png")
    draw_histograms(evaluations=evaluations, options=ReportOptions(dpi=60), output=tmp_path / "finer.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()
    assert Image.open(tmp_path / "finer.png").width > Image.open(tmp_path / "plain.png").width


def test_without_labels_the_figures_say_so_instead_of_failing(tmp_path):
    unlabelled = write_results(tmp_path / "data", labels=(None, None, None), with_curves=False).evaluation
    draw_curves(evaluations=[unlabelled], options=OPTIONS, output=tmp_path / "curves.png")
    draw_histograms(evaluations=[unlabelled], options=OPTIONS, output=tmp_path / "histograms.png")
    empty = write_metrics(tmp_path / "metrics.csv", [metrics_row(name, "m", "few-shot-1") for name in ("a", "mean")])
    draw_means(metrics_csv=empty, options=OPTIONS, output=tmp_path / "summary.png")
    draw_bars(metrics_csv=empty, options=OPTIONS, output=tmp_path / "bars.png")
    assert all(Image.open(tmp_path / f"{plot}.png").width > 100 for plot in ("curves", "histograms", "summary", "bars"))


def test_panels_of_which_nothing_is_known_are_left_out(tmp_path, evaluations):
    sizes = {}
    for kind, pixels in (("whole", True), ("labels", False)):
        for path in evaluations:
            curves = read_json(path)["curves"]
            kept = {name: curve for name, curve in curves.items() if pixels or name.startswith("image")}
            write_json(path, read_json(path) | {"curves": dict.fromkeys(curves) | kept})
        draw_curves(evaluations=evaluations, options=OPTIONS, output=tmp_path / "curves.png")
        values = {"image_auroc": 0.9, **({"aupro": 0.6, "pixel_ap": 0.5} if pixels else {})}
        rows = [metrics_row(name, "m", "few-shot-1", **values) for name in ("a", "mean")]
        rows += [metrics_row("without labels", "m", "few-shot-1")]
        table = write_metrics(tmp_path / "metrics.csv", rows)
        draw_means(metrics_csv=table, options=OPTIONS, output=tmp_path / "summary.png")
        draw_bars(metrics_csv=table, options=OPTIONS, output=tmp_path / "bars.png")
        sizes[kind] = {name: Image.open(tmp_path / f"{name}.png").height for name in ("curves", "bars")}
    assert sizes["labels"]["curves"] < 0.8 * sizes["whole"]["curves"]  # two rows of panels in place of three
    assert sizes["labels"]["bars"] < 0.6 * sizes["whole"]["bars"]  # one metric in place of three
    known = read_metrics(table)
    assert set(with_any(known, ("image_auroc", "aupro"))["category"]) == {"a", "mean"}
    assert known_metrics(known, ("image_auroc", "aupro")) == ["image_auroc"]


def test_a_method_without_curves_stands_beside_those_with(tmp_path, evaluations):
    without = write_results(tmp_path / "other", method="mutual", with_curves=False).evaluation
    draw_curves(evaluations=[*evaluations, without], options=OPTIONS, output=tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()


def test_a_band_changes_the_plot_and_its_lack_does_not_stop_it(tmp_path, evaluations):
    draw_curves(evaluations=evaluations, options=OPTIONS, output=tmp_path / "banded.png")
    for path in evaluations:
        write_json(path, read_json(path) | {"bands": {}})
    draw_curves(evaluations=evaluations, options=OPTIONS, output=tmp_path / "bare.png")
    assert (tmp_path / "banded.png").read_bytes() != (tmp_path / "bare.png").read_bytes()


@pytest.mark.parametrize(
    ("decision", "dot", "nominal"),
    [
        ({"fpr": 0.25, "recall": 0.8, "precision": 0.6, "nominal": 0.1}, (0.25, 0.8), [0.1]),
        ({"fpr": 0.0, "recall": 0.0, "precision": 0.0, "nominal": None}, (0.0, 0.0), []),
        ({"fpr": None, "recall": 0.8, "precision": 0.6, "nominal": 0.1}, None, []),
    ],
    ids=["with a rate", "without", "no good image"],
)
def test_the_decisions_are_a_dot_on_the_roc_and_their_nominal_rate_a_line(
    tmp_path, monkeypatch, evaluations, decision, dot, nominal
):
    drawn = []
    monkeypatch.setattr("zsad.reporting.curves.figures.save", lambda figure, *_: drawn.append(figure))
    for path in evaluations:
        result = read_json(path)
        write_json(path, result | {"decision": {**result["decision"], **decision}})
    draw_curves(evaluations=evaluations, options=OPTIONS, output=tmp_path / "curves.png")
    roc, precision_recall, pixels = drawn[0].axes[:3]
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in roc.lines if line.get_marker() == "o"]
    assert dots == ([dot] * len(evaluations) if dot else [])
    upright = [line for line in roc.lines if len(line.get_xdata()) == 2 and len({*line.get_xdata()}) == 1]
    assert [line.get_xdata()[0] for line in upright] == nominal
    assert {line.get_ydata()[0] for line in precision_recall.lines if line.get_marker() == "o"} == {
        decision["precision"]
    }
    assert not any(line.get_marker() == "o" for line in pixels.lines)
    words = " ".join(text.get_text() for axes in drawn[0].axes for text in axes.texts)
    assert ("lie off the curves" in words) == (dot is not None)
    assert ("nominal false-alarm rate" in words) == bool(nominal)


@pytest.mark.parametrize(
    ("aurocs", "banded"),
    [
        ({"a": 0.5, "b": 0.6, "c": 0.9, "d": 0.8}, ["a", "b", "c", "d"]),
        ({"a": 0.5, "b": 0.6, "c": 0.9, "d": 0.8, "e": 0.7}, ["c", "d"]),
        ({"a": None, "b": 0.1, "c": 0.7, "d": None, "e": 0.6}, ["b", "c"]),
    ],
)
def test_of_many_methods_the_best_of_each_setting_alone_has_a_band(aurocs, banded):
    results = [
        {
            "method": method,
            "setting": "zero-shot-batch" if method in "ace" else "few-shot-4",
            "metrics": {"image_auroc": auroc},
            "confidence": {},
            "bands": {"image_roc": {"x": [], "low": [], "high": []}},
        }
        for method, auroc in aurocs.items()
    ]
    assert [result["method"] for result in with_bands(results, "image_auroc", "image_roc")] == banded


@pytest.mark.parametrize("categories", [1, 2, 9, 15, 30])
@pytest.mark.parametrize("methods", [1, 3, 7, 13])
def test_bars_wrap_so_that_each_is_wide_enough_to_see_and_none_is_lost(categories, methods):
    groups = [f"part {number}" for number in range(categories)]
    wrapped = rows_of_groups(groups, methods)
    assert [group for row in wrapped for group in row] == groups
    assert len(wrapped[0]) * methods <= 150
    assert len({len(row) for row in wrapped[:-1]} | {len(wrapped[0])}) == 1
    assert len(wrapped[-1]) <= len(wrapped[0])


def test_means_come_last_and_over_one_category_there_is_none(tmp_path):
    def groups(*names):
        rows = [metrics_row(name, "mutual", "zero-shot-batch", "none", aupro=0.5) for name in names]
        return groups_of(read_metrics(write_metrics(tmp_path / "m.csv", rows)))

    assert groups("mean", "ring") == ["ring"]
    assert groups("mean", "ring", "mean objects", "cloth", "mean textures") == [
        *("ring", "cloth", "mean textures", "mean objects", "mean"),
    ]


def test_the_protocol_stands_in_the_title_of_a_figure():
    figure = Figure()
    write_title(figure, "ring", protocol_in_words(["resize256", "resize256"]))
    assert [text.get_text() for text in figure.texts] == ["ring", "protocol: 256 × 256"]
    assert protocol_in_words(["", "native"]) == "native resolution"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.9434, 0.9, 0.97), "94.3 (90.0–97.0)"),
        ((0.9434, 0.9, 0.97, 0.012), "94.3 ± 1.2 (90.0–97.0)"),
        ((0.5, math.nan, math.nan, 0.1), "50.0 ± 10.0"),
        ((0.5, math.nan, math.nan), "50.0"),
        ((1.0, 1.0, 1.0), "100.0 (100.0–100.0)"),
        ((math.nan, 0.1, 0.2), "n/a"),
    ],
)
def test_a_metric_is_written_with_its_limits(numbers, words):
    assert with_interval(*numbers) == words


@pytest.mark.parametrize(("value", "words"), [(0.02, "+2.0"), (-0.02, "−2.0"), (-0.0001, "+0.0"), (math.nan, "")])
def test_a_difference_has_a_sign_unless_it_is_nothing(value, words):
    assert signed(value) == words


def test_a_figure_of_two_categories_is_refused(tmp_path, evaluations):
    other = write_results(tmp_path / "board", category="board").evaluation
    with pytest.raises(DataError, match=r"one category, not 2 \(board, ring\)"):
        draw_curves(evaluations=[evaluations[0], other], options=OPTIONS, output=tmp_path / "curves.png")


def test_an_evaluation_that_lacks_parts_is_refused_by_what_it_lacks(tmp_path):
    path = tmp_path / "evaluation.json"
    write_json(path, {"dataset": "parts"})
    with pytest.raises(DataError, match="it lacks category, method"):
        draw_curves(evaluations=[path], options=OPTIONS, output=tmp_path / "curves.png")


def test_a_table_that_is_no_table_of_metrics_is_refused(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a table of metrics"):
        read_metrics(path)


def test_empty_cells_are_not_a_number(metrics):
    ring, _, board, _ = rows_of(read_metrics(metrics))
    assert ring["image_auroc"] == 0.9
    assert interval_of(ring, "image_auroc") == (0.8, 0.95)
    assert math.isnan(board["image_auroc"])
    assert all(map(math.isnan, interval_of(ring, "no such column")))


def test_settings_are_ordered_by_how_much_they_see():
    settings = ["full-shot", "few-shot-16", "few-shot-4", "zero-shot-batch", "odd", "zero-shot-single"]
    expected = ["zero-shot-single", "zero-shot-batch", "few-shot-4", "few-shot-16", "full-shot", "odd"]
    assert sorted(settings, key=setting_order) == expected


def test_what_learns_from_labelled_defects_stands_behind_all_detectors():
    detectors = ["zero-shot-text", "few-shot-5", "few-shot-64", "full-shot"]
    classifiers = ["few-shot-defects-1", "few-shot-defects-5", "few-shot-defects-10", "few-shot-defects-all"]
    assert sorted([*reversed(classifiers), *detectors], key=setting_order) == [*detectors, *classifiers]
    assert all(map(is_of_detector, detectors))
    assert not any(map(is_of_detector, [*classifiers, "odd", ""]))


def test_every_method_has_its_own_line_whatever_the_order_of_the_methods():
    keys = [MethodKey("zero-shot-single", f"m{number:02d}", "embedded") for number in range(20)]
    lines = method_lines(keys)
    assert len({(line["color"], str(line["linestyle"])) for line in lines.values()}) == 20
    assert method_lines(keys[::-1]) == lines


def test_backbones_are_named_where_there_is_more_than_one():
    one, two = MethodKey("few-shot-1", "bank", "dino"), MethodKey("few-shot-1", "bank", "embedded")
    assert list(display_names([one]).values()) == ["bank"]
    assert list(display_names([two, one]).values()) == ["bank · dino", "bank · embedded"]


def histogram(tmp_path, monkeypatch, scores, threshold):
    """The axes of the histogram of one method with these scores."""
    drawn = []
    monkeypatch.setattr("zsad.reporting.distributions.figures.save", lambda figure, *_: drawn.append(figure))
    path = write_results(tmp_path / "data", labels=[0, 1] * (len(scores) // 2)).evaluation
    document = read_json(path)
    each = threshold if isinstance(threshold, list) else [threshold] * len(scores)
    for image, score, limit in zip(document["images"], scores, each, strict=True):
        image |= {"peak": score, "region_threshold": limit}
    write_json(path, document)
    draw_histograms(evaluations=[path], options=OPTIONS, output=tmp_path / "histograms.png")
    return drawn[0].axes[0]


OWN = " minus the image's own threshold"
SPREAD = [0.1 * place for place in range(20)]  # up to 1.9


@pytest.mark.parametrize(
    ("scores", "threshold", "limits", "words"),
    [
        (SPREAD, 1.0, (0.0, 1.9), []),
        (SPREAD, 3.0, (0.0, 3.0), []),
        (SPREAD, 40.0, (0.0, 1.9), ["label-free threshold 40"]),
        (SPREAD, -7.5, (0.0, 1.9), ["label-free threshold -7.5"]),
        ([*SPREAD[:-1], 90.0], 1.0, (0.0, 1.8), ["1 image at 90"]),
        (
            [-60.0, *SPREAD[1:-1], 90.0],
            95.0,
            (0.1, 1.8),
            ["label-free threshold 95", "1 image at -60", "1 image at 90"],
        ),
        ([*SPREAD[:10], *[50.0] * 10], 25.0, (0.0, 50.0), []),
        ([0.25] * 20, 30.0, (0.25, 0.25), ["label-free threshold 30"]),
        ([0.0, 90.0], 1.0, (0.0, 90.0), []),
        (SPREAD, math.inf, (0.0, 1.9), ["label-free threshold: infinite"]),
        ([place + 5.0 for place in SPREAD], [5.0 - place for place in SPREAD], (0.0, 3.8), []),
        (SPREAD, [math.inf, *[1.0] * 19], (-0.9, 0.9), ["1 with an infinite threshold"]),
    ],
    ids=[
        *("within", "near", "far right", "far left", "one far", "all far", "two kinds", "all alike", "two images"),
        *("above all", "each its own", "one above all"),
    ],
)
def test_what_lies_far_off_is_named_beside_the_bars_and_does_not_squeeze_them(
    tmp_path, monkeypatch, scores, threshold, limits, words
):
    axes = histogram(tmp_path, monkeypatch, scores, threshold)
    assert [text.get_text() for text in axes.texts if text.get_text()] == words
    low, high = axes.get_xlim()
    assert low < limits[0] <= limits[1] < high
    span = max(limits[1] - limits[0], 0.05)
    assert high - low < 1.3 * span
    in_legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("label-free" in text for text in in_legend) != any("label-free" in text for text in words)
    assert axes.get_xlabel() == ("peak of the map" + OWN * isinstance(threshold, list))
