"""Fixed: the values that the configuration gives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("it must be a number")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]


class Fixed(ThresholdRule):
    """A threshold for images and one for the values of maps, in the unit of the method's scores.

    A user who knows the objects sets them by the cost of a miss and of a false alarm; ``tables/images.csv`` has the
    peaks of an earlier run. An image is called defective if the highest value of its map exceeds ``image``, and then
    its regions that do reach as far as the map exceeds ``pixel``. With ``pixel`` alone any marked pixel makes an image
    defective; with ``image`` alone ``extent`` determines how far down a region extends. A method that scores images
    alone needs ``image`` and ignores ``pixel``.
    """

    summary: ClassVar[str] = "The values that you give: one for images, one for pixels, or one of the two."
    reference: ClassVar[str] = "None: the user's own knowledge of the objects."
    without_maps: ClassVar[str] = "give it a value for images (params: image)"

    image: Number | None = Field(
        None,
        description="Threshold of the highest value of a map, or of the image score of a method without maps; "
        "null: any marked pixel makes an image defective.",
    )
    pixel: Number | None = Field(
        None, description="Threshold above which values of maps are marked; null: determined by `extent`."
    )

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.image is None and self.pixel is None:
            raise ValueError("give a value for images (image), one for pixels (pixel), or both")
        if self.image is not None and self.pixel is not None and self.pixel > self.image:
            raise ValueError("the value for pixels (pixel) must not exceed that for images (image)")
        return self

    @property
    def needs_maps(self) -> bool:
        """Without a value for images the maps decide."""
        return self.image is None

    def decide(self, evidence: Evidence) -> Verdicts:
        """The given thresholds, independent of the scores."""
        region = next(value for value in (self.image, self.pixel) if value is not None)
        pixel = self.reach(evidence.maps, region) if self.pixel is None else self.pixel
        return Verdicts(evidence, region, pixel)
