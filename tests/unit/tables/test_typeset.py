"""LaTeX tables are as wide as the text of an article at most, and names in tables are no markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from PIL import ImageFont

from zsad.reporting.overlays import font
from zsad.tables.latex_widths import TEXT_WIDTH, limited, parts, text_width
from zsad.tables.overview import as_markdown
from zsad.tables.table import Table, change, share
from zsad.tables.typeset import MOST_LINES, latex_source, latex_table, markdown_table

SETTINGS = ("zero-shot-single", "zero-shot-batch", "few-shot-16")
LONG = "a_memory_bank_with_a_very_long_name_that_somebody_gave_to_it_for_want_of_a_shorter_one"


def metrics(columns: int, methods: int = 2, name: str = "self_similarity") -> Table:
    """Methods of three settings, each figure with an interval."""
    rows = [
        [
            setting,
            f"{name}_{number}",
            "dinov3-vit-l16",
            *[replace(share(0.9876, 0.8642, 0.9999), best=not number)] * columns,
        ]
        for setting in SETTINGS
        for number in range(methods)
    ]
    header = ["setting", "method", "backbone", *(f"pixel IoU-max {number}" for number in range(columns))]
    return Table("Pixels: mean over categories (native)", header, rows, apart=True)


TABLES = {
    "few columns": metrics(2),
    "many columns": metrics(9),
    "a long name": metrics(4, name=LONG),
    "many rows": metrics(3, methods=40),
    "methods side by side": Table(
        "By category: AUPRO (native)",
        ["category", *(f"{name}_{number}" for number in range(6) for name in ("mutual_consistent", LONG))],
        [["setting", *["zero-shot-batch"] * 12], *[[f"category_{row} & co", *[share(0.5)] * 12] for row in range(5)]],
    ),
    "changes": Table(
        "Refinement: 100% <before> & after",
        ["setting", "method", "refiner", *["image Dice"] * 3, "helped"],
        [["few-shot-8", "memory_bank", "grabcut", *[change(0.432, 0.561)] * 3, share(float("nan"))]],
    ),
    "sources": Table(
        "Beside published figures",
        ["setting", "method", "protocol", "AUPRO", "source"],
        [["few-shot-4", "memory_bank", "256 px; resize", share(0.91), "Somebody and others, Title, 2024, " * 6]],
        note="One line.\nAnd another, which is no text of the document.",
        apart=True,
    ),
    "who wins": Table(
        "Who wins: image AUROC",
        ["method", "self_similarity", "mirror_symmetry", "flip_consistency", "mutual", "memory_bank"],
        [[name, "", *["12 / 13 / 11"] * 4] for name in ("self_similarity", "flip_consistency")],
    ),
    "names without a place to break": Table(
        "By category: image AP", ["category", "A" * 90, "mutual"], [["b" * 90, share(0.5), share(0.5)]]
    ),
    "text alone": Table(
        "Every stage",
        ["method", "stage", "detail", "images", "seconds", "device"],
        [["mutual", "extract_features", "embedded.references-k8-seed0.rotations", "160", "9.87", ""]] * 50,
        apart=True,
    ),
}


def tabulars(table: Table) -> list[tuple[str, list[list[str]]]]:
    """Column specification and cells, as they are read, of each tabular of a table."""
    found = re.findall(r"\\begin\{tabular\}\{@\{\}([^\n]*)@\{\}\}\n(.*?)\\end\{tabular\}", latex_table(table), re.S)
    return [
        (columns, [line.removesuffix(r" \\").split(" & ") for line in body.splitlines() if " & " in line])
        for columns, body in found
    ]


def kinds(columns: str) -> list[str]:
    """``l``, ``r`` or a width in pt for each column."""
    plain = re.sub(r">\{[^}]*\}", "", columns)
    return [width or letter for width, letter in re.findall(r"p\{(\d+)pt\}|([lr])", plain)]


@pytest.mark.parametrize("name", TABLES)
def test_no_table_is_wider_than_the_text(name: str) -> None:
    """By the letters of DejaVu Sans, made as narrow as Computer Modern's figures: no measure of our own."""
    face = font(100)
    narrower = 8 * 0.531 / face.getlength("0")
    for columns, rows in tabulars(TABLES[name]):
        of_columns = kinds(columns)
        assert all(len(row) == len(of_columns) for row in rows)
        widths = [
            float(kind) if kind.isdigit() else max(_length(face, row[place]) for row in rows) * narrower
            for place, kind in enumerate(of_columns)
        ]
        assert sum(widths) + 6 * (len(widths) - 1) < 1.05 * TEXT_WIDTH


