"""Patches of the foreground object, from the features of the image or a segmentation of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import cv2
import numpy as np
from pydantic import BeforeValidator, Field

from zsad.data.subsets import TURNS, base_id, is_upright
from zsad.errors import DataError
from zsad.lazy import torch
from zsad.scoring.base import SAM
from zsad.scoring.token_source import TokenSource

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BORDER = 0.2  # of a side, at each border, where the object is not searched
LEAST_CENTRAL_SHARE = 0.35  # of the middle that the object must fill

OTSU = "otsu"

LEAST_PATCH_SHARE = 0.5 - 1e-4  # of a patch that a mask must cover: half, less the rounding of float32
TOO_SMALL = "the object is smaller than a patch, so that the whole image counts as the object"


def _rule(value: Any) -> Any:
    """Validate a threshold, a name or null, so that an invalid value gets one message and not one for each type."""
    if value is None or value in (OTSU, SAM):
        return value
    try:
        threshold = float(value)
    except (TypeError, ValueError):
        threshold = math.nan
    if threshold >= 0 and math.isfinite(threshold):
        return threshold
    raise ValueError(f"it must be a number of at least 0, '{OTSU}', '{SAM}' or null")


Foreground = Annotated[
    float | Literal["otsu", "sam"] | None,
    BeforeValidator(_rule),
    Field(
        description="Score only the foreground object, the background is 0: a threshold of the first principal "
        "component of the tokens (AnomalyDINO: 10, for the last layer of DINOv2), 'otsu' for an automatic threshold, "
        "'sam' for the mask of a promptable segmentation model, or null for the whole image."
    ),
]


class ForegroundPatches(NamedTuple):
    """The foreground object in an image.

    Attributes:
        patches: bool ``[row, column]``, never empty.
        note: why the whole image counts as the object despite a segmentation; else empty.
    """

    patches: torch.Tensor
    note: str = ""


def find_foreground(
    features: TokenSource, index: int, tokens: torch.Tensor, foreground: float | str | None
) -> ForegroundPatches:
    """Find the foreground object in an image of a feature file.

    Args:
        tokens: of one layer of that image, not normalised, ``[row, column, channel]``; the result is on their device.
        foreground: ``"sam"`` for the mask that belongs to the feature file, see `segmented_foreground`; otherwise see
            `foreground_mask`.
    """
    if foreground != SAM:
        return ForegroundPatches(foreground_mask(tokens, foreground))
    patches, note = segmented_foreground(features, index)
    return ForegroundPatches(torch.from_numpy(patches).to(tokens.device), note)


def segmented_foreground(features: TokenSource, index: int) -> tuple[np.ndarray, str]:
    """The patches of the object by a segmentation model, and the reason if the whole image counts as the object.

    A patch belongs to the object if the mask covers at least half of it. Then the object is dilated and closed by 3 x 3
    patches as in `foreground_mask`: where a piece of the object is broken off, the image shows background next to its
    outline.

    Returns:
        bool ``[row, column]`` on the image's patch grid, never empty, and a note, usually empty.

    Raises:
        DataError: there is no mask of the image.
        ValueError: there are no masks, or the features are of a transformed image.
    """
    image_id, masks = features.image_ids[index], features.foreground
    if masks is None:
        raise ValueError(f"foreground '{SAM}' needs masks of the object for {features.path}")
    view = features.provenance.get("view", "original")
    if view not in ("original", *TURNS) or not is_upright(image_id):
        raise ValueError(f"masks of the object do not fit {image_id} in the view '{view}'; use the original view")
    try:
        place = masks.image_ids.index(base_id(image_id))
    except ValueError:
        raise DataError(f"{masks.path} has no mask of {base_id(image_id)}; delete it and run again") from None
    covered = patch_shares(masks.mask(place), *features.grid_sizes[index].tolist()) >= LEAST_PATCH_SHARE
    if not covered.any():
        return np.ones_like(covered), TOO_SMALL
    (region,) = masks.regions(place)
    return _grown(covered), region["reason"]


def patch_shares(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Share of each patch that a mask covers, float32 ``[row, column]``; the grid covers the image edge to edge.

    Args:
        mask: bool ``[height, width]``.
    """
    height, width = mask.shape
    down = _overlaps(rows, height) @ mask.astype(np.float32)
    coverage: np.ndarray = (_overlaps(columns, width) @ down.T).T
    return coverage


