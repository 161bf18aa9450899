"""Windows of an image: square groups of patches, for each of which a backbone gives one vector.

The vector of the window whose top left patch is ``(r, c)`` is at ``(r, c)`` of its layer; the last rows and columns of
the layer, where no window begins, are unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from zsad.grids import WINDOW
from zsad.scoring.base import Shown

Scales = Annotated[
    Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None,
    Field(description="Sides of the windows to use, patches; null for all that the backbone gives."),
]


def window_layers(layers: Sequence[str], scales: Sequence[int] | None) -> dict[int, int]:
    """Find the windows of features: the position of their layer by their side, small ones first.

    Args:
        layers: names of the layers of the features.
        scales: wanted sides; None for all.
    """
    sides = {int(side): place for place, name in enumerate(layers) if (side := name.removeprefix(WINDOW)).isdecimal()}
    of_windows = {side: place for side, place in sides.items() if layers[place] == f"{WINDOW}{side}"}
    return {side: of_windows[side] for side in sorted(of_windows) if scales is None or side in scales}


def window_refusal(shown: Shown, scales: Sequence[int] | None) -> str:
    """A sentence on why features of such images have no usable windows; empty if they have."""
    if shown.layers is not None:
        there = window_layers(shown.layers, None)
        if not there:
            return (
                "the features have no windows, which the method needs; choose a backbone of `family: image_text` "
                "with `path: windows`"
            )
        if missing := [side for side in scales or () if side not in there]:
            return (
                f"the features have no windows of {missing[0]} x {missing[0]} patches, but of "
                f"{', '.join(map(str, there))}; change 'scales', or the backbone's `windows`"
            )
    sides = scales or (window_layers(shown.layers, None) if shown.layers is not None else ())
    widest = max(sides, default=1)
    for image_id, (rows, columns) in zip(shown.image_ids, shown.grids, strict=True):
        if min(rows, columns) < widest:
            return (
                f"{image_id} has {rows} x {columns} patches, fewer than a window of {widest} x {widest}; raise the "
                "backbone's resolution"
            )
    return ""


def windows_of(layer: np.ndarray, side: int) -> np.ndarray:
    """The vectors of all windows, ``[row, column, channel]``, without the unused rest of the layer.

    Args:
        layer: ``[row, column, channel]`` on the grid of patches.
    """
    return layer[: layer.shape[0] - side + 1, : layer.shape[1] - side + 1]


def over_patches(scores: np.ndarray, side: int) -> np.ndarray:
    """Compute for each patch the harmonic mean of the scores of all windows that cover it, float64 ``[row, column]``.

    A window that scores 0 makes it 0, where the published code has a NaN or an infinity, which it sets to 0.

    Args:
        scores: of the windows, not negative, ``[row, column]`` of their top left patches.
    """
    with np.errstate(divide="ignore"):
        inverse = 1 / scores.astype(np.float64)
    mean: np.ndarray = covered(np.ones_like(inverse), side) / covered(inverse, side)
    return mean


def covered(values: np.ndarray, side: int) -> np.ndarray:
    """Compute for each patch the sum over all windows that cover it, float64 ``[row, column]``."""
    rows, columns = values.shape
    along = np.zeros((rows, columns + side - 1))
    for shift in range(side):
        along[:, shift : shift + columns] += values
    sums = np.zeros((rows + side - 1, columns + side - 1))
    for shift in range(side):
        sums[shift : shift + rows] += along
    return sums


def harmonic_mean(scores: Sequence[np.ndarray | float]) -> np.ndarray:
    """The harmonic mean of several, not negative; 0 where one is 0."""
    with np.errstate(divide="ignore"):
        mean: np.ndarray = len(scores) / np.sum([1 / np.broadcast_to(each, np.shape(scores[-1])) for each in scores], 0)
    return mean
