"""Select the photographs to inspect and the normal references, with their names in the results.

A single folder stays a folder, so that photographs that are added later are found; anything else, such as several
folders or single files, becomes a list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsad.data.images import IMAGE_SUFFIXES
from zsad.data.layouts.base import InvalidNames, checked_name
from zsad.data.layouts.folder import FALLBACK, REFERENCES, category_named, images_below
from zsad.data.layouts.folder_names import check_photographs
from zsad.errors import DataError
from zsad.files.user_paths import expanded
from zsad.inspecting.place import holds_inspection

_LONGEST = 150  # bytes of a category's name, which is the beginning of file names
_REPEATED = re.compile(r"(.+?)\1{9,}")


def repeats(name: str) -> bool:
    """Whether a name repeats a text so often that Snakemake may take it for an endless recursion."""
    return _REPEATED.search(name) is not None


@dataclass(frozen=True)
class Selection:
    """Photographs and references, each once.

    Attributes:
        title: common name of the photographs, from their folder or the single file.
        names: name of each photograph in the results, a relative path, by its absolute path; at least one.
        references: likewise for the normal images; may be empty.
        folders: the folders of the photographs, where no results may be written.
        searched: those of them, and of the references, that were given as folders.
        root: the single folder of all photographs, if it was given; None if they must be listed.
        reference_folder: the single folder of all references; None if they must be listed, or there are none.
        left_out: names of folders in ``root`` with the results of earlier inspections.
        unnamed: photographs, and folders of photographs, whose names a table cannot contain, and why.
        subject: the inspected photographs, as text that distinguishes inspections.
    """

    title: str
    names: dict[Path, str]
    references: dict[Path, str]
    folders: tuple[Path, ...]
    searched: tuple[Path, ...]
    root: Path | None
    reference_folder: Path | None
    left_out: tuple[str, ...]
    unnamed: dict[Path, DataError]
    subject: tuple[str, ...]

    @property
    def category(self) -> str:
        """The name of the category: that of the folder, unless Snakemake or the file system does not accept it."""
        name = category_named(self.title)
        short = os.fsencode(name)[:_LONGEST].decode(errors="ignore").strip()
        return FALLBACK if repeats(short) else short

    @property
    def is_folder(self) -> bool:
        """Whether photographs and references are one folder each, so that they need not be listed."""
        has_folders = self.root is not None and (self.reference_folder is not None or not self.references)
        return has_folders and self.category == category_named(self.title)


def select(photographs: Sequence[str | Path], references: Sequence[str | Path] = ()) -> Selection:
    """Find the named photographs and references.

    Args:
        photographs: files, and folders with their subfolders; at least one.
        references: likewise, normal images.

    Raises:
        DataError: one does not exist or cannot be read, a folder has no image, masks lie among the photographs, or all
            photographs are references.
    """
    asked = [_place(word) for word in photographs]
    good = [_place(word) for word in references]
    found_good = _found(good, "--references")
    _check_apart(asked, good)
    unnamed = InvalidNames()
    found = [path for path in _found(asked, "", unnamed) if path not in found_good]
    if not found and unnamed.errors:
        raise next(iter(unnamed.errors.values()))
    if not found:
        raise DataError(
            f"all photographs in {_listed(asked)} are also references; use a separate folder for the references, or "
            "other photographs"
        )
    folders = _folders(asked)
    for folder in filter(Path.is_dir, asked):
        _check_no_masks(folder, [path for path in found if path.is_relative_to(folder)])
    root = asked[0] if len(asked) == 1 and asked[0].is_dir() and not unnamed.errors else None
    return Selection(
        title=_title(asked, folders),
        names=_names(found, _common(folders)),
        references=_names(found_good, _common(_folders(good))) if good else {},
        folders=folders,
        searched=tuple(filter(Path.is_dir, [*asked, *good])),
        root=root,
        reference_folder=good[0] if len(good) == 1 and good[0].is_dir() else None,
        left_out=tuple(path.name for path in _inspections_below(root)) if root else (),
        unnamed=unnamed.errors,
        subject=_subject(asked, folders),
    )


def table_rows(selection: Selection) -> Iterator[tuple[str, str, str, str, str]]:
    """Path, category, split, label and name of all images, as the layout ``csv`` reads them."""
    for path, name in selection.names.items():
        yield path.as_posix(), selection.category, "test", "", name
    prefix = REFERENCES
    while any(name.startswith(f"{prefix}/") for name in selection.names.values()):
        prefix += "_"
    for path, name in selection.references.items():
        yield path.as_posix(), selection.category, "train", "good", f"{prefix}/{name}"


def _place(word: str | Path) -> Path:
    """The absolute path of a file or folder; links are kept.

    Raises:
        DataError: it does not exist.
    """
    try:
        path = Path(expanded(str(word)))
    except ValueError as error:
        raise DataError(f"{word}: {error}") from None
    if not os.path.lexists(path):
        raise DataError(f"{word} does not exist; correct the path")
    short = Path(os.path.normpath(Path.cwd() / path))
    if not path.exists():
        raise DataError(f"{word} is a broken link; correct or remove it")
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{word} is neither a file nor a folder; give photographs")
    # `link/..` is not where `link` lies.
    return checked_name(short if short.exists() and short.samefile(path) else path.resolve())


def _found(places: Iterable[Path], option: str, unnamed: InvalidNames | None = None) -> dict[Path, None]:
    """The images, each once, in the given order.

    Args:
        unnamed: collects files whose names cannot be written into a table; None to refuse these.

    Raises:
        DataError: a folder has none.
    """
    put_aside = unnamed.errors if unnamed else {}
    take = unnamed.take if unnamed else checked_name
    found: dict[Path, None] = {}
    for place in places:
        if not place.is_dir():
            found[place] = None
            continue
        results = _inspections_below(place)
        inside = [
            path
            for path in images_below(place, take=take)
            if not any(path.is_relative_to(folder) for folder in results)
        ]
        if not inside and not put_aside:
            what = f"{option} {place}" if option else f"the folder {place}"
            raise DataError(
                f"{what} and its subfolders contain no image ({', '.join(IMAGE_SUFFIXES)}); give another folder"
            )
        found.update(dict.fromkeys(sorted(inside, key=lambda path: path.relative_to(place).as_posix())))
    return found


def _inspections_below(folder: Path) -> list[Path]:
    """The folders with results of earlier inspections in a folder."""
    return [Path(place) for place, _, files in os.walk(folder) if holds_inspection(Path(place), files)]


def _check_apart(asked: Iterable[Path], good: Iterable[Path]) -> None:
    """Refuse a folder of references that contains a folder of photographs, because no photograph would be left."""
    for reference in filter(Path.is_dir, good):
        for place in asked:
            if place.resolve().is_relative_to(reference.resolve()):
                raise DataError(
                    f"the references in {reference} also contain the photographs {place}; give --references a folder "
                    "with only normal images"
                )


def _check_no_masks(folder: Path, photographs: list[Path]) -> None:
    stops = [finding.text for finding in check_photographs(folder, photographs, InvalidNames().take) if finding.stops]
    if stops:
        raise DataError(
            f"{stops[0].partition('; ')[0]}; give only the folders or files of the photographs, or use a configuration"
            " with dataset.params.leave_out"
        )


def _folders(places: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(place if place.is_dir() else place.parent for place in places))


def _common(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath(folders))


def _names(paths: Iterable[Path], common: Path) -> dict[Path, str]:
    return {path: path.relative_to(common).as_posix() for path in paths}


def _title(asked: Sequence[Path], folders: Sequence[Path]) -> str:
    if len(asked) == 1 and not asked[0].is_dir():
        return asked[0].stem
    return folders[0].name if len(folders) == 1 else (_common(folders).name or folders[0].name)


def _subject(asked: Sequence[Path], folders: Sequence[Path]) -> tuple[str, ...]:
    """The paths of folders, or of the one file; of several files their folders."""
    kind = "folder" if all(map(Path.is_dir, asked)) else "file" if len(asked) == 1 else "files"
    return (kind, *map(str, asked if kind == "file" else sorted(folders)))


def _listed(places: Sequence[Path]) -> str:
    return str(places[0]) if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"
