"""File names for images: the name of the image, in the same subfolders, with another extension."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Container
from pathlib import Path, PurePosixPath

_ENDINGS = (".png", ".json", ".txt")
_LONGEST = 230  # bytes of a name, which must not exceed 255 with its extension and a temporary suffix


class Names:
    """Unique names for the files of images, without extension, for any names of images.

    An image that differs from an earlier one only in its extension (``a.png``, ``a.jpg``) keeps it in the name, which
    becomes ``a.jpg.png``; if that is not enough, a number follows. Names that differ only in case, or in the encoding
    of accents, count as equal, because some disks treat them so.

    Args:
        avoided: names that no folder may have; ``_`` is appended to them.
    """

    def __init__(self, avoided: Container[str] = ()) -> None:
        self._avoided = avoided
        self._names: dict[str, PurePosixPath] = {}
        self._taken: set[str] = set()

    def of(self, image_id: str) -> PurePosixPath:
        """The name for an image, a relative path; always the same.

        Args:
            image_id: path in the category's folder, with forward slashes; steps upwards are removed.
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
        """The name of a folder, which is also different from the file names of other images."""
        return f"{name}_" if name in self._avoided or name.lower().endswith(_ENDINGS) else name


def with_ending(folder: Path, name: PurePosixPath, ending: str) -> Path:
    """The path of a file in a folder: a name with an extension; dots in the name are kept."""
    return folder / name.parent / f"{name.name}{ending}"


def relative_path(path: str | Path, folder: Path) -> str:
    """The path of a file relative to a folder, with links resolved and forward slashes; neither need exist."""
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()


def _shortened(name: PurePosixPath, addition: str = "") -> PurePosixPath:
    stem = os.fsencode(name.name)[: _LONGEST - len(addition)].decode(errors="ignore")
    return name.parent / f"{stem}{addition}"


def _key(name: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(name)).casefold()
