"""Whether features are those that weights were learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.errors import DataError
from zsad.scoring.same_features import difference, feature_facts
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.trained import check_features

MODEL = {"id": "vit", "revision": "a1", "weights_sha256": {"model.safetensors": "0a"}}
PARAMS = {"model": "vit", "resolution": 518, "fit": "square", "layers": None, "tokenizer": "here", "dtype": "auto"}


def tokens(*, layers: tuple[str, ...] = ("5", "11"), channels: int = 3, **provenance: Any) -> MemoryTokens:
    images = [np.ones((len(layers), 2, 2, channels))]
    known = {"model": MODEL, "backbone": PARAMS, **provenance}
    return MemoryTokens(images, layers=list(layers), provenance=known, path="test.h5")


LEARNED = feature_facts(tokens())


def test_facts_are_what_tokens_say_of_themselves() -> None:
    assert LEARNED == {
        "layers": ["5", "11"],
        "channels": 3,
        "cls_source": "mean of patch tokens",
        "model": MODEL,
        "backbone": PARAMS,
    }
    silent = feature_facts(MemoryTokens([np.ones((1, 2, 2, 3))]))
    assert (silent["model"], silent["backbone"]) == (None, None)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (tokens(layers=("5", "8")), "layers: 5, 8 and 5, 11"),
        (tokens(channels=4), "channels: 4 and 3"),
        (tokens(backbone={**PARAMS, "resolution": 448}), "resolution: 448 and 518"),
        (tokens(backbone={**PARAMS, "fit": "width"}), "fit: width and square"),
        (tokens(model={**MODEL, "weights_sha256": {"model.safetensors": "0b"}}), "vit with another model.safetensors"),
        (tokens(model={"id": "cnn", "revision": None, "weights_sha256": {"b": "1"}}), "model: cnn and vit"),
        (tokens(model={"id": "vit", "revision": "b2"}), "revision of vit: b2 and a1"),
    ],
)
def test_other_features_are_refused_with_both_values(other: MemoryTokens, told: str) -> None:
    assert difference(feature_facts(other), LEARNED) == told
    with pytest.raises(DataError) as caught:
        check_features({"features": LEARNED}, other, Path("way.safetensors"))
    sentence = str(caught.value)
    assert f"test.h5 and the features that way.safetensors was learned from come from different backbones ({told})" in (
        sentence
    )
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "same",
    [
        tokens(),
        tokens(model=None),
        tokens(backbone=None),
        tokens(model={"id": "/models/vit", "revision": None, "weights_sha256": {"model.safetensors": "0a"}}),
        tokens(
            backbone={**PARAMS, "model": "/models/vit", "tokenizer": "there", "dtype": "float32", "layers": [5, 11]}
        ),
        tokens(backbone={**PARAMS, "added_by_another_version": 3}),
    ],
)
def test_the_same_features_pass_wherever_they_were_made(same: MemoryTokens) -> None:
    assert difference(feature_facts(same), LEARNED) == ""
    check_features({"features": LEARNED}, same, Path("way.safetensors"))


def test_members_of_a_joint_are_compared_each(tmp_path: Path) -> None:
    def joint(resolution: int, digest: str = "0a", weight: float = 1.0) -> dict[str, Any]:
        members = [{"name": "a", "family": "f", "params": {"resolution": 64}}]
        members.append({"name": "b", "family": "f", "params": {"resolution": resolution}})
        models = {"a": MODEL, "b": {**MODEL, "weights_sha256": {"model.safetensors": digest}}}
        of_model = {"id": "a + b", "revision": None, "weights_sha256": None, "members": models}
        return feature_facts(tokens(model=of_model, backbone={"members": members, "weights": [weight, 1.0]}))

    assert difference(joint(64), joint(64)) == ""
    assert difference(joint(64), joint(128)) == "resolution: 64 and 128"
    assert difference(joint(64, weight=2.0), joint(64)) == "weights: 2.0, 1.0 and 1.0, 1.0"
    assert difference(joint(64, "0b"), joint(64)) == "vit with another model.safetensors"


def test_weights_that_do_not_say_their_features_are_refused() -> None:
    with pytest.raises(DataError, match="does not say which features it was learned from"):
        check_features({}, tokens(), Path("way.safetensors"))


def test_a_long_value_is_cut_in_the_sentence() -> None:
    told = difference({**LEARNED, "layers": [f"layer{number}" for number in range(99)]}, LEARNED)
    assert len(told) < 100
    assert "..." in told
