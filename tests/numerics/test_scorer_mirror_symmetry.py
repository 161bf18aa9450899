"""Mirror symmetry against plain loops, and what it must do by its definition."""

import cmath
import math

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import maps, random_tokens, scores, stored
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError
from zsad.features.views import variants
from zsad.scoring import symmetry
from zsad.scoring.compute import Compute
from zsad.scoring.mirror_symmetry import VIEWS_OF, MirrorSymmetry
from zsad.scoring.symmetry import Image, aligned
from zsad.scoring.tokens import normalise

PATCH = 4


# --- Pictures of numbers, and a backbone that sees handedness and position: it is equivariant to nothing.


def backbone(picture):
    """Tokens ``[1, row, column, channel]``."""
    rows, columns = picture.shape[0] // PATCH, picture.shape[1] // PATCH
    patches = picture.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2).reshape(rows, columns, PATCH * PATCH)
    rng = np.random.default_rng(9)
    content = np.tanh(patches @ rng.normal(size=(PATCH * PATCH, 12)))
    return (content + 0.5 * rng.normal(size=(rows, columns, 12)))[None]


def score_picture(scorer, folder, picture, see=backbone):
    views = {role: variants(features.view)[0] for role, features in scorer.feature_sets().items()}
    (score,) = scores(scorer, folder, **{role: [see(variant.of(picture))] for role, variant in views.items()})
    return score


