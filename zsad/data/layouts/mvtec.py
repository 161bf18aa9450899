"""The MVTec AD layout (Bergmann et al., CVPR 2019), which most later data sets follow.

::

    <category>/train/good/*.png
    <category>/test/good/*.png
    <category>/test/<defect>/000.png
    <category>/ground_truth/<defect>/000_mask.png   or  000.png   or  000/*.png (united)
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import ClassVar

from zsad.data.images import is_image
from zsad.data.layouts.base import Layout, image_record
from zsad.data.manifest import ImageRecord
from zsad.errors import DataError

GOOD = "good"


class MvtecLayout(Layout):
    """Categories as folders with ``train/good``, ``test/<defect>`` and ``ground_truth/<defect>``."""

    summary: ClassVar[str] = "MVTec AD's folders: train/good, test/<defect or good>, ground_truth/<defect>"

    def categories(self, root: Path) -> list[str]:
        """Folders under ``root`` that have a ``test`` folder."""
        if not root.is_dir():
            raise DataError(
                f"the data set folder {root} does not exist; set dataset.root to the folder of the categories"
            )
        found = sorted(folder.name for folder in _folders(root) if (folder / "test").is_dir())
        if not found:
            hint = "; it looks like a single category: give its parent folder" if (root / "test").is_dir() else ""
            raise DataError(
                f"no folder under {root} has a 'test' folder, as a category of the MVTec AD layout must{hint}"
            )
        return found

    def files(self, root: Path, category: str) -> list[Path]:
        """Images under ``train/good`` and ``test``, and everything that is an image under ``ground_truth``."""
        folder = root / category
        found = [path for _, path in _images(folder / "train", only=GOOD)]
        found += [path for _, path in _images(folder / "test")]
        found += [path for path in (folder / "ground_truth").rglob("*") if path.is_file() and is_image(path)]
        return sorted(found)

    def records(self, root: Path, category: str) -> list[ImageRecord]:
        """Training images are good by definition; a test image's label is the name of its folder."""
        folder = root / category
        records = [
            image_record(path, folder, split="train", label=0, defect_type=GOOD)
            for _, path in _images(folder / "train", only=GOOD)
        ]
        for defect, path in _images(folder / "test"):
            records.append(
                image_record(
                    path,
                    folder,
                    split="test",
                    label=int(defect != GOOD),
                    defect_type=defect,
                    mask_path=None if defect == GOOD else _mask_of(folder / "ground_truth" / defect, path.stem),
                )
            )
        if not any(record.split == "test" for record in records):
            raise DataError(f"category '{category}' has no test images in {folder / 'test'}; add some or leave it out")
        return records


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(split: Path, only: str | None = None) -> list[tuple[str, Path]]:
    return [
        (folder.name, path)
        for folder in _folders(split)
        if only in (None, folder.name)
        for path in sorted(folder.iterdir())
        if path.is_file() and is_image(path)
    ]


def _mask_of(folder: Path, stem: str) -> Path | None:
    if not folder.is_dir():
        return None
    for name in (f"{stem}_mask", stem):
        for path in sorted(folder.glob(f"{glob.escape(name)}.*")):
            if path.is_file() and path.stem == name and is_image(path):
                return path
    united = folder / stem
    return united if united.is_dir() else None
