"""An image of a category, as found by a layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zsad.data.subsets import Split


@dataclass(frozen=True)
class Item:
    """The path of one image of a category, and the labels and masks given by its place.

    Attributes:
        path: the image.
        image_id: path inside the category's folder, with forward slashes; unique.
        split: ``"train"`` (normal by definition) or ``"test"``.
        label: 1 defective, 0 good, None unknown, ``"mask"`` if only the mask gives the label: defective if it marks a
            pixel.
        defect_type: e.g. ``"scratch"``; ``"good"``; empty if unknown. With the label ``"mask"``, its type if it is
            defective.
        mask: a mask, or a folder whose masks are united; None if there is none.
    """

    path: Path
    image_id: str
    split: Split
    label: int | Literal["mask"] | None
    defect_type: str
    mask: Path | None = None
