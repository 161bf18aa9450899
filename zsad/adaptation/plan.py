"""Plan of the synthetic images: the reference and the recipe of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from zsad.data.subsets import SyntheticSubset


class PlannedImage(NamedTuple):
    """A synthetic image to make.

    Attributes:
        image_id: its identifier, the name of its file.
        place: number of the image, from 0.
        recipe: recipe of its anomaly.
        base: identifier of the reference that gets the anomaly.
    """

    image_id: str
    place: int
    recipe: str
    base: str


def plan_images(references: Sequence[str], wanted: SyntheticSubset) -> list[PlannedImage]:
    """Plan the images of a subset, in order; a smaller subset has the first images of a larger one.

    References and recipes take turns, so that each recipe meets each reference as often as every other does, give or
    take one, once there are enough images.

    Args:
        references: identifiers, at least one.
    """
    recipes = wanted.recipes
    turn = math.lcm(len(references), len(recipes))
    plan = []
    for place in range(wanted.images):
        recipe = recipes[(place + place // turn) % len(recipes)]
        plan.append(PlannedImage(f"{place:04d}.{recipe}.png", place, recipe, references[place % len(references)]))
    return plan
