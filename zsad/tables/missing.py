"""Results that a run did not make: what stands in their place in its tables, and what is said of them.

A missing result has its names and no figures, and so has every mean that it belongs to: a mean over what is left would
look like the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zsad.names import ALL_METRICS

MISSING = "missing"  # in place of a figure in the tables to read


@dataclass(frozen=True)
class MissingResult:
    """An evaluation that was expected and is not there.

    Attributes:
        names: what its document would be called by: ``category``, ``method`` and so on, as the stage writes them.
        cause: the step that is to blame, e.g. ``"score_images by mutual failed"``.
    """

    names: Mapping[str, str]
    cause: str

    def document(self) -> dict[str, Any]:
        """A document with the names and no figures, in the shape of an evaluation with its ``draws``."""
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
    """Whether a document stands for a result that is missing."""
    return "missing" in document


def missing_note(documents: Iterable[Mapping[str, Any]]) -> str:
    """One line that names each category with what it lacks something for; empty if nothing is missing."""
    causes = (f"{document['category']} ({document['missing']})" for document in documents if is_missing(document))
    named = ", ".join(dict.fromkeys(causes))
    return f"{MISSING}: {named}" if named else ""
