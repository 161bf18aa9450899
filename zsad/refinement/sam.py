"""Refinement by Segment Anything: each component is a prompt, and the candidate that agrees with the map is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from zsad.refinement.agreement import agreement, soft_map
from zsad.refinement.crops import CropOptions
from zsad.refinement.prompted import PromptedImage
from zsad.refinement.prompts import PromptOptions, prompt_of
from zsad.refinement.regional import Outline, RegionRefiner, Rejection
from zsad.refinement.regions import Box, Region, box_around, shifted, slices, widened
from zsad.segmentation.base import Candidates, Prompt


class Sam(RegionRefiner, PromptOptions):
    """Prompt a segmentation model for the outline of each component, and accept it if the anomaly map agrees.

    A component of the thresholded map becomes one prompt: its padded box, its highest places as points inside, nearby
    low places as points outside, and the map as a first guess of the mask. The model returns three candidates (Kirillov
    et al. 2023, section 3: whole, part, subpart). The best candidate is the one that agrees best with the map, by soft
    IoU and contrast; the model's own estimate of quality, which does not depend on defects, is only recorded. A
    candidate that is much larger than the component, covers most of the object, or has low contrast in the map is
    rejected; so is one that does not follow edges of the image, is ragged, or is not found again from the box alone. If
    all are rejected, the component stays as it was.
    """

    summary: ClassVar[str] = "Segment Anything, prompted by each region; outlines that contradict the map are rejected."
    reference: ClassVar[str] = (
        "Segment Anything: Kirillov et al., ICCV 2023; SAM 2: Ravi et al., ICLR 2025. Prompts and acceptance are this "
        "project's own."
    )
    uses_segmenter: ClassVar[bool] = True

    min_area_ratio: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Least area of an accepted outline, relative to its component: a scratch of a few pixels has a "
        "component of two patches' width.",
    )
    min_edge_ratio: float = Field(
        0.85,
        ge=0,
        description="Least mean gradient of the image along an accepted outline, relative to the mean around it: not "
        "every defect has an edge that stands out, so that it may be a little less than 1, the value of a random "
        "outline.",
    )
    consensus: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least IoU of an accepted outline with a candidate of a second prompt, the box alone: an outline "
        "must not depend on the details of a prompt; 0 for no second prompt.",
    )
    min_smoothness: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Least share of an accepted outline's area that a median of 3 x 3 pixels keeps; noise has less, "
        "and so has a line that is one pixel wide.",
    )
    max_part_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Greatest area of an accepted outline, relative to the foreground object in the image.",
    )
    foreground: bool = Field(
        True,
        description="Whether a mask of the foreground object is made; otherwise the whole image counts as the object.",
    )
    max_prompts: int = Field(
        10, ge=1, le=1000, description="Components of an image that are prompted, highest first; the others stay."
    )
    crops: CropOptions | None = Field(
        None,
        description="Windows that show small components to the model at full resolution; null for none, {} for the "
        "defaults.",
    )

    @property
    def uses_foreground(self) -> bool:
        """Whether masks of the foreground object are used."""
        return self.foreground

    def crop_parameters(self) -> dict[str, Any] | None:
        """Parameters of the windows of small components."""
        if self.crops is None:
            return None
        return {
            "options": self.crops.parameters(),
            "min_area": self.min_area,
            "max_prompts": self.max_prompts,
        }

    def outlines(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        regions: Sequence[Region],
        prompted: PromptedImage | None = None,
    ) -> Iterator[Outline]:
        """Prompt the model for each region; see `RegionRefiner.outlines`.

        Raises:
            DataError: an embedding is missing.
        """
        if prompted is None:
            raise ValueError("this refiner needs an image that can be prompted")
        return self._outlines(_Scene(image, anomaly_map, threshold, prompted), regions)

    def work(self, region: Region, height: int, width: int) -> int:
        """Always 0: `max_prompts` bounds the work, not pixels."""
        return 0

    def _outlines(self, scene: _Scene, regions: Sequence[Region]) -> Iterator[Outline]:
        prompted, whole = scene.prompted, scene.prompted.whole
        questions = [self._question(scene, region) for region in regions[: self.max_prompts]]
        on_whole = [prompt for question in questions if question.window == whole for prompt in question.prompts]
        answers_on_whole = prompted.candidates(whole, on_whole)
        for region, question in zip(regions, questions, strict=False):
            if question.window == whole:
                answers = list(islice(answers_on_whole, len(question.prompts)))
            else:
                answers = list(prompted.candidates(question.window, question.prompts))
            yield self._best(scene, region, question, answers)
        for region in regions[self.max_prompts :]:
            reason = f"the image has more than {self.max_prompts} components, and this is not among the highest"
            yield Outline(region.box, region.mask, Rejection("beyond the cap of prompts", reason), is_judged=True)

    def _question(self, scene: _Scene, region: Region) -> _Question:
        """The prompts of a component and their window."""
        crop = None if self.crops is None else self.crops.window_of(region, *scene.anomaly_map.shape)
        window = crop or scene.prompted.whole
        local = region._replace(
            box=shifted(region.box, window), peak=(region.peak[0] - window[0], region.peak[1] - window[1])
        )
        first = prompt_of(local, scene.anomaly_map[slices(window)], scene.threshold, self)
        return _Question(window, [first, _sparser(first, local)] if self.consensus > 0 else [first])

    def _best(self, scene: _Scene, region: Region, question: _Question, answers: Sequence[Candidates]) -> Outline:
        """The acceptable candidate that agrees best with the map; if there is none, the best, with its rejection."""
        component = region.within(question.window)
        first, *confirmation = [
            [self.cleaned(logits > 0, component, scene.anomaly_map.size) for logits in answer.logits]
            for answer in answers
        ]
        judged = self._judged(scene, region, question.window, first)
        if confirmation:
            judged = [
                one if one.rejection else one._replace(rejection=self._dissent(mask, *confirmation))
                for one, mask in zip(judged, first, strict=True)
            ]
        place = max(range(len(judged)), key=lambda i: (not judged[i].rejection, judged[i].agreement))
        best = judged[place]
        details = {
            "prompt": _prompt_json(question.prompts[0], question.window),
            "crop": None if question.window == scene.prompted.whole else list(question.window),
            "candidate": place,
            "agreement": round(best.agreement, 6),
            "quality": round(float(answers[0].quality[place]), 6),
            "agreements": [round(one.agreement, 6) for one in judged],
            "rejections": [one.rejection.cause for one in judged],
        }
        return Outline(best.window, best.mask, best.rejection, details, is_judged=True)

    def _judged(self, scene: _Scene, region: Region, window: Box, masks: Sequence[np.ndarray]) -> list[_Judged]:
        """Judge each candidate by itself, all within the same window.

        Args:
            masks: bool ``[height, width]`` of ``window``, cleaned.
        """
        height, width = scene.anomaly_map.shape
        of_place = [
            self._oversize(int(np.count_nonzero(mask)), region.area, scene.prompted.foreground_area)
            or _cut_off(mask, window, height, width)
            for mask in masks
        ]
        fitting = [mask for mask, rejection in zip(masks, of_place, strict=True) if not rejection]
        around = _window_around(region, fitting, window, height, width)
        component, view = region.within(around), slices(around)
        image, anomaly_map = scene.image[view], scene.anomaly_map[view]
        degrees = soft_map(anomaly_map, scene.threshold, component)
        judged = []
        for mask, rejection in zip(masks, of_place, strict=True):
            kept = _moved(mask, window, around)
            rejection = rejection or self.rejection(image, anomaly_map, component, kept)
            judged.append(_Judged(around, kept, agreement(degrees, kept), rejection))
        return judged

    def _dissent(self, mask: np.ndarray, others: Sequence[np.ndarray]) -> Rejection:
        """The reason to reject an outline that no candidate of the second prompt confirms, if so."""
        best = max(_iou(mask, other) for other in others)
        if best >= self.consensus:
            return Rejection()
        reason = f"a second prompt gives another outline (IoU {best:.2g}, below {self.consensus:g})"
        return Rejection("not found again", reason)

    def rejection(
        self, image: np.ndarray, anomaly_map: np.ndarray, component: np.ndarray, refined: np.ndarray
    ) -> Rejection:
        """The reasons of all refiners (see `RegionRefiner.rejection`), and noise."""
        rejection = super().rejection(image, anomaly_map, component, refined)
        if rejection:
            return rejection
        smoothness = np.count_nonzero(refined & _median(refined)) / np.count_nonzero(refined)
        if smoothness < self.min_smoothness:
            reason = f"a median keeps {smoothness:.2g} of the outline's area, below {self.min_smoothness:g}"
            return Rejection("ragged", reason)
        return Rejection()

    def _oversize(self, area: int, component_area: int, foreground_area: int) -> Rejection:
        """The reason to reject an outline that covers most of the object or is too large for its component, if so."""
        if area > self.max_part_share * foreground_area:
            reason = (
                f"the outline covers {area / max(foreground_area, 1):.2g} of the object, above {self.max_part_share:g}"
            )
            return Rejection("most of the object", reason)
        return self.size_rejection(area, component_area) if area > component_area else Rejection()


class _Scene(NamedTuple):
    """The data for judging an outline: see `Refiner.refine`."""

    image: np.ndarray
    anomaly_map: np.ndarray
    threshold: float
    prompted: PromptedImage


class _Question(NamedTuple):
    """Prompts of one component, in pixels of a window of the image; a second one confirms the first."""

    window: Box
    prompts: list[Prompt]


class _Judged(NamedTuple):
    """A candidate: its window, its mask there, its agreement with the map, and the reason for a rejection."""

    window: Box
    mask: np.ndarray
    agreement: float
    rejection: Rejection


def _median(mask: np.ndarray) -> np.ndarray:
    return cv2.medianBlur(mask.astype(np.uint8), 3) > 0


def _window_around(region: Region, masks: Sequence[np.ndarray], window: Box, height: int, width: int) -> Box:
    """The component's box with a margin of its own size, enlarged to hold all outlines.

    Args:
        masks: bool ``[height, width]`` of ``window``.
    """
    left, top, right, bottom = region.box
    boxes = [widened(region.box, max(right - left, bottom - top), height, width)]
    boxes += [shifted(box, (-window[0], -window[1], 0, 0)) for box in map(box_around, masks) if box is not None]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _cut_off(mask: np.ndarray, window: Box, height: int, width: int) -> Rejection:
    """The reason to reject an outline that continues beyond its crop, if so."""
    left, top, right, bottom = window
    sides = (
        (left > 0, mask[:, 0]),
        (top > 0, mask[0]),
        (right < width, mask[:, -1]),
        (bottom < height, mask[-1]),
    )
    if any(is_inside and edge.any() for is_inside, edge in sides):
        return Rejection("cut off by its crop", "the outline runs over the border of its crop")
    return Rejection()


def _moved(mask: np.ndarray, window: Box, target: Box) -> np.ndarray:
    """The area of a mask of ``window`` that lies in another window; False elsewhere."""
    moved = np.zeros((target[3] - target[1], target[2] - target[0]), dtype=bool)
    shared = max(window[0], target[0]), max(window[1], target[1]), min(window[2], target[2]), min(window[3], target[3])
    moved[slices(shifted(shared, target))] = mask[slices(shifted(shared, window))]
    return moved


def _iou(mask: np.ndarray, other: np.ndarray) -> float:
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 0.0


def _sparser(prompt: Prompt, region: Region) -> Prompt:
    """The box alone; or the highest place alone if the prompt is the box already."""
    if prompt.box is not None and (len(prompt.points) or prompt.mask is not None):
        return Prompt.of_box(prompt.box)
    return Prompt.of_points(np.array([region.peak], dtype=np.float32))


def _prompt_json(prompt: Prompt, window: Box) -> dict[str, Any]:
    """A prompt in pixels of the image, for the record."""
    left, top = window[:2]
    box = prompt.box
    points = (prompt.points + np.array([left, top])).tolist()
    return {
        "box": box and [box[0] + left, box[1] + top, box[2] + left, box[3] + top],
        "inside": [point for point, label in zip(points, prompt.labels, strict=True) if label == 1],
        "outside": [point for point, label in zip(points, prompt.labels, strict=True) if label == 0],
        "mask": prompt.mask is not None,
    }
