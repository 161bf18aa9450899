"""The interface of export formats."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from zsad.exporting.exported import Export, ExportedImage
from zsad.registry import Choice

Write = Callable[[ExportedImage], None]
"""A function that writes the next image."""


class Format(Choice):
    """Base class of export formats, which other programs read; each format is one subclass in one file.

    Class attributes:
        needs_maps: whether the format cannot be written for a method that scores only images.
        needs_photographs: whether it reads the photographs themselves.
    """

    needs_maps: ClassVar[bool] = True
    needs_photographs: ClassVar[bool] = False

    @abstractmethod
    def writing(self, folder: Path, export: Export) -> AbstractContextManager[Write]:
        """A context in which images are written one after the other; at its end all files are complete.

        Each file is written whole or not at all; a file with several images is written at the end.

        Args:
            folder: output folder; the format chooses the names in it.
        """
