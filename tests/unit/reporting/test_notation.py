"""One table in all its forms: a figure reads the same in Markdown, LaTeX and on the page, and is a fraction in CSV."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd
import pytest
from test_reporting_page import Page

from evaluation_files import Run, mask_document, score_document
from paths import REPOSITORY
from zsad.reporting.page import _environment
from zsad.reporting.results import read_comparisons, read_metrics
from zsad.tables.comparisons import comparison_tables
from zsad.tables.csv_tables import COMPARISONS, COSTS, DEFECT_TYPES, IMAGES, METRICS, REFINEMENT, write_metrics
from zsad.tables.frames import TableFormat
from zsad.tables.metrics_table import metrics_table
from zsad.tables.notation import NOTATION
from zsad.tables.table import Table
from zsad.tables.typeset import latex_table, markdown_table
from zsad.workflow.codetrace import code_hashes

METHODS = {"one": ("zero-shot-single", ""), "two": ("zero-shot-single", ""), "batch": ("zero-shot-batch", "")}
SEEDS = {f"bank-seed{seed}": ("few-shot-1", "bank") for seed in range(2)}
FORMATS = (METRICS, DEFECT_TYPES, IMAGES, REFINEMENT, COMPARISONS, COSTS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Methods of three settings, one with two seeds, and a refiner; figures on which rounding shows."""
    scores, masks = [], []
    for place, (method, (setting, group)) in enumerate({**METHODS, **SEEDS}.items()):
        for category, value in (("tile", 0.71234567), ("brick", 0.853499996)):
            figure = value + 0.0213 * place
            scores.append(score_document(category, method, figure, setting=setting, group=group))
            masks.append(mask_document(category, method, figure - 0.3))
    return Run(tmp_path_factory.mktemp("run")).collect(scores, masks)


def of_page(table: Table) -> list[list[str]]:
    """The cells of the table on the page, row by row, the small print after the figure."""
    template = _environment().from_string(
        '{% from "page.macros.html.jinja" import table_of with context %}{{ table_of(table, "t") }}'
    )
    html = template.render(table=table, methods=[], protocol="").split("</thead>")[1].replace("<small", " <small")
    bodies = re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", body, re.S) for body in bodies]
    return [[Page(cell).text.strip() for cell in row] for row in cells if len(row) > 1]


def of_markdown(table: Table) -> list[list[str]]:
    lines = [line for line in markdown_table(table).splitlines() if line.startswith("|")][2:]
    cells = [[re.sub(r"\*\*|</?u>|\\", "", cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
    return [row[1:] if table.apart else row for row in cells]


def of_latex(table: Table) -> list[list[str]]:
    """The cells of a table that stands in one part."""
    source = latex_table(table)
    assert source.count(r"\toprule") == 1
    for command, sign in (
        (r"$\pm$", "±"),
        (r"$\to$", "→"),
        ("$-$", "−"),
        ("--", "–"),
        (r"\_", "_"),
        (r"\allowbreak{}", ""),
    ):
        source = source.replace(command, sign)
    source = re.sub(r"\\(?:textbf|underline)\{([^}]*)\}", r"\1", source)
    lines = [line for line in source.split(r"\midrule", 1)[1].splitlines() if " & " in line]
    return [[cell.strip() for cell in line.removesuffix(r" \\").split("&")] for line in lines]


def tables_of(run: Run) -> dict[str, Table]:
    metrics = read_metrics(run.outputs["metrics_csv"])
    means = metrics[metrics["category"] == "mean"]
    return {
        "two metrics": metrics_table("Means", means[means["refiner"] == "none"], ("image_auroc", "aupro")),
        "masks": metrics_table("Masks", means, ("mask_f1",), ("method", "refiner")),
        "wins": comparison_tables(read_comparisons(run.outputs["comparisons_csv"]))[0],
    }


@pytest.mark.parametrize("name", ["two metrics", "masks", "wins"])
def test_a_figure_reads_the_same_in_markdown_latex_and_on_the_page(run: Run, name: str) -> None:
    table = tables_of(run)[name]
    assert of_page(table) == of_markdown(table) == of_latex(table)
    assert len(of_page(table)) == len(table.rows) > 2


def test_the_page_and_the_documents_of_a_run_say_the_same_of_a_method(run: Run) -> None:
    """From the evaluations on the one hand, and from the CSV on the other."""
    of_csv = {row[0]: row[1:] for row in of_page(tables_of(run)["two metrics"])}
    document = run.text("markdown").split("## Images: mean")[1].split("\n## ")[0]
    for name, (auroc, _) in of_csv.items():
        (line,) = [line for line in document.splitlines() if f"| {name} |" in line.replace("\\", "")]
        assert auroc in re.sub(r"\*\*|</?u>", "", line)
    assert re.fullmatch(r"\d\d\.\d \(\d\d\.\d–\d\d\.\d\)", of_csv["one"][0])
    assert re.fullmatch(r"\d\d\.\d ± \d\.\d \(\d\d\.\d–\d\d\.\d\)", of_csv["bank (2 seeds)"][0])


def test_whatever_is_read_says_what_its_figures_are(run: Run) -> None:
    for name in ("markdown", "latex"):
        assert NOTATION in run.text(name)
    assert "per cent" in NOTATION
    assert "fractions of 1" in NOTATION


@pytest.mark.parametrize("table", FORMATS, ids=lambda table: table.what)
def test_a_table_in_csv_is_read_back_and_written_as_it_was(run: Run, table: TableFormat, tmp_path: Path) -> None:
    names = {"defect types": "defect_types_csv"}
    path = run.outputs.get(names.get(table.what, f"{table.what}_csv"))
    if path is None:
        path = tmp_path / "cost.csv"
        table.write(path, table.frame([{"method": "=m", "stage": "s", "seconds": 1.005, "shared": True}]))
    frame = table.read(path)
    copy = tmp_path / "copy.csv"
    if table is METRICS:
        write_metrics(copy, frame)
    else:
        table.write(copy, frame)
    assert copy.read_bytes() == path.read_bytes()
    pd.testing.assert_frame_equal(table.read(copy), frame)


def test_figures_in_csv_are_fractions_with_six_decimals(run: Run) -> None:
    row = run.rows()[0]
    assert row["image_auroc"] == "0.712346"
    assert (row["auspro_005_std"], row["seeds"], row["categories"]) == ("", "1", "1")
    assert all(re.fullmatch(r"0\.\d{6}", row[f"image_auroc_{side}"]) for side in ("low", "high"))


def test_what_is_not_known_and_what_is_missing_are_told_apart_in_csv(tmp_path: Path) -> None:
    keys = dict.fromkeys(METRICS.names, "x")
    frame = METRICS.frame([{**keys, "categories": 0, "seeds": 1}, {**keys, "missing": True}])
    write_metrics(tmp_path / "m.csv", frame)
    unknown, missing = (tmp_path / "m.csv").read_text().splitlines()[1:]
    assert unknown.split(",")[7] == "NaN"
    assert set(missing.split(",")[7:]) == {""}
    read = METRICS.read(tmp_path / "m.csv")
    assert read["missing"].tolist() == [False, True]
    assert all(math.isnan(value) for value in read["image_auroc"])


@pytest.mark.parametrize("script", ["draw_gallery", "draw_plots", "evaluate_scores", "score_images"])
def test_a_step_that_shows_no_table_waits_for_no_library_of_tables(script: str) -> None:
    behind = code_hashes(REPOSITORY, f"workflow_scripts/{script}.py")
    assert not [path for path in behind if path in ("zsad/tables/frames.py", "zsad/tables/csv_tables.py")]
