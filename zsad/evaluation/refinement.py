"""Effect of refinement: how well the mask of each image fits its ground truth before and after, by defect type.

"Before" are the marked regions of the map; "after" is the refiner's mask. Means over images are over the defective
images whose ground-truth mask marks a pixel. Figures of a mask (``mask_f1``, ``mask_iou``) are pooled over the pixels
of all images with pixel ground truth, as everywhere else, or over the images of a defect type. The Dice coefficient of
one image is the F1 of its pixels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.evaluation.bootstrap import Sampler, mask_replicates
from zsad.evaluation.mask_counts import COUNTED, FALSE_NEGATIVES, TRUE_POSITIVES, mask_counts, mask_metrics
from zsad.evaluation.measured import Measured, first_places, mean_of_known
from zsad.names import ALL_TYPES

MATERIAL_CHANGE = 0.01  # of an image's IoU: a greater change counts as improved or worsened
VALUES = (
    *("image_iou_before", "image_iou_after", "image_dice_before", "image_dice_after"),
    *("mask_f1_before", "mask_f1_after", "mask_iou_before", "mask_iou_after"),
    *("helped", "harmed", "good_area_before", "good_area_after"),
)
COUNTS = ("images", "defective", "good", "regions_found", "regions_prompted", "regions_accepted")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


class Marked(NamedTuple):
    """The marks of one mask of one image.

    Attributes:
        area: share of the image.
        counts: against the ground truth, see `mask_counts`; None where the ground truth is unknown.
    """

    area: float
    counts: np.ndarray | None

    @classmethod
    def of(cls, mask: np.ndarray, ground_truth: np.ndarray | None) -> Marked:
        """Measure a bool mask ``[height, width]`` against its ground truth, of the same shape or None."""
        return cls(float(mask.mean()), None if ground_truth is None else mask_counts(mask, ground_truth))

    @property
    def iou(self) -> float:
        """Intersection over union with the ground truth; NaN if the ground truth marks nothing or is unknown."""
        return self._metric("mask_iou")

    @property
    def dice(self) -> float:
        """Dice coefficient; NaN where the ground truth marks nothing or is unknown."""
        return self._metric("mask_f1")

    @property
    def has_defect(self) -> bool:
        """Whether the ground truth is known and marks a pixel."""
        return self.counts is not None and bool(self.counts[TRUE_POSITIVES] + self.counts[FALSE_NEGATIVES] > 0)

    def _metric(self, name: str) -> float:
        return float(mask_metrics(self.counts)[name]) if self.counts is not None and self.has_defect else np.nan


UNKNOWN_MASK = Marked(np.nan, None)


@dataclass(frozen=True)
class Comparison:
    """The masks of one image and its ground truth.

    Attributes:
        after: the refiner's mask.
        before: the marked regions of the map; `UNKNOWN_MASK` if there are none to compare.
        regions: the records of its regions, see `zsad.refinement.base.Refinement`.
    """

    record: ImageRecord
    after: Marked
    before: Marked = UNKNOWN_MASK
    regions: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def lacks_ground_truth(self) -> bool:
        """Whether the image is defective and its ground-truth mask marks nothing."""
        return self.record.label == 1 and self.after.counts is not None and not self.after.has_defect

    def row(self) -> dict[str, Any]:
        """JSON: overlap and marked share of the area; NaN where the ground truth is unknown or marks nothing."""
        return {
            "image_id": self.record.image_id,
            "defect_type": self.record.defect_type,
            "iou_before": self.before.iou,
            "iou": self.after.iou,
            "dice_before": self.before.dice,
            "dice": self.after.dice,
            "area_before": self.before.area,
            "area": self.after.area,
        }


def effects(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The effect on all images, then on those of each defect type (and on normal ones), in order of first appearance.

    Returns:
        JSON: ``defect_type``; ``values`` by the names of `VALUES`, NaN over nothing; ``counts`` by those of `COUNTS`;
        ``reasons`` why outlines were rejected, with their numbers.
    """
    types = first_places(one.record.defect_type for one in comparisons if one.record.label is not None)
    by_type = {
        name: [one for one in comparisons if one.record.label is not None and one.record.defect_type == name]
        for name in types
    }
    return [{"defect_type": name, **_effect(of_type)} for name, of_type in [(ALL_TYPES, comparisons), *by_type.items()]]


def counts_of(masks: Iterable[Marked]) -> np.ndarray:
    """The counts ``[image, 7]`` of all masks with known ground truth; see `mask_counts`."""
    known = [mask.counts for mask in masks if mask.counts is not None]
    return np.array(known, np.int64).reshape(len(known), COUNTED)


def pooled(masks: Iterable[Marked]) -> dict[str, float]:
    """The metrics of all masks with known ground truth together; see `mask_metrics`."""
    return {name: float(value) for name, value in mask_metrics(counts_of(masks).sum(axis=0)).items()}


def measured_masks(masks: Iterable[Marked], sampler: Sampler) -> Measured:
    """The same with the bootstrap replicates behind their confidence limits, if asked for."""
    masks = list(masks)
    counts = counts_of(masks)
    return Measured(pooled(masks), mask_replicates(counts, sampler) if sampler.replicates and len(counts) else {})


def region_counts(regions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How many regions were found, prompted a model, and got the refined outline; and why the others did not.

    A refiner without a segmentation model prompts nothing.
    """
    regions = list(regions)
    causes = Counter(cause_of(region) for region in regions if not region["accepted"])
    return {
        "found": len(regions),
        "prompted": sum("prompt" in region for region in regions),
        "accepted": sum(bool(region["accepted"]) for region in regions),
        "reasons": dict(causes),
    }


def cause_of(region: Mapping[str, Any]) -> str:
    """Why a region kept its own outline, in fixed words: its ``cause``, or the reason without figures."""
    return region.get("cause") or _NUMBER.sub("…", region["reason"]) or "no reason recorded"


def _effect(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    defective = [one for one in comparisons if one.after.has_defect]
    good = [one for one in comparisons if one.record.label == 0 and one.after.counts is not None]
    regions = region_counts(region for one in comparisons for region in one.regions)
    before, after = pooled(one.before for one in comparisons), pooled(one.after for one in comparisons)
    gains = [one.after.iou - one.before.iou for one in defective]
    return {
        "values": {
            "image_iou_before": mean_of_known(one.before.iou for one in defective),
            "image_iou_after": mean_of_known(one.after.iou for one in defective),
            "image_dice_before": mean_of_known(one.before.dice for one in defective),
            "image_dice_after": mean_of_known(one.after.dice for one in defective),
            "mask_f1_before": before["mask_f1"],
            "mask_f1_after": after["mask_f1"],
            "mask_iou_before": before["mask_iou"],
            "mask_iou_after": after["mask_iou"],
            "helped": mean_of_known(_holds(gain, gain > MATERIAL_CHANGE) for gain in gains),
            "harmed": mean_of_known(_holds(gain, gain < -MATERIAL_CHANGE) for gain in gains),
            "good_area_before": mean_of_known(one.before.area for one in good),
            "good_area_after": mean_of_known(one.after.area for one in good),
        },
        "counts": {
            "images": len(comparisons),
            "defective": len(defective),
            "good": len(good),
            **{f"regions_{name}": regions[name] for name in ("found", "prompted", "accepted")},
        },
        "reasons": regions["reasons"],
    }


def _holds(known: float, condition: bool) -> float:
    """1 or 0; NaN where the number behind the condition is NaN."""
    return np.nan if np.isnan(known) else float(condition)
