"""Write the results of an inspection with a model: pictures of each photograph, and tables of all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from zsad.data.images import read_image
from zsad.deciding.decision import Decision
from zsad.errors import DataError
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.registry import FORMATS
from zsad.exporting.writing import exporting
from zsad.inspecting.inspection import Failure, Inspection
from zsad.inspecting.lock import locked
from zsad.inspecting.model_file import white_of
from zsad.reporting.options import ReportOptions
from zsad.reporting.overlays import ColourScale, colour_scale

if TYPE_CHECKING:
    from zsad.exporting.base import Write

KEPT = ("masks", "maps", "overlays", "csv", "coco")  # names of `FORMATS`
ENDED = (KeyboardInterrupt, BrokenPipeError)  # ended by the user, who may want the results so far
LOW_SHARE = 0.01  # share of the patches of normal photographs with the first colour


class Kept:
    """A folder of results; a context manager.

    Pictures are written after each photograph, tables when the block ends, also if the user stops it; each file whole
    or not at all. Files of an earlier inspection are replaced if they have the same name.

    Args:
        folder: output folder, which is made.
        provenance: of the model.
        good_maps: gives the maps of normal photographs, float ``[row, column]``, for the colour scale; may be
            empty.
        base: the folder to which the names of photographs are relative; None to keep the given paths.

    Raises:
        DataError: the folder cannot be written to, or another process writes there.
    """

    def __init__(
        self,
        folder: Path,
        provenance: Mapping[str, Any],
        good_maps: Callable[[], Sequence[np.ndarray]],
        base: Path | None = None,
    ) -> None:
        self.folder = folder
        self._title = f"{provenance.get('category', 'photographs')} by {provenance.get('method', 'a model')}"
        self._white, self._good_maps, self._base = white_of(provenance), good_maps, base
        self._stack = ExitStack()
        self._write: Write | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(os.close, _locked(self.folder))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: Any) -> None:
        if kind is None or issubclass(kind, ENDED):
            self._stack.close()
        else:
            self._stack.__exit__(kind, *failure)

    def add(self, said: Inspection | Failure) -> Inspection | Failure:
        """Write the result for a photograph.

        Returns:
            The same result; a failure if the photograph, which is read again for its pictures, is missing or has
            changed.

        Raises:
            DataError: the disk is full, or the folder is no longer writable.
        """
        if isinstance(said, Failure) or said.path is None:
            return said
        try:
            photograph = self._photograph(said.path, said.mask.shape) if said.localises else None
        except DataError as error:
            return Failure(said.path, error)
        if self._write is None:
            export = Export(self.folder, self._title, self._scale(said))
            formats = [FORMATS.build(name) for name in KEPT]
            self._write = self._stack.enter_context(exporting(self.folder, formats, export))
        height, width = said.mask.shape
        self._write(
            ExportedImage(
                image_id=self._name(said.path),
                path=said.path,
                height=height,
                width=width,
                score=said.score,
                decided=_decision(said),
                photograph=lambda: np.empty((0, 0, 3), np.uint8) if photograph is None else photograph,
                mask=said.mask if said.localises else None,
                anomaly_map=said.anomaly_map if said.localises else None,
            )
        )
        return said

    def _photograph(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        pixels = read_image(path, white=self._white)
        if pixels.shape[:2] != shape:
            raise DataError(f"{path} changed during the inspection; inspect it again")
        return pixels

    def _name(self, path: Path) -> str:
        if self._base is not None and path.is_relative_to(self._base):
            path = path.relative_to(self._base)
        return path.as_posix()

    def _scale(self, said: Inspection) -> ColourScale | None:
        """The colour scale of all photographs, with the threshold in its middle; None if the method does not localise.

        It begins at a low quantile of the maps of normal photographs, or of the first photograph if there are none.
        """
        if not said.localises:
            return None
        values = np.concatenate([np.ravel(each) for each in self._good_maps() or [said.anomaly_map]])
        low = float(np.quantile(values, LOW_SHARE))
        high = low + 2 * (said.pixel_threshold - low) if low < said.pixel_threshold < np.inf else float(values.max())
        return replace(colour_scale([values], ReportOptions().colormap), low=low, high=high)


def _decision(said: Inspection) -> Decision:
    return Decision(said.decision, said.peak, said.threshold, said.pixel_threshold, said.p_value, said.false_alarms)


def _locked(folder: Path) -> int:
    """The descriptor of a locked file; one process at a time has the lock, until it ends or closes the file."""
    try:
        return locked(folder)
    except BlockingIOError:
        raise DataError(f"another inspection writes to {folder}; wait until it ends, or give another --out") from None
    except OSError as error:
        raise DataError(f"--out {folder} cannot be written to ({error.strerror}); give another folder") from None
