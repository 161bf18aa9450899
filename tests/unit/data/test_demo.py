from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from sklearn.metrics import roc_auc_score

from zsad.data.demo import generate, textures
from zsad.data.demo.board import board
from zsad.data.demo.board_components import Canvas, draw_component
from zsad.data.demo.board_layout import COMPONENTS, HALF_SIZES
from zsad.data.demo.generate import DEFECTS, SPECIMENS, VISIBLE, defective_image, detail_of, good_image, visibility
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.photograph import Light, shade
from zsad.data.demo.plan import CATEGORIES, DEFECT_KINDS, DemoOptions, defect_counts, planned_files
from zsad.data.demo.ring import Pose, ring
from zsad.data.demo.surface import Surface
from zsad.data.images import read_image
from zsad.data.masks import read_mask
from zsad.errors import ConfigError

SMALL = DemoOptions(size=64, train=2, good=1, defective=5)
EVERY_DEFECT = [(category, kind) for category, kinds in DEFECT_KINDS.items() for kind in kinds]


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_importing_the_plan_imports_no_drawing():
    heavy = "{'cv2', 'PIL', 'scipy', 'skimage', 'torch'}"
    code = f"import sys, zsad.data.demo.plan; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_defect_kind_can_be_drawn_and_every_category_has_three():
    assert {kind for _, kind in EVERY_DEFECT} == set(DEFECTS)
    assert set(SPECIMENS) == set(CATEGORIES)
    assert all(len(kinds) >= 3 for kinds in DEFECT_KINDS.values())


def test_default_set_has_20_training_16_good_and_24_defective_images_with_masks():
    for category in CATEGORIES:
        files = planned_files(category, DemoOptions())
        assert len(files) == len(set(files)) == 20 + 16 + 2 * 24


def test_defective_images_are_shared_out_evenly_and_the_first_kinds_get_the_remainder():
    assert defect_counts("grass", SMALL) == {"bare_patch": 2, "foreign_body": 2, "scorch": 1}


@pytest.mark.parametrize("category", CATEGORIES)
def test_exactly_the_planned_files_are_written_and_always_with_the_same_bytes(category, tmp_path):
    for name in ("first", "second"):
        make_category(category, SMALL, tmp_path / name)
    first, second = files_below(tmp_path / "first"), files_below(tmp_path / "second")
    assert sorted(first) == sorted(planned_files(category, SMALL))
    assert first == second


def test_an_image_does_not_depend_on_how_many_others_there_are(tmp_path):
    fewer = SMALL.model_copy(update={"train": 1, "good": 0, "defective": 2})
    make_category("ring", SMALL, tmp_path / "more")
    make_category("ring", fewer, tmp_path / "fewer")
    more = files_below(tmp_path / "more")
    assert all(more[name] == content for name, content in files_below(tmp_path / "fewer").items())


def test_another_seed_gives_other_images(tmp_path):
    make_category("board", SMALL, tmp_path / "a")
    make_category("board", SMALL.model_copy(update={"seed": 1}), tmp_path / "b")
    images, others = files_below(tmp_path / "a"), files_below(tmp_path / "b")
    assert not any(images[name] == others[name] for name in images)


def test_files_are_rgb_images_and_masks_of_their_size(tmp_path):
    make_category("brick", SMALL, tmp_path)
    image = read_image(tmp_path / "test/crack/000.png")
    assert image.shape == (64, 64, 3)
    assert (image.std(axis=2) > 0).any()
    assert read_mask(tmp_path / "ground_truth/crack/000_mask.png", 64, 64).any()


