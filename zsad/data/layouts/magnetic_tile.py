"""The layout of the Magnetic Tile Defects (Huang et al., The Visual Computer 36, 2020).

::

    MT_Free/Imgs/exp1_num_10181.jpg         free of defects
    MT_Free/Imgs/exp1_num_10181.png         its mask, which marks nothing and is not read
    MT_Blowhole/Imgs/exp1_num_108719.jpg    and MT_Break, MT_Crack, MT_Fray, MT_Uneven
    MT_Blowhole/Imgs/exp1_num_108719.png    its mask, 255 where defective

The source is https://github.com/abin24/Magnetic-tile-defect-datasets. (with the full stop). There is no published
split. It is usual to test on a fifth of the defect-free images and on all defective ones (Rudolph et al., WACV 2021;
Roth et al., CVPR 2022), sampled image by image.

But the same tile is photographed up to six times in a row, as the names show: ``exp`` is the exposure, and ``num``
counts frames over all exposures, e.g. ``exp2_num_116527``, ``exp3_num_116541``, ``exp4_num_116553`` for one crack. A
tile may even be in two folders: ``exp3_num_148977`` shows a break that is not visible in ``exp4_num_148998``, which is
cropped closer. So this layout samples whole series, and tests those with a defect in them. The authors do not explain
the names; this interpretation comes from the photographs. A tile that was photographed again later cannot be
recognised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from zsad.data.layouts.base import GOOD, Layout, folders, images
from zsad.data.layouts.item import Item
from zsad.data.layouts.roots import categories_or_error
from zsad.data.subsets import Split

CATEGORY = "magnetic_tile"
PREFIX = "MT_"
FREE = "free"
PHOTOGRAPH_SUFFIXES = (".jpg", ".jpeg")
MASK_SUFFIX = ".png"
SERIES_GAP = 200
"""Least number of frames between two photographs of different series.

Photographs of one tile are up to 143 frames apart, where exposures between them are missing. Tiles that follow each
other faster are treated as one series, which makes the sample coarser but leaks nothing.
"""


@dataclass(frozen=True)
class Photograph:
    """A photograph, with the facts from its folder and name.

    Attributes:
        kind: ``"free"`` or the defect, e.g. ``"blowhole"``.
        frame: number in its name; None if there is none.
        mask: of the same stem; None if there is none.
    """

    path: Path
    kind: str
    frame: int | None
    mask: Path | None


class MagneticTileLayout(Layout):
    """One category, whose defect-free images are split by series, so that no tile is in both training and test."""

    summary: ClassVar[str] = "Magnetic Tile Defects: MT_Free/Imgs, MT_<defect>/Imgs with masks beside; split by tile"

    train_share: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="share of the series of defect-free photographs for training; the others are tested",
    )

    def categories(self, root: Path) -> list[str]:
        """``["magnetic_tile"]``, if any folder ``MT_<kind>`` has a folder ``Imgs``."""
        what = "folder 'MT_Free/Imgs' or the like, as Magnetic Tile Defects must have"
        return categories_or_error(root, _categories(root), what, find=_categories)

    def items(self, root: Path, category: str) -> list[Item]:
        """The photographs; whether a series is for training depends only on the name of its first photograph."""
        items: list[Item] = []
        for series in series_of(_photographs(root)):
            split: Split = "train" if self._is_training(series) else "test"
            items += [_item(root, photograph, split) for photograph in series]
        return sorted(items, key=lambda item: item.image_id)

    def remarks(self, root: Path, category: str) -> list[str]:
        """The images that are neither a photograph nor the mask of one."""
        photographs = [photograph.path for photograph in _photographs(root)]
        known = {path.with_suffix("") for path in photographs}
        count = sum(
            path.suffix.lower() not in PHOTOGRAPH_SUFFIXES
            and not (path.suffix.lower() == MASK_SUFFIX and path.with_suffix("") in known)
            for folder in _kinds(root)
            for path in images(folder / "Imgs")
        )
        if not count:
            return []
        return [f"{count} images in Imgs are left out, since they are neither a photograph (.jpg) nor its mask (.png)"]

    def _is_training(self, series: list[Photograph]) -> bool:
        is_free = all(photograph.kind == FREE for photograph in series)
        return is_free and fraction_of(series[0].path.stem) < self.train_share


def series_of(photographs: Iterable[Photograph]) -> list[list[Photograph]]:
    """Photographs in series, in the order of their frames, split where `SERIES_GAP` frames or more are between two.

    A photograph without a frame number in its name is a series of its own.
    """
    series: list[list[Photograph]] = []
    last: int | None = None
    for photograph in sorted(photographs, key=lambda one: (one.frame is None, one.frame or 0, one.path.name, one.kind)):
        frame = photograph.frame
        if frame is not None and last is not None and frame - last < SERIES_GAP:
            series[-1].append(photograph)
        else:
            series.append([photograph])
        last = frame
    return series


def fraction_of(name: str) -> float:
    """A number in [0, 1) that depends only on a name, evenly distributed over names: its scaled SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48  # exact in floating point, and below 1


def _categories(root: Path) -> list[str]:
    return [CATEGORY] if _kinds(root) else []


def _kinds(root: Path) -> list[Path]:
    return [folder for folder in folders(root) if folder.name.startswith(PREFIX) and (folder / "Imgs").is_dir()]


def _photographs(root: Path) -> Iterator[Photograph]:
    for folder in _kinds(root):
        files = images(folder / "Imgs")
        masks = {path.stem: path for path in files if path.suffix.lower() == MASK_SUFFIX}
        for path in files:
            if path.suffix.lower() in PHOTOGRAPH_SUFFIXES:
                frame = re.search(r"_num_([0-9]+)$", path.stem)
                yield Photograph(
                    path,
                    kind=folder.name.removeprefix(PREFIX).lower(),
                    frame=int(frame[1]) if frame else None,
                    mask=masks.get(path.stem),
                )


def _item(root: Path, photograph: Photograph, split: Split) -> Item:
    is_free = photograph.kind == FREE
    return Item(
        photograph.path,
        photograph.path.relative_to(root).as_posix(),
        split=split,
        label=int(not is_free),
        defect_type=GOOD if is_free else photograph.kind,
        mask=None if is_free else photograph.mask,
    )
