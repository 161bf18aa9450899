"""What the files of an image are called: as the image, in the same sub-folders, with another ending."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Container
from pathlib import Path, PurePosixPath

_ENDINGS = (".png", ".json", ".txt")
_LONGEST = 230  # bytes of a name, which with an ending and in the making must not exceed 255


class Names:
    """Names for the files of images, without ending: each its own, whatever the images are called.

    An image that differs from an earlier one in its ending alone (``a.png``, ``a.jpg``) keeps its ending in the name,
    so that it becomes ``a.jpg.png``; where that does not help, a number follows. Names that differ in upper and lower
    case, or in how their accents are written, count as the same, as they do on some disks.

    Args:
        avoided: names that no folder may have; ``_`` is put behind them.
    """

    def __init__(self, avoided: Container[str] = ()) -> None:
        self._avoided = avoided
        self._names: dict[str, PurePosixPath] = {}
        self._taken: set[str] = set()

    def of(self, image_id: str) -> PurePosixPath:
        """The name for an image, a relative path; the same each time.

        Args:
            image_id: path inside the category's folder, with forward slashes; steps upwards are left out.
        """
        if image_id not in self._names:
            self._names[image_id] = self._new(image_id)
        return self._names[image_id]

    def _new(self, image_id: str) -> PurePosixPath:
        *folders, own = (part for part in PurePosixPath(image_id).parts if part not in ("/", "//", ".."))
        whole = PurePosixPath(*map(self._folder, folders), own)
        candidates = [_shortened(whole.with_suffix("")), _shortened(whole)]
        number = 2
        while _key(candidates[0]) in self._taken:
            del candidates[0]
            if not candidates:
                candidates.append(_shortened(whole, f"-{number}"))
                number += 1
        self._taken.add(_key(candidates[0]))
        return candidates[0]

    def _folder(self, name: str) -> str:
        """The name of a folder, which is not that of a file of another image either."""
        return f"{name}_" if name in self._avoided or name.lower().endswith(_ENDINGS) else name


def with_ending(folder: Path, name: PurePosixPath, ending: str) -> Path:
    """The path of a file in a folder: a name with an ending behind it, whatever dots there are in the name."""
    return folder / name.parent / f"{name.name}{ending}"


def relative_path(path: str | Path, folder: Path) -> str:
    """How a file is reached from a folder, links resolved, with forward slashes; neither need exist."""
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()


def _shortened(name: PurePosixPath, addition: str = "") -> PurePosixPath:
    stem = os.fsencode(name.name)[: _LONGEST - len(addition)].decode(errors="ignore")
    return name.parent / f"{stem}{addition}"


def _key(name: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(name)).casefold()