@pytest.mark.parametrize(("category", "kind"), EVERY_DEFECT)
def test_a_defect_changes_its_image_inside_its_mask_and_hardly_outside(category, kind):
    for seed in range(4):
        image, mask = defective_image(category, kind, 96, np.random.default_rng(seed))
        intact = good_image(category, "test", 96, np.random.default_rng(seed))
        assert mask.shape == (96, 96)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 255}
        change = np.abs(image.astype(float) - intact).max(axis=2)
        # The lens blurs the change by about a pixel.
        near = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
        assert (change[~near] > 0.08 * 255).mean() == 0
        assert change[mask > 0].mean() > 5 * change[~near].mean()
        assert (mask > 0).mean() < 0.15


@pytest.mark.parametrize("name", list(textures.MATERIALS))
@pytest.mark.parametrize(("split", "unseen"), [("train", slice(256, 512)), ("test", slice(0, 256))])
def test_crops_of_one_split_never_show_the_other_half_of_the_photograph(name, split, unseen, monkeypatch):
    def albedos() -> list[np.ndarray]:
        textures.source_half.cache_clear()
        return [textures.texture(name, 64, split, np.random.default_rng(seed)).surface.albedo for seed in range(20)]

    photograph = getattr(skimage.data, name)().copy()
    before = albedos()
    photograph[:, unseen] = 255
    monkeypatch.setattr(skimage.data, name, lambda: photograph)
    unchanged = albedos()
    photograph[:] = 255
    all_changed = albedos()
    textures.source_half.cache_clear()
    assert all(np.array_equal(*pair) for pair in zip(before, unchanged, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(before, all_changed, strict=True))


def asymmetry(surface: Surface, body: np.ndarray) -> float:
    picture = shade(surface, Light())
    inside = (body > 0.5) & (body[:, ::-1] > 0.5)
    return float(np.abs(picture - picture[:, ::-1])[inside].mean() / picture[inside].std())


def test_the_ring_is_its_own_mirror_image_and_the_board_is_not():
    flange = ring(256, np.random.default_rng(0), Pose())
    circuit = board(256, np.random.default_rng(0), angle=0.0)
    assert asymmetry(flange.surface, flange.body) < 0.12
    assert asymmetry(circuit.surface, circuit.body) > 0.4


def test_the_ring_has_no_other_mirror_axis_than_the_upright_one():
    flange = ring(128, np.random.default_rng(0), Pose())
    assert np.abs(flange.body - flange.body[:, ::-1]).max() < 0.01
    assert np.abs(flange.body - flange.body[::-1]).max() > 0.9


def test_boards_lie_at_any_angle():
    directions = []
    for seed in range(40):
        corners = board(64, np.random.default_rng(seed)).components
        along = corners[6].mean(axis=0) - corners[0].mean(axis=0)
        directions.append(np.arctan2(along[1], along[0]))
    quarters = np.floor((np.array(directions) + np.pi) / (np.pi / 2)).astype(int) % 4
    assert set(quarters) == {0, 1, 2, 3}


def test_the_whole_board_is_in_every_picture():
    for seed in range(20):
        body = board(64, np.random.default_rng(seed)).body
        assert max(body[0].max(), body[-1].max(), body[:, 0].max(), body[:, -1].max()) == 0


@pytest.mark.parametrize("kind", sorted({component.kind for component in COMPONENTS}))
def test_a_component_stays_within_the_footprint_that_is_cut_out_when_it_is_lost(kind):
    blank = np.zeros((512, 512), np.float32)
    canvas = Canvas(Surface(np.zeros((512, 512, 3), np.float32), blank, blank))
    draw_component(canvas, kind, (0.0, 0.0), 0.0, shade=1.0)
    painted = (canvas.surface.height != 0) | (canvas.surface.albedo > 0).any(axis=2)
    rows, columns = np.nonzero(painted)
    half_x, half_y = HALF_SIZES[kind]
    # `board` cuts out 0.003 more on every side.
    assert 0.8 * half_x < np.abs((columns + 0.5) / 512 - 0.5).max() < half_x + 0.003
    assert 0.8 * half_y < np.abs((rows + 0.5) / 512 - 0.5).max() < half_y + 0.003


def test_a_flat_matt_surface_shows_its_own_colour():
    colour = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    flat = Surface(colour, np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32))
    np.testing.assert_allclose(shade(flat, Light(azimuth=1.0, elevation=0.7)), colour, atol=1e-6)