def _length(face: ImageFont.FreeTypeFont, cell: str) -> float:
    plain = re.sub(r"\\(?:textbf|underline)|\\allowbreak|[{}$]", "", cell)
    for command, sign in ((r"\pm", "±"), (r"\to", "→"), ("--", "–")):
        plain = plain.replace(command, sign)
    return face.getlength(plain.replace("\\", ""))


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_lost_where_a_table_is_in_parts(name: str) -> None:
    table = TABLES[name]
    source = re.sub(r"\\allowbreak\{\}", "", latex_table(table))
    figures = sum(not isinstance(cell, str) for row in table.rows for cell in row)
    shown = source.count("98.8}") + len(re.findall(r"(?<!\d)(?:98\.8 |50\.0|91\.0|43\.2|n/a)(?!\})", source))
    assert shown == figures or name == "text alone"
    for title in table.header[1 if table.apart else 0 :]:
        assert title.replace("_", r"\_") in source
    assert source.count(r"\begin{table}") == source.count(r"\label{") == len(set(re.findall(r"\\label\{.*\}", source)))


def test_rows_of_a_long_table_go_on_in_the_next_under_their_setting() -> None:
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", latex_table(TABLES["many rows"]), re.S)
    assert [body.count("dinov3") for body in bodies] == [MOST_LINES, MOST_LINES, 120 - 2 * MOST_LINES]
    assert all(body.startswith(r"\multicolumn{5}{@{}l}{\textit{") for body in bodies)


def test_a_note_of_several_lines_stays_a_comment() -> None:
    first = latex_table(TABLES["sources"]).splitlines()[0]
    assert first == "% One line. And another, which is no text of the document."


def test_widths_are_those_of_the_typeface() -> None:
    """cmr8 has figures of 0.531 em, as its metric file says, and all of the same width."""
    assert text_width("0") == text_width("7") == pytest.approx(8 * 0.531, rel=0.002)
    assert text_width("i") < text_width("n") < text_width("m") < text_width("漢")


def test_columns_fill_as_few_tables_as_they_can_and_evenly() -> None:
    room = TEXT_WIDTH - 56
    assert parts([50.0, *[room / 4 - 6] * 5], keys=1) == [[0, 1, 2, 3], [0, 4, 5]]
    assert parts([50.0, 20.0], keys=1) == [[0, 1]]
    assert parts([50.0], keys=1) == [[0]]


def test_the_widest_column_gives_way_and_the_narrow_ones_stay() -> None:
    widths = limited([30.0, 500.0, 20.0, 400.0], [30.0, 40.0, 20.0, 40.0], keys=2)
    assert widths[0] == 30.0
    assert widths[0] + widths[1] + 12 == pytest.approx(0.6 * TEXT_WIDTH)
    assert widths[2] == 20.0
    assert widths[3] < 0.4 * TEXT_WIDTH


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")
def test_latex_finds_no_line_too_wide_without_making_any_table_smaller(tmp_path) -> None:
    packages = r"\usepackage[T1]{fontenc}\usepackage{array,booktabs,graphicx}"
    source = "\n".join(re.sub(r"\\resizebox\{.*?\\fi\}\{!\}", "", latex_table(table)) for table in TABLES.values())
    document = rf"\documentclass[a4paper]{{article}}{packages}\begin{{document}}{source}\clearpage\end{{document}}"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not re.findall(r"Overfull \\hbox.*|Float too large.*|multiply defined.*", done.stdout)


