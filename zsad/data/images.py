"""Reading photographs and masks as people have them, into one form: 8-bit RGB, upright."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from zsad.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def is_image(path: Path) -> bool:
    """Whether the name is that of an image: a known ending in any case, not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: str | Path, sha256: str | None = None) -> np.ndarray:
    """Decode an image to uint8 ``[height, width, 3]``, RGB, upright by its EXIF orientation.

    Grey is repeated over the channels, a palette is looked up, alpha is dropped, and 16-bit values are divided by 257
    (a fixed scale: stretching each image to its own range would make their scores incomparable).

    Args:
        sha256: the digest that the manifest records; another one means that the file has changed since.

    Raises:
        DataError: absent, changed, unreadable or truncated.
    """
    content = _read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} has changed since the manifest was made; run again to make the manifest anew")
    return _rgb(_decode(content, path), path)


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image, upright, from its header alone.

    Raises:
        DataError: absent or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(_unreadable(path, error)) from None
    return (width, height) if turned else (height, width)


def read_mask(path: str | Path, height: int, width: int) -> np.ndarray:
    """Read a ground-truth mask to bool ``[height, width]``: every non-zero pixel is defective.

    A folder stands for the union of the masks in it.

    Raises:
        DataError: unreadable, or of another size than its image.
    """
    path = Path(path)
    files = sorted(file for file in path.iterdir() if is_image(file)) if path.is_dir() else [path]
    if not files:
        raise DataError(f"the mask folder {path} has no images in it")
    mask = np.zeros((height, width), dtype=bool)
    for file in files:
        pixels = np.asarray(_decode(_read_bytes(file), file))
        mask_height, mask_width = pixels.shape[:2]
        if (mask_height, mask_width) != (height, width):
            raise DataError(
                f"the mask {file} is {mask_width} x {mask_height} pixels but its image is {width} x {height}; "
                "give the mask the size of its image"
            )
        mask |= _is_set(pixels)
    return mask


def _is_set(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels != 0
    colour = pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels
    return (colour != 0).any(axis=2)


def _read_bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"the image {path} does not exist") from None
    except OSError as error:
        raise DataError(_unreadable(path, error)) from None


def _decode(content: bytes, path: str | Path) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(_unreadable(path, error)) from None


def _rgb(image: Image.Image, path: str | Path) -> np.ndarray:
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{path} has integer values outside 0..65535; save it with 8 or 16 bits a channel")
        return np.repeat(((values + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise DataError(f"{path} has floating-point pixels of unknown range; save it with 8 or 16 bits a channel")
    return np.array(image.convert("RGB"))


def _unreadable(path: str | Path, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{path} cannot be read as an image ({reason}); replace it or take it out of the folder"
