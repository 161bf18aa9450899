"""Read the results of a run of the workflow for each photograph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zsad.data.image_list import read_image_list
from zsad.data.readings import read_unreadable
from zsad.deciding.batch_verdict import BatchVerdict, batch_verdict
from zsad.deciding.decision import decision_of
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import DataError
from zsad.exporting.regions import Region
from zsad.files.csv_files import read_table
from zsad.files.decisions import DecisionReader
from zsad.inspecting.inspection import Failure
from zsad.inspecting.verdict import FIXED, GIVEN, OWN_PATCHES, REFERENCES

ALL_PHOTOGRAPHS = "all photographs"  # a further origin of thresholds, besides those of a single model


class Answered(NamedTuple):
    """The result for a photograph; the attributes are those of `zsad.inspecting.answers.PhotographResult`."""

    path: Path | None
    score: float
    peak: float
    decision: bool | None
    threshold: float
    pixel_threshold: float
    threshold_from: str
    p_value: float
    false_alarms: float
    regions: list[Region]
    note: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """The places of the results of one method in one category.

    Attributes:
        folder: results folder of the data set.
        category, method: their names.
    """

    folder: Path
    category: str
    method: str

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.folder / "report.html"

    @property
    def exports(self) -> Path:
        """The folder of pictures, tables and annotations."""
        return self.folder / self.category / "exports" / self.method

    @property
    def decisions(self) -> Path:
        """The file of decisions."""
        return self.folder / self.category / "decisions" / f"{self.method}.h5"

    @property
    def model(self) -> Path:
        """The model file; only methods with references have one."""
        return self.folder / self.category / "models" / f"{self.method}.h5"

    def answers(self) -> Iterator[Answered | Failure]:
        """The result for each photograph, the worst first; those that could not be read at the end.

        Raises:
            DataError: a table is missing or damaged.
        """
        place = self.folder / self.category
        paths = {image.image_id: Path(image.path) for image in read_image_list(place / "images.csv")}
        regions = self._regions()
        with DecisionReader(self.decisions) as decisions:
            index_of = {image_id: index for index, image_id in enumerate(decisions.image_ids)}
            source, remarks = threshold_source(decisions), tuple(decisions.remarks)
            for row in read_table(self.folder / "tables" / "images.csv", "list of images"):
                if (row["category"], row["method"]) == (self.category, self.method) and row["image_id"]:
                    decided = decision_of(index_of[row["image_id"]], decisions, decisions.peaks)
                    yield Answered(
                        path=paths[row["image_id"]],
                        score=float(row["image_score"]),
                        peak=decided.peak,
                        decision=decided.defective,
                        threshold=decided.region_threshold,
                        pixel_threshold=decided.pixel_threshold,
                        threshold_from=source,
                        p_value=decided.p_value,
                        false_alarms=decided.false_alarms,
                        regions=regions[row["image_id"]],
                        note=row["note"],
                        remarks=remarks,
                    )
        for path, reason in read_unreadable(place / "unreadable.csv").items():
            yield Failure(path, DataError(reason))

    def batch_verdict(self) -> BatchVerdict:
        """The number of photographs that are called defective, compared with that in a normal batch.

        Raises:
            DataError: the file of decisions is missing or damaged.
        """
        with DecisionReader(self.decisions) as decisions:
            ranks = decisions.measure == "p_value" and threshold_source(decisions) == REFERENCES
            return batch_verdict(
                int(np.count_nonzero(decisions.decided)),
                len(decisions.image_ids),
                decisions.nominal,
                references=len(decisions.provenance["references"]) if ranks else 0,
            )

    def _regions(self) -> dict[str, list[Region]]:
        """The regions of each image with regions."""
        found: dict[str, list[Region]] = defaultdict(list)
        table = self.exports / "defects.csv"
        if not table.is_file():  # the configuration of the workflow may leave it out
            return found
        for row in read_table(table, "table of defects"):
            x, y, width, height = (int(row[side]) for side in ("x", "y", "width", "height"))
            centroid = float(row["centroid_x"]), float(row["centroid_y"])
            figures = [float(row[name]) for name in ("length", "peak_score", "mean_score")]
            found[row["image"]].append(Region((x, y, width, height), int(row["area"]), centroid, *figures))
        return found


def threshold_source(decisions: DecisionReader) -> str:
    """The origin of the thresholds of images that were decided together."""
    if decisions.rule == FIXED:
        return GIVEN
    if THRESHOLDS.load(decisions.rule).needs_references:
        return REFERENCES
    if len(decisions.image_ids) == 1 or decisions.measure == "false_alarms":  # each image has its own number
        return OWN_PATCHES
    return ALL_PHOTOGRAPHS
