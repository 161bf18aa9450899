"""An image of a category as a layout finds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zsad.data.subsets import Split


@dataclass(frozen=True)
class Item:
    """Where one image of a category lies and what its place says of it.

    Attributes:
        path: the image.
        image_id: path inside the category's folder, with forward slashes; unique.
        split: ``"train"`` (good by definition) or ``"test"``.
        label: 1 defective, 0 good, None unknown, ``"mask"`` if the mask alone tells: defective where it marks a pixel.
        defect_type: e.g. ``"scratch"``; ``"good"``; empty if unknown. With the label ``"mask"``, what it is if it is
            defective.
        mask: a mask, or a folder whose masks are united; None if there is none.
    """

    path: Path
    image_id: str
    split: Split
    label: int | Literal["mask"] | None
    defect_type: str
    mask: Path | None = None
