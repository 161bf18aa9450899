"""The user's own images without labels: one folder, with its sub-folders, is one category.

::

    <root>/*.png
    <root>/<any>/<folder>/*.jpg
    <references>/*.png          normal images, if any, in any folder
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from zsad.data.images import IMAGE_SUFFIXES
from zsad.data.known_truth import NO_TRUTH, KnownTruth
from zsad.data.layouts.base import GOOD, TAKEN, Finding, Layout, Take, checked_name, folders, images
from zsad.data.layouts.folder_names import check_photographs
from zsad.data.layouts.item import Item
from zsad.data.readings import SKIP, Policy
from zsad.errors import DataError
from zsad.files.user_paths import UserPath

FALLBACK = "images"
REFERENCES = "references"
_UNUSABLE = re.compile(
    r"[{}<>/\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+"
)  # wildcards, line breaks, bytes that are not text


class FolderLayout(Layout):
    """All images in a folder, to be inspected; their labels are unknown."""

    summary: ClassVar[str] = "your own images, unlabelled: one folder with sub-folders, optionally one of normal images"
    unreadable: ClassVar[Policy] = SKIP

    more_references: ClassVar[str] = "set dataset.params.references to a folder of enough normal images"

    references: UserPath | None = Field(
        None,
        min_length=1,
        description="folder of normal images for methods with references, absolute or relative to the working "
        "directory",
    )

    leave_out: tuple[str, ...] = Field(
        (),
        description="what is left out of the inspection: names of sub-folders or files, with * for anything, "
        "e.g. [masks, '*_mask.png']",
    )

    @property
    def expected_truth(self) -> KnownTruth:
        """Nothing."""
        return NO_TRUTH

    def categories(self, root: Path) -> list[str]:
        """The one category, named after the folder.

        Raises:
            DataError: ``root`` is not a folder, or has no image besides references.
        """
        _require_folder(root, "dataset.root")
        if next(self._photographs(root), None) is None:
            raise DataError(
                f"{root} and its sub-folders contain no image to inspect ({', '.join(IMAGE_SUFFIXES)}); "
                "set dataset.root to the folder of the images"
            )
        return [category_named(own_name(root))]

    def items(self, root: Path, category: str) -> list[Item]:
        """Every image under ``root`` for test, and those in the folder of references for training.

        Raises:
            DataError: the folder of references does not exist, is not a folder, has no image, or contains ``root``.
        """
        references = self._references(root)
        tests = [
            Item(path, path.relative_to(root).as_posix(), split="test", label=None, defect_type="")
            for path in self._photographs(root)
        ]
        good = _reference_items(references, tests) if references else []
        return sorted([*good, *tests], key=lambda item: item.image_id)

    def findings(self, root: Path, category: str) -> list[Finding]:
        """Masks among the photographs, and sub-folders whose names give labels, which this layout does not read."""
        return list(check_photographs(root, list(self._photographs(root))))

    def _photographs(self, root: Path) -> Iterator[Path]:
        """The images to inspect."""
        for path in images_below(root, self._references(root)):
            inside = path.relative_to(root)
            places = (inside, *inside.parents[:-1])
            if not any(place.match(pattern) for place in places for pattern in self.leave_out):
                yield path

    def _references(self, root: Path) -> Path | None:
        if self.references is None:
            return None
        folder = Path(self.references)
        _require_folder(folder, "dataset.params.references")
        if root.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"the folder of references {folder} also contains the images to inspect in {root}; "
                "set dataset.params.references to a folder of normal images only"
            )
        return folder


def _reference_items(folder: Path, tests: Sequence[Item]) -> list[Item]:
    paths = list(images_below(folder))
    if not paths:
        raise DataError(
            f"the folder of references {folder} has no image ({', '.join(IMAGE_SUFFIXES)}); "
            "put normal images there, or set dataset.params.references to null"
        )
    prefix = REFERENCES
    while any(item.image_id.startswith(f"{prefix}/") for item in tests):
        prefix += "_"
    return [
        Item(path, f"{prefix}/{path.relative_to(folder).as_posix()}", split="train", label=0, defect_type=GOOD)
        for path in paths
    ]


def category_named(name: str) -> str:
    """A name for a category, as close to ``name`` as the workflow allows; ``"images"`` if nothing is left of it."""
    usable = _UNUSABLE.sub("_", name).lstrip(".").strip()
    return FALLBACK if not usable.strip("_") or usable in TAKEN else usable


def own_name(path: Path) -> str:
    """The last name of a path, also of ``"."`` and ``".."``; a link keeps its own."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _require_folder(folder: Path, key: str) -> None:
    if not folder.exists():
        raise DataError(f"the folder {folder} does not exist; set {key} to the folder of the images")
    if not folder.is_dir():
        hint = ", or dataset.layout to 'csv' if it is a table of images" if folder.suffix.lower() == ".csv" else ""
        raise DataError(f"{folder} is a file; set {key} to the folder of the images{hint}")


def images_below(folder: Path, left_out: Path | None = None, take: Take = checked_name) -> Iterator[Path]:
    """The images in a folder and its sub-folders, without hidden ones and those in ``left_out``.

    Each folder is read once, however many links lead to it, and under its own name if it is inside ``folder``. A link
    to a parent of ``folder`` is not followed.

    Args:
        take: called with each image and folder; returns the path to use, or None to leave it out.
    """
    seen: set[Path] = set()
    around = set(folder.resolve().parents)
    excluded = left_out.resolve() if left_out else None
    waiting = deque([folder])
    while waiting:
        place = waiting.popleft()
        real = place.resolve()
        if real in seen or real in around or (excluded and real.is_relative_to(excluded)):
            continue
        seen.add(real)
        try:
            yield from images(place, take)
            inner = folders(place, take)
        except OSError as error:
            raise DataError(f"the folder {place} cannot be read ({error.strerror}); make it readable") from None
        waiting.extendleft(path for path in reversed(inner) if not path.is_symlink())
        waiting.extend(path for path in inner if path.is_symlink())
