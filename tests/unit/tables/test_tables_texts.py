"""Settings of methods that read texts, in the tables: in order, apart, and as text of each format."""

from __future__ import annotations

import pytest

from evaluation_files import Run, score_document
from zsad.reporting.evaluations import MethodKey
from zsad.reporting.quality_cost import legend_columns, setting_markers

SETTINGS = {  # in the order of the tables
    "self_similarity": "zero-shot-single",
    "winclip": "zero-shot-text",
    "april_gan": "zero-shot-auxiliary(mvtec_ad)",
    "anomalyclip": "zero-shot-auxiliary(visa)",
    "winclip_plus": "few-shot-4",
    "learned_plus": "few-shot-4+auxiliary(visa)",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    documents = [
        score_document("bottle", method, 0.5 + place / 100, setting=SETTINGS[method])
        for place, method in enumerate(sorted(SETTINGS))
    ]
    return Run(tmp_path_factory.mktemp("run")).collect(documents, published="mvtec_ad")


def test_rows_have_their_setting_as_it_is(run: Run) -> None:
    means = [row for row in run.rows() if row["category"] == "mean"]
    assert {row["method"]: row["setting"] for row in means} == SETTINGS


@pytest.mark.parametrize(("name", "written"), [("markdown", "mvtec_ad"), ("latex", r"mvtec\_ad")])
def test_a_setting_is_text_in_every_format(run: Run, name: str, written: str) -> None:
    assert f"zero-shot-auxiliary({written})" in run.text(name)
    if written != "mvtec_ad":
        assert "auxiliary(mvtec_ad)" not in run.text(name)


def published_rows(run: Run) -> list[list[str]]:
    """The cells of the table of published figures."""
    table = run.text("markdown").partition("## Our figures and published ones by setting")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:2] == "| "]


def test_what_has_seen_less_stands_first(run: Run) -> None:
    found = list(dict.fromkeys(row[0] for row in published_rows(run)))
    places = [found.index(setting) for setting in SETTINGS.values()]
    assert places == sorted(places)


def test_others_stand_in_the_setting_of_what_they_have_seen(run: Run) -> None:
    """AnomalyCLIP's own figures beside a run of its tokens, and none of them beside words alone."""
    rows = published_rows(run)
    beside = {method: {row[1] for row in rows if row[0] == setting} for method, setting in SETTINGS.items()}
    assert {"anomalyclip", "AnomalyCLIP", "APRIL-GAN"} <= beside["anomalyclip"]
    assert {"winclip", "WinCLIP", "AdaptCLIP (baseline)"} <= beside["winclip"]
    assert "AnomalyCLIP" not in beside["winclip"]
    assert {"winclip_plus", "WinCLIP+"} <= beside["winclip_plus"]


def test_many_settings_have_a_marker_each() -> None:
    settings = [*SETTINGS.values(), "zero-shot-batch", "few-shot-1", "full-shot"]
    markers = setting_markers([MethodKey(setting, "m", "b") for setting in settings])
    assert len(set(markers.values())) == len(settings)


def test_the_legend_of_many_long_settings_keeps_to_the_width_of_the_figure() -> None:
    settings = [*SETTINGS.values(), "full-shot"]
    columns = legend_columns(settings)
    assert 1 < columns < len(settings)
    rows = -(-len(settings) // columns)
    widest = [max(map(len, settings[start : start + rows])) for start in range(0, len(settings), rows)]
    assert sum(widest) < 110  # as many as stand in a line of the caption
    assert legend_columns(["zero-shot-single", "zero-shot-batch", "few-shot-4", "full-shot"]) == 4
    assert legend_columns([f"zero-shot-auxiliary({place * 'x'})" for place in range(150, 153)]) == 1
