"""The layout of ELPV: electroluminescence images of solar cells (https://github.com/zae-bayern/elpv-dataset).

::

    labels.csv              a line per cell: its image, the probability of a defect, and whether the cell is mono- or
                            polycrystalline, e.g. ``images/cell0001.png  1.0  mono``
    images/cell0001.png     300 px square, grey

Buerhop-Lutz et al., EU PVSEC 2018; Deitsch et al., Solar Energy 185, 2019. The probability is an expert's: 0 or 1 where
the expert was sure, 1/3 or 2/3 where not. There are neither masks nor defect types, and no published split, so that
training and test are sampled (`SampledLayout`). The cells belong to 44 modules, but the table does not say to which:
cells of one module may be in both training and test.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from zsad.data.known_truth import KnownTruth
from zsad.data.layouts.base import GOOD, checked_name
from zsad.data.layouts.item import Item
from zsad.data.layouts.roots import categories_or_error
from zsad.data.layouts.sampled import SampledLayout
from zsad.data.subsets import Split
from zsad.errors import DataError, nearest_hint

TABLE = "labels.csv"
TYPES = ("mono", "poly")
THIRDS: Mapping[int, str] = MappingProxyType({0: "0", 1: "1/3", 2: "2/3", 3: "1"})
TOLERANCE = 1e-3  # of a probability that was rounded to a few digits
DEFECT, UNCERTAIN = "defective", "uncertain"
RESTORE = "restore the table as it was published"


class Cell(NamedTuple):
    """A line of the table.

    Attributes:
        name: path of the image, from the folder of the table.
        thirds: the probability of a defect, in thirds: 0 to 3.
        type: ``"mono"`` or ``"poly"``.
    """

    name: str
    thirds: int
    type: str


class ElpvLayout(SampledLayout):
    """Two categories, mono and poly."""

    summary: ClassVar[str] = "ELPV: labels.csv with image, probability of a defect and type of a solar cell; no masks"

    uncertain: Literal["leave_out", "round", "defective"] = Field(
        "leave_out",
        description="how cells with a defect probability of 1/3 or 2/3 are used: leave_out; round (tested, 1/3 as "
        "good and 2/3 as defective); or defective (tested, both as defective); the type of such a defect "
        "is `uncertain`",
    )

    @property
    def expected_truth(self) -> KnownTruth:
        """Labels without masks."""
        return KnownTruth(good=self.good != 0, defective=self.defective != 0, masks=False)

    def categories(self, root: Path) -> list[str]:
        """The types of cells in the table.

        Raises:
            DataError: as `items`.
        """
        found = _types(root)
        return categories_or_error(root, found, f"table {TABLE} in it, as ELPV must have", find=_types)

    def items(self, root: Path, category: str) -> list[Item]:
        """The sampled cells.

        Raises:
            DataError: the table is missing or invalid, an image in it is missing, or more images are wanted than exist.
        """
        cells = {cell.name: cell for cell in _cells(root) if cell.type == category}
        labels = {name: label for name, cell in cells.items() if (label := self._label(cell)) is not None}
        good = [name for name, label in labels.items() if label == 0]
        sure = [name for name in good if cells[name].thirds == 0]
        draw = self.draw_good(root, category, good, sure)
        defective = self.draw_defective(root, category, [[name for name, label in labels.items() if label == 1]])
        splits: dict[str, Split] = {
            **dict.fromkeys(draw.train, "train"),
            **dict.fromkeys([*draw.test, *defective], "test"),
        }
        return [
            Item(
                _image(root, name),
                name,
                split=splits[name],
                label=labels[name],
                defect_type=_kind(labels[name], cells[name]),
            )
            for name in sorted(splits)
        ]

    def tables(self, root: Path, category: str) -> list[Path]:
        """The table."""
        return [root / TABLE]

    def remarks(self, root: Path, category: str) -> list[str]:
        """How many cells are left out because they are uncertain, and how many were not sampled."""
        cells = [cell for cell in _cells(root) if cell.type == category]
        labelled = sum(self._label(cell) is not None for cell in cells)
        remarks = self.remark_on_draw(category, len(self.items(root, category)), labelled)
        if labelled < len(cells):
            remarks.append(
                f"{len(cells) - labelled} cells of {category} with a defect probability of 1/3 or 2/3 are left out; "
                "dataset.params.uncertain includes them"
            )
        return remarks

    def _label(self, cell: Cell) -> Literal[0, 1] | None:
        """0 good, 1 defective, None if it is left out."""
        if cell.thirds in (0, 3):
            return 1 if cell.thirds else 0
        if self.uncertain == "leave_out":
            return None
        return 0 if self.uncertain == "round" and cell.thirds == 1 else 1


def _kind(label: int, cell: Cell) -> str:
    if label == 0:
        return GOOD
    return DEFECT if THIRDS[cell.thirds] == "1" else UNCERTAIN


def _types(root: Path) -> list[str]:
    """The types in a folder's table; none if it has no table."""
    return sorted({cell.type for cell in _cells(root)}) if (root / TABLE).is_file() else []


