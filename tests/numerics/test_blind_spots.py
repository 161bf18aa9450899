"""What a method says that it cannot see, it does not see: such a defect scores no more than what is good.

And the same images with a defect of another kind, which the method is made for, score more, so that it is not for the
images that nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auxiliary_sets import made_up_category, write_weights
from feature_files import scores
from text_files import layers_for, made_up_texts
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.trained import TrainedScorer

SIDE, CHANNELS, IMAGES = 12, 24, 8
NOISE = 0.1
Tokens = list[np.ndarray]  # ``[layer, row, column, channel]``, one an image
rng = np.random.default_rng(3)
KINDS = rng.normal(size=(4, CHANNELS))  # of normal patches: the four quarters of an object
ANOMALOUS = rng.normal(size=CHANNELS)  # what no normal image shows


def good(seed: int) -> np.ndarray:
    """An object of four quarters that differ, with noise."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE, CHANNELS))
    quarters = KINDS.reshape(2, 2, CHANNELS).repeat(SIDE // 2, axis=0).repeat(SIDE // 2, axis=1)
    return (quarters + NOISE * noise)[None]


def spot(seed: int, what: np.ndarray = ANOMALOUS, size: int = 2) -> np.ndarray:
    """An object with a small anomalous spot."""
    image = good(seed)
    image[0, 2 : 2 + size, 3 : 3 + size] = what + NOISE * np.random.default_rng(seed).normal(
        size=(size, size, CHANNELS)
    )
    return image


def everywhere(seed: int) -> np.ndarray:
    """An object that is anomalous everywhere, and the same throughout."""
    return ANOMALOUS + NOISE * np.random.default_rng(seed).normal(size=(1, SIDE, SIDE, CHANNELS))


def swapped(seed: int) -> np.ndarray:
    """An object whose quarters have changed places."""
    return np.roll(good(seed), SIDE // 2, axis=2)


def between(seed: int) -> np.ndarray:
    """An object with a spot halfway between two kinds of normal patches."""
    return spot(seed, (KINDS[0] + KINDS[1]) / 2)


REFERENCES = [good(100 + seed) for seed in range(4)]
OTHERS = [good(200 + seed) for seed in range(IMAGES)]


def batch(defect: Callable[[int], np.ndarray], copies: int) -> Tokens:
    """Test images, the defective ones first."""
    return [defect(seed) for seed in range(copies)] + OTHERS[copies:]


def image_scores(name: str, folder: Path, test: Tokens, **params: object) -> np.ndarray:
    """By a scorer; its mirrored views are the mirrored images of a backbone that is equivariant."""
    fields = SCORERS.load(name).model_fields
    scorer = SCORERS.build(name, {"shots": "all", **params} if "shots" in fields else params)
    views = {
        "original": lambda image: image,
        "rotations": lambda image: image,
        "hflip": lambda image: image[:, :, ::-1],
        "vflip": lambda image: image[:, ::-1],
        "rot180": lambda image: image[:, ::-1, ::-1],
    }
    roles = {
        role: [views[wanted.view](image) for image in (test if wanted.subset == "test" else REFERENCES)]
        for role, wanted in scorer.feature_sets().items()
    }
    folder.mkdir()
    scoring = ImageScoring()
    return np.array(
        [
            one.image_score if one.anomaly_map is None else scoring.image_score(one.anomaly_map)
            for one in scores(scorer, folder, **roles)
        ]
    )


@pytest.mark.parametrize(
    ("name", "params", "unseen", "copies", "seen"),
    [
        ("self_similarity", {}, everywhere, 1, spot),
        ("mutual", {}, spot, 6, spot),
        ("mutual_consistent", {}, spot, 6, spot),
        ("batch_neighbours", {}, spot, 2, spot),
        ("mutual", {}, swapped, 1, spot),
        ("batch_neighbours", {}, swapped, 1, spot),
        ("memory_bank", {}, swapped, 1, spot),
        ("patchcore", {"coreset": 0.5}, swapped, 1, spot),
        ("subspace", {}, swapped, 1, spot),
        ("subspace", {}, between, 1, spot),
        ("mahalanobis", {}, swapped, 1, spot),
        ("flow", {"steps": 100, "width": 32, "batch": 128}, swapped, 1, spot),
        ("gmm", {}, swapped, 1, everywhere),
        ("class_token_knn", {}, swapped, 1, everywhere),
        ("flip_consistency", {}, spot, 1, None),
    ],
)
def test_a_method_is_blind_to_what_it_says(name, params, unseen, copies, seen, tmp_path: Path) -> None:
    found = image_scores(name, tmp_path / "unseen", batch(unseen, copies), **params)
    assert found[:copies].mean() <= found[copies:].max() + 0.05 * abs(found[copies:].max()) + 1e-6
    if seen:
        found = image_scores(name, tmp_path / "seen", batch(seen, 1), **params)
        assert found[0] > 1.05 * found[1:].max()


def test_a_symmetric_defect_is_invisible_to_mirror_symmetry(tmp_path: Path) -> None:
    """In an object whose left half differs from place to place, so that no other axis suits it."""
    half = np.random.default_rng(5).normal(size=(1, SIDE, SIDE // 2, CHANNELS))
    odd = half.copy()
    odd[0, 2:4, 2:4] = ANOMALOUS
    parts = [
        np.concatenate([left, right[:, :, ::-1]], axis=2) for left, right in ((half, half), (odd, odd), (odd, half))
    ]
    sound, unseen, seen = image_scores("mirror_symmetry", tmp_path / "x", parts, symmetries=["horizontal"])
    assert unseen == pytest.approx(sound, abs=1e-5)
    assert seen > sound + 0.1


def test_tiles_of_a_texture_are_blind_to_what_is_throughout_and_mark_the_rest_of_what_is_nearly_so(tmp_path) -> None:
    def texture(seed: int, odd_columns: int = 0) -> np.ndarray:
        image = KINDS[0] + NOISE * np.random.default_rng(seed).normal(size=(SIDE, SIDE, CHANNELS))
        image[:, :odd_columns] = ANOMALOUS
        return image[None]

    test = [everywhere(1), texture(2, SIDE // 4), texture(3, 3 * SIDE // 4), *(texture(seed) for seed in range(4, 10))]
    found = scores(SCORERS.build("tile_distribution", {"tile": 3}), tmp_path, test=test)
    throughout, quarter, most, *rest = (one.anomaly_map for one in found)
    assert throughout.max() <= 1.05 * max(anomaly_map.max() for anomaly_map in rest)
    odd = np.arange(SIDE) < SIDE // 4
    assert quarter[:, odd].mean() > 2 * quarter[:, ~odd].mean()
    odd = np.arange(SIDE) < 3 * SIDE // 4
    assert most[:, ~odd].mean() > 2 * most[:, odd].mean()


def test_a_gaussian_is_blind_to_what_good_patches_differ_in_anyway(tmp_path: Path) -> None:
    """A shade that normal patches have now and then; as strong a change in another direction is found."""
    shade, other = np.random.default_rng(6).normal(size=(2, CHANNELS)) / CHANNELS**0.5

    def shaded(seed: int, spot: np.ndarray | float = 0.0) -> np.ndarray:
        light = np.random.default_rng(1000 + seed).normal(size=(SIDE, SIDE, 1))
        image = good(seed)
        image[0] += light * shade
        image[0, 2:4, 3:5] += spot
        return image

    references = [shaded(100 + seed) for seed in range(4)]
    test = [shaded(1, shade), shaded(2, 2 * other), *(shaded(seed) for seed in range(3, 9))]
    folder = tmp_path / "x"
    folder.mkdir()
    found = scores(SCORERS.build("mahalanobis", {"shots": "all"}), folder, test=test, references=references)
    unseen, seen, *rest = (ImageScoring().image_score(one.anomaly_map) for one in found)
    assert unseen <= 1.05 * max(rest)
    assert seen > 1.2 * max(rest)


@pytest.mark.parametrize(
    "name", ["self_similarity", "mutual", "batch_neighbours", "memory_bank", "mahalanobis", "subspace"]
)
def test_a_texture_that_has_grown_weaker_ranks_backwards(name: str, tmp_path: Path) -> None:
    """Its patches lie in the middle of the normal ones, nearer to all of them than these to each other."""
    weaker = [NOISE / 2 * np.random.default_rng(seed).normal(size=(1, SIDE, SIDE, CHANNELS)) for seed in range(2)]
    quarters = good(0) - NOISE * np.random.default_rng(0).normal(size=(SIDE, SIDE, CHANNELS))
    found = image_scores(name, tmp_path / "x", [*(quarters + noise for noise in weaker), *OTHERS])
    assert found[:2].max() < found[2:].min()


@pytest.mark.parametrize("name", ["gmm", "class_token_knn"])
def test_a_small_defect_hardly_moves_what_sees_the_image_as_a_whole(name: str, tmp_path: Path) -> None:
    small, whole, *rest = image_scores(name, tmp_path / "x", [spot(1), everywhere(2), *OTHERS])
    assert small - max(rest) < 0.2 * (whole - max(rest))


def test_a_position_shows_what_is_in_a_wrong_place(tmp_path: Path) -> None:
    test = batch(swapped, 1)
    for name, params in (
        ("memory_bank", {"rotations": False, "window": 1}),
        ("mahalanobis", {"per_position": True}),
        ("flow", {"steps": 300, "width": 64, "batch": 256, "rate": 5e-3, "position": True, "hold_out": 0}),
    ):
        found = image_scores(name, tmp_path / name, test, **params)
        assert found[0] > 2 * found[1:].max()


WORDS = np.eye(2, CHANNELS) * 8  # what sentences of a sound and of a damaged part say


def in_words(image: np.ndarray, damaged: np.ndarray | None = None) -> np.ndarray:
    """Windows of 2 x 2 and patches of it, sound in words but where it is damaged, bool ``[row, column]``."""
    state = np.zeros((SIDE, SIDE), int) if damaged is None else damaged.astype(int)
    patches = image[0] + WORDS[state]
    windows = np.zeros_like(patches)
    windows[:-1, :-1] = (patches[:-1, :-1] + patches[1:, :-1] + patches[:-1, 1:] + patches[1:, 1:]) / 4
    return np.stack([windows, patches])


@pytest.mark.parametrize(
    ("name", "unseen"),
    [
        ("text_similarity", swapped),
        ("text_similarity", spot),
        ("winclip", swapped),
        ("winclip", spot),
        ("winclip_plus", swapped),
    ],
)
def test_texts_are_blind_to_what_sentences_of_damage_do_not_tell_of(name, unseen) -> None:
    """Another object in its place, or one in a wrong place; what sentences tell of is found in the same place."""
    damaged = np.zeros((SIDE, SIDE), bool)
    damaged[2:5, 3:6] = True
    test = [in_words(unseen(1)), in_words(good(2), damaged), *map(in_words, OTHERS)]
    texts = made_up_texts(0, CHANNELS, states=(0, 1))
    texts.embeddings[:] = WORDS
    scorer = SCORERS.build(name, {"temperature": 0.5, **({"shots": "all"} if name == "winclip_plus" else {})})
    layers = layers_for(scorer, 2) if scorer.reads_windows else ["odd", "patches"]
    roles = {
        role: MemoryTokens(list(map(in_words, REFERENCES)) if role == "references" else test, None, None, layers)
        for role in scorer.feature_sets()
    }
    roles[scorer.text_role].texts = texts
    by_index = {score.index: score.anomaly_map.max() for score in scorer.score(roles, Compute())}
    blind, seen, *rest = (by_index[index] for index in range(len(test)))
    assert seen > 1.3 * max(rest)
    assert blind - max(rest) <= 0.05 * (seen - max(rest))


def test_what_looks_damaged_by_nature_scores_high_throughout() -> None:
    texts = made_up_texts(0, CHANNELS, states=(0, 1))
    texts.embeddings[:] = WORDS
    rough = in_words(good(1), np.ones((SIDE, SIDE), bool))
    tokens = MemoryTokens([rough, in_words(good(2))], layers=["odd", "patches"], texts=texts)
    found = [score.anomaly_map for score in SCORERS.build("text_similarity").score({"test": tokens}, Compute())]
    assert found[0].min() > 0.5 > found[1].max()


# --- what learned from the anomalies of another data set --------------------------------------------------------------

# What anomalies do elsewhere, and something else.
KNOWN, UNKNOWN = 6 * np.linalg.qr(rng.normal(size=(CHANNELS, 2)))[0].T
LEARNING = {"visual_prompts": {"rate": 0.03}, "prompt_memory": {}}


def moved(seed: int, direction: np.ndarray, side: int = 2) -> np.ndarray:
    """An object with a spot that is moved in a direction."""
    image = good(seed)
    image[0, 2 : 2 + side, 3 : 3 + side] += direction
    return image


def learned_scores(name: str, folder: Path, test: Tokens) -> list[np.ndarray]:
    """The maps by what was learned from parts that look otherwise, whose anomalies are moved in the known direction."""
    scorer = SCORERS.build(name, LEARNING[name])
    assert isinstance(scorer, TrainedScorer)
    given = {"layers": ["0"], "channels": CHANNELS, "cls_source": "mean of patch tokens"}
    categories = [
        made_up_category(str(seed), seed, direction=KNOWN, strength=1, images=3, **given) for seed in range(60)
    ]
    scorer = scorer.with_weights(write_weights(folder / "weights.safetensors", scorer, categories))
    return [score.anomaly_map for score in scorer.score({"test": MemoryTokens(test)}, Compute())]


@pytest.mark.parametrize("name", LEARNING)
def test_what_learned_elsewhere_is_blind_to_defects_unlike_those(name: str, tmp_path: Path) -> None:
    """One that moves patches as far in another direction, or parts in a wrong place."""
    test = [moved(1, KNOWN), moved(2, UNKNOWN), swapped(3), *OTHERS]
    seen, unseen, misplaced, *rest = (anomaly_map.max() for anomaly_map in learned_scores(name, tmp_path, test))
    assert seen > max(rest)
    assert unseen - max(rest) <= 0.1 * (seen - max(rest))
    assert misplaced - max(rest) <= 0.1 * (seen - max(rest))


@pytest.mark.parametrize("name", LEARNING)
def test_what_looks_like_defects_elsewhere_by_nature_scores_high_throughout(name: str, tmp_path: Path) -> None:
    rough, *rest = learned_scores(name, tmp_path, [moved(1, KNOWN, SIDE), *OTHERS])
    assert (rough > np.max(rest, axis=0))[2:, 3:].all()
