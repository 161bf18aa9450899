"""The user's own images, listed in a table: a CSV file with one line per image.

::

    path,category,split,label,defect_type,mask_path
    photos/0001.jpg,lid,train,good,,
    photos/0002.jpg,lid,test,defective,scratch,masks/0002.png
    photos/0003.jpg,lid,,,,

Only ``path`` is required; an empty cell means the same as a missing column. Paths start at the folder of the table. A
further column ``image_id`` gives the name of an image in the results and their files; by default it is the path. The
columns are separated by commas, semicolons or tabs (see `zsad.data.table_lines`). A category may have a ``'`` before
it, which prevents a spreadsheet from computing it (see `zsad.files.csv_cells`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field

from zsad.data.image_list import ListedImage
from zsad.data.layouts.base import GOOD, TAKEN, Finding, Layout
from zsad.data.layouts.folder import category_named, own_name
from zsad.data.layouts.item import Item
from zsad.data.layouts.words import (
    DEFECT_WORDS,
    GOOD_WORDS,
    TEST_WORDS,
    TRAIN_WORDS,
    VALIDATION_WORDS,
    means,
    spelled_alike,
)
from zsad.data.manifest import ImageRecord
from zsad.data.masks import read_mask
from zsad.data.subsets import Split
from zsad.data.table_lines import table_lines, written_path
from zsad.errors import DataError, nearest_hint
from zsad.files.csv_cells import decoded
from zsad.files.user_paths import UserPath

TABLE = "manifest.csv"
COLUMNS = ("path", "category", "split", "label", "defect_type", "mask_path", "image_id")
SPLITS: Mapping[str, Split] = MappingProxyType({"": "test", "test": "test", "train": "train"})
LABELS: Mapping[str, int | None] = MappingProxyType(
    {
        **{"": None, "unknown": None},
        **{"good": 0, "0": 0, "0.0": 0, "normal": 0, "ok": 0},  # pandas writes 0.0 if a label is missing
        **{"defective": 1, "1": 1, "1.0": 1, "anomaly": 1, "anomalous": 1, "ko": 1},
    }
)
DEFECT = "defective"
# Synonyms of a choice.
SYNONYMS: Mapping[str, tuple[tuple[frozenset[str], str], ...]] = MappingProxyType(
    {
        "split": ((TRAIN_WORDS, "train"), (TEST_WORDS, "test")),
        "label": ((GOOD_WORDS, GOOD), (DEFECT_WORDS, DEFECT)),
    }
)
NO_TYPE = ("none", "no", "-", "n/a", "na")  # as the defect type of an image labelled good

# Other common names of a column; none of them is similar enough in spelling for the usual hint.
COLUMN_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("image_path", "imagepath", "img_path", "image", "images", "img", "file", "filename", "file_name", "name"),
            "path",
        ),
        **dict.fromkeys(("filepath", "file_path", "photo", "picture", "uri", "url", "image_file"), "path"),
        **dict.fromkeys(("mask", "masks", "mask_file", "maskpath", "ground_truth", "gt", "gt_path"), "mask_path"),
        **dict.fromkeys(("segmentation", "annotation"), "mask_path"),
        **dict.fromkeys(("class", "object", "product", "part", "clsname", "category_name"), "category"),
        **dict.fromkeys(("type", "defect", "anomaly_type", "defecttype", "defect_class"), "defect_type"),
        **dict.fromkeys(("set", "subset", "phase", "partition", "fold"), "split"),
        **dict.fromkeys(("labels", "label_index", "target", "y", "anomaly", "is_anomaly", "anomalous"), "label"),
    }
)

Choice = TypeVar("Choice")


class Row(NamedTuple):
    """A checked line of a table; its files have not been looked up yet.

    Attributes:
        where: table and line, for messages.
        label: 1, 0, None, or ``"mask"``, as in `zsad.data.layouts.base.Item`.
        mask_path: may be empty.
        name: name of the image in the results; empty for its path.
    """

    where: str
    path: str
    category: str
    split: Split
    label: int | Literal["mask"] | None
    defect_type: str
    mask_path: str
    name: str = ""

    @property
    def image_id(self) -> str:
        """Its name, else the normalised path from the table."""
        return PurePosixPath(os.path.normpath(self.name or self.path)).as_posix()


class CsvLayout(Layout):
    """Images, labels and masks as a table lists them."""

    summary: ClassVar[str] = f"your own images, listed in a CSV table: {','.join(COLUMNS)}; only path is required"

    more_references: ClassVar[str] = "add lines of normal images with split 'train' to the table"

    table: UserPath = Field(TABLE, min_length=1, description="the table, if dataset.root is the folder that holds it")

    def categories(self, root: Path) -> list[str]:
        """The categories of the table; images without a category are in one named after ``root``."""
        return sorted({row.category for row in self._rows(root)})

    def items(self, root: Path, category: str) -> list[Item]:
        """The images that the table lists for a category."""
        folder = self._table(root).parent
        items = [_item(folder, row) for row in self._rows(root) if row.category == category]
        return sorted(items, key=lambda item: item.image_id)

    def tables(self, root: Path, category: str) -> list[Path]:
        """The table."""
        return [self._table(root)]

    def findings(self, root: Path, category: str) -> list[Finding]:
        """Other categories whose names differ only in case or punctuation."""
        others = [name for name in self.categories(root) if name != category]
        return [
            Finding(
                f"the categories '{category}' and '{name}' differ only in case or spaces, and count as two", stops=False
            )
            for name in others
            if "".join(name.casefold().split()) == "".join(category.casefold().split())
        ]

    def remarks(self, root: Path, category: str) -> list[str]:
        """How many defective training images are left out."""
        count = sum(row.category == category and row.split == "train" and row.label == 1 for row in self._rows(root))
        if not count:
            return []
        return [
            f"the defective training images of {category} ({count}) are left out, since all methods here are trained "
            "only on normal images"
        ]

    def _records(self, root: Path, category: str, listed: Mapping[str, ListedImage]) -> Iterator[ImageRecord]:
        masks = {item.image_id: item.mask for item in self.items(root, category) if item.label == 0 and item.mask}
        for record in super()._records(root, category, listed):
            mask = masks.get(record.image_id)
            if mask and read_mask(mask, record.height, record.width).any():
                raise DataError(
                    f"{self._table(root)} labels {record.image_id} as good, but its mask {mask} marks a defect; "
                    "correct the label or remove the mask"
                )
            yield record

    def _table(self, root: Path) -> Path:
        return root / self.table if root.is_dir() else root

    def _rows(self, root: Path) -> list[Row]:
        """The rows of the table.

        Raises:
            DataError: it does not exist, is invalid, lists no image, or lists an image twice.
        """
        table = self._table(root)
        if not table.is_file():
            raise DataError(
                f"the table {table} does not exist; set dataset.root to it, or to its folder and dataset.params.table "
                "to its name"
            )
        default = category_named(own_name(root) if root.is_dir() else root.stem)
        rows: dict[str, Row] = {}
        for where, cells in table_lines(table, _columns):
            row = _row({**dict.fromkeys(COLUMNS, ""), **cells}, where, default)
            if row.image_id in rows:
                earlier = rows[row.image_id].where.rpartition(", ")[2]
                called = row.name or row.path
                raise DataError(f"{row.where}: {called} is already in {earlier}; remove one of the two")
            rows[row.image_id] = row
        if not rows:
            raise DataError(f"the table {table} lists no image; add one line per image, with its path")
        return list(rows.values())


def _columns(table: Path, header: Sequence[str]) -> list[str]:
    """The names of the columns; columns without a name, which spreadsheets may add, must be empty."""
    columns = [title.strip().lower() for title in header]
    for column in filter(None, columns):
        if column not in COLUMNS:
            alias = COLUMN_ALIASES.get(column.replace(" ", "_").replace("-", "_"))
            hint = f"; did you mean '{alias}'?" if alias else nearest_hint(column, COLUMNS)
            raise DataError(f"the table {table} has an unknown column '{column}'{hint}")
        if columns.count(column) > 1:
            raise DataError(f"the table {table} has two columns '{column}'; remove one of them")
    if "path" not in columns:
        raise DataError(f"the table {table} has no column 'path'; its first line must name it, and may name the others")
    return columns


def _row(cells: Mapping[str, str], where: str, default_category: str) -> Row:
    if not cells["path"]:
        raise DataError(f"{where}: the path is empty; add it or remove the line")
    split = _choice(cells, "split", SPLITS, where)
    label, defect_type = _truth(cells, split, where)
    return Row(
        where=where,
        path=cells["path"],
        category=_category(decoded(cells["category"]) or default_category, where),
        split=split,
        label=label,
        defect_type=defect_type,
        mask_path=cells["mask_path"],
        name=_name(cells["image_id"], where),
    )


def _choice(cells: Mapping[str, str], column: str, choices: Mapping[str, Choice], where: str) -> Choice:
    """The choice in a cell: one of the choices or a synonym."""
    word = cells[column].lower()
    if word in choices:
        return choices[word]
    for words, choice in SYNONYMS[column]:
        if means(word, words):
            return choices[choice]
    if column == "split" and means(word, VALIDATION_WORDS):
        raise DataError(
            f"{where}: the split is '{cells[column]}', but no method here uses validation images; "
            "set it to 'test' or remove the line"
        )
    names = list(filter(None, choices))
    alike = next((name for name in names if spelled_alike(word, name)), None)
    hint = f"; did you mean '{alike}'?" if alike else f"; it must be one of {', '.join(names)}, or empty"
    raise DataError(f"{where}: the {column} is '{cells[column]}'{hint}")


def _name(name: str, where: str) -> str:
    if name and (name.startswith("/") or not name.strip("./") or ".." in name.split("/")):
        raise DataError(
            f"{where}: an image cannot be called '{name}', since results are stored under its name; give a relative "
            "path "
            "without '..', or leave image_id empty"
        )
    return name


def _category(name: str, where: str) -> str:
    if category_named(name) != name:
        raise DataError(
            f"{where}: a category cannot be called '{name}'; use another name, without / {{ }} < >, "
            f"and none of {', '.join(TAKEN)}"
        )
    return name


def _truth(cells: Mapping[str, str], split: Split, where: str) -> tuple[int | Literal["mask"] | None, str]:
    """Label and defect type; an empty label is inferred from the defect type, the mask or the split."""
    label: int | Literal["mask"] | None = _choice(cells, "label", LABELS, where)
    defect_type = cells["defect_type"]
    is_good = means(defect_type, GOOD_WORDS) or (label == 0 and defect_type.lower() in NO_TYPE)
    if defect_type and label is not None and (label == 0) != is_good:
        raise DataError(
            f"{where}: the label is '{cells['label']}' but the defect type '{defect_type}'; correct one of the two"
        )
    if label is None and is_good:
        label = 0
    elif label is None and cells["mask_path"]:
        label = "mask"
    elif label is None and defect_type:
        label = 1
    elif label is None and split == "train":
        label = 0
    return label, _defect_type(label, defect_type)


def _defect_type(label: int | Literal["mask"] | None, given: str) -> str:
    if label is None:
        return ""
    return GOOD if label == 0 else given or DEFECT


def _item(folder: Path, row: Row) -> Item:
    """The item of a row.

    Raises:
        DataError: the image or the mask does not exist.
    """
    return Item(
        written_path(folder, row.path, row.where),
        row.image_id,
        split=row.split,
        label=row.label,
        defect_type=row.defect_type,
        mask=written_path(folder, row.mask_path, row.where, "mask") if row.mask_path else None,
    )
