"""What words may hold that a text tower reads, and that results, tables and the page show as they stand."""

from __future__ import annotations

import unicodedata

BLANK = "{}"  # where a part's name goes in a phrase, and a phrase in a template
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines
_UNSEEN = ("Cf", "Zs")  # blanks, and signs that nobody sees
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # which turn all that is shown behind them


def check_words(text: str) -> None:
    """Refuse words that are none, or that cannot be shown in one line.

    Raises:
        ValueError: says why, as what follows a colon.
    """
    if all(sign.isspace() or unicodedata.category(sign) in _UNSEEN for sign in text):
        raise ValueError("it must not be empty")
    if sign := next((sign for sign in text if unicodedata.category(sign) in _UNWRITABLE or sign in _TURNING), None):
        raise ValueError(f"it must be one line of text, without {sign!r}")


def check_without_braces(text: str) -> None:
    """Refuse braces, which stand for words that are put in.

    Raises:
        ValueError: says why, as what follows a colon.
    """
    if brace := next((sign for sign in text if sign in BLANK), None):
        raise ValueError(f"it must have no '{brace}', for braces stand for words that are put in")
