"""The result for a photograph in one line, as text or as JSON."""

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


class PhotographResult(Protocol):
    """The attributes of a result that are printed; see `zsad.inspecting.inspection.Inspection` for all."""

    @property
    def path(self) -> Path | None:
        """Path of the photograph."""

    @property
    def score(self) -> float:
        """Anomaly score; greater is more anomalous."""

    @property
    def peak(self) -> float:
        """The value that decides."""

    @property
    def decision(self) -> bool | None:
        """Whether it is called defective."""

    @property
    def threshold(self) -> float:
        """Threshold of the peak."""

    @property
    def pixel_threshold(self) -> float:
        """Threshold of the values of the map."""

    @property
    def p_value(self) -> float:
        """P-value of the peak."""

    @property
    def false_alarms(self) -> float:
        """Expected number of false alarms of the peak."""

    @property
    def threshold_from(self) -> str:
        """The origin of the thresholds."""

    @property
    def regions(self) -> Sequence[Region]:
        """Regions of the mask."""

    @property
    def note(self) -> str:
        """A remark on the photograph."""

    @property
    def remarks(self) -> Sequence[str]:
        """Remarks on the decision, in sentences."""


Answer = Callable[[PhotographResult | Failure], str]


def format_line(result: PhotographResult | Failure) -> str:
    """A line with decision, peak, threshold and path of a photograph; or the reason why it could not be inspected."""
    if isinstance(result, Failure):
        return f"{FAILED:9}  {_in_one_line(result)}"
    compared = f" ({_compared(result)})" if result.threshold_from else ""
    count = len(result.regions)
    regions = f", {count} region{'s' if count > 1 else ''}" if count else ""
    note = f"; {result.note}" if result.note else ""
    return f"{WORDS[result.decision]:9}  {result.peak:.4g}{compared}  {result.path}{regions}{note}"


def format_json(result: PhotographResult | Failure) -> str:
    """The same as a JSON object in one line; numbers that are not finite are null."""
    return json.dumps(without_nan(as_dict(result)), allow_nan=False)


def as_dict(result: PhotographResult | Failure) -> dict[str, Any]:
    """The content of `format_json`."""
    path = None if result.path is None else str(result.path)
    if isinstance(result, Failure):
        return {"path": path, "error": _in_one_line(result)}
    return {
        "path": path,
        "score": result.score,
        "peak": result.peak,
        "decision": result.decision,
        "p_value": result.p_value,
        "false_alarms": result.false_alarms,
        "threshold": result.threshold,
        "pixel_threshold": result.pixel_threshold,
        "threshold_from": result.threshold_from or None,
        "regions": [region._asdict() for region in result.regions],
        "note": "; ".join(filter(None, (result.note, *result.remarks))),
    }


class Count(NamedTuple):
    """The numbers of inspected, defective and failed photographs.

    Attributes:
        inspected: all except those that failed.
        remarks: remarks on the decisions, each once.
    """

    inspected: int = 0
    defective: int = 0
    failed: int = 0
    remarks: tuple[str, ...] = ()

    def with_(self, result: PhotographResult | Failure) -> Count:
        """The count with one more photograph."""
        if isinstance(result, Failure):
            return self._replace(failed=self.failed + 1)
        return self._replace(
            inspected=self.inspected + 1,
            defective=self.defective + bool(result.decision),
            remarks=tuple(dict.fromkeys((*self.remarks, *result.remarks))),
        )

    def __str__(self) -> str:
        """A sentence."""
        failed = f", {self.failed} could not be inspected" if self.failed else ""
        return f"{self.defective} of {self.inspected} photographs called defective{failed}"


def _compared(result: PhotographResult) -> str:
    """The threshold of a peak and its origin, in words."""
    measures = (("p-value", result.p_value), ("false alarms", result.false_alarms))
    given = [f"{name} {value:.2g}" for name, value in measures if not math.isnan(value)]
    return ", ".join([f"threshold {result.threshold:.4g}", result.threshold_from, *given])


def _in_one_line(failure: Failure) -> str:
    return sentence_of(failure.error)
