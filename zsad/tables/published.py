"""Published figures to compare with ours, each with its source, setting, resolution and protocol.

They are in ``published.csv``, in per cent as printed, one row for each set of figures. Figures of different protocols
are not exactly comparable: docs/metrics.md shows the effect of different definitions.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from zsad.errors import DataError, nearest_hint
from zsad.names import MEAN, is_of_detector, setting_order

DEFAULT = Path(__file__).with_name("published.csv")
FIGURES = ("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro")
OPTIONAL_TEXTS = ("note",)


@dataclass(frozen=True)
class PublishedFigure:
    """One row: the figures that a source reports for one method on one category or on the mean over all.

    Attributes:
        dataset: name of the folder layout, e.g. ``"mvtec_ad"``.
        category: its name, or ``"mean"``.
        method: the name that its authors use.
        backbone: network of the features; ``"not stated"`` if the source does not say.
        setting: the data that the method sees, one of our settings, e.g. ``"few-shot-1"``.
        resolution: side of the network's input in pixels, or ``"not stated"``.
        protocol: how the figures were measured, as far as known, or ``"not stated"``.
        image_auroc, image_ap, image_f1max, pixel_auroc, pixel_ap, pixel_f1max, aupro: in 0..1; NaN if not reported.
        source: paper, repository, or both.
        note: further facts, e.g. on training, or that the figure comes from another paper; may be empty.
        steps: the unit of the last printed digit of each figure, e.g. 0.001 for a figure printed as ``96.5``.
    """

    dataset: str
    category: str
    method: str
    backbone: str
    setting: str
    resolution: str
    protocol: str
    image_auroc: float
    image_ap: float
    image_f1max: float
    pixel_auroc: float
    pixel_ap: float
    pixel_f1max: float
    aupro: float
    source: str
    note: str
    steps: Mapping[str, float] = field(default_factory=dict, compare=False)


COLUMNS = tuple(one.name for one in fields(PublishedFigure) if one.name != "steps")


def read_published(path: Path = DEFAULT) -> list[PublishedFigure]:
    """Read all rows, in the order of the file.

    Raises:
        DataError: the file is missing or has other columns than `COLUMNS`; or a row has an empty text, no figure, a
            figure outside 0..100 or an unknown setting.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _check_columns(path, reader.fieldnames or ())
            return [_figure(row, f"{path}, line {reader.line_num}") for row in reader]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); put the table of published figures back") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not a CSV file in UTF-8 ({error}); put the table of published figures back"
        ) from None


def published_for(dataset: str, category: str = MEAN, path: Path = DEFAULT) -> list[PublishedFigure]:
    """The rows of a data set's category, the setting that sees least first, then by method.

    Raises:
        DataError: as `read_published`.
    """
    found = [row for row in read_published(path) if (row.dataset, row.category) == (dataset, category)]
    return sorted(found, key=lambda row: (setting_order(row.setting), row.method.lower(), row.method))


def rows_to_meet(
    rows: Sequence[PublishedFigure], *, method: str, backbone: str, resolution: str, setting: str, source: str = ""
) -> list[PublishedFigure]:
    """The rows with these names; if a source is given, only those whose source contains it."""
    wanted = (method, backbone, resolution, setting)
    return [
        row
        for row in rows
        if (row.method, row.backbone, row.resolution, row.setting) == wanted and source in row.source
    ]


def _check_columns(path: Path, found: Sequence[str]) -> None:
    unknown = [name for name in found if name not in COLUMNS]
    if unknown:
        raise DataError(f"{path} has the unknown column '{unknown[0]}'{nearest_hint(unknown[0], COLUMNS)}")
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise DataError(f"{path} has no column '{missing[0]}'; add it, in the order: {', '.join(COLUMNS)}")
    if len(found) > len(COLUMNS):
        raise DataError(f"{path} has a column twice; keep one of each: {', '.join(COLUMNS)}")


def _figure(row: Mapping[str | None, str | None], where: str) -> PublishedFigure:
    if None in row or None in row.values():
        raise DataError(f"{where}: the row does not have {len(COLUMNS)} cells; put texts with commas in quotes")
    values = {name: _share(str(row[name]), name, where) for name in FIGURES}
    if all(math.isnan(value) for value in values.values()):
        raise DataError(f"{where}: there is no figure; fill in one of {', '.join(FIGURES)} or delete the row")
    texts = {name: str(row[name]).strip() for name in COLUMNS if name not in FIGURES}
    empty = [name for name, text in texts.items() if not text and name not in OPTIONAL_TEXTS]
    if empty:
        raise DataError(f"{where}: {empty[0]} is empty; fill it in, as a published figure has no meaning without it")
    if not is_of_detector(texts["setting"]):
        raise DataError(f"{where}: '{texts['setting']}' is not a setting; use one that `zsad methods` lists")
    fields_of: dict[str, Any] = {**texts, **values, "steps": _steps({name: str(row[name]) for name in FIGURES})}
    return PublishedFigure(**fields_of)


def _steps(cells: Mapping[str, str]) -> dict[str, float]:
    """The unit of the last printed digit of the figures of a row; a whole number, e.g. 100, gets that of the others."""
    digits = {name: len(cell.strip().partition(".")[2]) for name, cell in cells.items() if cell.strip()}
    most = max(digits.values())
    return {name: 0.01 * 0.1 ** (number or most) for name, number in digits.items()}


def _share(cell: str, column: str, where: str) -> float:
    """A figure in per cent as a fraction of 1; NaN for an empty cell."""
    if not cell.strip():
        return math.nan
    try:
        percent = float(cell)
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise DataError(f"{where}: {column} is '{cell}'; write it in per cent, 0 to 100, or leave it empty")
    return percent / 100
