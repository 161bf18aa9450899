"""Missing results of a run: their placeholders in tables, and notes on them.

A missing result has names but no figures, and so does every mean that contains it: a mean over the remaining results
would look like the complete one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zsad.names import ALL_METRICS

MISSING = "missing"  # instead of a figure in the tables to read


@dataclass(frozen=True)
class MissingResult:
    """An evaluation that is expected but missing.

    Attributes:
        names: the names in its document: ``category``, ``method`` and so on, as the stage writes them.
        cause: the step that failed, e.g. ``"score_images by mutual failed"``.
    """

    names: Mapping[str, str]
    cause: str

    def document(self) -> dict[str, Any]:
        """A document with names and no figures, with the keys of an evaluation and its ``draws``."""
        return {
            **self.names,
            "metrics": dict.fromkeys(ALL_METRICS),
            "confidence": dict.fromkeys(ALL_METRICS, (None, None)),
            "draws": {},
            "effects": [],
            "by_type": [],
            "images": [],
            "notes": [],
            "missing": self.cause,
        }


def is_missing(document: Mapping[str, Any]) -> bool:
    """Whether a document is the placeholder of a missing result."""
    return "missing" in document


def missing_note(documents: Iterable[Mapping[str, Any]]) -> str:
    """One line that names each category with missing results and their cause; empty if nothing is missing."""
    causes = (f"{document['category']} ({document['missing']})" for document in documents if is_missing(document))
    named = ", ".join(dict.fromkeys(causes))
    return f"{MISSING}: {named}" if named else ""
