"""What of a category's listing matters to whom: files, and digests of what places and tables say of the images.

A label, a type of defect or a test image's mask matters to the manifest alone, so that to correct one is no reason to
read the images again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from zsad.data.layouts.item import Item
from zsad.data.masks import mask_files
from zsad.files.json_values import canonical_json


def image_files(items: Iterable[Item]) -> list[Path]:
    """The files that the list of images is made from, sorted: they, and masks that alone tell who is trained on."""
    items = list(items)
    masks = [file for item in items if (mask := _mask_that_tells_who_trains(item)) for file in mask_files(mask)]
    return sorted({*(item.path for item in items), *masks})


def truth_files(items: Iterable[Item]) -> list[Path]:
    """The files that the manifest is made from besides the list of images, sorted: the masks."""
    return sorted({file for item in items if item.mask for file in mask_files(item.mask)})


def images_digest(items: Sequence[Item]) -> str:
    """Of which images there are, where they lie, and which are trained on; hexadecimal."""
    return _digest(
        [
            item.image_id,
            item.path.as_posix(),
            item.split,
            item.split == "train" and item.label == 1,
            mask.as_posix() if (mask := _mask_that_tells_who_trains(item)) else "",
        ]
        for item in items
    )


def truth_digest(items: Sequence[Item]) -> str:
    """Of what is known of each image; hexadecimal."""
    return _digest(
        [item.image_id, item.split, item.label, item.defect_type, item.mask and item.mask.as_posix()] for item in items
    )


def _mask_that_tells_who_trains(item: Item) -> Path | None:
    """The mask of an image that says if it is left out as a defective training image; None if none does."""
    return item.mask if item.split == "train" and item.label == "mask" else None


def _digest(rows: Iterable[Sequence[object]]) -> str:
    return hashlib.sha256(canonical_json(list(rows)).encode()).hexdigest()
