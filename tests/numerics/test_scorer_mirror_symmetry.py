"""Mirror symmetry against plain loops, and what it must do by its definition."""

import numpy as np
import pytest

from feature_files import maps, random_tokens, scores, stored
from zsad.scoring.mirror_symmetry import MirrorSymmetry

OPEN = MirrorSymmetry(gate=1.0)
PATCH = 4


def backbone(image):
    """Tokens ``[1, row, column, channel]`` that depend on handedness and on position: not equivariant to the mirror."""
    rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
    patches = image.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2).reshape(rows, columns, PATCH * PATCH)
    rng = np.random.default_rng(9)
    content = np.tanh(patches @ rng.normal(size=(PATCH * PATCH, 12)))
    return (content + 0.5 * rng.normal(size=(rows, columns, 12)))[None]


def score_pictures(scorer, folder, *pictures):
    seen, mirrored = [backbone(x) for x in pictures], [backbone(x[:, ::-1]) for x in pictures]
    return scores(scorer, folder, test=seen, mirrored=mirrored)


def symmetric_picture(seed, rows=9, columns=12):
    left = np.random.default_rng(seed).normal(size=(rows * PATCH, columns * PATCH // 2))
    return np.concatenate([left, left[:, ::-1]], axis=1)


def nearly_symmetric_tokens(seed, rows, columns, shift):
    """Tokens of an image and of its mirror image, whose axis is off by ``shift`` and whose pairs differ a little."""
    (tokens,) = random_tokens(seed, (rows, columns))
    (mirrored,) = random_tokens(seed + 1, (rows, columns))
    for c in range(columns):
        if 0 <= c + shift < columns:
            mirrored[:, :, c + shift] = tokens[:, :, c]
    noise = np.random.default_rng(seed).normal(scale=0.2, size=mirrored.shape)
    return tokens, mirrored + noise


def cosine(first, second):
    return np.mean([a @ b for a, b in zip(first, second, strict=True)])


def reference(tokens, mirrored, window, max_shift, tie_break):
    """Shift, asymmetry and map, patch by patch."""
    f, g = stored(tokens).transpose(1, 2, 0, 3), stored(mirrored).transpose(1, 2, 0, 3)
    rows, columns = f.shape[:2]
    places = list(np.ndindex(rows, columns))
    best = None
    for shift in sorted(range(-int(max_shift * columns), int(max_shift * columns) + 1), key=abs):
        here = [(r, c) for r, c in places if 0 <= c + shift < columns]
        there = [(r, c + shift) for r, c in here]
        matched = np.mean([1 - cosine(f[p], g[q]) for p, q in zip(here, there, strict=True)])
        chance = np.mean([1 - cosine(f[p], g[q]) for p in here for q in there])
        if best is None or matched / chance < best[1]:
            best = shift, matched / chance
    shift, asymmetry = best
    scores = np.full((rows, columns), np.nan)
    for r, c in places:
        if not 0 <= c + shift < columns:
            continue
        near = [(r + i, c + shift + j) for i in range(-window, window + 1) for j in range(-window, window + 1)]
        scores[r, c] = 1 - max(cosine(f[r, c], g[q]) for q in near if 0 <= q[0] < rows and 0 <= q[1] < columns)
        if tie_break:
            own, other = (
                min(1 - cosine(f[p], f[q]) for q in places if max(abs(p[0] - q[0]), abs(p[1] - q[1])) > 2)
                for p in ((r, c), (r, columns - 1 - c - shift))
            )
            scores[r, c] *= own / (own + other)
    ordered = np.sort(scores[~np.isnan(scores)])
    scores[np.isnan(scores)] = ordered[(len(ordered) - 1) // 2]
    return shift, asymmetry, scores


@pytest.mark.parametrize("tie_break", [False, True])
@pytest.mark.parametrize(("window", "shift"), [(0, 0), (1, -2), (2, 1)])
def test_maps_equal_plain_loops_and_the_axis_is_found(tmp_path, window, shift, tie_break):
    tokens, mirrored = nearly_symmetric_tokens(3, 6, 9, shift)
    found_shift, _, expected = reference(tokens, mirrored, window, 0.25, tie_break)
    assert found_shift == shift
    scorer = OPEN.model_copy(update={"window": window, "tie_break": tie_break})
    (found,) = maps(scorer, tmp_path, test=[tokens], mirrored=[mirrored])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("tie_break", [False, True])
def test_a_symmetric_image_scores_zero_under_a_backbone_that_is_not_equivariant(tmp_path, tie_break):
    scorer = MirrorSymmetry(tie_break=tie_break)
    (score,) = score_pictures(scorer, tmp_path, symmetric_picture(0))
    np.testing.assert_allclose(score.anomaly_map, 0, atol=1e-6)
    assert score.note == ""


def test_unrelated_sides_are_reported_as_not_symmetric(tmp_path):
    picture = np.random.default_rng(1).normal(size=(36, 48))
    (score,) = score_pictures(MirrorSymmetry(), tmp_path, picture)
    assert score.note == "not symmetric"
    assert not score.anomaly_map.any()


def test_the_gate_closes_exactly_above_the_asymmetry(tmp_path):
    tokens, mirrored = nearly_symmetric_tokens(5, 6, 8, 0)
    _, asymmetry, _ = reference(tokens, mirrored, 1, 0.25, True)
    for gate, note in ((asymmetry - 1e-4, "not symmetric"), (asymmetry + 1e-4, "")):
        scorer = MirrorSymmetry(gate=gate)
        assert scores(scorer, tmp_path, test=[tokens], mirrored=[mirrored])[0].note == note


def test_a_defect_on_one_side_scores_highest_and_its_mirror_position_less(tmp_path):
    picture = np.tile(symmetric_picture(2, 3, 6), (3, 2))
    picture[12:16, 8:12] = 3 * np.random.default_rng(3).normal(size=(4, 4))
    tokens, mirrored = (backbone(x) - backbone(np.zeros((36, 48))) for x in (picture, picture[:, ::-1]))
    found = {
        tie_break: maps(MirrorSymmetry(tie_break=tie_break, window=0), tmp_path, test=[tokens], mirrored=[mirrored])[0]
        for tie_break in (False, True)
    }
    assert np.unravel_index(found[True].argmax(), found[True].shape) == (3, 2)
    ghost = {tie_break: anomaly_map[3, -3] / anomaly_map[3, 2] for tie_break, anomaly_map in found.items()}
    assert ghost[True] < ghost[False] / 2


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (1, 8), (5, 5)])
def test_small_grids_are_scored(tmp_path, grid):
    tokens = random_tokens(4, grid)
    (found,) = maps(OPEN, tmp_path, test=tokens, mirrored=tokens)
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_constant_and_zero_images_are_symmetric(tmp_path):
    flat = [np.full((1, 6, 7, 3), value) for value in (0.0, 2.0)]
    for score in scores(MirrorSymmetry(), tmp_path, test=flat, mirrored=flat):
        np.testing.assert_allclose(score.anomaly_map, 0, atol=1e-6)
        assert score.note == ""
