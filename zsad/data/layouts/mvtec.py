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
from zsad.data.layouts.base import GOOD, Finding, Layout, folders, images
from zsad.data.layouts.item import Item
from zsad.data.layouts.mask_files import images_below
from zsad.data.layouts.mvtec_names import Names, find_slips, misnamed_test
from zsad.data.layouts.roots import categories_or_error
from zsad.data.layouts.words import VALIDATION_WORDS, means
from zsad.errors import DataError


class MvtecLayout(Layout):
    """Categories as folders with ``train/good``, ``test/<defect>`` and ``ground_truth/<defect>``.

    Class attributes:
        title: title of the data set, for messages.
        good_folder: name of the folder of normal images.
        truth_folder: name of the folder of masks, in that of a category.
    """

    summary: ClassVar[str] = "MVTec AD's folders: train/good, test/<defect or good>, ground_truth/<defect>"
    title: ClassVar[str] = "the MVTec AD layout"
    good_folder: ClassVar[str] = GOOD
    truth_folder: ClassVar[str] = "ground_truth"

    @property
    def goods(self) -> tuple[str, ...]:
        """Names of the folders of normal images."""
        return (self.good_folder,)

    @property
    def train_folder(self) -> str:
        """Name of the folder of training images, in that of a category."""
        return "train"

    @property
    def truth(self) -> str:
        """Name of the folder of masks, in that of a category."""
        return self.truth_folder

    @property
    def names(self) -> Names:
        """The expected names of its folders."""
        return Names(self.train_folder, self.test_folder, self.truth, self.goods)

    @property
    def test_folder(self) -> str:
        """Name of the folder of test images, in that of a category."""
        return "test"

    def categories(self, root: Path) -> list[str]:
        """Folders under ``root`` that have a folder of test images."""
        found = self._categories(root)
        if not found and root.is_dir() and (slip := self._slip(root)):
            raise DataError(f"{root} has no folder that contains a '{self.test_folder}' folder, but {slip}")
        what = f"folder with a '{self.test_folder}' folder in it, as required for a category of {self.title}"
        return categories_or_error(root, found, what, find=self._categories)

    def _categories(self, root: Path) -> list[str]:
        return [folder.name for folder in folders(root) if (folder / self.test_folder).is_dir()]

    def overlooked(self, root: Path) -> list[str]:
        """Folders whose test images would not be read, or that have only training images."""
        return [
            sentence
            for folder in folders(root)
            if not (folder / self.test_folder).is_dir()
            for sentence in self._not_a_category(folder)
        ]

    def _not_a_category(self, folder: Path) -> Iterator[str]:
        if slip := misnamed_test(folder, self.names):
            fix = self.names.fix(slip, self.test_folder, "test")
            yield f"{folder} has '{slip}' where '{self.test_folder}' is expected: {fix}"
        elif images_below(folder / self.train_folder, 1):
            yield (
                f"{folder} has training images but no '{self.test_folder}': add some, or set dataset.categories to "
                "the names of the others"
            )

    def _slip(self, root: Path) -> str:
        """Why no category is found: a misspelled name in a folder of the root, or in the root as a category."""
        if found := self.overlooked(root):
            return found[0]
        if slip := misnamed_test(root, self.names):
            fix = self.names.fix(slip, self.test_folder, "test")
            return (
                f"it looks like a single category that has '{slip}' where '{self.test_folder}' is expected: {fix}, "
                f"and set dataset.root to its parent folder {root.resolve().parent}"
            )
        return ""

    def findings(self, root: Path, category: str) -> list[Finding]:
        """Contradictions to the expected names."""
        return list(find_slips(root / category, self.names))

    def masks_folder(self, root: Path, category: str) -> Path | None:
        """The folder of the masks."""
        return root / category / self.truth

    def remarks(self, root: Path, category: str) -> list[str]:
        """The validation images."""
        return validation_remarks(root / category, self.test_folder)

    def items(self, root: Path, category: str) -> list[Item]:
        """Training images are normal by definition; a test image's label is the name of its folder."""
        folder = root / category
        return sorted([*self._training_items(folder), *self._test_items(folder)], key=lambda item: item.image_id)

    def _training_items(self, folder: Path) -> Iterator[Item]:
        for good in self.goods:
            for path in images(folder / self.train_folder / good):
                yield Item(path, path.relative_to(folder).as_posix(), split="train", label=0, defect_type=GOOD)

    def _test_items(self, folder: Path) -> Iterator[Item]:
        truth = folder / self.truth
        for kind in folders(folder / self.test_folder):
            if kind == truth:
                continue
            is_good = kind.name in self.goods
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


def validation_remarks(folder: Path, test: str) -> list[str]:
    """Remarks on a category's ``validation``, which newer data sets have beside ``train`` and ``test``."""
    places = [place for place in folders(folder) if place.name != test and means(place.name, VALIDATION_WORDS)]
    count = sum(len(images(inner)) for place in places for inner in (place, *folders(place)))
    if not count:
        return []
    return [f"the validation images of {folder.name} ({count}) are left out, since no method here uses them"]
