"""Segmentation of the foreground object in an image, only from its embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from zsad.registry import Options
from zsad.segmentation.base import Candidates, Embedding, Prompt, Segmenter, in_calls

MIDDLE = 0.2  # of a side, between the middle and each border: where AnomalyDINO does not search for the object
FRAME = 0.1  # of a side, on each of which lies the border; wider than what a box prompt leaves out of a texture
BOX_INSET = 0.005  # of a side
CORNER_INSET = 0.02  # of a side
POINTS = (0.3, 0.5, 0.7)  # of a side: the middle's thirds
CRUMB = 0.01  # of the greatest piece; smaller pieces are dropped

NO_OBJECT = "no object was found, so that the whole image counts as the object"


class ForegroundOptions(Options):
    """Options of the foreground segmentation."""

    least_value: float = Field(
        0.35,
        gt=0,
        le=1,
        description="how much better than the border an outline must fill the middle, 0 to 1; else the whole image "
        "counts as the object; lower it for objects that are small in all images",
    )


class ObjectMask(NamedTuple):
    """The foreground object in one image.

    Attributes:
        mask: bool ``[height, width]``; the whole image where nothing is found.
        value: value of the chosen candidate, at most 1.
        prompt: the prompt of the mask (box, points, labels, number of the candidate, quality, and whether the mask is
            inverted), as plain JSON types.
        note: why the whole image counts as the object; empty if an object is found.
    """

    mask: np.ndarray
    value: float
    prompt: dict[str, Any]
    note: str = ""

    @property
    def found(self) -> bool:
        """Whether an object is found."""
        return not self.note


def object_mask(
    segmenter: Segmenter,
    embedding: Embedding,
    height: int,
    width: int,
    options: ForegroundOptions | None = None,
) -> ObjectMask:
    """Segment the foreground object in an image of any category.

    An object fills the middle of the image and leaves its border free; a background does the opposite (AnomalyDINO uses
    the same criterion, Damm et al., WACV 2025, section 3.2). Of all candidates ``m`` of a box prompt around the image,
    of points in its middle and of points near its corners, the greatest

        ``quality(m) * |middle(m) - border(m)|``

    is chosen, with the share ``middle`` of the central 60 % x 60 % and the share ``border`` of the outermost tenth on
    each side that the mask covers, and the model's own estimate ``quality`` of the IoU. Where the difference is
    negative, ``m`` is the background and the object is the rest: an object of many pieces lies on one connected
    background. A texture covers the middle and the border alike, and counts as the object as a whole.

    Then all holes of the mask are filled, because a hole may be a defect, and pieces below `CRUMB` of the greatest one
    are dropped.

    Args:
        height, width: of the image, pixels.
    """
    options = options or ForegroundOptions()
    best = max(_proposals(segmenter, embedding, height, width), key=lambda proposal: proposal.value)
    if best.value < options.least_value:
        return best._replace(mask=np.ones((height, width), dtype=bool), note=NO_OBJECT)
    return best._replace(mask=_without_crumbs(_without_holes(best.mask)))


def foreground_prompts(height: int, width: int) -> list[Prompt]:
    """A box that is slightly inset, the centres of the middle's nine cells, each corner, and all corners together."""
    box = _scaled([(BOX_INSET, BOX_INSET), (1 - BOX_INSET, 1 - BOX_INSET)], height, width)
    middle = _scaled([(x, y) for y in POINTS for x in POINTS], height, width)
    ends = (CORNER_INSET, 1 - CORNER_INSET)
    corners = _scaled([(x, y) for y in ends for x in ends], height, width)
    groups = [*(point[None] for point in (*middle, *corners)), corners]
    return [Prompt.of_box(box.ravel().tolist()), *map(Prompt.of_points, groups)]


def _scaled(places: list[tuple[float, float]], height: int, width: int) -> np.ndarray:
    """Shares of the sides as pixels, float64 ``[point, 2]``."""
    return np.array(places) * (width, height)


def _proposals(segmenter: Segmenter, embedding: Embedding, height: int, width: int) -> Iterator[ObjectMask]:
    """Every candidate of every prompt as an object mask, with its value."""
    for some in in_calls(foreground_prompts(height, width), height, width):
        for prompt, candidates in zip(some, segmenter.decode(embedding, height, width, some), strict=True):
            yield from _parts(prompt, candidates)


def _parts(prompt: Prompt, candidates: Candidates) -> Iterator[ObjectMask]:
    for number, (logits, quality) in enumerate(zip(candidates.logits, candidates.quality, strict=True)):
        inside = logits > 0
        confidence = float(np.clip(np.nan_to_num(quality), 0, 1))
        contrast = middle_share(inside) - border_share(inside)
        described = {
            "box": None if prompt.box is None else list(prompt.box),
            "points": prompt.points.tolist(),
            "labels": prompt.labels.tolist(),
            "candidate": number,
            "quality": confidence,
            "complement": bool(contrast < 0),
        }
        yield ObjectMask(inside if contrast >= 0 else ~inside, confidence * abs(contrast), described)


def middle_share(mask: np.ndarray) -> float:
    """Share of the middle of the image that a mask covers, bool ``[height, width]``."""
    inner = _inner(mask, MIDDLE)
    return float(np.count_nonzero(inner)) / inner.size


def border_share(mask: np.ndarray) -> float:
    """Share of the border of the image that a mask covers, bool ``[height, width]``."""
    inner = _inner(mask, FRAME)
    return float(np.count_nonzero(mask) - np.count_nonzero(inner)) / max(1, mask.size - inner.size)


def _inner(mask: np.ndarray, margin: float) -> np.ndarray:
    rows, columns = (int(side * margin) for side in mask.shape)
    return mask[rows : mask.shape[0] - rows, columns : mask.shape[1] - columns]


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with its holes filled; a hole is 4-connected, because the mask around it is 8-connected."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    filled: np.ndarray = labels[1:-1, 1:-1] != labels[0, 0]
    return filled


def _without_crumbs(mask: np.ndarray) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    kept = area >= CRUMB * area[1:].max(initial=0)
    kept[0] = False
    large: np.ndarray = kept[labels]
    return large
