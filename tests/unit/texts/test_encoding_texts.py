"""The stage that encodes what is asked of an object: each sentence once, in its place, with all that was asked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closeness import assert_close
from tiny_texts import write_learned_tokens, write_linear_layers, write_tiny_clip
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Backbone
from zsad.features.embedded import Embedded
from zsad.features.execution import Execution
from zsad.features.image_text import ImageText
from zsad.files.texts import ANOMALOUS, NORMAL, TextReader
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.learned_tokens import LearnedTokens, read_learned_tokens
from zsad.models.texts.loading import load_texts
from zsad.texts.encode_texts import embeddings_of, encode_texts
from zsad.texts.prompt_sets import prompt_set, sentences_of

LONGEST = 20
OWN = "{normal: ['{}', 'good {}'], anomalous: ['broken {}'], templates: ['a {}.', 'the {}, seen.', 'a {}.']}"


class CountingEncoder(TextEncoder):
    """Knows words by their letters; tells of an embedding's text, and of what it is asked to encode."""

    def __init__(self) -> None:
        self.name, self.device, self.model = "counting", "cpu", {"id": "counting", "weights_sha256": {"w": "0" * 64}}
        self.channels, self.patch_part, self.longest = 3, (1, 3), LONGEST
        self.asked: list[str] = []
        self.spoilt: float | None = None

    def count_tokens(self, text: str) -> int:
        return 2 + len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        embeddings = np.array([self.embedding(text) for text in texts], dtype=np.float32)
        if self.spoilt is not None:
            embeddings[-1] = self.spoilt
        return embeddings

    def embedding(self, text: str) -> list[float]:
        return [len(text), text.count("a"), sum(map(ord, text))]

    def encode_learned(self, learned: LearnedTokens) -> np.ndarray:
        return np.stack([learned.normal[0, :3].numpy(), learned.anomalous[0, :3].numpy()])


class Asking(Embedded):
    """A backbone with a text tower of a test."""

    def text_parameters(self) -> dict[str, Any]:
        return {"model": "counting"}

    def load_texts(self, execution: Execution) -> TextEncoder:
        return ENCODER[0]


