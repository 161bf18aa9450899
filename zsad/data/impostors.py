"""Recognise files that are often mistaken for images, or lie beside them, and say what they are."""

from __future__ import annotations

import re
from pathlib import Path

SAVE = "save it as PNG, TIFF or JPEG"
RAW = f"is a camera's raw file and has to be developed: {SAVE}"
DAMAGED = "it is not a readable PNG, JPEG, JPEG 2000, BMP, TIFF, WebP, GIF, AVIF or HEIC, or its header is damaged"

# By the first bytes of a file. The text continues "it ...".
_BEGINNINGS = (
    (
        rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg\b",
        f"is an SVG drawing: {SAVE}",
    ),
    (rb"(\xef\xbb\xbf)?\s*<", "is a web page or another text with tags"),
    (rb"version https://git-lfs", "is a pointer of Git LFS to a file that is not downloaded: run `git lfs pull`"),
    (rb"%PDF", f"is a PDF: {SAVE}"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", f"is PostScript: {SAVE}"),
    (rb"PK\x03\x04", "is a ZIP archive: unpack it"),
    (
        rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf\x27\x1c|Rar!|\x28\xb5\x2f\xfd",
        "is an archive or a compressed file: unpack it",
    ),
    (rb"8BPS", f"is a Photoshop document: {SAVE}"),
    (rb"gimp xcf", f"is a GIMP document: {SAVE}"),
    (rb"FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\0|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR", RAW),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", f"is a JPEG XL image: {SAVE}"),
    (rb"v/1\x01", f"is an OpenEXR image: {SAVE}"),
    (rb"#\?RADIANCE|#\?RGBE", f"is a Radiance HDR image: {SAVE}"),
    (rb"P[1-7][\s#]|P[fF]\s", f"is a portable map (PNM): {SAVE}"),
    (rb"DDS ", f"is a DDS texture: {SAVE}"),
    (rb"SIMPLE  =", f"is a FITS image: {SAVE}"),
    (rb"\0\0\x01\0|\0\0\x02\0", f"is an icon: {SAVE}"),
    (rb".{128}DICM", f"is a DICOM image: {SAVE}"),
    (rb"\x93NUMPY", f"is an array of NumPy: {SAVE}"),
    (rb"\x89HDF", f"is an HDF5 file: {SAVE}"),
    (rb"RIFF....AVI |\x1aE\xdf\xa3|\0\0\x01\xba|\0\0\x01\xb3|FLV\x01|0&\xb2u", "is a video: save its frames as images"),
    (rb"\xff\xfb|ID3|RIFF....WAVE|OggS|fLaC", "is an audio file"),
    (rb"bplist|\0\x05\x16\x07", "is a file of macOS without an image"),
)
IMPOSTORS = tuple((re.compile(pattern, re.DOTALL), what) for pattern, what in _BEGINNINGS)
BYTES = 160  # of the beginning, enough for all patterns

# Unsupported files that are often found beside images, by suffix.
UNREAD = {
    "camera raw": (
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef"),
        *(".srw", ".x3f", ".3fr", ".iiq", ".mrw", ".erf", ".kdc", ".dcr", ".rwl", ".gpr"),
    ),
    "Photoshop": (".psd", ".psb"),
    "GIMP": (".xcf",),
    "drawing": (".svg", ".svgz", ".eps", ".ai"),
    "PDF": (".pdf",),
    "JPEG XL": (".jxl",),
    "OpenEXR": (".exr",),
    "HDR": (".hdr",),
    "PNM": (".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
    "TGA": (".tga",),
    "DICOM": (".dcm",),
    "video": (".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv"),
}
_KIND_OF_ENDING = {ending: kind for kind, endings in UNREAD.items() for ending in endings}


def what_instead(begin: bytes) -> str:
    """What a file with this beginning is that no decoder reads, as the rest of a sentence."""
    if not begin:
        return "it is empty"
    return next((f"it {what}" for pattern, what in IMPOSTORS if pattern.match(begin)), DAMAGED)


def unread_kind(path: Path) -> str | None:
    """The kind of an unsupported picture file by its suffix; None for any other file."""
    return _KIND_OF_ENDING.get(path.suffix.lower())
