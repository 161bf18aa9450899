"""Which patches show the part and which the background, from the features of the image alone."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import BeforeValidator, Field

from zsad.lazy import torch

BORDER = 0.2  # of a side, on each of which AnomalyDINO looks for no part
LEAST_CENTRAL_SHARE = 0.35  # of the middle that the part must fill

OTSU = "otsu"


def _rule(value: Any) -> Any:
    """Read a threshold, ``otsu`` or null, so that anything else gets one sentence and not one for each type."""
    if value is None or value == OTSU:
        return value
    try:
        threshold = float(value)
    except (TypeError, ValueError):
        threshold = math.nan
    if threshold >= 0 and math.isfinite(threshold):
        return threshold
    raise ValueError(f"it must be a number of at least 0, '{OTSU}' or null")


Foreground = Annotated[
    float | Literal["otsu"] | None,
    BeforeValidator(_rule),
    Field(
        description="Score the part alone, the background is 0: a threshold of the first principal component of the "
        "tokens (AnomalyDINO: 10, for the last layer of DINOv2), 'otsu' to find one, or null for the whole image."
    ),
]


def foreground_mask(tokens: torch.Tensor, foreground: float | str | None) -> torch.Tensor:
    """The patches of the part: bool ``[row, column]``.

    AnomalyDINO (Damm et al., WACV 2025, section 3.2): the first principal component of the image's tokens tells part
    from background; of its two ends the part is the one that fills the middle of the image; the mask is dilated and
    closed by 3 x 3 patches. ``"otsu"`` cuts at the threshold of Otsu's method instead of a number that suits one model.
    Where nothing is left, or all patches are alike, the whole image is the part.

    Args:
        tokens: of one layer, not normalised, ``[row, column, channel]``.
        foreground: threshold, ``"otsu"``, or None for the whole image.
    """
    rows, columns, _ = tokens.shape
    everything = torch.ones(rows, columns, dtype=torch.bool, device=tokens.device)
    if foreground is None:
        return everything
    component = _first_component(tokens.double().cpu().numpy())
    if np.ptp(component) == 0:
        return everything
    mask = _part(component, foreground)
    kernel = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(cv2.dilate(mask, kernel), cv2.MORPH_CLOSE, kernel)
    return torch.from_numpy(mask.astype(bool)).to(tokens.device) if mask.any() else everything


def _first_component(tokens: np.ndarray) -> np.ndarray:
    """Scores on the first principal axis, float64 ``[row, column]``; the axis' greatest entry is positive."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    centred = flat - flat.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axis = vectors[:, -1]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])
    scores = (centred @ axis).reshape(tokens.shape[:2])
    return np.where(np.abs(scores) > 1e-9 * np.abs(flat).max(initial=0), scores, 0.0)


def _part(component: np.ndarray, foreground: float | str) -> np.ndarray:
    """The end of the component that fills the middle, uint8 ``[row, column]`` of 0 and 1."""
    if foreground == OTSU:
        return max(_split_by_otsu(component), key=lambda side: _central_share(side) - side.mean())
    mask = component > foreground
    if _central_share(mask) <= LEAST_CENTRAL_SHARE:
        mask = -component > foreground
    return mask.astype(np.uint8)


def _split_by_otsu(component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = component.min(), component.max()
    levels = np.round(255 * (component - low) / (high - low)).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above = (levels > threshold).astype(np.uint8)
    return above, 1 - above


def _central_share(mask: np.ndarray) -> float:
    """Share of the middle of the image that a mask fills."""
    rows, columns = mask.shape
    top, left = int(rows * BORDER), int(columns * BORDER)
    return float(mask[top : rows - top, left : columns - left].mean())
