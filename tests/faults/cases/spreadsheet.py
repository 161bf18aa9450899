"""Names that a spreadsheet would compute, and tables that were changed after they were made."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cases.results import TABLE, copied, wrong
from cases.sound import FOLDER, IMAGES, TILE
from damages import HTML, cut, edited, in_turn, moved, removed, written
from fault import ALL, Fault, Place, restore
from zsad.files.csv_files import read_table

TABLES = Path("results/t/tables")
SUMS = f"{TABLES}/tables.sha256"
CHANGED = rf"{TABLE} was changed after it was made; delete it and run again, and keep edits in a copy elsewhere$"


def called(table: str, column: str, names: Sequence[str]) -> Callable[[Place], None]:
    """A column of a table has these names, which are read as they are and which no spreadsheet computes."""

    def then(place: Place) -> None:
        path = TABLES / table
        assert {*names} <= {row[column] for row in read_table(path)}
        for separator in ",;\t":
            with path.open(encoding="utf-8", newline="") as stream:
                cells = [cell for row in csv.reader(stream, delimiter=separator) for cell in row]
            computed = [cell for cell in cells if cell.lstrip(" \"'\t\r\n")[:1] in (*"=+-@＝",) and cell[0] != "'"]
            assert not [cell for cell in computed if not _is_number(cell)], computed

    return then


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def photographs(name: str, *called_now: str) -> Fault:
    """The photographs of a folder by other names."""
    before = ("a.png", "b.jpg", "line 2/c.png")
    return Fault(
        name,
        FOLDER,
        in_turn(
            *(moved(f"photographs/{old}", f"photographs/{new}") for old, new in zip(before, called_now, strict=True))
        ),
        loses=frozenset(before),
        gains=frozenset(called_now),
        then=called("images.csv", "image_id", called_now),
    )


def saved_by_a_spreadsheet(place: Place) -> None:
    """Save the table as a spreadsheet does where numbers have commas: other separators, other line ends, a mark."""
    with Path(TABLE).open(encoding="utf-8", newline="") as stream:
        rows = [[cell.replace(".", ",") for cell in row] for row in csv.reader(stream)]
    with Path(TABLE).open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)


def with_another_digit(place: Place) -> None:
    """Change one digit of one figure, and neither the length of the file nor its form."""
    text = Path(TABLE).read_text(encoding="utf-8")
    place_of_digit = text.rindex(".") + 3
    digit = str((int(text[place_of_digit]) + 1) % 10)
    Path(TABLE).write_text(text[:place_of_digit] + digit + text[place_of_digit + 1 :], encoding="utf-8")


def of_another_run(place: Place) -> None:
    """Put the table of a run with other metrics in its place, list of checksums and all but this table left alone."""
    other = Path("elsewhere.csv")
    shutil.copy(TABLE, other)
    edited(str(other), "mutual", "mutuel")(place)
    other.replace(TABLE)


NAMES = (
    photographs(
        "photographs called like formulas", '=HYPERLINK("http:x","y").png', "+1.jpg", "@SUM(A1)*cmd|' calc'!A0.png"
    ),
    photographs("photographs called like sums", "-2+3.png", "a;=1+1;b.jpg", "'=1.png"),
    photographs(
        "photographs called like formulas behind what is passed over",
        "\t=1.png",
        ' "=1.jpg',
        "＝cmd|' /C calc'!A0.png",
    ),
    Fault(
        "type of defect called like a formula",
        IMAGES,
        in_turn(*(moved(f"{TILE}/{kind}/crack", f"{TILE}/{kind}/=1+cmd|'x'!A0") for kind in ("test", "ground_truth"))),
        loses=frozenset(f"test/crack/{index}.png" for index in range(2)),
        gains=frozenset(f"test/=1+cmd|'x'!A0/{index}.png" for index in range(2)),
        then=in_turn(
            *(called(f"{table}.csv", "defect_type", ["=1+cmd|'x'!A0"]) for table in ("images", "defect_types")),
            called("refinement.csv", "defect_type", ["=1+cmd|'x'!A0"]),
        ),
    ),
    *(
        Fault(
            f"category called {name}",
            IMAGES,
            moved(TILE, f"images/{name}"),
            alters=ALL,
            fix=in_turn(restore, removed(f"results/t/{name}")),
            then=in_turn(
                *(
                    called(f"{table}.csv", "category", [name])
                    for table in ("metrics", "images", "decisions", "defect_types", "comparisons", "refinement")
                )
            ),
        )
        for name in ("-x", "@SUM(A1)", "=1+1")
    ),
)

CHANGES = (
    wrong("table of metrics with another digit", TABLE, with_another_digit, CHANGED),
    wrong("table of metrics cut off", TABLE, cut(TABLE, 0.5), CHANGED),
    wrong("masks' table in place of the metrics", TABLE, copied(f"{TABLES}/refinement.csv", TABLE), CHANGED),
    wrong("table of metrics of another run", TABLE, of_another_run, CHANGED),
    wrong("table of metrics that a spreadsheet saved", TABLE, saved_by_a_spreadsheet, CHANGED),
    wrong("page in place of checksums", SUMS, written(SUMS, HTML), rf"{SUMS} is not a list of checksums; delete it"),
)

FAULTS: tuple[Fault, ...] = (*NAMES, *CHANGES)
