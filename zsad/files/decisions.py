"""What is called defective in a category by one method, in HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from zsad.files.hdf5 import Reader, Writer
from zsad.maps import Thresholds

DECISIONS_FORMAT = "zsad-decisions-1"
NUMBERS = ("peak", "pixel", "region", "significance")
MEASURES = ("", "p_value", "false_alarms")


class Decided(Protocol):
    """What a rule says of the images of a category, see `zsad.deciding.base.Verdicts`."""

    pixel: np.ndarray
    region: np.ndarray
    decided: np.ndarray
    significance: np.ndarray
    nominal: float

    @property
    def measure(self) -> str:
        """Of what the significance is a number."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences on the decision."""


class DecisionWriter(Writer):
    """Write the thresholds of every image, and what follows from them."""

    _format = DECISIONS_FORMAT

    def _create(self) -> None:
        """Nothing is there before it is written."""

    def write(self, verdicts: Decided, peaks: np.ndarray, *, rule: str, localises: bool) -> None:
        """Store what a rule says of all images.

        Args:
            peaks: what was decided by, float ``[image]``.
            rule: its name.
            localises: whether the method gives maps.
        """
        columns = (peaks, verdicts.pixel, verdicts.region, verdicts.significance)
        for name, values in zip(NUMBERS, columns, strict=True):
            self._file.create_dataset(name, data=np.asarray(values, dtype=np.float64))
        self._file.create_dataset("decided", data=verdicts.decided.astype(np.uint8))
        self._file.attrs["rule"] = rule
        self._file.attrs["measure"] = verdicts.measure
        self._file.attrs["nominal"] = verdicts.nominal
        self._file.attrs["localises"] = localises
        self._file.attrs["remarks"] = "\n".join(verdicts.remarks)


class DecisionReader(Reader):
    """Read what is called defective.

    Attributes:
        rule: name of the threshold rule.
        peaks: what was decided by, float64 ``[image]``: the highest value of each map, or the image score of a method
            that does not localise.
        pixel, region: thresholds of each image, float64 ``[image]``; see `zsad.maps.Thresholds`.
        decided: bool ``[image]``, which images are called defective: those whose peak exceeds ``region``.
        significance: float64 ``[image]``, p-values or numbers of false alarms; NaN where the rule gives none.
        measure: ``"p_value"``, ``"false_alarms"``, or empty for none.
        nominal: the share of good images that the rule calls defective by its own account; NaN if it gives none.
        localises: whether regions decide; else image scores do.
        remarks: sentences on the decision.
    """

    _format = DECISIONS_FORMAT
    _noun = "decision"

    def _load(self) -> None:
        self.rule, self.measure = str(self._file.attrs["rule"]), str(self._file.attrs["measure"])
        self.nominal = float(self._file.attrs["nominal"])
        self.localises = bool(self._file.attrs["localises"])
        self.remarks = [line for line in str(self._file.attrs["remarks"]).split("\n") if line]
        self.peaks, self.pixel, self.region, self.significance = (self._column(name) for name in NUMBERS)
        self.decided: np.ndarray = self._file["decided"][:].astype(bool)
        if self.measure not in MEASURES or not np.array_equal(self.decided, self.peaks > self.region):
            raise ValueError("its decisions are not those of its thresholds")
        if self.localises and (self.pixel > self.region).any():
            raise ValueError("its thresholds contradict each other")

    def thresholds(self, index: int) -> Thresholds:
        """The thresholds of one image."""
        return Thresholds(float(self.pixel[index]), float(self.region[index]))

    def _column(self, name: str) -> np.ndarray:
        values: np.ndarray = self._file[name][:]
        if values.dtype != np.float64 or values.shape != (len(self.image_ids),):
            raise ValueError(f"{name} is no number of each image")
        return values
