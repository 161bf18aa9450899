"""Which section of the configuration a message means: a data set may be configured under two of them."""

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
    """Have the errors of a block name the keys of another section where they name those of ``dataset``."""
    try:
        yield
    except ZsadError as error:
        if section != DATASET:
            error.args = (_KEY.sub(f"{section}.", str(error)),)
        raise
