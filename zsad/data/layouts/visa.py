"""The VisA layout (Zou et al., ECCV 2022; https://github.com/amazon-science/spot-diff).

::

    <category>/Data/Images/Normal/0000.JPG
    <category>/Data/Images/Anomaly/000.JPG
    <category>/Data/Masks/Anomaly/000.png       non-zero where defective
    <category>/image_anno.csv                   not read
    split_csv/1cls.csv                          object,split,label,image,mask
    split_csv/2cls_fewshot.csv
    split_csv/2cls_highshot.csv

The folders give normal and anomalous images, and a table, whose paths start at the root, gives the split.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field

from zsad.data.layouts.base import GOOD, Layout, folders
from zsad.data.layouts.item import Item
from zsad.data.layouts.listed import listed_file
from zsad.data.layouts.roots import categories_or_error
from zsad.errors import DataError

COLUMNS = ("object", "split", "label", "image", "mask")
SPLITS = ("train", "test")
LABELS: Mapping[str, int] = MappingProxyType({"normal": 0, "anomaly": 1})
FIX = "unpack the whole archive or remove the line"
SOURCE = "https://github.com/amazon-science/spot-diff"


class VisaLayout(Layout):
    """Categories with folders of normal and anomalous images, and tables that split them."""

    summary: ClassVar[str] = "VisA: <category>/Data/Images/{Normal,Anomaly}, split by split_csv/1cls.csv"

    split: Literal["1cls", "2cls_fewshot", "2cls_highshot"] = Field(
        "1cls", description="the table in split_csv: 1cls for training only on normal images, as all methods here do"
    )

    def categories(self, root: Path) -> list[str]:
        """Folders under ``root`` that have a folder ``Data/Images``."""
        what = "folder with 'Data/Images' in it, as a category of VisA must have"
        return categories_or_error(root, _categories(root), what, find=_categories)

    def items(self, root: Path, category: str) -> list[Item]:
        """The images that the table lists for a category."""
        (table,) = self.tables(root, category)
        items: dict[str, Item] = {}
        for line, row in _rows(table):
            if row["object"] == category:
                item = _item(root, category, row, f"{table}, line {line}")
                if item.image_id in items:
                    raise DataError(f"{table}, line {line}: {row['image']} is listed twice; remove one of the lines")
                items[item.image_id] = item
        if not items:
            raise DataError(f"{table} has no line for '{category}'; leave the category out or use VisA's own table")
        return sorted(items.values(), key=lambda item: item.image_id)

    def tables(self, root: Path, category: str) -> list[Path]:
        """The table of the chosen split."""
        return [root / "split_csv" / f"{self.split}.csv"]

    def remarks(self, root: Path, category: str) -> list[str]:
        """The defective training images of the splits for supervised methods."""
        count = sum(item.split == "train" and item.label == 1 for item in self.items(root, category))
        if not count:
            return []
        return [
            f"the defective training images of {category} ({count}) are left out, since the split {self.split} "
            "has them for supervised methods"
        ]


def _categories(root: Path) -> list[str]:
    return [folder.name for folder in folders(root) if (folder / "Data" / "Images").is_dir()]


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row, by column; a cell that is missing is empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{table} has no column {', '.join(missing)} (it must have {','.join(COLUMNS)}); "
                    f"use the table of {SOURCE}"
                )
            for row in reader:
                yield reader.line_num, row
    except FileNotFoundError:
        raise DataError(f"{table} does not exist; take it from VisA's archive or from {SOURCE}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read as a table ({error}); use the one of {SOURCE}") from None


def _item(root: Path, category: str, row: Mapping[str, str], where: str) -> Item:
    if row["split"] not in SPLITS:
        raise DataError(f"{where}: the split is '{row['split']}'; it must be one of {', '.join(SPLITS)}")
    if row["label"] not in LABELS:
        raise DataError(f"{where}: the label is '{row['label']}'; it must be one of {', '.join(LABELS)}")
    label = LABELS[row["label"]]
    path = listed_file(root, category, row["image"], f"{where}: the image", FIX)
    return Item(
        path,
        path.relative_to(root / category).as_posix(),
        split="train" if row["split"] == "train" else "test",
        label=label,
        defect_type=row["label"] if label else GOOD,
        mask=listed_file(root, category, row["mask"], f"{where}: the mask", FIX) if label and row["mask"] else None,
    )
