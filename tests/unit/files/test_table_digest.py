"""A table tells whether it was changed after it was made, whatever was changed."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from zsad.errors import DataError
from zsad.files.table_digest import COLUMN, LENGTH, read_table, row_digests, write_table

COLUMNS = ("path", "reason")
ROWS = [
    ("a.png", "cut off; replace it"),
    ('b "c", d.png', ""),
    ("ö.png", "line\nbreak"),
    ("a.png", "cut off; replace it"),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "table.csv", COLUMNS, ROWS)
    return tmp_path / "table.csv"


def read(path: Path) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in read_table(path, COLUMNS, what="list")]


def records(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def rewrite(path: Path, rows: list[list[str]], **options: object) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, **options).writerows(rows)


def test_a_table_is_read_as_it_was_written_with_a_short_digest_a_row_at_the_end(table: Path) -> None:
    assert read(table) == ROWS
    header, *rows = records(table)
    assert header == [*COLUMNS, COLUMN]
    assert {len(row[-1]) for row in rows} == {LENGTH}
    assert len({row[-1] for row in rows}) == len(rows)


def test_a_digest_follows_from_its_row_and_the_next_and_the_first_from_the_number_of_rows() -> None:
    cells = [list(row) for row in ROWS]
    whole = row_digests(COLUMNS, cells)
    assert row_digests(COLUMNS, cells[2:])[1:] == whole[3:]
    assert row_digests(COLUMNS, cells[1:])[0] != whole[1]  # the first of a table, not the second
    assert row_digests(("path", "why"), cells)[-1] != whole[-1]
    assert row_digests(COLUMNS, [["x", ""], *cells[1:]])[1:] == whole[1:]


def without(*lines: int) -> Callable[[list[list[str]]], list[list[str]]]:
    return lambda rows: [row for index, row in enumerate(rows) if index not in lines]


CHANGES: dict[str, Callable[[list[list[str]]], list[list[str]]]] = {
    "a cell": lambda rows: [rows[0], ["A.png", *rows[1][1:]], *rows[2:]],
    "a cell that moved to the next column": lambda rows: [*rows[:2], ["", *rows[2][:1], rows[2][2]], *rows[3:]],
    "a blank in a cell": lambda rows: [*rows[:2], [rows[2][0], " ", rows[2][2]], *rows[3:]],
    "a digest": lambda rows: [*rows[:-1], [*rows[-1][:-1], "0" * LENGTH]],
    "digests left out": lambda rows: [row[:-1] for row in rows],
    "digests left out but for the name": lambda rows: [rows[0], *(row[:-1] for row in rows[1:])],
    "the first line lost": without(1),
    "a line lost in the middle": without(2),
    "the last line lost": without(4),
    "the two last lines lost": without(3, 4),
    "all lines lost": without(1, 2, 3, 4),
    "a line added at the end": lambda rows: [*rows, rows[-1]],
    "a line added at the start": lambda rows: [rows[0], rows[1], *rows[1:]],
    "an empty line": lambda rows: [*rows, []],
    "two lines swapped": lambda rows: [rows[0], rows[2], rows[1], *rows[3:]],
    "the lines of equal cells swapped": lambda rows: [rows[0], rows[4], *rows[2:4], rows[1]],
    "sorted": lambda rows: [rows[0], *sorted(rows[1:], reverse=True)],
    "a cell more": lambda rows: [*rows[:-1], [*rows[-1], ""]],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_noticed(table: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    rewrite(table, change(records(table)), lineterminator="\n")
    with pytest.raises(DataError, match=r"table\.csv was changed after it was made; delete it and run again"):
        read(table)


def test_a_column_renamed_or_moved_is_another_table(table: Path) -> None:
    _, *rows = records(table)
    for columns in (["path", "why", COLUMN], ["reason", "path", COLUMN], ["path", COLUMN], []):
        rewrite(table, [columns, *rows])
        with pytest.raises(DataError, match=r"table\.csv is not a valid list"):
            read(table)


def test_how_a_program_writes_the_same_cells_does_not_matter(table: Path) -> None:
    rewrite(table, records(table), quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    assert read(table) == ROWS


def test_a_table_without_rows_has_no_digests(tmp_path: Path) -> None:
    write_table(tmp_path / "none.csv", COLUMNS, [])
    assert (tmp_path / "none.csv").read_text() == "path,reason\n"
    assert read(tmp_path / "none.csv") == []


def test_two_tables_of_one_kind_cannot_be_spliced(table: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "other.csv", COLUMNS, [("z.png", "cut off"), *ROWS[1:]])
    other = records(tmp_path / "other.csv")
    rewrite(table, [*records(table)[:2], *other[2:]])
    assert read(table) == ROWS  # which is the same table
    write_table(tmp_path / "other.csv", COLUMNS, [*ROWS[:3], ("z.png", "cut off")])
    rewrite(table, [*records(table)[:3], *records(tmp_path / "other.csv")[3:]])
    with pytest.raises(DataError, match="was changed"):
        read(table)


def test_flipped_bits_are_noticed_or_harmless(table: Path) -> None:
    content, drawn = table.read_bytes(), random.Random(0)
    noticed = 0
    for _ in range(400):
        flipped = bytearray(content)
        flipped[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        table.write_bytes(flipped)
        try:
            assert read(table) == ROWS
        except DataError:
            noticed += 1
    assert noticed > 380
