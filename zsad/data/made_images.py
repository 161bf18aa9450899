"""Check images that the workflow made and that the user may have removed or changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zsad.data.image_list import ListedImage
from zsad.errors import DamagedFileError
from zsad.files.provenance import file_sha256


def check_made(path: Path, images: Iterable[ListedImage]) -> None:
    """Check that images which the workflow made exist unchanged.

    Raises:
        DamagedFileError: for their list: if it is removed, all images are made again.
    """
    for image in images:
        try:
            fault = "" if file_sha256(Path(image.path)) == image.sha256 else "has changed"
        except OSError as error:
            fault = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        if fault:
            raise DamagedFileError(path, f"lists {image.path}, which {fault}")
