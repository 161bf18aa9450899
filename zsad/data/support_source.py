"""Labelled examples of defect types, separate from a data set: a folder of folders, or a table.

::

    <folder>/<kind>/*.png                 for all categories of the data set
    <folder>/<category>/<kind>/*.png      for one of them, if that folder exists

    path,kind                             a table, whose paths start at its own folder
    photos/0001.jpg,scratch

Any word for good, such as ``ok`` or ``nominal``, is the kind ``good``. A kind is one folder with all its sub-folders.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pydantic import Field

from zsad.data.images import IMAGE_SUFFIXES
from zsad.data.kind_names import check_distinct, check_kind, kind_named
from zsad.data.kinds import shown_kind
from zsad.data.layouts.base import folders, images
from zsad.data.layouts.folder import images_below
from zsad.data.layouts.folder_names import mvtec_tree
from zsad.data.layouts.mask_files import called_masks, look_like_masks, masks_beside
from zsad.data.layouts.words import MASK_WORDS, means
from zsad.data.table_lines import table_lines, written_path
from zsad.errors import ConfigError, DataError, nearest_hint
from zsad.files.csv_cells import decoded
from zsad.files.json_values import canonical_json
from zsad.files.user_paths import UserPath
from zsad.registry import Options

ENDINGS = ", ".join(IMAGE_SUFFIXES)


class Example(NamedTuple):
    """A labelled image, listed but not opened.

    Attributes:
        image_id: path inside the folder of the kinds, or from the table, with forward slashes; unique.
        where: the place of its label, for messages.
        called: the kind, as written there.
    """

    path: Path
    image_id: str
    kind: str
    where: str
    called: str


class SupportSource(Options):
    """Labelled examples that are separate from the data set."""

    folder: UserPath | None = Field(
        None,
        description="a folder with one sub-folder per kind, named after it; or with one per category, which contains "
        "those",
    )
    table: UserPath | None = Field(
        None, description="instead of a folder: a CSV file with one line per image; paths start at its own folder"
    )
    path: str = Field("path", description="the column of the table with the paths of the images")
    kind: str = Field("kind", description="the column with the kinds")
    category: str | None = Field(
        None, description="the column with the categories of the data set; null for a table that applies to all of them"
    )

    def check(self, name: str = "<name>", categories: Sequence[str] = ()) -> None:
        """Reject an invalid support before anything is computed.

        Args:
            name: of the support in the configuration, for messages.
            categories: their examples are checked as well; few images are opened for it.

        Raises:
            ConfigError: not exactly one of folder and table is given, or columns without a table, or the same column
                twice.
            DataError: it does not exist, or see `items`.
        """
        self._check_settings(f"supports.{name}")
        if self.folder is not None:
            self._require_folder(Path(self.folder))
        else:
            self._lines()
        for category in categories:
            check_photographs(self.items(category))

    def files(self, category: str) -> list[Path]:
        """Every file that `items` and the reading of the images depend on, sorted: images, and the table.

        A broken link is left out: the reader of the images reports it.

        Raises:
            DataError: as `items`.
        """
        listed = {example.path for example in self.items(category)}
        tables = {Path(self.table)} if self.table is not None else set()
        return sorted(path for path in {*listed, *tables} if path.exists())

    def digest(self, category: str) -> str:
        """Digest of the images and the kind of each, hexadecimal.

        Raises:
            DataError: as `items`.
        """
        rows = [[example.image_id, example.path.as_posix(), example.kind] for example in self.items(category)]
        return hashlib.sha256(canonical_json(rows).encode()).hexdigest()

    def items(self, category: str) -> list[Example]:
        """The examples for a category, sorted by ``image_id``; no image is opened.

        Raises:
            DataError: there are none, a kind has none or an invalid name, two kinds have nearly the same name, an image
                belongs to no kind, or the table is invalid.
        """
        examples = self._in_folder(category) if self.folder is not None else self._in_table(category)
        places: dict[str, str] = {}
        for example in examples:
            check_kind(example.kind, example.where)
            places.setdefault(example.kind, example.where)
        check_distinct(places)
        return sorted(examples, key=lambda example: example.image_id)

    def _check_settings(self, key: str) -> None:
        if (self.folder is None) == (self.table is None):
            given = "neither a folder nor a table" if self.folder is None else "both a folder and a table"
            raise ConfigError(f"{key} has {given}; set one of {key}.folder and {key}.table")
        columns = {"path": self.path, "kind": self.kind, "category": self.category}
        if self.folder is not None:
            defaults = {name: field.default for name, field in SupportSource.model_fields.items()}
            changed = [name for name, column in columns.items() if column != defaults[name]]
            if changed:
                raise ConfigError(
                    f"{key}.{changed[0]} names a column of a table, but {key} is a folder; remove it, or set "
                    f"{key}.table instead of the folder"
                )
        names = [_title(column) for column in columns.values() if column is not None]
        if not all(names):
            raise ConfigError(f"{key} has a column without a name; give it a name from the table")
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice:
            raise ConfigError(f"{key} uses the column '{twice}' twice; name another column for one of them")

    # A folder.

    def _in_folder(self, category: str) -> list[Example]:
        place = self._place(category)
        kinds = self._kind_folders(place, category)
        examples = []
        seen: dict[str, Path] = {}
        for folder in kinds:
            kind = shown_kind(folder.name)
            other = seen.setdefault(kind, folder)
            if other != folder:
                raise DataError(
                    f"the folders {other} and {folder} are both of the kind '{kind}'; put their images into one folder"
                )
            paths = list(images_below(folder))
            if not paths:
                raise DataError(
                    f"the folder {folder} has no image ({ENDINGS}); put examples of '{folder.name}' there, or remove it"
                )
            examples += [
                Example(path, path.relative_to(place).as_posix(), kind, f"the folder {folder}", folder.name)
                for path in paths
            ]
        return examples

    def _place(self, category: str) -> Path:
        """The folder of the kinds."""
        folder = Path(self.folder or "")
        self._require_folder(folder)
        own = folder / category
        return own if own.is_dir() else folder

    def _kind_folders(self, place: Path, category: str) -> list[Path]:
        try:
            found, loose, tree = folders(place), images(place), mvtec_tree(place)
        except OSError as error:
            raise DataError(f"the folder {place} cannot be read ({error.strerror}); make it readable") from None
        if not found and not loose:
            raise DataError(
                f"the folder {place} of labelled examples is empty; add one folder per kind, named after it, "
                f"with images of that kind ({ENDINGS})"
            )
        if loose:
            they = "1 image" if len(loose) == 1 else f"{len(loose)} images"
            raise DataError(
                f"the folder {place} of labelled examples has {they} outside of the folders of kinds, e.g. "
                f"{loose[0].name}; move the images of each kind into a folder named after it"
            )
        if tree:
            raise DataError(
                f"{tree} has folders of training and test images, like a data set, instead of one per defect type; "
                "give the folder of the test images, or set the classifier's support to 'test'"
            )
        if place == Path(self.folder or ""):
            self._require_no_categories(found, category)
        return found

    def _require_no_categories(self, kinds: Sequence[Path], category: str) -> None:
        """Reject what may be a folder for another category, whose name would be read as that of a kind."""
        deep = next((folder for folder in kinds if not images(folder) and next(images_below(folder), None)), None)
        if deep:
            hint = nearest_hint(category, [folder.name for folder in kinds], or_all=False)
            raise DataError(
                f"the folder {self.folder} of labelled examples has none for the category '{category}'{hint}, and "
                f"{deep} has images only in sub-folders, like a category; add {deep.with_name(category)}, or move "
                "the "
                "images of each kind into its folder"
            )

    @staticmethod
    def _require_folder(folder: Path) -> None:
        if not folder.exists():
            raise DataError(
                f"the folder {folder} of labelled examples does not exist; correct its path under 'supports'"
            )
        if not folder.is_dir():
            hint = " or give it as the table" if folder.suffix.lower() in (".csv", ".tsv", ".txt") else ""
            raise DataError(
                f"{folder} is a file, but a folder of labelled examples is expected; correct the path under "
                f"'supports'{hint}"
            )

    # A table.

    def _in_table(self, category: str) -> list[Example]:
        table = Path(self.table or "")
        lines = self._lines()
        if self.category is not None:
            lines = self._of_category(lines, category)
        examples: dict[str, Example] = {}
        for where, cells in lines:
            path, kind = cells[_title(self.path)], decoded(cells[_title(self.kind)])
            if not path:
                raise DataError(f"{where}: the path is empty; add it or remove the line")
            if not kind:
                raise DataError(f"{where}: the kind of {path} is empty; add it or remove the line")
            image_id = PurePosixPath(os.path.normpath(path)).as_posix()
            if image_id in examples:
                earlier = examples[image_id].where.rpartition(", ")[2]
                raise DataError(f"{where}: {path} is already in {earlier}; remove one of the two")
            examples[image_id] = Example(
                written_path(table.parent, path, where), image_id, shown_kind(kind), where, kind
            )
        return list(examples.values())

    def _of_category(
        self, lines: Sequence[tuple[str, dict[str, str]]], category: str
    ) -> list[tuple[str, dict[str, str]]]:
        named = [(decoded(cells[_title(self.category or "")]), where, cells) for where, cells in lines]
        empty = next((where for name, where, _ in named if not name), None)
        if empty:
            raise DataError(f"{empty}: the category is empty; add it or remove the line")
        found = [(where, cells) for name, where, cells in named if kind_named(name) == kind_named(category)]
        if not found:
            hint = nearest_hint(category, {name for name, _, _ in named})
            raise DataError(
                f"the table {self.table} lists no labelled example for the category '{category}'{hint}; add some, or "
                "leave the category out"
            )
        return found

    def _lines(self) -> list[tuple[str, dict[str, str]]]:
        """The place of each line of the table, and its cells by column."""
        table = Path(self.table or "")
        if not table.exists():
            raise DataError(f"the table {table} of labelled examples does not exist; correct its path under 'supports'")
        if table.is_dir():
            raise DataError(f"{table} is a folder, but a table of labelled examples is expected; give it as the folder")
        lines = list(table_lines(table, self._columns))
        if not lines:
            raise DataError(f"the table {table} lists no image; add one line per image, with its path and kind")
        return lines

    def _columns(self, table: Path, header: Sequence[str]) -> list[str | None]:
        titles = [_title(title) for title in header]
        for key, column in (("path", self.path), ("kind", self.kind), ("category", self.category)):
            if column is None:
                continue
            if (count := titles.count(_title(column))) > 1:
                raise DataError(f"the table {table} has two columns '{column}'; remove one of them")
            if not count:
                hint = nearest_hint(_title(column), filter(None, titles))
                raise DataError(
                    f"the table {table} of labelled examples has no column '{column}'{hint}; its first line must name "
                    f"it, or set another column as {key} under 'supports'"
                )
        wanted = {_title(column) for column in (self.path, self.kind, self.category) if column is not None}
        return [title if title in wanted or not title else None for title in titles]


def check_photographs(examples: Sequence[Example]) -> None:
    """Reject masks among the examples, by their names and, if necessary, by the pixels of the first ones.

    Raises:
        DataError: there are masks.
    """
    for folder, paths in _by_folder(examples):
        beside = masks_beside(paths)
        if beside and look_like_masks(beside):
            more = f" and {len(beside) - 1} more" if len(beside) > 1 else ""
            raise DataError(
                f"{beside[0]}{more} seem to be masks of the images beside them, and would be read as examples; move "
                "them elsewhere"
            )
        is_called = called_masks(paths) or any(means(name, MASK_WORDS) for name in folder.parts[-2:])
        if is_called and look_like_masks(paths):
            raise DataError(f"{folder} contains masks, which would be read as examples; move them elsewhere")


def _by_folder(examples: Sequence[Example]) -> Iterator[tuple[Path, list[Path]]]:
    for folder in sorted({example.path.parent for example in examples}):
        yield folder, [example.path for example in examples if example.path.parent == folder]


def _title(column: str) -> str:
    return column.strip().lower()
