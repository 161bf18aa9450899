"""Guess the layout of a folder of images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from zsad.data.images import is_image
from zsad.data.layouts.csv_table import TABLE
from zsad.data.layouts.folder_names import mvtec_tree
from zsad.errors import DataError

CSV_SUFFIX = ".csv"
# Patterns that identify a data set, below its root or below the folder of one of its categories. More specific ones
# come first; MVTec AD's arrangement is contained in many others.
SIGNS_OF_ROOT: Mapping[str, str] = MappingProxyType(
    {
        "visa": "split_csv/",
        "real_iad": "realiad_jsons/",
        "magnetic_tile": "MT_Free/",
        "kolektor_sdd2": "train/*_GT.png",
        "elpv": "images/cell0001.png",
        "textile": "nominal/textile_*.jpg",
    }
)
SIGNS_OF_CATEGORY: Mapping[str, str] = MappingProxyType(
    {
        "mvtec_ad_2": "test_public/",
        "mvtec_loco": "defects_config.json",
        "btad": "test/ko/",
        "mvtec": "test/",
    }
)


def guess_layout(folder: Path) -> tuple[str, Path, list[str]]:
    """Guess how the images in a folder are arranged; no image is opened.

    Args:
        folder: of a data set, of one category, of a table of images, or of images; or the table itself.

    Returns:
        Name of the layout, its root, and the categories; an empty list means all categories.

    Raises:
        DataError: there is no such folder, or nothing in it looks like images.
    """
    if folder.is_file() and folder.suffix.lower() == CSV_SUFFIX:
        return "csv", folder, []
    if not folder.is_dir():
        raise DataError(f"{folder} is neither a folder nor a CSV file; give the folder of the images")
    signs = {**SIGNS_OF_ROOT, **{layout: f"*/{sign}" for layout, sign in SIGNS_OF_CATEGORY.items()}}
    for layout, sign in signs.items():
        if any(folder.glob(sign)):
            return layout, folder, []
    for layout, sign in SIGNS_OF_CATEGORY.items():
        if any(folder.glob(sign)):
            category = folder.resolve() if folder.name in ("", "..") else folder
            return layout, category.parent, [category.name]
    if tree := mvtec_tree(folder):  # with a misspelled name, which the layout reports
        inside = tree != folder
        return "mvtec", folder if inside else tree.resolve().parent, [] if inside else [tree.resolve().name]
    if table := _table(folder):
        return "csv", table, []
    if _has_images(folder):
        return "folder", folder, []
    raise DataError(f"nothing in {folder} looks like images or a table of images; give the folder of the images")


def _table(folder: Path) -> Path | None:
    """The folder itself if it has a manifest, else its only CSV file."""
    if (folder / TABLE).is_file():
        return folder
    tables = [path for path in folder.glob(f"*{CSV_SUFFIX}") if path.is_file() and not path.name.startswith(".")]
    return tables[0] if len(tables) == 1 else None


def _has_images(folder: Path) -> bool:
    return any(is_image(Path(name)) for _, _, files in os.walk(folder) for name in files)
