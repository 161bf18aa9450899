"""The foreground mask against a plain version, and what it must do by its definition."""

from contextlib import ExitStack

import cv2
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from closeness import assert_close
from feature_files import PLAIN, random_tokens, write_features
from zsad.errors import ConfigError, DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader, MaskWriter
from zsad.scoring.batch_neighbours import BatchNeighbours
from zsad.scoring.foreground import TOO_SMALL, find_foreground, foreground_mask, patch_shares, segmented_foreground
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mutual import Mutual
from zsad.scoring.self_similarity import SelfSimilarity


def picture(seed=0, rows=14, columns=16, scale=20.0, noise=0.02):
    """An object of one kind of tokens in the middle of a background of another."""
    rng = np.random.default_rng(seed)
    tokens = np.tile(rng.normal(size=6), (rows, columns, 1))
    inside = np.zeros((rows, columns), dtype=bool)
    inside[3:11, 4:13] = True
    tokens[inside] = rng.normal(size=6)
    return torch.from_numpy(scale * (tokens + noise * rng.normal(size=tokens.shape))).float(), inside


def published(tokens, threshold, border=0.2, least=0.35):
    """AnomalyDINO's recipe, with scikit-learn's principal component."""
    rows, columns, channels = tokens.shape
    component = PCA(1, svd_solver="full").fit_transform(tokens.reshape(-1, channels).numpy())[:, 0]
    mask = (component > threshold).reshape(rows, columns)
    middle = mask[int(rows * border) : int(rows * (1 - border)), int(columns * border) : int(columns * (1 - border))]
    if middle.sum() <= least * middle.size:
        mask = (-component > threshold).reshape(rows, columns)
    kernel = np.ones((3, 3), np.uint8)
    return cv2.morphologyEx(cv2.dilate(mask.astype(np.uint8), kernel), cv2.MORPH_CLOSE, kernel).astype(bool)


@pytest.mark.parametrize("seed", range(6))
def test_a_number_gives_the_published_mask(seed):
    tokens, inside = picture(seed)
    found = foreground_mask(tokens, 10.0).numpy()
    np.testing.assert_array_equal(found, published(tokens, 10.0))
    assert found[inside].all()


@pytest.mark.parametrize(("columns", "is_part"), [(11, True), (10, False)])
def test_a_numbers_middle_is_that_of_the_authors_code(columns, is_part):
    """Of 28 columns it is those from 5 to 21: the left end fills 6 of 17, or 5 and too few (less than 35 %)."""
    tokens = torch.full((28, 28, 1), -20.0)
    tokens[:, :columns] = 20
    found = foreground_mask(tokens, 10.0)
    np.testing.assert_array_equal(found.numpy(), published(tokens, 10.0))
    assert found[0, 0] == is_part


