"""Images that the workflow itself has made, and that somebody may have removed since."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zsad.data.image_list import ListedImage
from zsad.errors import DamagedFileError
from zsad.files.provenance import file_sha256


def check_made(path: Path, images: Iterable[ListedImage]) -> None:
    """Check that images which the workflow itself has made are there as they were.

    Raises:
        DamagedFileError: of their list: whoever removes it has all made anew.
    """
    for image in images:
        try:
            fault = "" if file_sha256(Path(image.path)) == image.sha256 else "has changed"
        except OSError as error:
            fault = "is gone" if isinstance(error, FileNotFoundError) else "cannot be read"
        if fault:
            raise DamagedFileError(path, f"lists {image.path}, which {fault}")
