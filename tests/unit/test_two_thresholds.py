"""What the threshold of images and that of pixels decide, and the rule by which a user gives both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from feature_files import random_tokens, write_features
from fitted_files import score_files
from harness import merged
from zsad.deciding.base import Evidence, Thresholds
from zsad.deciding.fixed import Fixed
from zsad.errors import ConfigError
from zsad.files.scores import ScoreReader
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute
from zsad.scoring.fusion import Fusion, MemberScores
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.self_similarity import SelfSimilarity
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
IMAGES_ALONE = {"scorer": "class_token_knn", "params": {"shots": 2}}
NAN = float("nan")

# Two regions that touch at a corner, which is one, and a third apart; 4 of 20 values above 0.5, one equal to it.
MAP = np.array(
    [
        [0.9, 0.1, 0.1, 0.1, 0.7],
        [0.1, 0.8, 0.1, 0.1, 0.1],
        [0.1, 0.1, 0.1, 0.5, 0.1],
        [0.1, 0.1, 0.1, 0.1, 0.6],
    ],
    dtype=np.float32,
)


def fixed(**params: Any) -> dict[str, Any]:
    return {"rule": "fixed", "params": params}


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


@pytest.mark.parametrize(
    ("params", "expected", "without_maps"),
    [
        ({"image": 0.8, "pixel": 0.6}, (0.6, 0.8), (np.inf, 0.8)),
        ({"image": 0.8}, (0.8, 0.8), (np.inf, 0.8)),
        ({"pixel": -0.6}, (-0.6, NAN), None),
        ({"image": 0, "pixel": None}, (0.0, 0.0), (np.inf, 0.0)),
    ],
)
def test_fixed_gives_the_values_whatever_the_scores(
    params: dict[str, Any], expected: tuple[float, float], without_maps: tuple[float, float] | None
) -> None:
    rule = Fixed(**params)
    for scale in (1, 100):
        np.testing.assert_equal(tuple(rule.thresholds(Evidence([scale * MAP], np.array([scale * 0.3])))), expected)
    assert rule.needs_maps == (without_maps is None)
    if without_maps is not None:
        assert rule.thresholds(Evidence([], np.array([0.3]))) == without_maps


def test_the_score_file_has_the_given_values(tmp_path: Path) -> None:
    features = write_features(tmp_path / "test.h5", random_tokens(0, (6, 7), (7, 6)))
    references = write_features(tmp_path / "references.h5", random_tokens(1, (4, 4)), ["train/7.png"])
    for scorer, files, expected in (
        (SelfSimilarity(), {"test": features}, (0.25, 0.75)),
        (ClassTokenKnn(), {"test": features, "references": references}, (np.inf, 0.75)),
    ):
        score_files(
            tmp_path / "scores.h5",
            scorer,
            files,
            image_scoring=ImageScoring(),
            threshold_rule=Fixed(image=0.75, pixel=0.25),
            compute=Compute(),
        )
        with ScoreReader(tmp_path / "scores.h5") as found:
            assert (found.threshold, found.image_threshold) == expected
            assert found.provenance["threshold_rule"] == {"class": "Fixed", "params": {"image": 0.75, "pixel": 0.25}}


@pytest.mark.parametrize("scale", ["robust_z", "rank"])
def test_a_fusion_decides_by_regions_if_a_member_does(scale: str) -> None:
    rng = np.random.default_rng(0)
    members = [
        MemberScores([rng.random((4, 5)).astype(np.float32) for _ in range(3)], rng.random(3), Thresholds(0.7, image))
        for image in (0.6, NAN)
    ]
    found = Fusion(methods=("a", "b"), scale=scale).fused(members).thresholds
    assert np.isnan(found.image)
    assert np.isfinite(found.pixel)


def test_fixed_is_set_for_all_methods_or_for_one() -> None:
    every = settings(threshold=fixed(image=0.8, pixel=0.6))
    assert {str(method.scoring["threshold"]) for method in every.methods.values()} == {
        "{'rule': 'fixed', 'params': {'image': 0.8, 'pixel': 0.6}}"
    }
    one = settings(methods__mutual__threshold=fixed(pixel=0.3)).methods
    assert one["mutual"].scoring["threshold"] == fixed(image=None, pixel=0.3)
    assert one["self_similarity"].scoring["threshold"]["rule"] == "robust_tail"


def test_the_parameters_for_all_go_with_their_rule_alone() -> None:
    found = settings(
        threshold=fixed(image=0.8, pixel=0.6),
        methods__mutual__threshold={"rule": "mebin"},
        methods__self_similarity__threshold={"params": {"pixel": 0.1}},
        methods__memory_bank__threshold={"params": {"image": None}},
    ).methods
    assert found["mutual"].scoring["threshold"]["rule"] == "mebin"
    assert found["self_similarity"].scoring["threshold"] == fixed(image=0.8, pixel=0.1)
    assert found["memory_bank"].scoring["threshold"] == fixed(image=None, pixel=0.6)


def test_a_changed_value_changes_what_the_scores_depend_on() -> None:
    before, after = (settings(threshold=fixed(image=0.8, pixel=value)).methods["mutual"] for value in (0.6, 0.5))
    assert before.stage_config() != after.stage_config()
    assert before.feature_sets == after.feature_sets


def test_what_set_the_thresholds_is_told_in_words() -> None:
    found = settings(
        threshold=fixed(image=0.8),
        methods__mutual__threshold={"rule": "robust_tail", "params": {"z": 4}},
        methods__both={"scorer": "fusion", "params": {"methods": ["mutual", "self_similarity"]}},
        methods__sharp={"scorer": "modulation", "params": {"method": "mutual", "refiner": "guided"}},
    )
    assert {name: found.threshold_in_words(name) for name in ("self_similarity", "mutual", "both", "sharp")} == {
        "self_similarity": "fixed (image 0.8)",
        "mutual": "robust_tail (z 4)",
        "both": "combined from those of mutual, self_similarity",
        "sharp": "robust_tail (z 4)",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": fixed()}, "threshold.params: give a value for images"),
        ({"threshold": fixed(image=None, pixel=None)}, "give a value for images"),
        ({"threshold": fixed(image=float("nan"))}, "threshold.params: image = nan is not usable: .*finite"),
        ({"threshold": fixed(pixel=float("inf"))}, "threshold.params: pixel = inf is not usable: .*finite"),
        ({"threshold": fixed(pixel="high")}, "pixel = 'high' is not usable: .*number"),
        ({"threshold": fixed(pixel=True)}, "pixel = true is not usable: it must be a number"),
        ({"threshold": fixed(image=[0.8, 0.6])}, "image = .* is not usable"),
        ({"threshold": fixed(images=0.8)}, "unknown parameter 'images'; did you mean 'image'"),
        ({"methods__mutual__threshold": fixed(image="x")}, r"methods\.mutual\.threshold\.params: image = 'x'"),
        (
            {"methods__tokens": IMAGES_ALONE, "threshold": fixed(pixel=0.6)},
            r"methods\.tokens: .*'fixed' looks at maps, and .* scores images alone; give it a value for images",
        ),
    ],
)
def test_a_value_that_is_none_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        settings(**changes)
    assert "\n" not in str(raised.value)


def test_a_method_of_images_alone_needs_the_value_for_images_only() -> None:
    found = settings(methods__tokens=IMAGES_ALONE, threshold=fixed(image=0.8)).methods["tokens"]
    assert found.scoring["threshold"] == fixed(image=0.8, pixel=None)
