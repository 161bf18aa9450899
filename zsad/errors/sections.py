"""Name the right section of the configuration in messages: a data set may be configured in two of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from zsad.errors import ZsadError

DATASET: Final = "dataset"
AUXILIARY: Final = "auxiliary"
KEYS: Final = (
    "layout",
    "name",
    "params",
    "root",
    "download_to",
    "categories",
    "part_names",
    "unreadable",
    "max_aspect",
    "max_patches",
    "demo",
)  # of either section
_KEY = re.compile(rf"(?<![\w./-]){DATASET}\.(?=(?:{'|'.join(KEYS)})\b)")


@contextmanager
def naming(section: str) -> Iterator[None]:
    """In errors of a block, replace keys of ``dataset`` with those of another section."""
    try:
        yield
    except ZsadError as error:
        if section != DATASET:
            error.args = (_KEY.sub(f"{section}.", str(error)),)
        raise
