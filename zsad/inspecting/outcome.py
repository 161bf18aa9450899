"""What a run of the workflow has found in each photograph, as an answer about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zsad.data.image_list import read_image_list
from zsad.data.readings import read_unreadable
from zsad.errors import DataError
from zsad.exporting.regions import Region
from zsad.files.csv_files import read_table
from zsad.inspecting.inspection import Failure

ALL_PHOTOGRAPHS = "all photographs"  # what thresholds come from, besides what a model alone can tell


class Answered(NamedTuple):
    """What was found in a photograph; the attributes are those of `zsad.inspecting.answers.Said`."""

    path: Path | None
    score: float
    decision: bool | None
    threshold: float
    pixel_threshold: float
    threshold_from: str
    regions: list[Region]
    note: str


@dataclass(frozen=True)
class Results:
    """Where the results of one method in one category are.

    Attributes:
        folder: of the data set.
        category, method: their names.
        threshold_from: what the thresholds come from.
    """

    folder: Path
    category: str
    method: str
    threshold_from: str

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    @property
    def exports(self) -> Path:
        """The folder of pictures, tables and annotations."""
        return self.folder / self.category / "exports" / self.method

    @property
    def model(self) -> Path:
        """The model file, which only methods with references have."""
        return self.folder / self.category / "models" / f"{self.method}.h5"

    def answers(self) -> Iterator[Answered | Failure]:
        """What was found in each photograph, the worst first; in the end those that could not be read.

        Raises:
            DataError: a table is absent or not as it was made.
        """
        place = self.folder / self.category
        paths = {image.image_id: Path(image.path) for image in read_image_list(place / "images.csv")}
        regions = self._regions()
        for row in read_table(self.folder / "tables" / "images.csv", "list of images"):
            if (row["category"], row["method"]) == (self.category, self.method) and row["image_id"]:
                yield Answered(
                    path=paths[row["image_id"]],
                    score=float(row["image_score"]),
                    decision=bool(int(row["decision"])) if row["decision"] else None,
                    threshold=_figure(row["image_threshold"]),
                    pixel_threshold=_figure(row["pixel_threshold"]),
                    threshold_from=self.threshold_from,
                    regions=regions[row["image_id"]],
                    note=row["note"],
                )
        for path, reason in read_unreadable(place / "unreadable.csv").items():
            yield Failure(path, DataError(reason))

    def _regions(self) -> dict[str, list[Region]]:
        """The regions of each image that has some."""
        found: dict[str, list[Region]] = defaultdict(list)
        table = self.exports / "defects.csv"
        if not table.is_file():  # the workflow's own configuration may leave it out
            return found
        for row in read_table(table, "table of defects"):
            x, y, width, height = (int(row[side]) for side in ("x", "y", "width", "height"))
            centroid = float(row["centroid_x"]), float(row["centroid_y"])
            figures = [float(row[name]) for name in ("length", "peak_score", "mean_score")]
            found[row["image"]].append(Region((x, y, width, height), int(row["area"]), centroid, *figures))
        return found


def _figure(cell: str) -> float:
    return float(cell) if cell else float("nan")
