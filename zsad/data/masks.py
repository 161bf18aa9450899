"""Read ground-truth masks of any common form into one form: which pixels are defective."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from zsad.data.decoding import Picture, decode, read_bytes
from zsad.data.headers import read_header
from zsad.data.images import image_header, is_image
from zsad.errors import DataError

LOSSY_THRESHOLD = 127  # of 255
TURN = (
    "one of the two is turned by 90 degrees: the orientation tag (EXIF) of the image is applied, so turn the mask in "
    "the same way, or give it the same tag"
)


def mask_files(mask: Path) -> list[Path]:
    """The files of a mask: itself, or the masks in its folder, sorted."""
    if mask.is_dir():
        return sorted(path for path in mask.iterdir() if path.is_file() and is_image(path))
    return [mask]


def read_mask(path: str | Path, height: int, width: int, sha256: str = "") -> np.ndarray:
    """Read a ground-truth mask to bool ``[height, width]``: every pixel that is not black is defective.

    So 0/1, 0/255, grey, 16-bit and coloured masks need no setting. A palette is looked up by colour, and a transparent
    pixel marks nothing, whatever its colour. With lossy compression (JPEG, lossy WebP), a pixel is black if no channel
    is brighter than 127 of 255. A folder stands for the union of the masks in it.

    Like for an image, the mask's own EXIF orientation is applied; without one the mask is assumed to be upright, as
    most annotation programs save it.

    Args:
        height, width: of the image, pixels, upright.
        sha256: the digest in the manifest; a different digest means that the mask has changed since.

    Raises:
        DataError: it does not exist, was changed, is unreadable, differs from its image in size, has a pixel that is
            not a number, or is a folder without masks.
    """
    if sha256 and mask_sha256(path) != sha256:
        raise DataError(f"the mask {path} has changed since it was listed; run again to list it again")
    mask = np.zeros((height, width), dtype=bool)
    for file in _files(Path(path)):
        content = read_bytes(file)
        mask_height, mask_width = read_header(io.BytesIO(content), file).upright_size
        if (mask_height, mask_width) != (height, width):
            raise DataError(
                f"the mask {file} is {mask_width} x {mask_height} pixels but its image is {width} x {height}; "
                + (TURN if (mask_height, mask_width) == (width, height) else "give the mask the size of its image")
            )
        mask |= _is_set(decode(content, file), file)
    return mask


def mask_sha256(path: str | Path) -> str:
    """SHA-256 of a mask, in hexadecimal: of its bytes, or of names and digests of the masks in a folder.

    Raises:
        DataError: it does not exist, is unreadable, or is a folder without masks.
    """
    files = _files(Path(path))
    digests = [hashlib.sha256(read_bytes(file)).hexdigest() for file in files]
    if files == [Path(path)]:
        return digests[0]
    named = [f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True)]
    return hashlib.sha256("".join(named).encode()).hexdigest()


def has_orientation(path: str | Path) -> bool:
    """Whether the mask, or one of the masks in a folder, has an orientation tag that turns or mirrors it.

    Raises:
        DataError: as `read_mask`.
    """
    return any(image_header(file).orientation != 1 for file in _files(Path(path)))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if is_image(file) and not file.is_dir())
    if not files:
        raise DataError(f"the mask folder {path} contains no images; put the masks there, or delete it")
    return files


def _is_set(picture: Picture, path: Path) -> np.ndarray:
    colour = picture.colour
    if colour.dtype.kind == "f" and np.isnan(colour).any():
        raise DataError(f"the mask {path} has pixels that are not a number; set them to 0 or 1")
    marked = colour > _threshold(picture) if picture.is_lossy else colour != 0
    if marked.ndim == 3:
        marked = marked.any(axis=2)
    return marked if picture.alpha is None else marked & (picture.alpha != 0)


def _threshold(picture: Picture) -> float:
    """The greatest value that counts as black, higher for lossy compression."""
    dtype = picture.colour.dtype
    white = picture.white or (np.iinfo(dtype).max if dtype.kind == "u" else 255)
    return LOSSY_THRESHOLD / 255 * white