def test_a_block_throws_its_shadow_away_from_the_lamp():
    height = np.zeros((64, 64), np.float32)
    height[24:40, 24:40] = 0.1
    grey = Surface(np.full((64, 64, 3), 0.5, np.float32), height, np.zeros_like(height))
    picture = shade(grey, replace(Light(), azimuth=0.0))[..., 0]
    assert picture[32, 21] < 0.4 < 0.45 < picture[32, 45]


def test_visibility_grows_with_the_change_and_sinks_with_the_detail_around_it():
    rng = np.random.default_rng(0)
    good = rng.uniform(0.4, 0.6, (64, 64, 3)).astype(np.float32)
    change = np.zeros_like(good)
    change[20:30, 20:30] = 0.1
    body = np.ones((64, 64), np.float32)
    seen = visibility(change, detail_of(good, body))
    assert visibility(2 * change, detail_of(good, body)) == pytest.approx(2 * seen, rel=1e-5)
    assert visibility(change, detail_of(2 * good, body)) == pytest.approx(seen / 2, rel=1e-5)
    change[20:30, 20:50] = 0.1
    assert visibility(change, detail_of(good, body)) == pytest.approx(np.sqrt(3) * seen, rel=1e-5)


def seen_and_drawn(monkeypatch, bound):
    """Visibility of the defect that is kept, and of all that were drawn, for a scratched board."""
    drawn = []
    monkeypatch.setattr(generate, "VISIBLE", bound)
    monkeypatch.setattr(generate, "visibility", lambda *given: drawn.append(visibility(*given)) or drawn[-1])
    rng = np.random.default_rng(3)
    specimen, light = SPECIMENS["board"](128, "test", rng), Light()
    picture, _, change, _ = generate._visible_defect(specimen, light, DEFECTS["scratch"], rng)
    good = shade(specimen.surface, light)
    np.testing.assert_allclose(picture, good + change, atol=1e-12)
    return visibility(change, detail_of(good, specimen.body)), drawn


def test_a_defect_is_drawn_until_it_is_visible(monkeypatch):
    seen, drawn = seen_and_drawn(monkeypatch, bound=0.03)
    assert seen == drawn[-1] >= 0.03
    assert all(earlier < 0.03 for earlier in drawn[:-1])
    assert VISIBLE > 0.03


def test_if_none_is_visible_the_most_visible_is_kept(monkeypatch):
    seen, drawn = seen_and_drawn(monkeypatch, bound=np.inf)
    assert len(drawn) == generate.DRAWS
    assert seen == max(drawn)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_single_brightness_statistic_tells_defective_from_good_images(category):
    images, labels = [], []
    for index in range(24):
        images.append(good_image(category, "test", 64, np.random.default_rng([index, 0])))
        kind = DEFECT_KINDS[category][index % len(DEFECT_KINDS[category])]
        images.append(defective_image(category, kind, 64, np.random.default_rng([index, 1]))[0])
        labels += [0, 1]
    grey = np.array(images).mean(axis=3).reshape(len(images), -1)
    for statistic in (grey.mean(axis=1), grey.max(axis=1), grey.min(axis=1), grey.std(axis=1)):
        from_median = np.abs(statistic - np.median(statistic))
        for score in (statistic, -statistic, from_median):
            assert roc_auc_score(labels, score) < 0.85


@pytest.mark.parametrize("call", [planned_files, lambda category, options: make_category(category, options, Path())])
def test_an_unknown_category_is_named_with_the_nearest_one(call):
    with pytest.raises(ConfigError, match="no demo category 'bord'; did you mean 'board'"):
        call("bord", SMALL)
