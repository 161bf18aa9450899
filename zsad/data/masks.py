"""Reading ground-truth masks as people have them into one form: which pixels are defective."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from zsad.data.decoding import Picture, decode, read_bytes
from zsad.data.headers import read_header
from zsad.data.images import is_image
from zsad.errors import DataError

LOSSY_THRESHOLD = 127  # of 255


def read_mask(path: str | Path, height: int, width: int) -> np.ndarray:
    """Read a ground-truth mask to bool ``[height, width]``: every pixel that is not black is defective.

    So 0/1, 0/255, grey, 16-bit and coloured masks need no setting. A palette is looked up by colour, and a transparent
    pixel marks nothing, whatever its colour. Where compression has changed the values (JPEG, lossy WebP), black is
    all that is not brighter than 127 in any channel. A folder stands for the union of the masks in it. Like an image,
    a mask is turned by its EXIF orientation.

    Args:
        height, width: of the image, pixels, upright.

    Raises:
        DataError: absent or unreadable, of another size than its image, not a number somewhere, or a folder without
            masks.
    """
    mask = np.zeros((height, width), dtype=bool)
    for file in _files(Path(path)):
        content = read_bytes(file)
        mask_height, mask_width = read_header(io.BytesIO(content), file).upright_size
        if (mask_height, mask_width) != (height, width):
            raise DataError(
                f"the mask {file} is {mask_width} x {mask_height} pixels but its image is {width} x {height}; "
                "give the mask the size of its image"
            )
        mask |= _is_set(decode(content, file), file)
    return mask


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if is_image(file) and not file.is_dir())
    if not files:
        raise DataError(f"the mask folder {path} has no images in it; put the masks there, or delete it")
    return files


def _is_set(picture: Picture, path: Path) -> np.ndarray:
    if picture.colour.dtype.kind == "f" and np.isnan(picture.colour).any():
        raise DataError(f"the mask {path} has pixels that are not a number; set them to 0 or 1")
    marked = picture.colour > LOSSY_THRESHOLD if picture.is_lossy else picture.colour != 0
    if marked.ndim == 3:
        marked = marked.any(axis=2)
    return marked if picture.alpha is None else marked & (picture.alpha != 0)
