"""What kinds of defect may be called.

A name is the same however it was typed: Unicode has several spellings of ``ö``, and file systems keep either. What else
differs hardly (case, spaces) is refused rather than united, for one of two names is then a slip.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from zsad.errors import DataError

SEPARATOR = "|"  # of the kinds in a prediction set, in tables
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines


def kind_named(name: str) -> str:
    """The name of a kind as results have it: composed characters, single spaces, none at the ends."""
    return " ".join(filter(None, unicodedata.normalize("NFC", name).split(" ")))


def check_kind(kind: str, where: str) -> None:
    """Refuse what cannot name a kind.

    Args:
        where: the name stands, for messages.

    Raises:
        DataError: it is empty, or has a sign in it that results cannot hold.
    """
    if not kind.strip():
        raise DataError(f"{where}: the name of the kind is empty; give it one")
    sign = next((sign for sign in kind if sign == SEPARATOR or unicodedata.category(sign) in _UNWRITABLE), None)
    if sign is not None:
        why = "separates the kinds of a prediction set in tables" if sign == SEPARATOR else "no table can show"
        raise DataError(f"{where}: a kind cannot be called {kind!r}, for {sign!r} {why}; rename it")


def check_distinct(kinds: Mapping[str, str]) -> None:
    """Refuse kinds whose names differ hardly.

    Args:
        kinds: where each stands, by its name, for messages.

    Raises:
        DataError: two differ by case, spaces or the form of their characters alone.
    """
    known: dict[str, str] = {}
    for kind, where in sorted(kinds.items()):
        other = known.setdefault(alike(kind), kind)
        if other != kind:
            raise DataError(
                f"the kinds {other!r} ({kinds[other]}) and {kind!r} ({where}) differ by case, spaces or the form of "
                "their letters alone; give both the same name, or names that differ more"
            )


def alike(kind: str) -> str:
    """What kinds have in common whose names differ hardly."""
    folded = unicodedata.normalize("NFKC", kind).casefold()
    kept = (sign for sign in folded if not sign.isspace() and sign != "_" and unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFKC", "".join(kept))


def require_usable(kinds: Iterable[str], where: str) -> None:
    """`check_kind` and `check_distinct`, for kinds that all stand in one place."""
    names = dict.fromkeys(kinds, where)
    for kind in names:
        check_kind(kind, where)
    check_distinct(names)