def _overlaps(patches: int, pixels: int) -> csr_array:
    """Share of each patch along a side that each of its pixels covers, float32 ``[patch, pixel]``.

    Sparse, as a patch has few of the pixels of a long side.
    """
    from scipy.sparse import csr_array  # slow to import, and only some methods need it

    # In integer units: a pixel has the length ``patches``, and a patch ``pixels``.
    ends = np.union1d(np.arange(patches + 1) * pixels, np.arange(pixels + 1) * patches)
    starts, lengths = ends[:-1], np.diff(ends)
    shares = (lengths / pixels).astype(np.float32)
    return csr_array((shares, (starts // pixels, starts // patches)), shape=(patches, pixels))


def foreground_mask(tokens: torch.Tensor, foreground: float | str | None) -> torch.Tensor:
    """Find the patches of the object by the tokens of the image: bool ``[row, column]``.

    AnomalyDINO (Damm et al., WACV 2025, section 3.2): the first principal component of the image's tokens separates
    object and background; the object is the end that fills the middle of the image; the mask is dilated and closed by 3
    x 3 patches. ``"otsu"`` uses the threshold of Otsu's method instead of a number that fits one model. If nothing is
    left, or all patches are equal, the whole image counts as the object.

    With a number the middle is that of the authors' code, the patches from ``int(0.2 n)`` to ``int(0.8 n)`` of ``n``,
    which is 17 of 28 and half a patch off the middle; with ``"otsu"`` both margins are equal (18 of 28), so that a
    mirrored image has the mirrored object. The component is exact, where the authors' is scikit-learn's randomised one,
    and its sign is that of scikit-learn from 1.5 on: older versions may flip it, which matters only where both ends
    fill the middle, or neither does.

    The authors' code dilates and closes the mask before reshaping it, so that it grows only along its rows, and from
    the end of a row into the start of the next. That is an error and not copied: on 41 photographs of magnetic tiles
    (`embedded`, cut by Otsu's threshold) 7 % of the patches would be classified differently, at most 13 %.

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
    mask = _grown(_part(component, foreground))
    return torch.from_numpy(mask).to(tokens.device) if mask.any() else everything


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask dilated and closed by 3 x 3 patches, bool ``[row, column]``."""
    kernel = np.ones((3, 3), np.uint8)
    dilated = cv2.dilate(mask.astype(np.uint8), kernel)
    return cv2.morphologyEx(dilated, cv2.MORPH_CLOSE, kernel).astype(bool)


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
        return max(_split_by_otsu(component), key=lambda side: float(_middle(side).mean() - side.mean()))
    mask = component > foreground
    if _published_middle(mask).mean() <= LEAST_CENTRAL_SHARE:
        mask = -component > foreground
    return mask.astype(np.uint8)


def _split_by_otsu(component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = component.min(), component.max()
    levels = np.round(255 * (component - low) / (high - low)).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above = (levels > threshold).astype(np.uint8)
    return above, 1 - above


def _middle(mask: np.ndarray) -> np.ndarray:
    """The middle of an image, with equal margins."""
    rows, columns = mask.shape
    top, left = int(rows * BORDER), int(columns * BORDER)
    return mask[top : rows - top, left : columns - left]


def _published_middle(mask: np.ndarray) -> np.ndarray:
    """The middle of an image as in AnomalyDINO's code; for an image of one patch that patch."""
    rows, columns = mask.shape
    middle = mask[
        int(rows * BORDER) : int(rows * (1 - BORDER)) or 1, int(columns * BORDER) : int(columns * (1 - BORDER)) or 1
    ]
    return middle