def _cells(root: Path) -> list[Cell]:
    """The lines of the table.

    Raises:
        DataError: it cannot be read or understood, lists nothing, or lists an image twice.
    """
    table = root / TABLE
    cells: dict[str, Cell] = {}
    for line, text in enumerate(_lines(table), start=1):
        if not text.strip():
            continue
        cell = _cell(text.split(), f"{table}, line {line}")
        if cell.name in cells:
            raise DataError(f"{table}, line {line}: {cell.name} is already in an earlier line; {RESTORE}")
        cells[cell.name] = cell
    if not cells:
        raise DataError(f"the table {table} lists no image; {RESTORE}")
    return list(cells.values())


def _lines(table: Path) -> Iterator[str]:
    try:
        text = table.read_text(encoding="utf-8-sig")  # which accepts all line endings
    except FileNotFoundError:
        raise DataError(f"the table {table} does not exist; {RESTORE}") from None
    except UnicodeDecodeError:
        raise DataError(f"the table {table} is not text in UTF-8; {RESTORE}") from None
    except OSError as error:
        raise DataError(f"the table {table} cannot be read ({error.strerror}); make it readable") from None
    if "\0" in text:  # as in UTF-16 without a byte order mark
        raise DataError(f"the table {table} is not text in UTF-8; {RESTORE}")
    return iter(text.split("\n"))


def _cell(words: list[str], where: str) -> Cell:
    if len(words) != len(Cell._fields):
        raise DataError(
            f"{where} has {len(words)} columns, not the three of ELPV: image, defect probability, cell type; {RESTORE}"
        )
    name, probability, cell_type = words
    if cell_type not in TYPES:
        raise DataError(f"{where}: there is no cell type '{cell_type}'{nearest_hint(cell_type, TYPES)}; {RESTORE}")
    return Cell(_name(name, where), _thirds(probability, where), cell_type)


def _name(path: str, where: str) -> str:
    """The normalised path of an image."""
    name = posixpath.normpath(path)
    if PurePosixPath(name).is_absolute() or PurePosixPath(name).parts[:1] == ("..",):
        raise DataError(f"{where}: the image {path} is outside the folder of the table; {RESTORE}")
    return name


def _thirds(probability: str, where: str) -> int:
    try:
        value = float(probability)
    except ValueError:
        raise DataError(f"{where}: the probability '{probability}' is not a number; {RESTORE}") from None
    thirds = next((thirds for thirds in THIRDS if math.isclose(value, thirds / 3, abs_tol=TOLERANCE)), None)
    if thirds is None:
        raise DataError(
            f"{where}: the defect probability is {probability}, not one of {', '.join(THIRDS.values())}; {RESTORE}"
        )
    return thirds


def _image(root: Path, name: str) -> Path:
    path = root / name
    try:
        is_there = path.is_file()
    except OSError as error:  # a name that is too long, a folder without access
        raise DataError(
            f"{root / TABLE} lists {name}, which cannot be reached ({error.strerror}); restore it"
        ) from None
    if not is_there:
        raise DataError(f"{root / TABLE} lists {name}, but there is no image {path}; restore it")
    return checked_name(path)
