"""Protocols for comparing maps and masks with the ground truth: resolution, smoothing and resizing, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zsad.evaluation.aupimo import AUPIMO, STEPS
from zsad.evaluation.aupro import AUPRO, EXACT
from zsad.evaluation.grids import CENTRES, GRIDS
from zsad.evaluation.mask_resizing import MASK_RESIZINGS, NEAREST, nearest
from zsad.smoothing import smooth

if TYPE_CHECKING:
    from zsad.data.saturation import Region

NATIVE: Final = "native"
LEAST_SIDE, GREATEST_SIDE = 32, 4096
FORM: Final = r"native|resize([1-9][0-9]{1,3})"
SEPARATOR: Final = " + "


@dataclass(frozen=True)
class Protocol:
    """How pixels are compared, without any crop.

    Attributes:
        side: pixels of the square that everything is resized to; None for each image's own size.
        smoothing: standard deviation, in pixels of that size, of the Gaussian that maps are smoothed by; 0 for none.
        truth: how a ground-truth mask is resized, see `MASK_RESIZINGS`.
        grid: how a map on the patch grid is resized, see `GRIDS`.
        aupro: definition of AUPRO, see `zsad.evaluation.aupro.AUPRO`.
        aupimo: definition of AUPIMO, see `zsad.evaluation.aupimo.AUPIMO`.
    """

    side: int | None = None
    smoothing: float = 0.0
    truth: str = NEAREST
    grid: str = CENTRES
    aupro: str = EXACT
    aupimo: str = STEPS

    @property
    def name(self) -> str:
        """The name in every table, e.g. ``"resize256"``, or ``"native + smoothing 4"``."""
        size = NATIVE if self.side is None else f"resize{self.side}"
        told = [f"{name} {value:g}" if name == "smoothing" else f"{name} {value}" for name, value in self._departures]
        return SEPARATOR.join([size, *told])

    @property
    def words(self) -> str:
        """The protocol in words."""
        size = "at the resolution of the images, without a crop"
        if self.side is not None:
            readings = f"maps bilinear, ground truth {MASK_RESIZINGS[self.truth].words}"
            size = f"at {self.side} x {self.side} pixels ({readings}), without a crop"
        return "; ".join([size, *(_WORDS[name].format(value) for name, value in self._departures if name in _WORDS)])

    @property
    def _departures(self) -> list[tuple[str, Any]]:
        """The settings that differ from the default, by name; always that of the ground truth if it is resized."""
        names = ("smoothing", *(("truth",) if self.side is not None else ()), "grid", "aupro", "aupimo")
        return [(name, getattr(self, name)) for name in names if getattr(self, name) != getattr(_DEFAULT, name)]

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width at which an image is measured."""
        return (height, width) if self.side is None else (self.side, self.side)

    def anomaly_map(self, anomaly_map: np.ndarray, height: int, width: int) -> np.ndarray:
        """A map on the patch grid, bilinear and then smoothed, float32, at the size for an image ``height x width``."""
        return smooth(GRIDS[self.grid](anomaly_map, *self.size(height, width)), self.smoothing)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A bool mask of an image, resized by nearest neighbour, so that a pixel is marked if its centre was."""
        return nearest(mask, *self.size(*mask.shape))

    def true_mask(self, mask: np.ndarray) -> np.ndarray:
        """A bool ground-truth mask, resized."""
        return MASK_RESIZINGS[self.truth].read(mask, *self.size(*mask.shape))

    def defects(self, defects: Sequence[Region]) -> list[Region]:
        """Defects with their saturation areas scaled alike, without those that keep no pixel."""
        resized = [(defect, self.true_mask(defect.pixels)) for defect in defects]
        return [
            replace(defect, pixels=pixels, saturation_area=_scaled(defect, pixels))
            for defect, pixels in resized
            if pixels.any()
        ]


_DEFAULT = Protocol()
_WORDS = MappingProxyType(
    {
        "smoothing": "maps smoothed by a Gaussian of {:g} px",
        "grid": "the outermost patches at the image's {}",
        "aupro": "AUPRO as `{}`",
        "aupimo": "AUPIMO as `{}`",
    }
)
_CHOICES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"truth": MASK_RESIZINGS, "grid": GRIDS, "aupro": AUPRO, "aupimo": AUPIMO}
)


def side_of(name: str) -> int | None:
    """The side in pixels of a resolution by its name; None for that of each image.

    Raises:
        ValueError: it is neither ``"native"`` nor ``"resizeN"`` with a usable side; the message is a sentence.
    """
    found = re.fullmatch(FORM, name)
    side = int(found[1]) if found and found[1] else None
    if not found or (side is not None and not LEAST_SIDE <= side <= GREATEST_SIDE):
        raise ValueError(
            f"it must be {NATIVE}, or resizeN with a side N of {LEAST_SIDE} to {GREATEST_SIDE} pixels, e.g. resize518"
        )
    return side


def read_protocol(name: str) -> Protocol:
    """The protocol whose `Protocol.name` this is.

    Raises:
        ValueError: no protocol has this name; the message is a sentence.
    """
    resolution, *others = name.split(SEPARATOR)
    told: dict[str, Any] = {}
    for other in others:
        part, _, value = other.partition(" ")
        told[part] = _read_smoothing(value) if part == "smoothing" else value
        if part != "smoothing" and value not in _CHOICES.get(part, {}):
            known = ", ".join(f"{one} {choice}" for one, choices in _CHOICES.items() for choice in choices)
            raise ValueError(f"'{other}' is not a protocol setting; after the resolution use smoothing N, {known}")
    return Protocol(side=side_of(resolution), **told)


def _read_smoothing(value: str) -> float:
    try:
        sigma = float(value)
    except ValueError:
        sigma = -1.0
    if not 0 <= sigma < np.inf:
        raise ValueError(f"smoothing must be a number of pixels, 0 or more, not '{value}'")
    return sigma


def _scaled(defect: Region, pixels: np.ndarray) -> int:
    if pixels.shape == defect.pixels.shape:
        return defect.saturation_area
    area = round(defect.saturation_area * pixels.size / defect.pixels.size)
    return int(np.clip(area, 1, np.count_nonzero(pixels)))


PROTOCOLS = MappingProxyType({protocol.name: protocol for protocol in (Protocol(), Protocol(side=256))})
