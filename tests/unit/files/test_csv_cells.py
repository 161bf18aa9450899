"""What is safe to open in a spreadsheet, whatever its separator, and is read back as it was."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from zsad.errors import DataError
from zsad.files.csv_cells import decoded, encoded
from zsad.files.csv_files import read_table, write_table

STARTERS = "=+-@\t\r\n\0＝＋－＠﹦﹢﹣﹫"
LETTERS = STARTERS + "'\"; ,|a1é\ufeff\u2028\x85漢"


def texts(count: int, seed: int = 0) -> list[str]:
    """Short texts, in which what matters comes often."""
    rng = random.Random(seed)
    return ["".join(rng.choice(LETTERS) for _ in range(rng.randrange(10))) for _ in range(count)]


def cells_in(path: Path, separator: str) -> list[str]:
    """Every cell as a program reads it that takes ``separator`` for the one of the file and knows of quotes."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [cell for row in csv.reader(stream, delimiter=separator) for cell in row]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x","y").png', '\'=HYPERLINK("http://x","y").png'),
        ("+1.png", "'+1.png"),
        ("-2+3.png", "'-2+3.png"),
        ("@SUM(A1).png", "'@SUM(A1).png"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("＝1+1", "'＝1+1"),
        ("  =1", "'  =1"),
        ('"=1', "'\"=1"),
        ("'=1", "''=1"),
        ("''-1", "'''-1"),
        ("a;=1;b", "a;'=1;b"),
        ('a;"=1+1;b', "a;'\"=1+1;b"),
        ("a\n@b", "a\n'@b"),
        ("-", "'-"),
        ("", ""),
        ("'quoted'", "'quoted'"),
        ("it's", "it's"),
        ("good-1.png", "good-1.png"),
        ("a = b", "a = b"),
        ("– dash", "– dash"),
    ],
)
def test_a_text_that_would_be_a_formula_has_an_apostrophe_before_it(text: str, cell: str) -> None:
    assert encoded(text) == cell
    assert decoded(cell) == text


def test_every_text_comes_back_and_no_cell_begins_like_a_formula() -> None:
    every = texts(30_000)
    for text in every:
        cell = encoded(text)
        assert decoded(cell) == text
        for part in cell.replace("\t", ";").replace("\r", ";").replace("\n", ";").split(";"):
            assert part.startswith("'") or not {*part.lstrip(" \"'\ufeff\u2028\x85")[:1]} & {*STARTERS}
    assert len(set(map(encoded, every))) == len(set(every))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_program_finds_a_formula_whatever_it_splits_at(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "table.csv"
    write_table(path, ("a", "b"), [{"a": text, "b": text[::-1]} for text in texts(5000, seed=1)])
    assert not [cell for cell in cells_in(path, separator) if cell.lstrip(" \"'")[:1] in set("=+-@") and cell[0] != "'"]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [{"name": text, "value": "-0.03", "note": text[::-1]} for text in texts(5000, seed=2)]
    write_table(path, ("name", "value", "note"), rows, figures={"value"})
    assert read_table(path) == rows
    assert path.read_bytes().startswith(b"name,value,note\n")  # without a byte order mark


def test_numbers_stay_numbers_in_columns_of_figures_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    figures = ("-0.030000", "-1.2e-05", "NaN", "", "7", "+3")
    rows = [{"name": figure, "value": figure} for figure in figures]
    rows += [{"name": "x", "value": "-1+2"}, {"name": "x", "value": "-٣"}]
    write_table(path, ("name", "value"), rows, figures={"value"})
    with path.open(encoding="utf-8", newline="") as stream:
        cells = [(row["name"], row["value"]) for row in csv.DictReader(stream)]
    assert [value for _, value in cells] == [*figures, "'-1+2", "'-٣"]
    assert [name for name, _ in cells] == ["'-0.030000", "'-1.2e-05", "NaN", "", "7", "'+3", "x", "x"]
    assert read_table(path) == rows


def test_a_row_without_a_column_has_an_empty_cell(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", ("a", "b"), [{"b": "1"}])
    assert (tmp_path / "table.csv").read_text() == "a,b\n,1\n"


def test_a_copy_that_a_spreadsheet_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("name,value\r\n'-1,ä\r\n", encoding="utf-8-sig", newline="")
    assert read_table(path) == [{"name": "-1", "value": "ä"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"a,b\n1\n",
            r"is not a valid table \(line 2 has more or fewer cells than columns\); delete it and run again",
        ),
        (b"a,b\n1,2,3\n", r"is not a valid table \(line 2 has more or fewer cells"),
        (b'a,b\n1,"2\n', r"is not a valid table \(unexpected end of data\)"),
        (b"a,b\n1,\xff\n", r"is not a valid table \(.*utf-8.*\)"),
    ],
)
def test_what_is_no_table_is_told_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(path)


def test_a_table_of_other_columns_is_none_of_these(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n")
    assert read_table(tmp_path / "table.csv", columns=("a", "b")) == []
    with pytest.raises(DataError, match=r"is not a valid list of names \(its columns are not b, a\)"):
        read_table(tmp_path / "table.csv", "list of names", columns=("b", "a"))
    with pytest.raises(DataError, match="does not exist; run the step that makes it"):
        read_table(tmp_path / "none.csv")


def test_pandas_reads_a_table_as_the_readme_says(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "table.csv"
    rows = [{"name": name, "value": value} for name, value in (("=1+1", "-0.03"), ("a;@b", "1"), ("\n'-1", "2"))]
    write_table(path, ("name", "value"), rows, figures={"value"})
    read = pandas.read_csv(path).map(lambda cell: decoded(cell) if isinstance(cell, str) else cell)
    assert read["name"].tolist() == ["=1+1", "a;@b", "\n'-1"]
    assert read["value"].tolist() == [-0.03, 1, 2]
