"""Anybody's images in MVTec AD's arrangement, whatever the folders are called.

::

    <category>/<train>/<good>/*.png
    <category>/<test>/<good>/*.png
    <category>/<test>/<defect>/000.png
    <category>/<ground_truth>/<defect>/000_mask.png
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from zsad.data.layouts.base import GOOD
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.layouts.mvtec_names import Names

Name = Annotated[str, Field(pattern=r"^[^/.][^/]*$")]


def _several(value: object) -> object:
    """One name as a list of it."""
    return [value] if isinstance(value, str) else value


class OwnMvtecLayout(MvtecLayout):
    """MVTec AD's folders under names of one's own."""

    summary: ClassVar[str] = "your own images in MVTec AD's folders: train/good, test/<defect>, ground_truth/<defect>"

    good: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        (GOOD,), min_length=1, description="what folders of good images are called: a name, e.g. OK, or a list of names"
    )
    train: Name = Field("train", description="what folders of training images are called")
    test: Name = Field("test", description="what folders of test images are called")
    ground_truth: Name = Field("ground_truth", description="what folders of masks are called")

    @property
    def goods(self) -> tuple[str, ...]:
        """What folders of good images are called."""
        return self.good

    @property
    def train_folder(self) -> str:
        """Folder of the training images, in that of a category."""
        return self.train

    @property
    def test_folder(self) -> str:
        """Folder of the test images, in that of a category."""
        return self.test

    @property
    def truth(self) -> str:
        """Folder of the masks, in that of a category."""
        return self.ground_truth

    @property
    def names(self) -> Names:
        """What its folders are expected to be called, which parameters change."""
        return replace(super().names, are_free=True)
