"""What is said of a photograph in one line, for people or for programs."""

from __future__ import annotations

import json
import math
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
    def peak(self) -> float:
        """What is decided by."""

    @property
    def decision(self) -> bool | None:
        """Whether it is called defective."""

    @property
    def threshold(self) -> float:
        """For the peak."""

    @property
    def pixel_threshold(self) -> float:
        """For the values of the map."""

    @property
    def p_value(self) -> float:
        """Of the peak."""

    @property
    def false_alarms(self) -> float:
        """Of the peak."""

    @property
    def threshold_from(self) -> str:
        """What the thresholds come from."""

    @property
    def regions(self) -> Sequence[Region]:
        """Of the mask."""

    @property
    def note(self) -> str:
        """A remark on the photograph."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences on how it was decided."""


Answer = Callable[[Said | Failure], str]


def for_people(said: Said | Failure) -> str:
    """Decision, peak, threshold, and path of a photograph; or why it could not be inspected."""
    if isinstance(said, Failure):
        return f"{FAILED:9}  {_in_one_line(said)}"
    compared = f" ({_compared(said)})" if said.threshold_from else ""
    count = len(said.regions)
    regions = f", {count} region{'s' if count > 1 else ''}" if count else ""
    note = f"; {said.note}" if said.note else ""
    return f"{WORDS[said.decision]:9}  {said.peak:.4g}{compared}  {said.path}{regions}{note}"


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
        "peak": said.peak,
        "decision": said.decision,
        "p_value": said.p_value,
        "false_alarms": said.false_alarms,
        "threshold": said.threshold,
        "pixel_threshold": said.pixel_threshold,
        "threshold_from": said.threshold_from or None,
        "regions": [region._asdict() for region in said.regions],
        "note": "; ".join(filter(None, (said.note, *said.remarks))),
    }


class Count(NamedTuple):
    """How many photographs were called what.

    Attributes:
        inspected: all but those that failed.
        remarks: on how they were decided, each once.
    """

    inspected: int = 0
    defective: int = 0
    failed: int = 0
    remarks: tuple[str, ...] = ()

    def with_(self, said: Said | Failure) -> Count:
        """One photograph more."""
        if isinstance(said, Failure):
            return self._replace(failed=self.failed + 1)
        return self._replace(
            inspected=self.inspected + 1,
            defective=self.defective + bool(said.decision),
            remarks=tuple(dict.fromkeys((*self.remarks, *said.remarks))),
        )

    def __str__(self) -> str:
        """For people."""
        failed = f", {self.failed} could not be inspected" if self.failed else ""
        return f"{self.defective} of {self.inspected} photographs called defective{failed}"


def _compared(said: Said) -> str:
    """What a peak is compared with."""
    measures = (("p-value", said.p_value), ("false alarms", said.false_alarms))
    given = [f"{name} {value:.2g}" for name, value in measures if not math.isnan(value)]
    return ", ".join([f"threshold {said.threshold:.4g}", said.threshold_from, *given])


def _in_one_line(failure: Failure) -> str:
    return sentence_of(failure.error)
