"""Which images with anomalies are to be made: of which reference each, and by which recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from zsad.data.subsets import SyntheticSubset


class Planned(NamedTuple):
    """An image that is to be made.

    Attributes:
        image_id: its identifier, the name of its file.
        place: from 0.
        recipe: what its anomaly is made by.
        base: identifier of the reference that the anomaly is put into.
    """

    image_id: str
    place: int
    recipe: str
    base: str


def planned(references: Sequence[str], wanted: SyntheticSubset) -> list[Planned]:
    """The images of a subset, in order; the first of many are those of fewer.

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
        plan.append(Planned(f"{place:04d}.{recipe}.png", place, recipe, references[place % len(references)]))
    return plan
