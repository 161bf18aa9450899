"""Anomalies made for training: what is marked is what changed, and all follows from seed, place and references."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from zsad.adaptation import cutpaste, normal_patch, pasting, perlin, scar, textures
from zsad.adaptation.plan import plan_images
from zsad.adaptation.synthetic import (
    LEAST,
    LEVEL,
    MOST,
    RECIPES,
    VISIBLE,
    add_anomaly,
    generator_of,
    usual_contrast,
)
from zsad.data import subsets
from zsad.data.subsets import SyntheticSubset

EVERY = tuple(RECIPES)


def part(seed: int = 0, height: int = 96, width: int = 120) -> np.ndarray:
    """A coloured disc with a pattern on a plain ground, and the noise of a camera."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (0.4 * min(height, width)) ** 2
    colour = np.where(disc[..., None], [150, 110, 60] + 40 * np.sin(columns / 4)[..., None], [70, 75, 80])
    return np.clip(colour + rng.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)


IMAGES: dict[str, Callable[[], np.ndarray]] = {
    "colour": part,
    "grey": lambda: np.repeat(part()[..., :1], 3, axis=2),
    "black ground": lambda: np.where(part() > 90, part(), 0).astype(np.uint8),
    "one colour": lambda: np.full((64, 80, 3), (10, 200, 90), np.uint8),
    "black": lambda: np.zeros((64, 64, 3), np.uint8),
    "white": lambda: np.full((64, 64, 3), 255, np.uint8),
    "texture": lambda: np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8),
    "strip": lambda: part(0, 12, 500),
    "tiny": lambda: part(0, 7, 5),
    "a row": lambda: part(0, 1, 40),
    "a pixel": lambda: np.full((1, 1, 3), 77, np.uint8),
}


@pytest.mark.parametrize("recipe", EVERY)
@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("alone", [False, True])
def test_outside_of_its_mask_an_image_is_the_reference_and_within_it_is_not(
    kind: str, recipe: str, alone: bool
) -> None:
    image = IMAGES[kind]()
    before = image.copy()
    for place in range(3):
        made = add_anomaly(image, recipe, None if alone else lambda: part(1, 50, 70), generator_of(0, place, "a.png"))
        assert made.image.dtype == np.uint8
        assert made.image.shape == image.shape
        assert made.mask.shape == image.shape[:2]
        np.testing.assert_array_equal(made.image[~made.mask], image[~made.mask])
        levels = np.abs(made.image.astype(int) - image).max(axis=2)
        assert levels[made.mask].mean() > LEVEL
        assert not (alone and made.uses_other)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("recipe", EVERY)
def test_most_of_what_is_marked_has_changed_and_can_be_seen(recipe: str) -> None:
    image = part()
    for place in range(12):
        made = add_anomaly(image, recipe, lambda: part(1), generator_of(1, place, "a.png"))
        levels = np.abs(made.image.astype(int) - image).max(axis=2)
        assert LEAST <= made.mask.mean() <= MOST
        assert (levels[made.mask] > LEVEL).mean() > 0.5
        assert levels[made.mask].mean() > VISIBLE


@pytest.mark.parametrize("recipe", EVERY)
@pytest.mark.parametrize("alone", [False, True])
def test_what_is_put_into_a_grey_image_is_grey(recipe: str, alone: bool) -> None:
    for place in range(4):
        other = None if alone else lambda: part(1)
        made = add_anomaly(IMAGES["grey"](), recipe, other, generator_of(0, place, "a.png")).image
        assert (made == made[..., :1]).all()


@pytest.mark.parametrize("recipe", EVERY)
def test_the_same_draws_make_the_same_bytes_and_others_do_not(recipe: str) -> None:
    image = part()

    def made(seed: int, place: int, base: str) -> bytes:
        return add_anomaly(image, recipe, lambda: part(1), generator_of(seed, place, base)).image.tobytes()

    assert made(0, 3, "a.png") == made(0, 3, "a.png")
    others = {made(0, 3, "a.png"), made(1, 3, "a.png"), made(0, 4, "a.png"), made(0, 3, "b.png")}
    assert len(others) == 4


def test_an_unusual_name_has_draws_of_its_own() -> None:
    assert generator_of(0, 0, "\udcff.png").random() != generator_of(0, 0, "ÿ.png").random()


@pytest.mark.parametrize("make", [cutpaste.cutpaste, normal_patch.normal_patch])
@pytest.mark.parametrize(("height", "width"), [(256, 256), (200, 330), (90, 700)])
def test_patches_have_the_published_areas_and_aspects(make: pasting.Recipe, height: int, width: int) -> None:
    image, other = part(0, height, width), part(1, 300, 280)
    draws = np.random.default_rng(0)
    regions = [make(image, lambda: other, draws) for _ in range(100)]
    areas = np.array([edit.region.sum() for edit in regions]) / (height * width)
    assert areas.min() > 0.018
    assert areas.max() < 0.153
    assert areas.max() - areas.min() > 0.1
    for edit in regions:
        rows, columns = edit.region.shape
        assert 0 <= edit.top <= height - rows
        assert 0 <= edit.left <= width - columns
        if height < 2 * width < 4 * height:
            assert 0.28 < rows / columns < 3.5
        assert edit.pixels.shape == (rows, columns, 3)


