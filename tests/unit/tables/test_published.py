"""The published figures that stand beside ours."""

import csv
import math

import pytest

from zsad.errors import DataError
from zsad.names import auxiliary_sets, is_of_detector, setting_order
from zsad.tables.published import COLUMNS, DEFAULT, FIGURES, published_for, read_published

PUBLISHED = read_published()
ZQHANG = (
    "metrics at 240 x 240; truth bilinear, more than half; AUPRO of 200 linear thresholds, rescaled to the reached FPR"
)


def the(dataset, method, setting, **facts):
    """The one row with these facts."""
    facts = {"category": "mean"} | facts
    (row,) = [
        row
        for row in PUBLISHED
        if (row.dataset, row.method, row.setting) == (dataset, method, setting)
        and all(getattr(row, name) == value for name, value in facts.items())
    ]
    return row


@pytest.fixture
def damaged(tmp_path):
    """Write a copy of the table, changed cell by cell: ``{(row, column): text}``."""

    def write(changes):
        with DEFAULT.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
        for (row, column), text in changes.items():
            rows[row][COLUMNS.index(column)] = text
        path = tmp_path / "published.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
        return path

    return write


def test_every_row_says_where_its_figures_come_from():
    for row in PUBLISHED:
        assert row.source
        assert row.protocol
        assert is_of_detector(row.setting)


def test_no_row_stands_twice():
    names = [(r.dataset, r.category, r.method, r.backbone, r.setting, r.resolution, r.source) for r in PUBLISHED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("row", "figures"),
    [
        (
            the("mvtec_ad", "MuSc", "zero-shot-batch", backbone="DINOv2 ViT-L/14", resolution="518"),
            {"image_auroc": 97.08, "image_ap": 98.82, "image_f1max": 97.13, "pixel_auroc": 98.34, "aupro": 96.16},
        ),
        (the("mvtec_ad", "MuSc", "zero-shot-batch", category="screw"), {"image_auroc": 82.17, "pixel_f1max": 41.87}),
        (
            the("visa", "WinCLIP", "zero-shot-text", backbone="CLIP ViT-L/14-336"),
            {"image_auroc": 75.6, "pixel_ap": 5.4, "aupro": 51.1},
        ),
        (the("mvtec_ad", "PatchCore", "full-shot", category="wood"), {"image_auroc": 99.12, "aupro": 90.21}),
        (
            the("mvtec_ad", "PaDiM (xiahaifeng1995)", "full-shot", backbone="ResNet-18", category="screw"),
            {"image_auroc": 74.5, "pixel_auroc": 97.2},
        ),
        (
            the("mvtec_ad", "WinCLIP+", "few-shot-8"),
            {"image_auroc": 95.6, "image_f1max": 95.4, "image_ap": 97.6, "pixel_auroc": 94.5, "pixel_f1max": 45.9}
            | {"pixel_ap": 42.4, "aupro": 86.0},
        ),
        (
            the("visa", "AnomalyCLIP", "zero-shot-auxiliary(mvtec_ad)", resolution="518"),
            {"image_auroc": 82.0, "image_ap": 85.3, "image_f1max": math.nan, "pixel_auroc": 95.5, "aupro": 86.7},
        ),
        (the("mvtec_ad", "AdaptCLIP (baseline)", "zero-shot-text"), {"image_auroc": 91.1, "pixel_ap": 33.0}),
        (
            the("mvtec_ad", "AnomalyDINO", "few-shot-1", resolution="672"),
            {"image_auroc": 96.6, "pixel_f1max": 60.2, "aupro": 92.7, "pixel_ap": math.nan},
        ),
        (the("mvtec_ad", "Dinomaly", "full-shot", resolution="392"), {"pixel_ap": 69.3, "pixel_f1max": 69.2}),
    ],
    ids=lambda value: getattr(value, "method", ""),
)
def test_figures_are_those_of_the_source_as_shares_of_one(row, figures):
    for name, percent in figures.items():
        assert getattr(row, name) == pytest.approx(percent / 100, nan_ok=True)


