"""What a stage checks of texts and of weights of others before it scores by them, and says of them in its results."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DataError
from zsad.files.texts import TextReader, TextWriter
from zsad.scoring.base import Scorer
from zsad.scoring.extra_inputs import check_texts, describe_inputs, learned_digests
from zsad.scoring.token_source import MemoryTokens

MODEL: dict[str, Any] = {
    "id": "tower",
    "revision": "a1",
    "weights_sha256": {"model.safetensors": "0a", "head.pth": "1b"},
}


class Asking(Scorer):
    """A scorer that reads texts, and a file of others."""

    summary: ClassVar[str] = "Asks."
    text_role: ClassVar[str] = "test"
    setting: ClassVar[str] = "zero-shot-text"

    weights: str | None = None

    def learned_files(self) -> dict[str, str]:
        return {"weights": self.weights} if self.weights else {}

    def feature_sets(self) -> dict[str, FeatureSet]:
        return {"test": FeatureSet("test")}

    def score(self, features: Any, compute: Any) -> Any:
        raise NotImplementedError


class Silent(Asking):
    """One that reads none."""

    text_role: ClassVar[str] = ""


def tokens(model: Any = MODEL) -> MemoryTokens:
    return MemoryTokens([np.ones((1, 2, 2, 3))], provenance={"model": model})


def texts(folder: Path, **model: Any) -> TextReader:
    provenance = {"part_name": "ring", "prompts": {"name": "mine"}, "model": {**MODEL, **model}}
    path, sentences = folder / "texts.h5", ["a sound ring", "a torn ring", "a bent ring"]
    embeddings = np.eye(3, dtype=np.float32)
    with TextWriter(path, provenance, sentences=sentences, states=[0, 1, 1], embeddings=embeddings, patch_part=(0, 3)):
        pass
    return TextReader(path)


def test_texts_of_the_model_of_the_features_pass(tmp_path: Path) -> None:
    with texts(tmp_path) as read:
        check_texts(Asking(), {"test": tokens()}, read)
    check_texts(Silent(), {"test": tokens()}, None)
    check_texts(Asking(), {"references": tokens()}, None)  # the role that texts go with is not read


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"id": "another"}, "different models (another and tower)"),
        ({"revision": "b2"}, "different models (tower of revision b2 and a1)"),
        ({"weights_sha256": {"model.safetensors": "0b"}}, "different models (tower with another model.safetensors)"),
    ],
)
def test_texts_of_another_model_are_refused(tmp_path: Path, model: dict[str, Any], said: str) -> None:
    with texts(tmp_path, **model) as read, pytest.raises(DataError) as caught:
        check_texts(Asking(), {"test": tokens()}, read)
    assert said in str(caught.value)
    assert str(read.path) in str(caught.value)


@pytest.mark.parametrize("digests", [None, {"head.pth": "1b"}, {"text.safetensors": "9f"}])
def test_files_that_one_of_the_two_has_no_need_of_do_not_distinguish_models(tmp_path: Path, digests: Any) -> None:
    with texts(tmp_path, weights_sha256=digests) as read:
        check_texts(Asking(), {"test": tokens()}, read)


def test_texts_that_are_missing_or_too_many_are_a_fault_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="texts are missing"):
        check_texts(Asking(), {"test": tokens()}, None)
    with texts(tmp_path) as read, pytest.raises(ValueError, match="not used by the scorer"):
        check_texts(Silent(), {"test": tokens()}, read)


def test_what_was_asked_and_read_is_described(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"trained")
    scorer, digest = Asking(weights=str(weights)), hashlib.sha256(b"trained").hexdigest()
    assert learned_digests(scorer) == {"weights": digest}
    with texts(tmp_path) as read:
        described = describe_inputs(scorer, read)
    assert described["learned_files"] == {"weights": digest}
    assert described["texts"]["part_name"] == "ring"
    assert described["texts"]["sentences"] == 3
    assert describe_inputs(Asking(), None) == {}


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"weights: .*gone\.pth does not exist"):
        learned_digests(Asking(weights=str(tmp_path / "gone.pth")))
