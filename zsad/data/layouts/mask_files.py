"""Find masks among photographs by their names and, where that is not enough, by their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from zsad.data.images import is_image, read_image
from zsad.data.layouts.words import MASK_WORDS, means
from zsad.errors import DataError

_ENDING = re.compile(r"[ _.-](mask|masks|gt|groundtruth|ground_truth|seg|segmentation|label|labels|annotation)$", re.I)
LOOKED_AT = 3
NEAR = 8  # of 255; what lossy compression adds to a mask
TWO_VALUED = 0.98  # share of the pixels


def masks_beside(paths: Sequence[Path]) -> list[Path]:
    """The images named like another image beside them plus a suffix such as ``_mask``."""
    stems = {path.stem for path in paths}
    return [path for path in paths if (ending := _ENDING.search(path.stem)) and path.stem[: ending.start()] in stems]


def called_masks(paths: Sequence[Path]) -> bool:
    """Whether the names of all images end like those of masks."""
    return bool(paths) and all(_ENDING.search(path.stem) for path in paths)


def is_mask_folder(folder: Path) -> bool:
    """Whether a folder is named like a folder of masks, and its first images have only two values."""
    return means(folder.name, MASK_WORDS) and look_like_masks(images_below(folder))


def images_below(folder: Path, count: int = LOOKED_AT) -> list[Path]:
    """The first images in a folder or its sub-folders."""
    return list(islice((path for path in sorted(folder.rglob("*")) if is_image(path) and path.is_file()), count))


def look_like_masks(paths: Sequence[Path]) -> bool:
    """Whether the first images are grey with two values, one of them black; images with a single value are skipped."""
    seen = [_look(path) for path in paths[:LOOKED_AT]]
    return False not in seen and True in seen


def _look(path: Path) -> bool | None:
    """True for a mask, False for a photograph, None if undecided."""
    try:
        pixels = read_image(path).astype(np.int16)
    except DataError:
        return None
    if np.abs(pixels - pixels[..., :1]).max() > NEAR:
        return False
    values = pixels[..., 0]
    highest = int(values.max())
    if int(values.min()) == highest:
        return None
    near_black = values <= min(NEAR, highest - 1)
    near_highest = values >= max(highest - NEAR, 1)
    return bool((near_black | near_highest).mean() >= TWO_VALUED and near_black.any())
