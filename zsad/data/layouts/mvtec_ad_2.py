"""The MVTec AD 2 layout (Heckler-Kram et al., arXiv:2503.21622).

::

    <category>/train/good/000_regular.png
    <category>/validation/good/*.png                        left out
    <category>/test_public/good/*.png
    <category>/test_public/bad/000_regular.png              and _overexposed, _underexposed, _shift_1 ...
    <category>/test_public/ground_truth/bad/000_regular_mask.png
    <category>/test_private/000_regular.png                 no labels: only the authors' server has them,
    <category>/test_private_mixed/000_mixed.png             https://benchmark.mvtec.com
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from zsad.data.known_truth import NO_TRUTH, WHOLE_TRUTH, KnownTruth
from zsad.data.layouts.base import folders, images
from zsad.data.layouts.item import Item
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.layouts.mvtec_names import Names


class MvtecAd2Layout(MvtecLayout):
    """MVTec AD's folders with three test sets, only the public one of which has ground truth."""

    summary: ClassVar[str] = "MVTec AD 2: test_public with labels, test_private and test_private_mixed without"
    title: ClassVar[str] = "MVTec AD 2"
    truth_folder: ClassVar[str] = "test_public/ground_truth"

    test: Literal["public", "private", "private_mixed"] = Field(
        "public",
        description="test set: public (with labels), private (without), private_mixed (without, in changing light)",
    )

    @property
    def expected_truth(self) -> KnownTruth:
        """Complete for the public test set, and nothing for the others."""
        return WHOLE_TRUTH if self.test == "public" else NO_TRUTH

    @property
    def test_folder(self) -> str:
        """Folder of the chosen test set, in that of a category."""
        return f"test_{self.test}"

    @property
    def names(self) -> Names:
        """As for MVTec AD, except that two of the test sets are not sorted into folders."""
        return replace(super().names, has_labels=self.test == "public")

    def remarks(self, root: Path, category: str) -> list[str]:
        """The validation images and the other test sets."""
        folder = root / category
        others = [
            other.name for other in folders(folder) if other.name.startswith("test_") and other.name != self.test_folder
        ]
        left_out = f"the images in {' and '.join(others)} of {category} are left out; dataset.params.test chooses"
        return [*super().remarks(root, category), *([left_out] if others else [])]

    def _test_items(self, folder: Path) -> Iterator[Item]:
        return super()._test_items(folder) if self.test == "public" else self._unlabelled_items(folder)

    def _unlabelled_items(self, folder: Path) -> Iterator[Item]:
        for path in images(folder / self.test_folder):
            yield Item(path, path.relative_to(folder).as_posix(), split="test", label=None, defect_type="")
