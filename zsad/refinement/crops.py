"""Windows around small components, for a segmentation model at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from zsad.refinement.regions import Box, Region
from zsad.registry import Options


class CropOptions(Options):
    """Options of the windows around small components.

    A model has an input of 1024 pixels and an output of 256, so that a scratch of 3 pixels in a large photograph is
    less than a pixel there. A window of a quarter of the image's side shows it four times as large.
    """

    below: float = Field(
        1 / 16,
        gt=0,
        le=1,
        description="Components whose box is longer than this fraction of the image's shorter side are segmented in "
        "the whole image.",
    )
    context: float = Field(
        4.0, ge=1, description="Side of a window, relative to the longer side of the component's box."
    )
    least: float = Field(
        1 / 8, gt=0, le=1, description="Least side of a window, as a fraction of the image's shorter side."
    )

    def window_of(self, region: Region, height: int, width: int) -> Box | None:
        """The window around a component, within the image; None for a component that needs none.

        Also None if the window would be the whole image.
        """
        left, top, right, bottom = region.box
        short, longest = min(height, width), max(right - left, bottom - top)
        if longest > self.below * short:
            return None
        side = min(short, max(round(self.context * longest), round(self.least * short), longest))
        x = _start((left + right) / 2, side, width)
        y = _start((top + bottom) / 2, side, height)
        return None if side == max(height, width) else (x, y, x + side, y + side)


def crop_windows(options: CropOptions, regions: Sequence[Region], height: int, width: int) -> list[Box]:
    """The windows of all components that need one, each once, in order."""
    windows = (options.window_of(region, height, width) for region in regions)
    return list(dict.fromkeys(window for window in windows if window is not None))


def _start(centre: float, side: int, length: int) -> int:
    """Start of a window of ``side`` about ``centre``, moved into an image of ``length``."""
    return min(max(0, round(centre - side / 2)), length - side)
