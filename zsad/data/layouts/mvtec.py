"""The MVTec AD layout (Bergmann et al., CVPR 2019), which most later data sets follow.

::

    <category>/train/good/*.png
    <category>/test/good/*.png
    <category>/test/<defect>/000.png
    <category>/ground_truth/<defect>/000_mask.png   or  000.png   or  000/*.png (united)
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from zsad.data.images import is_image
from zsad.data.layouts.base import GOOD, Item, Layout, folders, images
from zsad.data.layouts.roots import categories_or_error


class MvtecLayout(Layout):
    """Categories as folders with ``train/good``, ``test/<defect>`` and ``ground_truth/<defect>``.

    Class attributes:
        title: of the data set, for messages.
        good: what the folder of good images is called.
        truth_folder: folder of the masks, in that of a category.
    """

    summary: ClassVar[str] = "MVTec AD's folders: train/good, test/<defect or good>, ground_truth/<defect>"
    title: ClassVar[str] = "the MVTec AD layout"
    good: ClassVar[str] = GOOD
    truth_folder: ClassVar[str] = "ground_truth"

    @property
    def test_folder(self) -> str:
        """Folder of the test images, in that of a category."""
        return "test"

    def categories(self, root: Path) -> list[str]:
        """Folders under ``root`` that have a folder of test images."""
        what = f"folder with a '{self.test_folder}' folder in it, as a category of {self.title} must have"
        return categories_or_error(root, self._categories(root), what, find=self._categories)

    def _categories(self, root: Path) -> list[str]:
        return [folder.name for folder in folders(root) if (folder / self.test_folder).is_dir()]

    def items(self, root: Path, category: str) -> list[Item]:
        """Training images are good by definition; a test image's label is the name of its folder."""
        folder = root / category
        return sorted([*self._training_items(folder), *self._test_items(folder)], key=lambda item: item.image_id)

    def _training_items(self, folder: Path) -> Iterator[Item]:
        for path in images(folder / "train" / self.good):
            yield Item(path, path.relative_to(folder).as_posix(), split="train", label=0, defect_type=GOOD)

    def _test_items(self, folder: Path) -> Iterator[Item]:
        truth = folder / self.truth_folder
        for kind in folders(folder / self.test_folder):
            if kind == truth:
                continue
            is_good = kind.name == self.good
            for path in images(kind):
                yield Item(
                    path,
                    path.relative_to(folder).as_posix(),
                    split="test",
                    label=int(not is_good),
                    defect_type=GOOD if is_good else kind.name,
                    mask=None if is_good else mask_of(truth / kind.name, path.stem),
                )


def mask_of(folder: Path, stem: str) -> Path | None:
    """The mask of an image by the stem of its name: ``<stem>_mask.*``, ``<stem>.*``, or a folder ``<stem>``."""
    if not folder.is_dir():
        return None
    for name in (f"{stem}_mask", stem):
        for path in sorted(folder.glob(f"{glob.escape(name)}.*")):
            if path.stem == name and is_image(path) and not path.is_dir():
                return path
    united = folder / stem
    return united if united.is_dir() else None


def validation_remarks(folder: Path) -> list[str]:
    """What to say of a category's ``validation/good``, which newer data sets have beside ``train`` and ``test``."""
    count = len(images(folder / "validation" / GOOD))
    if not count:
        return []
    return [f"the validation images of {folder.name} ({count}) are left out, since no method here is tuned on them"]