def test_a_cut_patch_is_what_the_image_shows_elsewhere_but_for_its_colours() -> None:
    image = part()
    edit = cutpaste.cutpaste(image, None, np.random.default_rng(5))
    pasted = cv2.cvtColor(edit.pixels, cv2.COLOR_RGB2GRAY)
    everywhere = cv2.matchTemplate(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), pasted, cv2.TM_CCOEFF_NORMED)
    assert everywhere.max() > 0.97


@pytest.mark.parametrize("zoom", [1, 3])
def test_scars_are_as_large_as_published_and_grow_with_the_image(zoom: int) -> None:
    draws, image = np.random.default_rng(0), part(0, 256 * zoom, 256 * zoom)
    regions = [scar.scar(image, None, draws) for _ in range(60)]
    for edit in regions:
        area = np.count_nonzero(edit.region) / zoom**2
        assert 10 <= area <= (25 + 3) * (16 + 3)
        diagonal = np.hypot(25, 16)
        assert max(edit.region.shape) <= zoom * diagonal + 4
    turned = [edit.region[0, 0] for edit in regions]
    assert not all(turned)


def test_perlin_noise_is_bounded_smooth_and_zero_at_its_knots() -> None:
    noise = perlin.perlin_noise(64, 96, (4, 8), np.random.default_rng(0))
    assert noise.shape == (64, 96)
    assert np.abs(noise).max() <= 1
    np.testing.assert_allclose(noise[::16, ::12], 0, atol=1e-6)
    assert np.abs(np.diff(noise, axis=0)).max() < 0.3
    assert noise.std() > 0.1


def test_perlin_noise_is_that_of_its_plain_formula() -> None:
    draws = np.random.default_rng(3)
    noise = perlin.perlin_noise(12, 20, (3, 2), draws)
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, (4, 3))

    def ease(share: float) -> float:
        return 6 * share**5 - 15 * share**4 + 10 * share**3

    for row, column in itertools.product(range(12), range(20)):
        y, x = row / 4, column / 10
        value = 0.0
        for below, beside in itertools.product((0, 1), (0, 1)):
            knot = int(y) + below, int(x) + beside
            weight = ease(1 - abs(y - knot[0])) * ease(1 - abs(x - knot[1]))
            value += weight * (np.sin(angles[knot]) * (y - knot[0]) + np.cos(angles[knot]) * (x - knot[1]))
        assert noise[row, column] == pytest.approx(np.sqrt(2) * value, abs=1e-5)


def test_textures_come_from_both_images_and_from_noise() -> None:
    image, other = part(), part(1)
    made = [textures.texture_for(image, lambda: other, np.random.default_rng(seed)) for seed in range(40)]
    assert {texture.pixels.shape for texture in made} == {image.shape}
    assert 5 < sum(texture.uses_other for texture in made) < 22
    assert not any(textures.texture_for(image, None, np.random.default_rng(seed)).uses_other for seed in range(10))


def test_a_blended_patch_joins_its_surroundings_without_a_seam() -> None:
    ground = np.full((80, 80, 3), (90, 100, 110), np.uint8)
    bright = np.clip(part(1, 80, 80).astype(int) + 60, 0, 255).astype(np.uint8)
    edit = normal_patch.normal_patch(ground, lambda: bright, np.random.default_rng(1))
    border = np.concatenate([edit.pixels[0], edit.pixels[-1], edit.pixels[:, 0], edit.pixels[:, -1]]).astype(int)
    assert np.abs(border - [90, 100, 110]).max() <= 12
    assert np.abs(edit.pixels.astype(int) - [90, 100, 110]).max() > 20
    assert edit.uses_other


def test_a_texture_differs_from_place_to_place_and_a_plain_image_does_not() -> None:
    assert usual_contrast(IMAGES["one colour"]()) == 0
    assert usual_contrast(IMAGES["texture"]()) > 10
    big = cv2.resize(part(0, 256, 256), (768, 768), interpolation=cv2.INTER_CUBIC)
    assert usual_contrast(big) == pytest.approx(usual_contrast(part(0, 256, 256)), rel=0.25)


def test_every_recipe_has_a_letter_and_every_letter_a_recipe() -> None:
    assert set(subsets.RECIPES.values()) == set(RECIPES)


@pytest.mark.parametrize(("references", "recipes"), [(1, 4), (4, 4), (6, 4), (5, 3), (2, 1), (3, 2)])
def test_references_and_recipes_take_turns(references: int, recipes: int) -> None:
    names = [f"{number}.png" for number in range(references)]
    wanted = SyntheticSubset(references, 0, 2 * references * recipes, EVERY[:recipes])
    plan = plan_images(names, wanted)
    pairs = [(each.base, each.recipe) for each in plan]
    assert all(pairs.count(pair) == 2 for pair in itertools.product(names, EVERY[:recipes]))
    assert plan_images(names, wanted._replace(images=3)) == plan[:3]
    assert len({each.image_id for each in plan}) == len(plan)
