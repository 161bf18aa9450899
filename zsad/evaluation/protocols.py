"""At which resolution maps, masks and truth are compared, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from zsad.maps import at_image_size

if TYPE_CHECKING:
    from zsad.data.saturation import Region

NATIVE: Final = "native"


@dataclass(frozen=True)
class Protocol:
    """A resolution, without any crop.

    Attributes:
        name: as it stands in the configuration and in every table.
        words: the same in words.
        side: pixels of the square that everything is brought to; None for each image's own size.
    """

    name: str
    words: str
    side: int | None = None

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width at which an image is measured."""
        return (height, width) if self.side is None else (self.side, self.side)

    def anomaly_map(self, anomaly_map: np.ndarray, height: int, width: int) -> np.ndarray:
        """A map on the patch grid, bilinear, float32, at the size of an image of ``height x width``."""
        return at_image_size(anomaly_map, *self.size(height, width))

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A bool mask of an image, nearest neighbour, so that a pixel is defective if its centre was."""
        height, width = self.size(*mask.shape)
        if (height, width) == mask.shape:
            return mask
        return cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(bool)

    def defects(self, defects: Sequence[Region]) -> list[Region]:
        """Defects with their saturation areas scaled alike; one that is left without a pixel is left out."""
        resized = [(defect, self.mask(defect.pixels)) for defect in defects]
        return [
            replace(defect, pixels=pixels, saturation_area=_scaled(defect, pixels))
            for defect, pixels in resized
            if pixels.any()
        ]


def _scaled(defect: Region, pixels: np.ndarray) -> int:
    if pixels.shape == defect.pixels.shape:
        return defect.saturation_area
    area = round(defect.saturation_area * pixels.size / defect.pixels.size)
    return int(np.clip(area, 1, np.count_nonzero(pixels)))


PROTOCOLS = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(NATIVE, "at the resolution of the images, without a crop"),
            Protocol("resize256", "at 256 x 256 pixels (maps bilinear, truth nearest neighbour), without a crop", 256),
        )
    }
)
