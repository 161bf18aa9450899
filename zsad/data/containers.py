"""HEIC, AVIF and other ISO base media files: the format of a file and the library that reads it.

HEIC needs pillow-heif, which is not among the requirements since its wheel contains libraries under the GPL and LGPL.
"""

from __future__ import annotations

from functools import cache
from typing import BinaryIO, Literal

from zsad.data.image_header import NotReadError
from zsad.data.impostors import RAW

AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"avci"}
)
RAW_BRANDS = frozenset({b"crx "})
MAX_BRANDS = 64

Container = Literal["AVIF", "HEIF"]


def is_container(begin: bytes) -> bool:
    """Whether a file with this beginning is an ISO base media file."""
    return begin[4:8] == b"ftyp"


def container_format(file: BinaryIO) -> Container:
    """Pillow's name of the format of a photograph in a container; registers the HEIF reader if needed.

    Args:
        file: positioned at its beginning, before and after.

    Raises:
        NotReadError: it is HEIC, and pillow-heif is not installed.
        ValueError: it is something else, e.g. a video.
    """
    brands = _brands(file)
    if brands & AVIF_BRANDS:
        return "AVIF"
    if brands & HEIC_BRANDS:
        if not _teach_pillow_heif():
            raise NotReadError(
                "is a HEIC photograph, which only pillow-heif reads; "
                "install it (pip install pillow-heif), or save the photograph as JPEG"
            )
        return "HEIF"
    raise ValueError(f"it {RAW}" if brands & RAW_BRANDS else "it is a video: save its frames as images")


@cache
def _teach_pillow_heif() -> bool:
    """Register pillow-heif and return whether it is installed; imported only for a HEIC, which few folders have."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def _brands(file: BinaryIO) -> frozenset[bytes]:
    """The brands that a file declares, major and compatible."""
    size = int.from_bytes(file.read(4), "big")
    content = file.read(min(max(size - 4, 0), 4 * MAX_BRANDS))
    file.seek(0)
    return frozenset(content[start : start + 4] for start in (4, *range(12, len(content), 4)))
