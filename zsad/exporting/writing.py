"""Write images in several formats at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zsad.exporting.base import Format, Write
from zsad.exporting.exported import Export, ExportedImage


@contextmanager
def exporting(folder: Path, formats: Sequence[Format], export: Export) -> Iterator[Write]:
    """Yield a function that writes the next image in all formats, into a folder that may contain other files.

    Each file is written whole or not at all; tables and other common files are written when the block succeeds.
    """
    with ExitStack() as stack:
        used = [each for each in formats if export.scale is not None or not each.needs_maps]
        writers = [stack.enter_context(each.writing(folder, export)) for each in used]

        def write(image: ExportedImage) -> None:
            for writer in writers:
                writer(image)

        yield write