ENCODER: list[CountingEncoder] = []


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CountingEncoder:
    """The encoder that `Asking` loads, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    ENCODER[:] = [CountingEncoder()]
    return ENCODER[0]


def encoded(prompts: str, part_name: str = "metal nut", backbone: Backbone | None = None, **changes: Any) -> TextReader:
    output = Path("texts/counting.h5")
    arguments: dict[str, Any] = {"category": "metal_nut", "trained_on": "", "provenance": {"stage": "encode_texts"}}
    encode_texts(
        prompts=prompts,
        part_name=part_name,
        backbone=Asking() if backbone is None else backbone,
        execution=Execution("cpu"),
        output=output,
        **{**arguments, **changes},
    )
    with TextReader(output) as reader:
        return reader


def refusal(kind: type[Exception], prompts: str, *arguments: Any, **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        encoded(prompts, *arguments, **changes)
    assert "\n" not in str(caught.value)
    assert not list(Path().rglob("*.h5*")), "nothing half-written"
    return str(caught.value)


# --- words ---


@pytest.mark.parametrize("prompts", ["winclip", "winclip_21", "april_gan"])
def test_every_sentence_has_its_embedding_in_its_place(encoder: CountingEncoder, prompts: str) -> None:
    texts = encoded(prompts)
    expected = sentences_of(prompt_set(prompts), "metal nut")
    assert texts.sentences == expected.texts
    assert texts.states.tolist() == expected.states
    np.testing.assert_array_equal(texts.embeddings, np.float32([encoder.embedding(text) for text in expected.texts]))
    assert texts.patch_part == (1, 3)


def test_a_sentence_that_stands_twice_is_encoded_once_beside_others_of_its_length(encoder: CountingEncoder) -> None:
    texts = encoded("winclip_21")
    assert len(encoder.asked) == 220
    assert {*encoder.asked} == {*texts.sentences}
    lengths = [encoder.count_tokens(text) for text in encoder.asked]
    assert lengths == sorted(lengths)


def test_what_was_asked_stands_in_the_provenance(encoder: CountingEncoder) -> None:
    texts = encoded("winclip", part_name=" metal  nut ")
    winclip = prompt_set("winclip")
    assert texts.provenance.pop("seconds") >= 0
    assert texts.provenance == {
        "stage": "encode_texts",
        "category": "metal_nut",
        "part_name": "metal nut",
        "prompts": {
            "name": "winclip",
            "source": winclip.source,
            "normal": list(winclip.normal),
            "anomalous": list(winclip.anomalous),
            "templates": list(winclip.templates),
        },
        "model": encoder.model,
        "device": "cpu",
        "backbone": {"model": "counting"},
        "sentences": 242,
    }


def test_a_users_prompts_are_reported_in_full_and_by_the_name_of_their_file(encoder: CountingEncoder) -> None:
    Path("own folder").mkdir()
    Path("own folder/mine.yaml").write_text(OWN)
    texts = encoded("own folder/mine.yaml", "cable")
    assert texts.provenance["prompts"] == {
        "name": "mine.yaml",
        "source": "",
        "normal": ["{}", "good {}"],
        "anomalous": ["broken {}"],
        "templates": ["a {}.", "the {}, seen.", "a {}."],
    }
    assert texts.sentences[0] == texts.sentences[2] == "a cable."
    assert len(texts.sentences) == 9
    assert len(encoder.asked) == 6


def test_the_log_says_what_was_encoded(encoder: CountingEncoder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        encoded("winclip")
    assert "242 sentences about 'metal nut' by counting on cpu" in caplog.messages


def test_an_embedding_is_the_same_whatever_is_encoded_beside_it(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path / "clip")
    clip = load_texts(TextModel(str(tmp_path / "clip")), "cpu")
    texts = sentences_of(prompt_set("winclip_21"), "metal nut").texts
    alone = np.concatenate([clip.encode([text]) for text in texts[::7]])
    assert_close(embeddings_of(clip, texts)[::7], alone)
    assert_close(clip.encode(texts), embeddings_of(clip, texts))


def test_a_tiny_clip_is_asked_through_its_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_clip(tmp_path / "clip")
    Path("mine.yaml").write_text(OWN)
    backbone = ImageText(model="clip")
    texts = encoded("mine.yaml", "cable", backbone)
    clip = load_texts(TextModel("clip"), "cpu")
    assert_close(texts.embeddings, clip.encode(texts.sentences), share=1e-6)
    assert texts.provenance["model"] == clip.model
    assert texts.provenance["backbone"] == backbone.text_parameters()
    path = write_learned_tokens(tmp_path / "epoch_15.pth")
    learned = encoded(str(path), "cable", backbone, trained_on="visa")
    np.testing.assert_array_equal(learned.embeddings, clip.encode_learned(read_learned_tokens(path)))


# --- learned tokens ---


def test_learned_tokens_are_reported_by_their_hash_and_what_they_were_trained_on(encoder: CountingEncoder) -> None:
    Path("tokens").mkdir()
    path = write_learned_tokens(Path("tokens/epoch_15.pth"))
    texts = encoded("tokens/epoch_15.pth", trained_on="visa")
    assert texts.sentences == ["[12 learned tokens] object.", "[12 learned tokens] damaged object."]
    assert texts.states.tolist() == [NORMAL, ANOMALOUS]
    learned = read_learned_tokens(path)
    np.testing.assert_array_equal(texts.embeddings, encoder.encode_learned(learned))
    assert texts.provenance["part_name"] == "object"
    assert texts.provenance["prompts"] == {
        "name": "epoch_15.pth",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "trained_on": "visa",
    }
    assert texts.provenance["sentences"] == 2


@pytest.mark.parametrize("trained_on", ["", None])
def test_learned_tokens_need_to_say_what_they_were_trained_on(encoder: CountingEncoder, trained_on: str | None) -> None:
    write_learned_tokens(Path("epoch_15.pth"))
    assert refusal(ConfigError, "epoch_15.pth", trained_on=trained_on) == (
        "text_prompts = epoch_15.pth are learned tokens, and trained_on does not name their data set; set it, e.g. "
        "trained_on: visa"
    )


def test_files_that_hold_no_learned_tokens_are_refused(encoder: CountingEncoder) -> None:
    write_linear_layers(Path("linear.pth"))
    assert "linear.pth ('trainable_linearlayer') is no file of" in refusal(ModelError, "linear.pth", trained_on="visa")
    assert "absent.pt cannot be read" in refusal(ModelError, "absent.pt", trained_on="visa")


# --- what cannot be asked ---


def test_a_name_that_makes_a_sentence_too_long_is_refused_in_one(encoder: CountingEncoder) -> None:
    name = " ".join(["a"] * 80)
    assert refusal(ConfigError, "winclip", name) == (
        f"dataset.part_names: with the name '{name[:60]}...' of category 'metal_nut' a sentence has 91 tokens, but "
        "model 'counting' reads 20; shorten it"
    )
    assert encoder.asked == []


def test_a_name_may_be_as_long_as_its_longest_sentence_lets_it(encoder: CountingEncoder) -> None:
    # "a photo of the NAME without damage for visual inspection." has 9 words beside the name, a start and an end.
    encoded("winclip", " ".join(["a"] * (LONGEST - 11)))
    Path("texts/counting.h5").unlink()
    assert "a sentence has 21 tokens" in refusal(ConfigError, "winclip", " ".join(["a"] * (LONGEST - 10)))


def test_a_template_that_is_too_long_for_any_name_is_reported_as_such(encoder: CountingEncoder) -> None:
    Path("mine.yaml").write_text(OWN.replace("seen.", "seen " * 30))
    said = refusal(ConfigError, "mine.yaml", "cable")
    assert said.startswith("text_prompts = mine.yaml: the sentence 'the good cable, seen seen")
    assert said.endswith("...' has 35 tokens, but model 'counting' reads 20; shorten its phrase or template")


@pytest.mark.parametrize(
    ("prompts", "name", "message"),
    [
        ("winclp", "nut", "there is no prompt set 'winclp', and no such file; did you mean 'winclip'?"),
        ("winclip", "", "dataset.part_names.metal_nut = '' is not valid: it must not be empty"),
        ("winclip", "a {}", "dataset.part_names.metal_nut = 'a {}' is not valid: it must not contain '{'"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_model_is_loaded(
    encoder: CountingEncoder, prompts: str, name: str, message: str
) -> None:
    ENCODER.clear()
    assert message in refusal(ConfigError, prompts, name)


def test_a_backbone_without_texts_says_which_have_some(encoder: CountingEncoder) -> None:
    assert "this backbone has no text tower; a method with text" in refusal(ConfigError, "winclip", "nut", Embedded())


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_model_that_gives_no_direction_is_damaged(encoder: CountingEncoder, value: float) -> None:
    encoder.spoilt = value
    said = refusal(ModelError, "winclip")
    assert said.startswith("model 'counting' gives the text 'a photo of the metal nut without ")
    assert said.endswith("' no direction (its embedding is zero or not finite); download it again")
