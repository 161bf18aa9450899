"""The normalisation of pixels' colours for a network."""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

Colour = tuple[float, float, float]


class Normalisation(NamedTuple):
    """Mean and standard deviation of the colour channels for normalising pixels in [0, 1]."""

    mean: Colour
    std: Colour

    @classmethod
    def of(cls, mean: Any, std: Any) -> Normalisation | None:
        """The normalisation from values of a foreign file; None if they are not three finite numbers, or one is 0."""
        centre, spread = _colour(mean), _colour(std)
        return None if centre is None or spread is None or min(spread) <= 0 else cls(centre, spread)


# Of DINOv3 on satellite images, SAT-493M (https://github.com/facebookresearch/dinov3, README.md, "Image transforms").
SATELLITE = Normalisation((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
SATELLITE_FILES = re.compile(r"^dinov3_.*sat493m")  # names of its single files
# Of models on the hub, by their ids, if it differs from their family's; the first by open_clip's
# ``pretrained.py``.
OTHER_COLOURS = {
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "facebook/dinov3-vitl16-pretrain-sat493m": SATELLITE,
    "facebook/dinov3-vit7b16-pretrain-sat493m": SATELLITE,
}


def _colour(values: Any) -> Colour | None:
    if not (isinstance(values, list) and len(values) == 3 and all(map(is_number, values))):
        return None
    red, green, blue = map(float, values)
    return red, green, blue


def is_number(value: Any) -> bool:
    """Whether a value of a foreign file is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max
