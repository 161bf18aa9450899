"""Fixed: the values that the configuration gives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from zsad.scoring.thresholds.base import BY_REGIONS, Evidence, ThresholdRule, Thresholds


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("it must be a number")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]


class Fixed(ThresholdRule):
    """A value for image scores and one for the values of maps, in the unit of the method's scores.

    Whoever knows the parts sets them by what a miss and a false alarm cost; ``tables/images.csv`` has the scores of an
    earlier run. With ``pixel`` alone an image is called defective if the thresholded map marks any of its pixels, so
    that the two decisions cannot differ. With ``image`` alone the same value marks pixels: an image score is a mean
    over a map's highest values and in their unit, so that an image above it has a marked pixel. A method that scores
    images alone needs ``image``, and has no use for ``pixel``.
    """

    summary: ClassVar[str] = "The values that you give: one for images, one for pixels, or one of the two."
    reference: ClassVar[str] = "None: it is the user's own knowledge of the parts."
    without_maps: ClassVar[str] = "give it a value for images (params: image)"

    image: Number | None = Field(
        None, description="What image scores must exceed; null: any marked pixel makes an image defective."
    )
    pixel: Number | None = Field(
        None, description="What the values of maps must exceed; null: the same as the value for images."
    )

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.image is None and self.pixel is None:
            raise ValueError("give a value for images (image), one for pixels (pixel), or both")
        return self

    @property
    def needs_maps(self) -> bool:
        """Without a value for images the maps decide."""
        return self.image is None

    def thresholds(self, evidence: Evidence) -> Thresholds:
        """The values, whatever the scores; for pixels infinite where there are no maps."""
        image = BY_REGIONS if self.image is None else self.image
        pixel = next(value for value in (self.pixel, self.image) if value is not None)
        return Thresholds(pixel if evidence.maps else np.inf, image)
