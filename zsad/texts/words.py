"""What words may hold that a text tower reads, and that results, tables and the page show as they stand."""

from __future__ import annotations

import unicodedata

BLANK = "{}"  # where a part's name goes in a phrase, and a phrase in a template
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines


def check_words(text: str) -> None:
    """Refuse words that are none, or that cannot be shown in one line.

    Raises:
        ValueError: says why, as what follows a colon.
    """
    if not text.strip():
        raise ValueError("it must not be empty")
    if sign := next((sign for sign in text if unicodedata.category(sign) in _UNWRITABLE), None):
        raise ValueError(f"it must be one line of text, without {sign!r}")


def check_without_braces(text: str) -> None:
    """Refuse braces, which stand for words that are put in.

    Raises:
        ValueError: says why, as what follows a colon.
    """
    if brace := next((sign for sign in text if sign in BLANK), None):
        raise ValueError(f"it must have no '{brace}', for braces stand for words that are put in")