def symmetric_picture(name, rows=9, columns=12, seed=0):
    pixels = np.random.default_rng(seed).normal(size=(rows * PATCH, columns * PATCH // 2))
    if name == "4_fold":
        square = pixels[:16, :16]
        return np.block([[square, np.rot90(square, -1)], [np.rot90(square, 1), np.rot90(square, 2)]])
    other = {"horizontal": pixels[:, ::-1], "vertical": pixels[:, ::-1], "half_turn": pixels[::-1, ::-1]}[name]
    whole = np.concatenate([pixels, other], axis=1)
    return whole.T if name == "vertical" else whole


# --- Smooth fields over the plane, seen point by point: a backbone that is equivariant to everything.

POINTS_OF = {  # the point of the image, right and up, that a point of the view shows
    "test": lambda z: z,
    "hflip": lambda z: -z.conjugate(),
    "vflip": lambda z: z.conjugate(),
}


def source(view, z):
    if view.startswith("rot"):
        return z * cmath.exp(-1j * math.radians(int(view[3:])))
    return POINTS_OF[view](z)


def reflection(angle, through=0j):
    """The mirror about the line at ``angle`` degrees from the horizontal."""
    return lambda z: through + cmath.exp(2j * math.radians(angle)) * (z - through).conjugate()


def rotations(fold, about=0j):
    return [
        lambda z, k=k: about + cmath.exp(2j * math.pi * k / fold) * (z - about)  # one for each power
        for k in range(fold)
    ]


def field(seed, symmetries=(lambda z: z,), channels=8, scale=1.0):
    """Vectors over the plane that the symmetries, together a group, leave as they are."""
    rng = np.random.default_rng(seed)
    waves, phases = rng.normal(scale=scale, size=(2, channels)), rng.uniform(0, 2 * np.pi, channels)
    return lambda z: sum(np.cos(waves[0] * m(z).real + waves[1] * m(z).imag + phases) for m in symmetries)


def seen(values, view, rows, columns, noise=0.0, seed=0):
    """Tokens ``[2, row, column, channel]`` of a field in a view."""
    grid = [[(c - (columns - 1) / 2) + 1j * ((rows - 1) / 2 - r) for c in range(columns)] for r in range(rows)]
    tokens = np.array([[values(source(view, z)) for z in row] for row in grid])
    both = np.stack([tokens, tokens[..., ::-1] + 0.3])
    return both + noise * np.random.default_rng([seed, *view.encode()]).normal(size=both.shape)


def seen_by(scorer, values, rows, columns, **more):
    return {role: [seen(values, role, rows, columns, **more)] for role in scorer.feature_sets()}


# --- The method, patch by patch.


def joint(tokens):
    return np.concatenate(list(stored(tokens)), axis=-1) / math.sqrt(len(tokens))


def point(place, rows, columns):
    return (place[1] - (columns - 1) / 2) + 1j * ((rows - 1) / 2 - place[0])


def place_of(z, rows, columns):
    return (rows - 1) / 2 - z.imag, (columns - 1) / 2 + z.real


def inside(place, rows, columns):
    return all(-1e-3 <= x <= size - 1 + 1e-3 for x, size in zip(place, (rows, columns), strict=True))


def interpolated(g, place):
    y, x = (min(max(v, 0), size - 1) for v, size in zip(place, g.shape[:2], strict=True))
    total = 0
    for r in range(g.shape[0]):
        for c in range(g.shape[1]):
            total = total + max(0, 1 - abs(y - r)) * max(0, 1 - abs(x - c)) * g[r, c]
    return total / np.linalg.norm(total)


def distances(f, g):
    return 0.5 * ((f.reshape(-1, 1, f.shape[2]) - g.reshape(1, -1, f.shape[2])) ** 2).sum(axis=2)


def asymmetry(h, f, valid, shift):
    rows, columns = f.shape[:2]
    pairs = [
        (r * columns + c, (r + shift[0]) * columns + c + shift[1])
        for r, c in np.ndindex(rows, columns)
        if 0 <= r + shift[0] < rows and 0 <= c + shift[1] < columns and valid[r + shift[0], c + shift[1]]
    ]
    if not pairs:
        return np.inf
    here, there = np.array(pairs).T
    return h[here, there].mean() / h[np.ix_(here, there)].mean()


def least_asymmetry(f, g, valid, reach):
    h = distances(f, g)
    shifts = [(i, j) for i in range(-reach[0], reach[0] + 1) for j in range(-reach[1], reach[1] + 1)]
    return min((asymmetry(h, f, valid, shift), math.hypot(*shift), shift) for shift in shifts)


def best_alignment(f, g, view, max_shift, max_tilt):
    """Asymmetry, tilt, shift, places shown and tokens of a view."""
    rows, columns = f.shape[:2]
    reach = [int(max_shift * size) for size in (rows, columns)]
    turned = {0.0: g}
    found = []
    for tilt in [0.0, *([t for t in np.arange(2.5, max_tilt + 0.1, 2.5) for t in (t, -t)] if "flip" in view else [])]:
        shown, sampled = np.zeros((2, rows, columns, 2))
        for p in np.ndindex(rows, columns):
            back = point(p, rows, columns) * cmath.exp(-2j * math.radians(tilt))
            sampled[p], shown[p] = place_of(back, rows, columns), place_of(source(view, back), rows, columns)
        valid = np.array([[inside(shown[r, c], rows, columns) for c in range(columns)] for r in range(rows)])
        across = 1 if view == "hflip" else 0
        slant = math.ceil(reach[across] * math.tan(math.radians(abs(tilt))))
        narrow = [most if tilt == 0 or axis == across else min(most, slant) for axis, most in enumerate(reach)]
        if tilt:
            turned[tilt] = np.array([[interpolated(g, sampled[r, c]) for c in range(columns)] for r in range(rows)])
        least, _, shift = least_asymmetry(f, turned[tilt], valid, narrow)
        found.append((least, abs(tilt), tilt, shift, shown, valid, sampled))
    best = min(found, key=lambda entry: entry[0])
    if best[2]:
        near = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=2) + (
            best[6] - np.round(best[6])
        )
        smooth = np.array([[interpolated(g, near[r, c]) for c in range(columns)] for r in range(rows)])
        valid = np.array([[inside(near[r, c], rows, columns) for c in range(columns)] for r in range(rows)])
        smoothed = asymmetry(distances(f, smooth), f, valid, found[0][3])
        if best[0] >= 0.95 * min(found[0][0], smoothed):
            best = found[0]
    least, _, tilt, shift, shown, valid, _ = best
    return least, tilt, shift, shown, valid, turned[tilt]


def reference(scorer, features):
    """Note and map of the one image."""
    f = joint(features["test"][0])
    rows, columns = f.shape[:2]
    grid = list(np.ndindex(rows, columns))
    rarity = {
        p: min((1 - f[p] @ f[q] for q in grid if max(abs(p[0] - q[0]), abs(p[1] - q[1])) > 2), default=1.0)
        for p in grid
    }
    names, by_symmetry = [], []
    for name in scorer.symmetries:
        views = [best_alignment(f, joint(features[v][0]), v, scorer.max_shift, scorer.max_tilt) for v in VIEWS_OF[name]]
        if max(view[0] for view in views) > scorer.gate:
            continue
        result = np.full((rows, columns), np.inf)
        for p in grid:
            each = []
            for _, _, shift, shown, valid, g in views:
                near = [
                    (p[0] + shift[0] + i, p[1] + shift[1] + j)
                    for i in range(-scorer.window, scorer.window + 1)
                    for j in range(-scorer.window, scorer.window + 1)
                ]
                near = [q for q in near if 0 <= q[0] < rows and 0 <= q[1] < columns and valid[q]]
                partner = (p[0] + shift[0], p[1] + shift[1])
                if partner not in near:
                    break
                each.append(min(1 - f[p] @ g[q] for q in near))
                if scorer.tie_break:
                    other = rarity[tuple(int(x) for x in np.round(shown[partner]))]
                    each[-1] *= rarity[p] / (rarity[p] + other)
            else:
                result[p] = min(each)
        tilt = max(abs(view[1]) for view in views)
        names.append(f"{name} (tilted by up to {5 * math.ceil(tilt / 5)} degrees)" if tilt else name)
        by_symmetry.append(result)
    if not names:
        return "not symmetric", np.zeros((rows, columns))
    least = np.min(by_symmetry, axis=0)
    known = np.sort(least[np.isfinite(least)])
    return f"symmetric: {', '.join(names)}", np.where(np.isinf(least), known[(len(known) - 1) // 2], least)


def assert_equals_reference(scorer, folder, features):
    note, expected = reference(scorer, features)
    (score,) = scores(scorer, folder, **features)
    assert score.note == note
    assert_close(score.anomaly_map, expected)
    return note


# --- Against the loops.


@pytest.mark.parametrize("tie_break", [False, True])
@pytest.mark.parametrize(
    ("window", "about", "grid"), [(0, 0j, (6, 9)), (1, 1 - 0.5j, (7, 8)), (2, -0.5 + 0.5j, (8, 5))]
)
def test_maps_equal_plain_loops_wherever_axes_and_centre_lie(tmp_path, window, about, grid, tie_break):
    scorer = MirrorSymmetry(window=window, tie_break=tie_break, max_tilt=0, gate=0.7)
    group = [lambda z: z, reflection(0, about), reflection(90, about), *rotations(2, about)[1:]]
    features = seen_by(scorer, field(1, group), *grid, noise=0.4)
    assert assert_equals_reference(scorer, tmp_path, features) == "symmetric: horizontal, vertical, half_turn"


@pytest.mark.parametrize("name", ["3_fold", "4_fold", "5_fold", "6_fold"])
def test_maps_of_rotations_equal_plain_loops(tmp_path, name):
    scorer = MirrorSymmetry(symmetries=(name,), gate=0.8)
    features = seen_by(scorer, field(2, rotations(int(name[0]), 0.6 + 0.3j)), 8, 8, noise=0.4)
    assert assert_equals_reference(scorer, tmp_path, features) == f"symmetric: {name}"


@pytest.mark.parametrize(("tilt", "noted"), [(5.0, 5), (-7.5, 10)])
def test_maps_of_tilted_objects_equal_plain_loops(tmp_path, tilt, noted):
    scorer = MirrorSymmetry(symmetries=("horizontal", "vertical"), gate=0.9)
    group = [lambda z: z, reflection(90 + tilt), reflection(tilt), *rotations(2)[1:]]
    note = assert_equals_reference(scorer, tmp_path, seen_by(scorer, field(3, group, scale=0.8), 9, 8, noise=0.1))
    assert f"horizontal (tilted by up to {noted} degrees)" in note


@pytest.mark.parametrize("layers", [None, ("1",)])
def test_layers_are_joined_as_one_vector(tmp_path, layers):
    scorer = MirrorSymmetry(symmetries=("half_turn",), layers=layers, gate=1)
    features = seen_by(scorer, field(4, rotations(2)), 5, 6, noise=0.3)
    chosen = features if layers is None else {role: [tokens[1:]] for role, (tokens,) in features.items()}
    _, expected = reference(scorer, chosen)
    (found,) = maps(scorer, tmp_path, **features)
    assert_close(found, expected)


def test_images_of_mixed_sizes_are_scored_each_by_itself(tmp_path):
    scorer = MirrorSymmetry(gate=0.8)
    several = [seen_by(scorer, field(5, rotations(2)), *grid, noise=0.2) for grid in ((5, 6), (4, 9), (3, 3))]
    together = {role: [features[role][0] for features in several] for role in scorer.feature_sets()}
    alone = [reference(scorer, features) for features in several]
    for memory in (1, 100_000, 10**9):
        found = scores(scorer, tmp_path, Compute(memory=memory), **together)
        for score, (note, expected) in zip(found, alone, strict=True):
            assert score.note == note
            assert_close(score.anomaly_map, expected)


def test_maps_of_real_features_equal_plain_loops(tmp_path, tile_tokens):
    scorer = MirrorSymmetry(gate=1, max_tilt=0)
    flips = {"test": np.s_[:], "hflip": np.s_[:, :, ::-1], "vflip": np.s_[:, ::-1], "rot180": np.s_[:, ::-1, ::-1]}
    together = {role: [tokens[flips[role]] for tokens in tile_tokens[:3]] for role in scorer.feature_sets()}
    for index, score in enumerate(scores(scorer, tmp_path, **together)):
        note, expected = reference(scorer, {role: [tokens[index]] for role, tokens in together.items()})
        assert score.note == note != "not symmetric"
        assert_close(score.anomaly_map, expected)


# --- What the gate, the shift and the tilt are.


def test_the_gate_closes_exactly_above_the_asymmetry(tmp_path):
    features = seen_by(MirrorSymmetry(), field(6, [lambda z: z, reflection(90)]), 6, 8, noise=0.3)
    level, _, *_ = best_alignment(joint(features["test"][0]), joint(features["hflip"][0]), "hflip", 0.25, 0)
    for gate, note in ((level - 1e-4, "not symmetric"), (level + 1e-4, "symmetric: horizontal")):
        scorer = MirrorSymmetry(symmetries=("horizontal",), gate=gate, max_tilt=0)
        (score,) = scores(scorer, tmp_path, **features)
        assert score.note == note
        assert score.anomaly_map.any() == (note != "not symmetric")


def test_a_rotation_needs_both_of_its_turns(tmp_path):
    scorer = MirrorSymmetry(symmetries=("4_fold",))
    features = seen_by(scorer, field(7, rotations(4)), 7, 7)
    assert scores(scorer, tmp_path, **features)[0].note == "symmetric: 4_fold"
    for view in ("rot090", "rot270"):
        one_way = {**features, view: [seen(field(8), view, 7, 7)]}
        assert scores(scorer, tmp_path, **one_way)[0].note == "not symmetric"


def test_only_the_symmetries_that_pass_are_used(tmp_path):
    features = seen_by(MirrorSymmetry(), field(9, [lambda z: z, reflection(0)]), 8, 8)
    (both,) = scores(MirrorSymmetry(max_tilt=0), tmp_path, **features)
    (alone,) = scores(MirrorSymmetry(symmetries=("vertical",), max_tilt=0), tmp_path, **features)
    assert both.note == alone.note == "symmetric: vertical"
    np.testing.assert_array_equal(both.anomaly_map, alone.anomaly_map)


def test_unrelated_halves_are_reported_as_not_symmetric(tmp_path):
    score = score_picture(MirrorSymmetry(), tmp_path, np.random.default_rng(1).normal(size=(36, 48)))
    assert score.note == "not symmetric"
    assert not score.anomaly_map.any()


def found_alignment(values, view, rows, columns, max_tilt=10.0, noise=0.0):
    tokens, other = (
        normalise(torch.from_numpy(seen(values, v, rows, columns, noise)[0]).float()) for v in ("test", view)
    )
    return aligned(Image.of(tokens, Compute()), view, other, 0.25, max_tilt)


@pytest.mark.parametrize("tilt", [2.5, -5.0, 10.0])
@pytest.mark.parametrize(("view", "angle"), [("hflip", 90), ("vflip", 0)])
def test_the_tilt_of_an_axis_is_found_counter_clockwise_and_so_is_its_distance_from_the_middle(view, angle, tilt):
    normal = 1j * cmath.exp(1j * math.radians(angle + tilt))
    values = field(10, [lambda z: z, reflection(angle + tilt, 2 * normal)], scale=0.3)
    found = found_alignment(values, view, 20, 18)
    assert found.tilt == tilt
    assert found.shift.asymmetry < 0.01 < found_alignment(values, view, 20, 18, max_tilt=0).shift.asymmetry
    # The axis moves by 2 patches, and what lies opposite by 4.
    assert math.hypot(found.shift.down, found.shift.along) == pytest.approx(4, abs=0.5)


def test_a_smoother_view_alone_is_no_reason_for_a_tilt(monkeypatch):
    values = field(11, [lambda z: z, reflection(90)], scale=0.15)
    assert found_alignment(values, "hflip", 28, 28, noise=0.4).tilt == 0
    monkeypatch.setattr(symmetry, "_clearly_better", lambda tilted, upright, *_: True)
    assert found_alignment(values, "hflip", 28, 28, noise=0.4).tilt != 0


def test_along_a_tilted_axis_a_shift_is_no_longer_than_the_tilt_makes_it(monkeypatch):
    reaches = []
    search = symmetry.best_shift
    monkeypatch.setattr(symmetry, "best_shift", lambda *given: reaches.append(given[-1]) or search(*given))
    found_alignment(field(15), "hflip", 20, 24, noise=1.0)
    found_alignment(field(15), "vflip", 20, 24, noise=1.0, max_tilt=30)
    assert reaches[:9] == [(5, 6), *[(1, 6)] * 6, *[(2, 6)] * 2]  # 6 tan(10 degrees) is 1.06
    assert reaches[9] == (5, 6)
    assert reaches[-2:] == [(5, 3)] * 2  # 5 tan(30 degrees) is 2.89


def test_of_equal_shifts_the_one_nearest_to_none_is_taken():
    stripes = np.tile(np.eye(2)[[0, 1, 1, 0]], (6, 3, 1))  # [row, column, channel], the same every 4 columns
    tokens = torch.from_numpy(stripes).float()
    shift = aligned(Image.of(tokens, Compute()), "hflip", tokens.flip(1), 0.5, 0).shift
    assert shift[:2] == (0, 0)
    assert shift.asymmetry == pytest.approx(0, abs=1e-6)


def test_where_nothing_overlaps_there_is_no_shift():
    tokens = normalise(torch.from_numpy(seen(field(0), "test", 4, 5)[0]).float())
    image = Image.of(tokens, Compute())
    nowhere = torch.zeros(4, 5, dtype=torch.bool)
    assert symmetry.best_shift(image, image.points(tokens), nowhere, (1, 2)) == (0, 0, math.inf)


def test_a_plain_background_alone_is_no_symmetry(tmp_path):
    tokens = np.tile([1.0, 0.0, 0.0], (1, 8, 8, 1))
    tokens[0, :, :2] = np.random.default_rng(2).normal(
        size=(8, 2, 3)
    )  # all of it in the quarter that a shift leaves out
    scorer = MirrorSymmetry(symmetries=("horizontal",))
    (score,) = scores(scorer, tmp_path, test=[tokens], hflip=[tokens[:, :, ::-1]])
    assert score.note == "not symmetric"


# --- What the map must do.


@pytest.mark.parametrize("tie_break", [False, True])
@pytest.mark.parametrize("name", ["horizontal", "vertical", "half_turn", "4_fold"])
def test_a_symmetric_image_scores_zero_whatever_the_backbone(tmp_path, name, tie_break):
    scorer = MirrorSymmetry(symmetries=(name,), tie_break=tie_break)
    score = score_picture(scorer, tmp_path, symmetric_picture(name))
    assert_close(score.anomaly_map, 0, size=1)
    assert score.note == f"symmetric: {name}"


def test_flipping_the_image_flips_the_map(tmp_path):
    group = [lambda z: z, reflection(90)]
    values = field(12, group)
    (tokens,) = (seen(values, "test", 7, 9, noise=0.3),)
    straight = {"test": [tokens], "hflip": [tokens[:, :, ::-1]]}
    turned = {"test": straight["hflip"], "hflip": straight["test"]}
    scorer = MirrorSymmetry(symmetries=("horizontal",), gate=1)
    (expected,), (found,) = maps(scorer, tmp_path, **straight), maps(scorer, tmp_path, **turned)
    assert expected.max() > 0.01
    assert_close(found, expected[:, ::-1])


def defect_and_ghosts(scorer, folder, place):
    """Score of a defect, and the greatest elsewhere, in a picture that is else symmetric in every way."""
    quarter = np.tile(np.random.default_rng(2).normal(size=(8, 8)), (4, 4))
    picture = np.block([[quarter, np.rot90(quarter, -1)], [np.rot90(quarter, 1), np.rot90(quarter, 2)]])
    r, c = PATCH * place[0], PATCH * place[1]
    picture[r : r + PATCH, c : c + PATCH] = 3 * np.random.default_rng(3).normal(size=(PATCH, PATCH))
    plain = backbone(np.zeros_like(picture))
    score = score_picture(scorer, folder, picture, see=lambda x: backbone(x) - plain)
    assert score.note == f"symmetric: {scorer.symmetries[0]}"
    elsewhere = score.anomaly_map.copy()
    elsewhere[place] = 0
    return score.anomaly_map[place], elsewhere.max()


def test_the_healthy_side_of_a_pair_gets_less_than_half_of_what_it_would_without_the_tie_break(tmp_path):
    ghost = {}
    for tie_break in (False, True):
        scorer = MirrorSymmetry(symmetries=("half_turn",), tie_break=tie_break, window=0)
        defect, elsewhere = defect_and_ghosts(scorer, tmp_path, (1, 2))
        ghost[tie_break] = elsewhere / defect
    assert ghost[True] < ghost[False] / 2


@pytest.mark.parametrize("tie_break", [False, True])
def test_a_rotation_has_no_ghosts(tmp_path, tie_break):
    scorer = MirrorSymmetry(symmetries=("4_fold",), tie_break=tie_break, window=0)
    defect, elsewhere = defect_and_ghosts(scorer, tmp_path, (1, 2))
    assert defect > 0.1
    assert_close(elsewhere, 0, size=1)


def test_patches_without_a_partner_get_the_median_of_the_others(tmp_path):
    scorer = MirrorSymmetry(symmetries=("horizontal",), gate=1, max_tilt=0)
    (found,) = maps(scorer, tmp_path, **seen_by(scorer, field(13, [lambda z: z, reflection(90, 1)]), 6, 10, noise=0.2))
    np.testing.assert_array_equal(found[:, :2], np.sort(found[:, 2:].ravel())[(6 * 8 - 1) // 2])


# --- Edges of what can come.


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (1, 8), (5, 4)])
def test_small_grids_are_scored(tmp_path, grid):
    tokens = random_tokens(4, grid)
    scorer = MirrorSymmetry(symmetries=("horizontal", "vertical", "half_turn", "3_fold", "4_fold"), gate=1)
    (score,) = scores(scorer, tmp_path, **dict.fromkeys(scorer.feature_sets(), tokens))
    assert_close(score.anomaly_map, 0, size=1)
    assert score.note.startswith("symmetric: horizontal, vertical, half_turn")


def test_a_turn_that_leaves_nothing_in_the_frame_is_no_symmetry(tmp_path):
    scorer = MirrorSymmetry(symmetries=("4_fold",), gate=1)
    (score,) = scores(scorer, tmp_path, **dict.fromkeys(scorer.feature_sets(), random_tokens(5, (1, 8))))
    assert score.note == "not symmetric"
    assert not score.anomaly_map.any()


def test_a_rotation_whose_turns_have_no_patch_in_common_is_not_used(tmp_path):
    tokens, there, back = random_tokens(6, (3, 9), (3, 9), (3, 9), channels=12)
    there[:, :, 3:6], back[:, :, 3:6] = tokens[:, :, 1:4], tokens[:, :, 5:8]  # turned, 3 x 3 patches stay in the frame
    scorer = MirrorSymmetry(symmetries=("4_fold",))
    (score,) = scores(scorer, tmp_path, test=[tokens], rot090=[there], rot270=[back])
    assert score.note == "not symmetric"
    assert not score.anomaly_map.any()


def test_constant_and_zero_images_are_symmetric_and_score_zero(tmp_path):
    scorer = MirrorSymmetry(symmetries=("horizontal", "half_turn", "6_fold"))
    flat = [np.full((1, 6, 7, 3), value) for value in (0.0, 2.0)]
    for score in scores(scorer, tmp_path, **dict.fromkeys(scorer.feature_sets(), flat)):
        assert_close(score.anomaly_map, 0, size=1)
        assert score.note == "symmetric: horizontal, half_turn, 6_fold"


def test_an_image_that_occurs_twice_scores_the_same(tmp_path):
    scorer = MirrorSymmetry(gate=1)
    features = seen_by(scorer, field(14, rotations(2)), 5, 5, noise=0.3)
    first, second = maps(scorer, tmp_path, **{role: tokens * 2 for role, tokens in features.items()})
    assert_close(first, second)


def test_each_view_is_extracted_once_and_only_where_it_is_needed():
    assert MirrorSymmetry(symmetries=("vertical", "5_fold")).feature_sets() == {
        "test": FeatureSet("test", "original"),
        "vflip": FeatureSet("test", "vflip"),
        "rot072": FeatureSet("test", "rot072"),
        "rot288": FeatureSet("test", "rot288"),
    }


@pytest.mark.parametrize("symmetries", [["horizontal", "horizontal"], [], ["7_fold"]])
def test_symmetries_that_are_none_or_named_twice_are_refused_in_one_sentence(symmetries):
    with pytest.raises(ConfigError, match=r"^methods\.mirror: (item 1 of )?symmetries"):
        MirrorSymmetry.build({"symmetries": symmetries}, where="methods.mirror")
