"""Make CSV cells safe for spreadsheets, so that none is read as a formula, and restore them.

Spreadsheets compute cells that begin with ``=``, ``+``, ``-`` or ``@``, as names of images, folders and methods may.
Such a text gets a ``'`` in front, also with spaces, quotes or further ``'`` before that character, and also after a
``;``, a tab or a line break in a cell, since many spreadsheets split there. `decoded` removes one ``'`` at the same
places. Numbers in columns of figures are unchanged.

The tables are UTF-8 without a byte order mark, with commas, and with quotes around cells that need them (RFC 4180).
"""

from __future__ import annotations

import re

# Full-width and small forms are computed as well; some programs skip tabs, line breaks and NUL.
_ACTIVE = "=+\\-@\t\r\n\0＝＋－＠﹦﹢﹣﹫"
_PLACE = r"(?:\A|(?<=[;\t\r\n]))"  # where a spreadsheet may begin a cell
_WOULD_ACT = rf"(?=['\"\s\ufeff]*[{_ACTIVE}])"
_UNSAFE = re.compile(_PLACE + _WOULD_ACT)
_MADE_SAFE = re.compile(f"{_PLACE}'{_WOULD_ACT}")


def encoded(text: str) -> str:
    """Return the text as a cell that no spreadsheet reads as a formula."""
    return _UNSAFE.sub("'", text)


def decoded(cell: str) -> str:
    """Return the text of a cell of a table; the inverse of `encoded`."""
    return _MADE_SAFE.sub("", cell)
