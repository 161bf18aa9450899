"""The rule by which a user gives the threshold of images, that of pixels, or both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from harness import merged
from zsad.deciding.base import Evidence
from zsad.deciding.fixed import Fixed
from zsad.errors import ConfigError
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
IMAGES_ALONE = {"scorer": "class_token_knn", "params": {"shots": 2}}
MAP = np.array([[0.9, 0.1, 0.1, 0.7], [0.1, 0.8, 0.1, 0.1]], dtype=np.float32)  # of median 0.1


def fixed(**params: Any) -> dict[str, Any]:
    return {"rule": "fixed", "params": params}


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


@pytest.mark.parametrize(
    ("params", "expected", "decided"),
    [
        ({"image": 0.85, "pixel": 0.6}, (0.6, 0.85), (True, False)),
        ({"image": 0.95, "pixel": 0.6}, (0.6, 0.95), (False, False)),
        ({"pixel": 0.6}, (0.6, 0.6), (True, False)),  # any marked pixel makes an image defective
        ({"image": 0.8, "extent": 0.5}, (0.45, 0.8), (True, False)),  # half of the way from 0.1
        ({"image": 0.8, "extent": 1}, (0.8, 0.8), (True, False)),
        ({"image": 0, "pixel": -0.6}, (-0.6, 0), (True, True)),
    ],
)
def test_the_values_are_those_that_are_given_whatever_the_scores(
    params: dict[str, Any], expected: tuple[float, float], decided: tuple[bool, bool]
) -> None:
    maps = [MAP, np.minimum(MAP, np.float32(0.5))]
    found = Fixed(**params).decide(Evidence(maps, np.array([0.3, 0.3])))
    for index in range(2):
        assert found.thresholds(index) == pytest.approx(expected, abs=1e-7)
    assert tuple(found.decided) == decided
    assert np.isnan(found.nominal)
    if len(params) == 2 and "pixel" in params:
        scaled = Fixed(**params).decide(Evidence([100 * each for each in maps], np.array([30, 30])))
        assert scaled.thresholds(0) == found.thresholds(0)


def test_without_maps_the_value_for_images_decides_on_scores_and_nothing_is_marked() -> None:
    found = Fixed(image=0.8, pixel=0.6).decide(Evidence([], np.array([0.7, 0.9])))
    assert found.decided.tolist() == [False, True]
    assert found.pixel.tolist() == [np.inf, np.inf]
    assert Fixed(pixel=0.6).needs_maps
    assert not Fixed(image=0.8).needs_maps


def test_values_are_completed_for_each_method_by_those_for_all() -> None:
    found = settings(
        threshold=fixed(image=0.8, pixel=0.6),
        methods__self_similarity__threshold={"params": {"pixel": 0.1}},
        methods__memory_bank__threshold={"params": {"image": None}},
    ).methods
    assert found["mutual"].deciding == fixed(image=0.8, pixel=0.6, extent=0.7)
    assert found["self_similarity"].deciding == fixed(image=0.8, pixel=0.1, extent=0.7)
    assert found["memory_bank"].deciding == fixed(image=None, pixel=0.6, extent=0.7)


def test_values_that_were_not_given_are_not_put_into_words() -> None:
    found = settings(threshold=fixed(image=0.8))
    assert found.threshold_in_words("mutual") == "fixed (extent 0.7, image 0.8)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": fixed()}, "threshold.params: give a value for images"),
        ({"threshold": fixed(image=None, pixel=None)}, "give a value for images"),
        ({"threshold": fixed(image=0.6, pixel=0.8)}, "value for pixels .* must not exceed that for images"),
        ({"threshold": fixed(image=float("nan"))}, "threshold.params: image = nan is not valid: .*finite"),
        ({"threshold": fixed(pixel=float("inf"))}, "threshold.params: pixel = inf is not valid: .*finite"),
        ({"threshold": fixed(pixel="high")}, "pixel = 'high' is not valid: .*number"),
        ({"threshold": fixed(pixel=True)}, "pixel = true is not valid: it must be a number"),
        ({"threshold": fixed(image=[0.8, 0.6])}, "image = .* is not valid"),
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
    assert found.deciding == fixed(image=0.8, pixel=None, extent=0.7)
