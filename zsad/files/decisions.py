"""Thresholds and decisions of one method for a category, in HDF5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from zsad.errors import DataError
from zsad.files.hdf5 import Reader, Writer
from zsad.files.scores import ScoreReader
from zsad.maps import Thresholds

DECISIONS_FORMAT = "zsad-decisions-1"
NUMBERS = ("peak", "pixel", "region", "significance")
MEASURES = ("", "p_value", "false_alarms")


class Decided(Protocol):
    """The verdicts of a rule for the images of a category, see `zsad.deciding.base.Verdicts`."""

    pixel: np.ndarray
    region: np.ndarray
    decided: np.ndarray
    significance: np.ndarray
    nominal: float

    @property
    def measure(self) -> str:
        """The quantity that the significance measures."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences on the decision."""


class DecisionWriter(Writer):
    """Write the thresholds of every image, and the decisions that follow from them."""

    _format = DECISIONS_FORMAT

    def _create(self) -> None:
        """Create nothing before `write`."""

    def write(self, verdicts: Decided, peaks: np.ndarray, *, rule: str, localises: bool) -> None:
        """Store the verdicts of a rule for all images.

        Args:
            peaks: the values that are compared with the thresholds, float ``[image]``.
            rule: name of the rule.
            localises: whether the method gives maps.

        Raises:
            ValueError: the numbers do not match all images, or contradict each other.
        """
        numbers = (peaks, verdicts.pixel, verdicts.region, verdicts.significance)
        columns = {name: np.asarray(values, np.float64) for name, values in zip(NUMBERS, numbers, strict=True)}
        decided = np.asarray(verdicts.decided)
        if any(values.shape != (len(self.image_ids),) for values in (*columns.values(), decided)):
            raise ValueError(f"the decisions do not match {len(self.image_ids)} images")
        _check(columns, decided, measure=verdicts.measure, nominal=verdicts.nominal, localises=localises)
        for name, values in columns.items():
            self._file.create_dataset(name, data=values)
        self._file.create_dataset("decided", data=decided.astype(np.uint8))
        self._file.attrs["rule"] = rule
        self._file.attrs["measure"] = verdicts.measure
        self._file.attrs["nominal"] = verdicts.nominal
        self._file.attrs["localises"] = localises
        self._file.attrs["remarks"] = json.dumps(list(verdicts.remarks))

    def _finish(self) -> None:
        if "decided" not in self._file:
            raise ValueError("no decision was written")
        super()._finish()


class DecisionReader(Reader):
    """Read thresholds and decisions.

    Attributes:
        rule: name of the threshold rule.
        peaks: the values that were compared with the thresholds, float64 ``[image]``: the highest value of each map, or
            the image score of a method that does not localise.
        pixel, region: thresholds of each image, float64 ``[image]``; see `zsad.maps.Thresholds`.
        decided: bool ``[image]``, which images are classified as defective: those whose peak exceeds ``region``.
        significance: float64 ``[image]``, p-values or numbers of false alarms; NaN where the rule gives none.
        measure: ``"p_value"``, ``"false_alarms"``, or empty for none.
        nominal: the nominal share of normal images that the rule classifies as defective; NaN if it gives none.
        localises: whether decisions are based on regions; else on image scores.
        remarks: sentences on the decision.
    """

    _format = DECISIONS_FORMAT
    _noun = "decision"

    def _load(self) -> None:
        self.rule, self.measure = str(self._file.attrs["rule"]), str(self._file.attrs["measure"])
        self.nominal = float(self._file.attrs["nominal"])
        self.localises = bool(self._file.attrs["localises"])
        self.remarks: list[str] = [str(remark) for remark in json.loads(self._file.attrs["remarks"])]
        columns = {name: self._column(name, np.float64) for name in NUMBERS}
        self.peaks, self.pixel, self.region, self.significance = columns.values()
        self.decided: np.ndarray = self._column("decided", np.uint8).astype(bool)
        _check(columns, self.decided, measure=self.measure, nominal=self.nominal, localises=self.localises)

    def thresholds(self, index: int) -> Thresholds:
        """The thresholds of one image."""
        return Thresholds(float(self.pixel[index]), float(self.region[index]))

    def _column(self, name: str, dtype: type) -> np.ndarray:
        values: np.ndarray = self._file[name][:]
        if values.dtype != dtype or values.shape != (len(self.image_ids),):
            raise ValueError(f"{name} does not have one number per image")
        return values


def check_same_images(scores: ScoreReader, decisions: DecisionReader) -> None:
    """Check that decisions are for the images of a score file, in the same order.

    Raises:
        DataError: they are not.
    """
    if decisions.image_ids != scores.image_ids:
        raise DataError(
            f"{decisions.path} and {scores.path} do not contain the same images in the same order; delete "
            f"{decisions.path} and run again"
        )


def check_peak(scores: ScoreReader, decisions: DecisionReader, index: int) -> None:
    """Check that a decision for an image is based on its scores.

    Raises:
        DataError: its highest value differs, or only one file has maps.
    """
    peak = scores.anomaly_map(index).max() if scores.localises else scores.image_scores[index]
    if decisions.localises != scores.localises or decisions.peaks[index] != peak:
        raise DataError(
            f"{decisions.path} was made from other scores than those in {scores.path} ({scores.image_ids[index]} has "
            f"another highest value); delete {decisions.path} and run again"
        )


def check_decisions(scores: ScoreReader, decisions: DecisionReader) -> None:
    """Check that all decisions were made from the scores of a file.

    Raises:
        DataError: see `check_same_images` and `check_peak`.
    """
    check_same_images(scores, decisions)
    for index in range(len(scores)):
        check_peak(scores, decisions, index)


def _check(
    columns: Mapping[str, np.ndarray], decided: np.ndarray, *, measure: str, nominal: float, localises: bool
) -> None:
    """Reject contradictory contents, since readers rely on them.

    Raises:
        ValueError: the contents contradict each other.
    """
    peaks, pixel, region, significance = (columns[name] for name in NUMBERS)
    thresholds = np.concatenate([pixel, region])
    if not np.isfinite(peaks).all() or np.isnan(thresholds).any() or np.isneginf(thresholds).any():
        raise ValueError("its peaks and thresholds are not numbers")
    with np.errstate(over="ignore"):
        is_of_maps = all(np.array_equal(values, values.astype(np.float32)) for values in (peaks, thresholds))
    if not is_of_maps:
        raise ValueError("its peaks and thresholds are not values of maps")
    if not np.array_equal(decided, peaks > region):
        raise ValueError("its decisions do not match its thresholds")
    if (pixel > region).any() if localises else np.isfinite(pixel).any():
        raise ValueError("its thresholds contradict each other")
    given = significance[~np.isnan(significance)]
    if measure not in MEASURES or (given.size and not measure):
        raise ValueError("its significance has an unknown measure")
    if (given < 0).any() or (measure == "p_value" and (given > 1).any()) or nominal < 0 or nominal > 1:
        raise ValueError("its rates are not in [0, 1]")
