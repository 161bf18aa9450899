"""Checks of words for a text tower that results, tables and the page also show."""

from __future__ import annotations

import unicodedata

BLANK = "{}"  # placeholder of the object name in a phrase, and of a phrase in a template
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines
_UNSEEN = ("Cf", "Zs")  # blanks and invisible characters
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # which change the direction of the text


def check_words(text: str) -> None:
    """Reject text that is empty, or that cannot be shown in one line.

    Raises:
        ValueError: the message gives the reason and follows a colon.
    """
    if all(sign.isspace() or unicodedata.category(sign) in _UNSEEN for sign in text):
        raise ValueError("it must not be empty")
    if sign := next((sign for sign in text if unicodedata.category(sign) in _UNWRITABLE or sign in _TURNING), None):
        raise ValueError(f"it must be one line of text, without {sign!r}")


def check_without_braces(text: str) -> None:
    """Reject braces, which are placeholders.

    Raises:
        ValueError: the message gives the reason and follows a colon.
    """
    if brace := next((sign for sign in text if sign in BLANK), None):
        raise ValueError(f"it must not contain '{brace}', since braces are placeholders")
