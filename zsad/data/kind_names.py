"""Check and normalise the names of defect types.

A name is the same in every Unicode form: ``ö`` has several encodings, and file systems keep either. Names with other
small differences (case, spaces) are rejected instead of merged, since one of the two is then a mistake.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from zsad.errors import DataError

SEPARATOR = "|"  # between the kinds of a prediction set, in tables
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines


def kind_named(name: str) -> str:
    """The name of a kind as results have it: composed characters, single spaces, none at the ends."""
    return " ".join(filter(None, unicodedata.normalize("NFC", name).split(" ")))


def check_kind(kind: str, where: str) -> None:
    """Reject an invalid name of a kind.

    Args:
        where: the place of the name, for messages.

    Raises:
        DataError: it is empty, or contains a character that results cannot represent.
    """
    if not kind.strip():
        raise DataError(f"{where}: the name of the kind is empty; give it one")
    sign = next((sign for sign in kind if sign == SEPARATOR or unicodedata.category(sign) in _UNWRITABLE), None)
    if sign is not None:
        why = "separates the kinds of a prediction set in tables" if sign == SEPARATOR else "cannot be shown in tables"
        raise DataError(f"{where}: a kind cannot be called {kind!r}, since {sign!r} {why}; rename it")


def check_distinct(kinds: Mapping[str, str]) -> None:
    """Reject kinds with nearly the same name.

    Args:
        kinds: the place of each, by its name, for messages.

    Raises:
        DataError: two differ only by case, spaces or the form of their characters.
    """
    known: dict[str, str] = {}
    for kind, where in sorted(kinds.items()):
        other = known.setdefault(alike(kind), kind)
        if other != kind:
            raise DataError(
                f"the kinds {other!r} ({kinds[other]}) and {kind!r} ({where}) differ only by case, spaces or the form "
                "of their letters; give both the same name, or names that differ more"
            )


def alike(kind: str) -> str:
    """A key that is equal for kinds with nearly the same name."""
    folded = unicodedata.normalize("NFKC", kind).casefold()
    kept = (sign for sign in folded if not sign.isspace() and sign != "_" and unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", "".join(kept))


def require_usable(kinds: Iterable[str], where: str) -> None:
    """`check_kind` and `check_distinct`, for kinds that are all in one place."""
    names = dict.fromkeys(kinds, where)
    for kind in names:
        check_kind(kind, where)
    check_distinct(names)
