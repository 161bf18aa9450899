"""CSV tables that people open in a spreadsheet: no cell is a formula there, and all are read back as they were.

Spreadsheets compute what begins with ``=``, ``+``, ``-`` or ``@``, and names of images, folders and methods may. Such a
text gets a ``'`` in front, and so does one with spaces, quotes or further ``'`` before that character, and whatever is
like it after a ``;``, a tab or a line break in a cell, since many spreadsheets split there. `decoded` takes one ``'``
away at the same places. Numbers in columns of figures stay what they are.

The tables are UTF-8 without a byte order mark, with commas, and with quotes around cells that need them (RFC 4180).
"""

from __future__ import annotations

import re

# Full-width and small forms are computed as well; tabs, line breaks and NUL are passed over by some programs.
_ACTIVE = "=+\\-@\t\r\n\0＝＋－＠﹦﹢﹣﹫"
_PLACE = r"(?:\A|(?<=[;\t\r\n]))"  # where a spreadsheet may have a cell begin
_WOULD_ACT = rf"(?=['\"\s\ufeff]*[{_ACTIVE}])"
_UNSAFE = re.compile(_PLACE + _WOULD_ACT)
_MADE_SAFE = re.compile(f"{_PLACE}'{_WOULD_ACT}")


def encoded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return _UNSAFE.sub("'", text)


def decoded(cell: str) -> str:
    """The text of a cell of a table: undoes `encoded`."""
    return _MADE_SAFE.sub("", cell)
