"""What is said of a photograph in one line, for people or for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from zsad.errors.boundary import sentence_of
from zsad.files.json_values import without_nan
from zsad.inspecting.inspection import Failure

if TYPE_CHECKING:
    from zsad.exporting.regions import Region

WORDS = {True: "defective", False: "good", None: "undecided"}
FAILED = "failed"


class Said(Protocol):
    """What an answer tells of a photograph; see `zsad.inspecting.inspection.Inspection`, which has it all."""

    @property
    def path(self) -> Path | None:
        """Of the photograph."""

    @property
    def score(self) -> float:
        """Greater is more anomalous."""

    @property
    def decision(self) -> bool | None:
        """Whether it is called defective."""

    @property
    def threshold(self) -> float:
        """For the score."""

    @property
    def pixel_threshold(self) -> float:
        """For the values of the map."""

    @property
    def threshold_from(self) -> str:
        """What the thresholds come from."""

    @property
    def regions(self) -> Sequence[Region]:
        """Of the mask."""

    @property
    def note(self) -> str:
        """A remark."""


Answer = Callable[[Said | Failure], str]


def for_people(said: Said | Failure) -> str:
    """Decision, score, threshold, and path of a photograph; or why it could not be inspected."""
    if isinstance(said, Failure):
        return f"{FAILED:9}  {_in_one_line(said)}"
    limit = "" if not said.threshold_from else f" (threshold {_number(said)}, {said.threshold_from})"
    count = len(said.regions)
    regions = f", {count} region{'s' if count > 1 else ''}" if count else ""
    note = f"; {said.note}" if said.note else ""
    return f"{WORDS[said.decision]:9}  {said.score:.4g}{limit}  {said.path}{regions}{note}"


def for_programs(said: Said | Failure) -> str:
    """The same as a JSON object; numbers that are not finite are null."""
    return json.dumps(without_nan(described(said)), allow_nan=False)


def described(said: Said | Failure) -> dict[str, Any]:
    """What `for_programs` says."""
    path = None if said.path is None else str(said.path)
    if isinstance(said, Failure):
        return {"path": path, "error": _in_one_line(said)}
    return {
        "path": path,
        "score": said.score,
        "decision": said.decision,
        "threshold": said.threshold,
        "pixel_threshold": said.pixel_threshold,
        "threshold_from": said.threshold_from or None,
        "regions": [region._asdict() for region in said.regions],
        "note": said.note,
    }


class Count(NamedTuple):
    """How many photographs were called what.

    Attributes:
        inspected: all but those that failed.
    """

    inspected: int = 0
    defective: int = 0
    failed: int = 0

    def with_(self, said: Said | Failure) -> Count:
        """One photograph more."""
        if isinstance(said, Failure):
            return self._replace(failed=self.failed + 1)
        return self._replace(inspected=self.inspected + 1, defective=self.defective + bool(said.decision))

    def __str__(self) -> str:
        """For people."""
        failed = f", {self.failed} could not be inspected" if self.failed else ""
        return f"{self.defective} of {self.inspected} photographs called defective{failed}"


def _number(said: Said) -> str:
    return f"{said.pixel_threshold if said.threshold != said.threshold else said.threshold:.4g}"


def _in_one_line(failure: Failure) -> str:
    return sentence_of(failure.error)
