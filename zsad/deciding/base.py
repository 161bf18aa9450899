"""Interface of threshold rules: from the scores of a category to the images and regions called defective."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from pydantic import Field

from zsad.errors import ArrayError, DataError
from zsad.maps import Thresholds, informative_maps
from zsad.registry import Choice

EXTENT = 0.7  # of the way from an ordinary patch to the threshold of regions
PLACEHOLDER = np.empty(0)
FEWEST_REFERENCES = 2  # each is scored without itself
LOWEST = float(np.finfo(np.float32).min)


class Evidence:
    """Input of a threshold rule; it holds no labels.

    Attributes:
        maps: the anomaly map of every test image, float32 ``[row, column]`` on its patch grid; sizes may differ. Empty
            from a method that does not localise.
        image_scores: of the test images, float64 ``[image]``.
        reference_maps: the same of the reference images, each scored as if it were none of the references; empty where
            there are none.
        reference_scores: their image scores.
        setting: how much the method may see, e.g. ``"zero-shot-batch"``; empty if unknown.

    Raises:
        ArrayError: the maps and the scores are not of the same images, or not of one method.
    """

    def __init__(
        self,
        maps: Sequence[np.ndarray],
        image_scores: np.ndarray,
        reference_maps: Sequence[np.ndarray] = (),
        reference_scores: np.ndarray = PLACEHOLDER,
        setting: str = "",
    ) -> None:
        self.maps, self.reference_maps = list(maps), list(reference_maps)
        self.image_scores = np.asarray(image_scores, dtype=np.float64)
        self.reference_scores = np.asarray(reference_scores, dtype=np.float64)
        self.setting = setting
        for role, maps, scores in (
            ("images", self.maps, self.image_scores),
            ("references", self.reference_maps, self.reference_scores),
        ):
            if scores.ndim != 1 or (maps and len(maps) != len(scores)):
                raise ArrayError(f"there are {len(maps)} maps of the {role} and scores of shape {scores.shape}")
        if len(self.reference_scores) and len(self) and bool(self.maps) != bool(self.reference_maps):
            raise ArrayError("either the images or the references have maps: they are not scored by one method")

    def __len__(self) -> int:
        return len(self.image_scores)

    @property
    def localises(self) -> bool:
        """Whether there are maps."""
        return bool(self.maps)

    @cached_property
    def peaks(self) -> np.ndarray:
        """The values that decide, float64 ``[image]``: the highest value of each map; without maps the image score."""
        return peaks(self.maps, self.image_scores)

    @cached_property
    def reference_peaks(self) -> np.ndarray:
        """Likewise for the references."""
        return peaks(self.reference_maps, self.reference_scores)


def peaks(maps: Sequence[np.ndarray], image_scores: np.ndarray) -> np.ndarray:
    """The highest value of each map; without maps the image scores. float64 ``[image]``, as float32 has them.

    Raises:
        ArrayError: one is not finite.
    """
    highest = [anomaly_map.max() for anomaly_map in maps] if maps else image_scores
    found = np.asarray(highest, dtype=np.float32).astype(np.float64)
    if not np.isfinite(found).all():
        raise ArrayError(f"score {int(np.argmin(np.isfinite(found)))} is not finite")
    return found


class Verdicts:
    """Result of a threshold rule for the images of a category.

    Attributes:
        pixel, region: the thresholds of each image, float64 ``[image]``, see `zsad.maps.Thresholds`; as float32 has
            them.
        decided: bool ``[image]``, which are called defective: those whose peak exceeds ``region``.
        significance: float64 ``[image]``, how unlikely so high a peak is for a normal image, in the ``measure``; NaN if
            the rule gives none. The smaller it is, the more anomalous.
        measure: ``"p_value"``, ``"false_alarms"`` (their expected number in an image), or empty for none.
        nominal: the share of normal images that the rule expects to call defective, 0 to 1; NaN if it gives none.
        remarks: sentences that a reader must know about the decision, each with its full stop; often none.

    Raises:
        ValueError: a threshold is not a number, or there is not one of a kind for each image.
    """

    def __init__(
        self,
        evidence: Evidence,
        region: np.ndarray | float,
        pixel: np.ndarray | float,
        *,
        significance: np.ndarray | None = None,
        measure: str = "",
        nominal: float = np.nan,
        remarks: Sequence[str] = (),
    ) -> None:
        count = len(evidence)
        self.region = _as_float32(region, count)
        self.pixel = (
            np.minimum(_as_float32(pixel, count), self.region) if evidence.localises else np.full(count, np.inf)
        )
        self.decided: np.ndarray = evidence.peaks > self.region
        self.significance = np.full(count, np.nan)
        if significance is not None:
            self.significance[:] = significance
        self.measure = measure
        self.nominal = float(nominal)
        self.remarks = tuple(remarks)

    def thresholds(self, index: int) -> Thresholds:
        """The thresholds of an image."""
        return Thresholds(float(self.pixel[index]), float(self.region[index]))


def _as_float32(values: np.ndarray | float, count: int) -> np.ndarray:
    """float64 ``[count]`` of numbers that float32 has: maps are float32, and what is equal must compare as equal.

    A value too great for float32 becomes infinity, which nothing exceeds. A value too low becomes the lowest float32:
    in an image without marks the pixel threshold is the greatest value of a figure, which must be possible to draw.
    """
    with np.errstate(over="ignore"):
        rounded = np.broadcast_to(np.asarray(values, dtype=np.float64), count).astype(np.float32)
    if np.isnan(rounded).any():
        raise ValueError("a threshold is not a number")
    return np.maximum(rounded.astype(np.float64), LOWEST)


class ThresholdRule(Choice):
    """Base class of threshold rules, which separate defective patches and images from normal ones.

    An image is called defective if a region of it stands out: if its highest value exceeds a threshold. How far the
    region reaches is another question with a lower threshold, a fixed share of the way from an ordinary patch.

    Class attributes:
        reference: source of the rule.
        needs_references: whether it requires the scores of reference images.
        needs_batch: whether it uses the images of a category together, so that it cannot decide on a single image.
        without_maps: how a rule that needs maps can work without them, if it can.
    """

    reference: ClassVar[str]
    needs_references: ClassVar[bool] = False
    needs_batch: ClassVar[bool] = False
    without_maps: ClassVar[str] = ""

    extent: float = Field(
        EXTENT,
        ge=0,
        le=1,
        description="How far down a region extends, as a share of the way from the median patch to the threshold; 1: "
        "only values above the threshold itself.",
    )

    @property
    def needs_maps(self) -> bool:
        """Whether image scores alone are not enough."""
        return False

    def chosen(self, evidence: Evidence) -> ThresholdRule:
        """The rule that decides on the evidence: this rule itself, except for a rule that chooses among others."""
        return self

    @abstractmethod
    def decide(self, evidence: Evidence) -> Verdicts:
        """Decide which images and regions are defective; thresholds have the unit of maps, or else of image scores."""

    def reach(self, maps: Sequence[np.ndarray], region: float) -> float:
        """The threshold for pixels that belongs to one for regions.

        Args:
            maps: maps whose median is an ordinary patch; constant maps are ignored.
            region: the threshold for regions.

        Returns:
            At most ``region``; exactly ``region`` if all maps are constant.
        """
        informative = informative_maps(maps)
        if not informative or not np.isfinite(region):
            return region
        ordinary = median_patch(informative)
        return min(ordinary + self.extent * (region - ordinary), region)


class ReferenceRule(ThresholdRule):
    """Base class of rules that use the scores of references, each scored by a fit without itself."""

    needs_references: ClassVar[bool] = True

    def ordered_references(self, evidence: Evidence) -> np.ndarray:
        """The peaks of the references from the lowest to the highest, float64 ``[reference]``.

        Raises:
            DataError: there are fewer than two references, so that none can be scored without itself.
        """
        found = np.sort(evidence.reference_peaks)
        if len(found) < FEWEST_REFERENCES:
            raise DataError(
                f"a threshold from references needs the scores of at least {FEWEST_REFERENCES}, and there "
                f"{'is' if len(found) == 1 else 'are'} {len(found)}; give more references ('shots'), or choose another "
                "threshold rule"
            )
        return found


class BatchRule(ThresholdRule):
    """Base class of rules that use all test images of a category together and find one threshold for all.

    Without maps, the image scores take the place of map values.
    """

    needs_batch: ClassVar[bool] = True

    @abstractmethod
    def threshold(self, evidence: Evidence) -> float:
        """The threshold of the highest value of a region; without maps, that of the image score."""

    def decide(self, evidence: Evidence) -> Verdicts:
        """One threshold for all images."""
        region = self.threshold(evidence)
        return Verdicts(evidence, region, self.reach(evidence.maps, region))


def median_patch(maps: Sequence[np.ndarray]) -> float:
    """The median of the values of all maps together."""
    return float(np.median(np.concatenate([anomaly_map.ravel() for anomaly_map in maps])))


def values_of(evidence: Evidence) -> list[np.ndarray]:
    """The maps, or the image scores as one map ``[1, image]`` where there are none."""
    return evidence.maps if evidence.maps else [evidence.image_scores[None].astype(np.float32)]


def above_all(maps: Sequence[np.ndarray]) -> float:
    """The next float32 above every value of the maps: a threshold that nothing exceeds."""
    highest = np.float32(max(values.max() for values in maps))
    return float(np.nextafter(highest, np.float32(np.inf)))


def percentage(share: float) -> str:
    """A share as text for a sentence, e.g. ``"11.1 %"``."""
    return f"{100 * share:.3g} %"
