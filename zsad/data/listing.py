"""Separate a category's listing into the files and digests for the list of images and those for the manifest.

A label, a defect type or a test image's mask affects only the manifest, so that the images are not read again after a
correction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from zsad.data.layouts.item import Item
from zsad.data.masks import mask_files
from zsad.files.json_values import canonical_json


def image_files(items: Iterable[Item]) -> list[Path]:
    """The files that the list of images depends on, sorted: images, and masks that decide about training images."""
    items = list(items)
    masks = [file for item in items if (mask := _mask_that_tells_who_trains(item)) for file in mask_files(mask)]
    return sorted({*(item.path for item in items), *masks})


def truth_files(items: Iterable[Item]) -> list[Path]:
    """The files that the manifest depends on besides the list of images, sorted: the masks."""
    return sorted({file for item in items if item.mask for file in mask_files(item.mask)})


def images_digest(items: Sequence[Item]) -> str:
    """Digest of the images, their paths, and which are for training; hexadecimal."""
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
    """Digest of the ground truth of each image; hexadecimal."""
    return _digest(
        [item.image_id, item.split, item.label, item.defect_type, item.mask and item.mask.as_posix()] for item in items
    )


def _mask_that_tells_who_trains(item: Item) -> Path | None:
    """The mask that shows whether a training image is defective and left out; None if there is none."""
    return item.mask if item.split == "train" and item.label == "mask" else None


def _digest(rows: Iterable[Sequence[object]]) -> str:
    return hashlib.sha256(canonical_json(list(rows)).encode()).hexdigest()
