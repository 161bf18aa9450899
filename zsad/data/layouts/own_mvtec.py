"""The user's own images in MVTec AD's arrangement, with any folder names.

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
    """Convert one name to a list."""
    return [value] if isinstance(value, str) else value


class OwnMvtecLayout(MvtecLayout):
    """MVTec AD's folders under the user's own names."""

    summary: ClassVar[str] = "your own images in MVTec AD's folders: train/good, test/<defect>, ground_truth/<defect>"

    good: Annotated[tuple[Name, ...], BeforeValidator(_several)] = Field(
        (GOOD,), min_length=1, description="name of the folders of normal images: a name, e.g. OK, or a list of names"
    )
    train: Name = Field("train", description="name of the folders of training images")
    test: Name = Field("test", description="name of the folders of test images")
    ground_truth: Name = Field("ground_truth", description="name of the folders of masks")

    @property
    def goods(self) -> tuple[str, ...]:
        """Names of the folders of normal images."""
        return self.good

    @property
    def train_folder(self) -> str:
        """Name of the folder of training images, in that of a category."""
        return self.train

    @property
    def test_folder(self) -> str:
        """Name of the folder of test images, in that of a category."""
        return self.test

    @property
    def truth(self) -> str:
        """Name of the folder of masks, in that of a category."""
        return self.ground_truth

    @property
    def names(self) -> Names:
        """The expected names of its folders, which parameters set."""
        return replace(super().names, are_free=True)
