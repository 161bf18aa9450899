"""The kind of an image, from its label or the name of its folder; reading and writing tables of kinds."""

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
    """The kind that a name stands for: ``"good"`` for any word with that meaning, as in tables of images."""
    kind = kind_named(name)
    return GOOD if means(kind, GOOD_WORDS) else kind


class Known(Protocol):
    """An image with its label, if known: an `Item` of a layout, or a record of the manifest."""

    @property
    def label(self) -> int | Literal["mask"] | None:
        """1 defective, 0 good, None unknown, ``"mask"`` if only its mask gives the label."""

    @property
    def defect_type(self) -> str:
        """Its type if it is defective; may be empty."""


def kind_of(image: Known) -> str:
    """The kind of an image: ``"good"``, its defect type, or ``"defective"`` without a type; empty if unknown.

    If only a mask gives the label, it is the kind that the image has if it is defective.
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
        DataError: it does not exist, was changed after it was written, or is not such a table.
    """
    kinds = {row["image_id"]: row["kind"] for row in read_table(path, COLUMNS, what="table of kinds")}
    try:
        require_usable(kinds.values(), str(path))
    except DataError as error:
        raise DataError(f"{path} is not a valid table of kinds ({error}); {RUN_AGAIN}") from None
    return kinds
