"""Which kind an image is of, by its label or by what somebody has called its folder; and tables of that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from zsad.data.kind_names import kind_named, require_usable
from zsad.data.layouts.base import GOOD
from zsad.data.layouts.csv_table import DEFECT
from zsad.data.layouts.words import GOOD_WORDS, means
from zsad.errors import DataError
from zsad.files.table_digest import RUN_AGAIN, read_table, write_table

COLUMNS = ("image_id", "kind")


def shown_kind(name: str) -> str:
    """The kind of examples that somebody has called so: ``"good"`` for any word for it, as in tables of images."""
    kind = kind_named(name)
    return GOOD if means(kind, GOOD_WORDS) else kind


class Known(Protocol):
    """An image with what is known of it: an `Item` of a layout, or a record of the manifest."""

    @property
    def label(self) -> int | Literal["mask"] | None:
        """1 defective, 0 good, None unknown, ``"mask"`` if its mask alone tells."""

    @property
    def defect_type(self) -> str:
        """What it is if it is defective; may be empty."""


def kind_of(image: Known) -> str:
    """The kind of an image by what is known of it: ``"good"``, its type, ``"defective"`` without; empty if unknown.

    Where a mask alone tells, it is what the image is if it is defective.
    """
    if image.label is None:
        return ""
    return GOOD if image.label == 0 else kind_named(image.defect_type) or DEFECT


def write_kinds(path: str | Path, kinds: Mapping[str, str]) -> None:
    """Write the kind of each image, by its identifier."""
    write_table(path, COLUMNS, sorted(kinds.items()))


def read_kinds(path: str | Path) -> dict[str, str]:
    """Read what `write_kinds` wrote.

    Raises:
        DataError: absent, changed after it was made, or no such table.
    """
    kinds = {row["image_id"]: row["kind"] for row in read_table(path, COLUMNS, what="table of kinds")}
    try:
        require_usable(kinds.values(), str(path))
    except DataError as error:
        raise DataError(f"{path} is no table of kinds ({error}); {RUN_AGAIN}") from None
    return kinds