def test_an_image_of_one_row_of_patches_has_a_middle():
    tokens = torch.tensor([-20.0, 20, 20, 20, -20]).reshape(1, 5, 1)
    assert foreground_mask(tokens, 10.0).shape == (1, 5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", [1e-2, 1.0, 100.0])
def test_otsu_finds_the_object_whatever_the_unit_of_the_tokens(seed, scale):
    tokens, inside = picture(seed, scale=scale)
    grown = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    np.testing.assert_array_equal(foreground_mask(tokens, "otsu").numpy(), grown)


def test_flipping_the_image_flips_the_mask():
    tokens, _ = picture(7, noise=0.3)
    torch.testing.assert_close(foreground_mask(tokens.flip(1), "otsu"), foreground_mask(tokens, "otsu").flip(1))


@pytest.mark.parametrize("rule", [None, "otsu", 10.0])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_where_all_patches_are_alike_the_whole_image_is_the_object(rule, value):
    assert foreground_mask(torch.full((5, 6, 3), value), rule).all()


def test_where_nothing_exceeds_the_threshold_the_whole_image_is_the_object():
    assert foreground_mask(picture()[0], 1e9).all()


@pytest.mark.parametrize("wrong", [-1, "otsy", "nan", [1]])
def test_a_rule_that_is_none_gets_one_sentence(wrong):
    with pytest.raises(ConfigError, match=r"m: foreground = .* is not valid: it must be a number"):
        MemoryBank.build({"foreground": wrong}, where="m")


def test_rules_may_come_as_text():
    assert MemoryBank.build({"foreground": "10"}, where="m").foreground == 10.0
    assert MemoryBank.build({"foreground": "otsu"}, where="m").foreground == "otsu"
    assert MemoryBank.build({"foreground": "sam"}, where="m").foreground == "sam"


# --- masks of a segmentation model --------------------------------------------------------------------------------

GRID, SIZE = (10, 12), (57, 83)
PART = np.zeros(SIZE, bool)
PART[16:42, 20:62] = True


def write_masks(path, masks, reasons=None):
    """Write masks of the object by image id; a reason says why one is the whole image."""
    with MaskWriter(path, list(masks), {}) as writer:
        for image_id, mask in masks.items():
            reason = (reasons or {}).get(image_id, "")
            writer.append(mask, 0.5, [{"accepted": not reason, "reason": reason}])
    return path


@pytest.fixture
def reader(tmp_path):
    """Open a feature file, of given or random tokens, beside masks of the object by image id (None for no masks)."""
    with ExitStack() as stack:

        def opened(masks, tokens=None, ids=("test/0.png",), reasons=None, name="test", **provenance):
            tokens = random_tokens(0, *[GRID] * len(ids)) if tokens is None else tokens
            path = write_features(tmp_path / f"{name}.h5", tokens, ids, **provenance)
            if masks is not None:
                masks = stack.enter_context(MaskReader(write_masks(tmp_path / f"{name}-masks.h5", masks, reasons)))
            return stack.enter_context(FeatureReader(path, masks))

        yield opened


def plain_shares(mask, rows, columns):
    """Area of each patch under the mask, pixel by pixel."""
    height, width = mask.shape
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, bottom = row * height / rows, (row + 1) * height / rows
            left, right = column * width / columns, (column + 1) * width / columns
            for y in range(int(top), min(height, int(bottom) + 1)):
                for x in range(int(left), min(width, int(right) + 1)):
                    high, wide = min(bottom, y + 1) - max(top, y), min(right, x + 1) - max(left, x)
                    found[row, column] += mask[y, x] * high * wide
    return found / (height / rows * width / columns)


@pytest.mark.parametrize(("rows", "columns"), [(5, 6), (20, 30), (7, 31), (1, 1), (40, 3)])
def test_the_shares_of_patches_are_those_of_a_plain_loop_be_they_larger_or_smaller_than_pixels(rows, columns):
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    assert_close(patch_shares(mask, rows, columns), plain_shares(mask, rows, columns))


def test_the_object_is_the_patches_that_are_half_covered_and_one_more_on_every_side(reader):
    part, note = segmented_foreground(reader({"test/0.png": PART}), 0)
    expected = cv2.dilate((plain_shares(PART, *GRID) >= 0.5).astype(np.uint8), np.ones((3, 3), np.uint8))
    np.testing.assert_array_equal(part, expected.astype(bool))
    assert not part.all()
    assert note == ""


@pytest.mark.parametrize(("columns", "inside"), [(4, True), (3, False)])
def test_a_patch_is_of_the_object_from_half_its_area_on(reader, columns, inside):
    mask = np.zeros((40, 40), bool)
    mask[:, : 8 + columns] = True  # patches are 8 pixels wide
    tokens = random_tokens(0, (5, 5))
    part, _ = segmented_foreground(reader({"test/0.png": mask}, tokens), 0)
    assert part[0].tolist() == [True, True, inside, False, False]  # with one more patch on the side


def test_an_object_smaller_than_a_patch_leaves_the_whole_image_and_a_note(reader):
    mask = np.zeros(SIZE, bool)
    mask[20:23, 20:23] = True
    part, note = segmented_foreground(reader({"test/0.png": mask}), 0)
    assert part.all()
    assert note == TOO_SMALL


def test_what_the_segmentation_says_of_an_image_without_an_object_is_the_note(reader):
    masks = {"test/0.png": np.ones(SIZE, bool)}
    part = find_foreground(reader(masks, reasons={"test/0.png": "no object"}), 0, torch.zeros(*GRID, 1), "sam")
    assert part.patches.all()
    assert part.note == "no object"


def test_masks_are_found_by_the_name_of_the_image_and_turned_views_have_none(reader):
    other = np.ones(SIZE, bool)
    ids = ["train/1.png@000", "train/1.png@045", "train/2.png@000"]
    features = reader({"train/2.png": other, "train/1.png": PART}, ids=ids, view="rotations")
    np.testing.assert_array_equal(
        segmented_foreground(features, 0)[0], segmented_foreground(reader({"test/0.png": PART}, name="plain"), 0)[0]
    )
    assert segmented_foreground(features, 2)[0].all()
    named = reader({"train/1.png": PART}, ids=["train/1.png@000"], view="rotations_subspacead", name="named")
    np.testing.assert_array_equal(segmented_foreground(named, 0)[0], segmented_foreground(features, 0)[0])
    with pytest.raises(ValueError, match=r"do not fit train/1\.png@045 in the view 'rotations'"):
        segmented_foreground(features, 1)


def test_masks_that_are_missing_are_reported_by_name(reader):
    with pytest.raises(DataError, match=r"test-masks\.h5 has no mask of test/0\.png"):
        segmented_foreground(reader({"test/1.png": PART}), 0)
    with pytest.raises(ValueError, match="needs masks of the object"):
        segmented_foreground(reader(None), 0)
    with pytest.raises(ValueError, match="in the view 'hflip'"):
        segmented_foreground(reader({"test/0.png": PART}, view="hflip"), 0)


def two_images(reader, seed=0, background=0):
    """Two images of random patches beside their masks; those off the parts may be drawn anew."""
    ids = ("test/0.png", "test/1.png")
    masks = {ids[0]: PART, ids[1]: PART[::-1]}
    features = reader(masks, random_tokens(seed, GRID, GRID), ids, name=f"test{background}")
    parts = [segmented_foreground(features, index)[0] for index in range(2)]
    if background:
        tokens = random_tokens(seed, GRID, GRID)
        for image, fresh, part in zip(tokens, random_tokens(background, GRID, GRID), parts, strict=True):
            image[:, ~part] = fresh[:, ~part]
        features = reader(masks, tokens, ids, name=f"test{background}")
    return features, parts


@pytest.mark.parametrize("scorer", [MemoryBank(k=2), MemoryBank(window=3, rotations=False), BatchNeighbours()])
def test_the_background_scores_zero_and_the_object_as_without_a_segmentation(reader, scorer):
    features, parts = two_images(reader)
    roles = {"test": features}
    if isinstance(scorer, MemoryBank):
        roles["references"] = reader(None, random_tokens(1, GRID), name="references")
    whole = [score.anomaly_map for score in scorer.score(roles, PLAIN)]
    masked = scorer.model_copy(update={"foreground": "sam"})
    for score, unmasked, part in zip(masked.score(roles, PLAIN), whole, parts, strict=True):
        np.testing.assert_array_equal(score.anomaly_map, np.where(part, unmasked, 0))
        assert unmasked[~part].all()


def test_self_similarity_compares_patches_of_the_object_with_each_other_alone(reader):
    scorer = SelfSimilarity(k=2, exclusion_radius=1, foreground="sam")
    features, parts = two_images(reader)
    changed, _ = two_images(reader, background=5)
    expected = [score.anomaly_map for score in scorer.score({"test": features}, PLAIN)]
    for score, anomaly_map, part in zip(scorer.score({"test": changed}, PLAIN), expected, parts, strict=True):
        assert_close(score.anomaly_map, anomaly_map)
        assert not anomaly_map[~part].any()
        assert anomaly_map[part].all()
    whole = scorer.model_copy(update={"foreground": None})
    assert not np.allclose(next(whole.score({"test": features}, PLAIN)).anomaly_map[parts[0]], expected[0][parts[0]])


@pytest.mark.parametrize("scorer", [MemoryBank, BatchNeighbours, SelfSimilarity])
def test_scorers_say_whether_they_want_masks(scorer):
    assert scorer(foreground="sam").wants_foreground
    assert not any(scorer(foreground=rule).wants_foreground for rule in (None, "otsu", 10))
    assert not Mutual().wants_foreground