@pytest.mark.parametrize(
    ("dataset", "method", "setting", "facts", "off"),
    [
        ("mvtec_ad", "MuSc", "zero-shot-batch", {"backbone": "CLIP ViT-L/14-336"}, 2e-4),
        ("visa", "MuSc", "zero-shot-batch", {"backbone": "CLIP ViT-L/14-336"}, {"pixel_auroc": 1.3e-3}),  # the source's
        ("mvtec_ad", "PatchCore", "full-shot", {"resolution": "224"}, 6e-4),
        ("mvtec_ad", "PaDiM (xiahaifeng1995)", "full-shot", {"backbone": "ResNet-18"}, 6e-4),
        ("mvtec_ad", "PaDiM (xiahaifeng1995)", "full-shot", {"backbone": "WideResNet-50"}, 6e-4),
        ("mvtec_ad", "WinCLIP", "zero-shot-text", {"protocol": ZQHANG}, 6e-4),
        ("visa", "WinCLIP", "zero-shot-text", {"protocol": ZQHANG}, 6e-4),
        ("mvtec_ad", "WinCLIP+", "few-shot-1", {"protocol": ZQHANG}, 6e-4),
        ("visa", "WinCLIP+", "few-shot-1", {"protocol": ZQHANG}, 6e-4),
    ],
)
def test_a_mean_is_the_mean_of_its_categories(dataset, method, setting, facts, off):
    """As good a check of typed figures as there is: the source's mean, to its rounding."""
    named = [row for row in PUBLISHED if (row.dataset, row.method, row.setting) == (dataset, method, setting)]
    rows = [row for row in named if all(getattr(row, name) == value for name, value in facts.items())]
    categories = [row for row in rows if row.category != "mean"]
    (mean,) = [row for row in rows if row.category == "mean"]
    assert len(categories) == (12 if dataset == "visa" else 15)
    for name in (name for name in FIGURES if not math.isnan(getattr(mean, name))):
        average = sum(getattr(row, name) for row in categories) / len(categories)
        most = off.get(name, 2e-4) if isinstance(off, dict) else off
        assert average == pytest.approx(getattr(mean, name), abs=most), name


def test_a_method_that_sees_less_comes_first():
    rows = published_for("visa")
    assert {row.category for row in rows} == {"mean"}
    assert [setting_order(row.setting) for row in rows] == sorted(setting_order(row.setting) for row in rows)
    assert published_for("mvtec_ad", "screw")[0].setting == "zero-shot-single"
    assert published_for("nobody's", "mean") == []


def test_what_was_trained_on_another_data_set_says_so_in_its_setting():
    """Methods that learn the rule from labelled defects of other products do not compete with those that see none."""
    for row in PUBLISHED:
        trained = auxiliary_sets(row.setting)
        assert bool(trained) == ("auxiliary training" in row.note), row
        assert row.dataset not in trained


def test_empty_cells_are_unknown_and_the_note_may_be_empty(damaged):
    row = read_published(damaged({(1, "image_ap"): " ", (1, "note"): ""}))[0]
    assert math.isnan(row.image_ap)
    assert row.note == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({(0, "aupro"): "au_pro"}, "unknown column 'au_pro'; did you mean 'aupro'"),
        ({(0, "aupro"): "image_ap"}, "has no column 'aupro'"),
        ({(2, "source"): " "}, "line 3: source is empty"),
        ({(2, "protocol"): ""}, "line 3: protocol is empty"),
        ({(1, "aupro"): "100.1"}, "line 2: aupro is '100.1'; write it in per cent"),
        ({(1, "aupro"): "-1"}, "aupro is '-1'"),
        ({(1, "aupro"): "nan"}, "aupro is 'nan'"),
        ({(1, "aupro"): "96,1"}, "aupro is '96,1'"),
        ({(1, "setting"): "one-shot"}, "'one-shot' is not a setting"),
        ({(1, "setting"): "few-shot-defects-5"}, "'few-shot-defects-5' is not a setting"),
        (dict.fromkeys([(1, name) for name in FIGURES], ""), "there is no figure"),
    ],
)
def test_a_damaged_table_is_refused(damaged, changes, message):
    with pytest.raises(DataError) as error:
        read_published(damaged(changes))
    assert message in str(error.value)


def test_a_row_of_too_few_or_too_many_cells_is_refused(tmp_path):
    path = tmp_path / "published.csv"
    for row in ("mvtec_ad,mean", "," * len(COLUMNS)):
        path.write_text(",".join(COLUMNS) + "\n" + row + "\n")
        with pytest.raises(DataError, match="line 2: the row does not have 16 cells"):
            read_published(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b'a,"b'], ids=["absent", "no text", "open quote"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "published.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"published\.csv"):
        read_published(path)
