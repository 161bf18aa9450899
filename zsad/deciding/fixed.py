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
    """A value for images and one for the values of maps, in the unit of the method's scores.

    Whoever knows the parts sets them by what a miss and a false alarm cost; ``tables/images.csv`` has the peaks of an
    earlier run. An image is called defective if the highest value of its map exceeds ``image``, and then its regions
    that do reach as far as the map exceeds ``pixel``. With ``pixel`` alone any marked pixel makes an image defective;
    with ``image`` alone a region reaches as far down as ``extent`` says. A method that scores images alone needs
    ``image``, and has no use for ``pixel``.
    """

    summary: ClassVar[str] = "The values that you give: one for images, one for pixels, or one of the two."
    reference: ClassVar[str] = "None: it is the user's own knowledge of the parts."
    without_maps: ClassVar[str] = "give it a value for images (params: image)"

    image: Number | None = Field(
        None,
        description="What the highest value of a map must exceed, or the image score of a method without maps; null: "
        "any marked pixel makes an image defective.",
    )
    pixel: Number | None = Field(
        None, description="What the values of maps must exceed to be marked; null: as far down as `extent` says."
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
        """The values, whatever the scores."""
        region = next(value for value in (self.image, self.pixel) if value is not None)
        pixel = self.reach(evidence.maps, region) if self.pixel is None else self.pixel
        return Verdicts(evidence, region, pixel)
