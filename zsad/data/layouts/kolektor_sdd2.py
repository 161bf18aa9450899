"""The KolektorSDD2 layout (Božič et al., Computers in Industry 129, 2021; https://www.vicos.si/resources/kolektorsdd2/).

::

    train/10000.png       every image has a mask, which is zero where there is no defect
    train/10000_GT.png
    test/20000.png
    test/20000_GT.png
    split_weakly_*.pyb    pickled splits for weak supervision, not read

The published archive has two files too many in ``train``, ``10301 (copy).png`` and ``10301_GT (copy).png``. A reader
that relies on the suffix ``_GT`` would take this mask for an image. So only files whose name is a number are images
here. Defects have no types.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from zsad.data.layouts.base import Layout, folders, images
from zsad.data.layouts.item import Item
from zsad.data.layouts.roots import categories_or_error
from zsad.data.subsets import Split
from zsad.errors import DataError

CATEGORY = "kolektor_sdd2"
DEFECT = "defect"
SPLITS: tuple[Split, ...] = ("train", "test")


class KolektorSdd2Layout(Layout):
    """One category, split by its folders; the mask shows whether an image is defective."""

    summary: ClassVar[str] = "KolektorSDD2: train and test, each with <number>.png and its mask <number>_GT.png"

    def categories(self, root: Path) -> list[str]:
        """``["kolektor_sdd2"]``, if there are ``train`` and ``test`` and masks among the test images."""
        what = "folders 'train' and 'test' with <number>.png and <number>_GT.png in them, as KolektorSDD2 must have"
        return categories_or_error(root, _categories(root), what, find=_categories)

    def items(self, root: Path, category: str) -> list[Item]:
        """The images of both folders.

        Raises:
            DataError: an image has no mask, so that its label is unknown.
        """
        items = [_item(root, split, path) for split in SPLITS for path in _photographs(root / split)]
        return sorted(items, key=lambda item: item.image_id)

    def remarks(self, root: Path, category: str) -> list[str]:
        """The defective training images, which the masks show, and the files with other names."""
        rule = (
            "the defective training images, whose mask <number>_GT.png marks a pixel, are left out, "
            "since all methods here are trained only on normal images"
        )
        strays = [path for split in SPLITS for path in _strays(root / split)]
        names = ", ".join(f"'{path.relative_to(root).as_posix()}'" for path in strays)
        left_out = f"{names}: left out, since they are neither <number>.png nor a mask <number>_GT.png"
        return [rule, *([left_out] if strays else [])]


def _categories(root: Path) -> list[str]:
    names = {folder.name for folder in folders(root)}
    is_here = names.issuperset(SPLITS) and any(_mask_of(path).is_file() for path in _photographs(root / "test"))
    return [CATEGORY] if is_here else []


def _photographs(folder: Path) -> Iterator[Path]:
    return (path for path in images(folder) if path.stem.isdecimal())


def _strays(folder: Path) -> list[Path]:
    known = {file for path in _photographs(folder) for file in (path, _mask_of(path))}
    return [path for path in images(folder) if path not in known]


def _mask_of(photograph: Path) -> Path:
    return photograph.with_name(f"{photograph.stem}_GT{photograph.suffix}")


def _item(root: Path, split: Split, path: Path) -> Item:
    mask = _mask_of(path)
    if not mask.is_file():
        raise DataError(
            f"{path} has no mask {mask.name} beside it, which every image of KolektorSDD2 has; unpack the whole archive"
        )
    return Item(path, path.relative_to(root).as_posix(), split=split, label="mask", defect_type=DEFECT, mask=mask)
