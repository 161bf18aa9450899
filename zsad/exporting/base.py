"""What every format of export is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.exported import Export, ExportedImage
from zsad.registry import Choice

Write = Callable[[ExportedImage], None]
"""Takes the next image."""


class Format(Choice):
    """A kind of files that other programs read; a subclass is one format in one file.

    Class attributes:
        needs_maps: whether there is nothing to write of a method that scores images alone.
        needs_photographs: whether it looks at the photographs themselves.
    """

    needs_maps: ClassVar[bool] = True
    needs_photographs: ClassVar[bool] = False

    @abstractmethod
    def writing(self, folder: Path, export: Export) -> AbstractContextManager[Write]:
        """What writes images, one after the other, until it is left; then all of its files are there.

        Each file is written whole or not at all, one that holds several images when the last one is there.

        Args:
            folder: to write to, under names of the format's own.
        """