NAMES = (
    *(
        "a|b",
        "a\\|b",
        "|",
        "\\",
        "\\\\",
        "a\\",
        "_x_",
        "__init__",
        "a__b",
        "a_b",
        "_",
        "$x_1$",
        "~~x~~",
        "~",
        "^^M",
        "^",
    ),
    *("<script>alert(1)</script>", "<!--", "<b", "`x`", "``x''", "[a](javascript:1)", "![a](b)", "[x]: y", "[1pt]"),
    *("&amp;", "&#65;", "&", "%", "#", "# x", "## x", "- x", "+ x", "1. x", "23) x", "> x", "* x", "*", "**x**", "---"),
    *(
        "=",
        "a -- b",
        "{",
        "}",
        "{}",
        "\\input{/etc/passwd}",
        "\\end{tabular}",
        "\\write18{x}",
        '"',
        '"a',
        "?`",
        "<<,,>>",
    ),
    *(
        "=1+1",
        "@x",
        "100%",
        "http://x.y",
        "\t=1",
        "a\nb",
        "a\r\n\r\nb",
        "\n\n# x",
        "\x07bell",
        "x\u2028y",
        "it's",
        "''",
    ),
)


def in_one_line(name: str) -> str:
    return re.sub(r"[\s\x07]+", " ", name).strip()


def shown_cells(markdown: str) -> list[str]:
    """The cells and headings of a document as a reader sees them; no markup is in them."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    inline = [token for token in parser.parse(markdown) if token.type == "inline"]
    for token in inline:
        assert {child.type for child in token.children or ()} <= {"text", "text_special"}, token.content
    return ["".join(child.content for child in token.children or ()) for token in inline]


def test_no_name_is_markup_in_markdown() -> None:
    rows = [["few-shot-4", name, share(0.5)] for name in NAMES]
    table = Table("Of a | b, _c_ and <d>", ["setting", "a | _b_", "AUPRO"], rows, note="Of _a_\n\n# b")
    expected = ["Of a | b, _c_ and <d>", "Of _a_ # b", "setting", "a | _b_", "AUPRO"]
    expected += [cell for name in NAMES for cell in ("few-shot-4", in_one_line(name), "50.0")]
    assert shown_cells(markdown_table(table)) == expected


def test_no_note_is_markup_in_markdown() -> None:
    document = as_markdown([], [*NAMES, *(f"{name}: a note" for name in NAMES)])
    notes = shown_cells(document.split("## Notes\n")[1])
    assert notes == [in_one_line(note) for note in (*NAMES, *(f"{name}: a note" for name in NAMES))]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex is installed")
def test_no_name_is_a_command_in_latex(tmp_path) -> None:
    """In every place where a name can be: a line's first cell, the title above the columns, shared by rows, broken."""
    tables = [
        Table("Of [a] _b_", ["[1pt]", "*"], [[name, share(0.5)] for name in NAMES], note="a\n\nb % \\bad"),
        Table("Of rows", ["setting", "[x]", "b"], [["one", name, share(0.5)] for name in NAMES], apart=True),
        Table("Of lines", ["name", "text"], [[f"{name}{'b' * 40}", f"{name * 3} {'b ' * 60}"] for name in NAMES]),
        *(Table("Of names", ["setting", "b"], [[name, share(0.5)]], apart=True) for name in NAMES),
    ]
    packages = r"\usepackage[T1]{fontenc}\usepackage{array,booktabs,graphicx}\extrafloats{200}"
    body = "\n".join(f"{latex_source([table], NAMES)}\\clearpage" for table in tables)
    (tmp_path / "t.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}", encoding="utf-8"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
