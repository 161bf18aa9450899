"""Names of images that are made for training: what they are made from stands in them."""

from __future__ import annotations

import re

import pytest

from zsad.data.image_list import ListedImage
from zsad.data.subsets import (
    RECIPES,
    SUBSETS,
    SYNTHETIC,
    SyntheticSubset,
    references_count,
    select,
    support_named,
    synthetic_named,
    synthetic_subset,
)

EVERY = tuple(RECIPES.values())


@pytest.mark.parametrize(("shots", "references"), [(4, "references-k4-seed7"), ("all", "train")])
@pytest.mark.parametrize("recipes", [EVERY, ("scar",), ("cutpaste", "normal_patch")])
def test_a_name_says_what_was_given(shots: int, references: str, recipes: tuple[str, ...]) -> None:
    name = synthetic_subset(shots, 7, 40, recipes)
    expected = SyntheticSubset(None if shots == "all" else shots, 7, 40, recipes)
    assert synthetic_named(name) == expected
    assert expected.references == references
    assert re.fullmatch(SUBSETS, name)
    assert re.fullmatch(SYNTHETIC, name)


def test_the_order_of_recipes_makes_no_other_name() -> None:
    assert synthetic_subset(4, 0, 40, EVERY) == "synthetic-k4-seed0-n40-cpns"
    assert synthetic_subset(4, 0, 40, ("scar", "perlin", "scar")) == synthetic_subset(4, 0, 40, ("perlin", "scar"))


@pytest.mark.parametrize(
    ("images", "recipes", "said"),
    [(4, ("cutpast",), "'cutpast'"), (4, (), "at least one of cutpaste"), (0, EVERY, "at least 1")],
)
def test_what_would_make_no_anomalies_is_refused(images: int, recipes: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        synthetic_subset(4, 0, images, recipes)


@pytest.mark.parametrize(
    "name",
    ["test", "train", "references-k4-seed0", "support-known", "support-synthetic-k4-seed0-n4-c", "synthetic-k4-seed0",
     "synthetic-k4-seed0-n4-", "synthetic-k4-seed0-n4-x", "synthetic-k4-seed0-n0-c", "synthetic-4-seed0-n4-c"],
)  # fmt: skip
def test_other_names_are_of_other_images(name: str) -> None:
    assert synthetic_named(name) is None


def test_they_are_no_draw_and_no_support() -> None:
    name = synthetic_subset(4, 0, 40, EVERY)
    assert references_count(name) is None
    assert support_named(name) == ""


def test_all_of_their_list_belong_to_them() -> None:
    listed = [ListedImage(f"{number}.png", f"{number}.png", "test", 8, 8, "") for number in range(3)]
    assert select(listed, synthetic_subset("all", 0, 3, EVERY), "tile") == listed
