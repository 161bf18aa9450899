"""Methods that are asked in words, from Python: texts in memory, scores and models by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zsad
from worded_backbone import GRID, Worded
from zsad.errors import ArrayError, ConfigError, DataError
from zsad.features.registry import BACKBONES
from zsad.files.features import FeatureWriter
from zsad.files.texts import ANOMALOUS, NORMAL
from zsad.interactive.asking import written_texts

RANDOM = np.random.default_rng(0)
DARK = RANDOM.integers(0, 60, (30, 40, 3), np.uint8)
SPOT = DARK.copy()
SPOT[10:20, 20:30] = 250  # the patch in row 1, column 2
PROMPTS = """
normal: ["{}", "plain {}"]
anomalous: ["damaged {}"]
templates: ["a photo of a {}.", "the {}!"]
"""


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(PROMPTS)
    return path


def test_an_object_is_asked_about_word_by_word_in_memory(prompts: Path) -> None:
    texts = zsad.encode_texts(Worded(), "tin lid", prompts, category="lid")
    assert texts.sentences == [
        *("a photo of a tin lid.", "the tin lid!", "a photo of a plain tin lid.", "the plain tin lid!"),
        *("a photo of a damaged tin lid.", "the damaged tin lid!"),
    ]
    assert texts.states.tolist() == [NORMAL] * 4 + [ANOMALOUS] * 2
    assert texts.embeddings.tolist() == [[6, 0], [3, 0], [7, 0], [4, 0], [0, 7], [0, 4]]
    assert (texts.provenance["category"], texts.provenance["part_name"]) == ("lid", "tin lid")
    assert texts.provenance["prompts"]["anomalous"] == ["damaged {}"]
    assert texts.provenance["model"]["id"] == "worded"


def test_texts_are_written_and_read_as_they_are(prompts: Path, tmp_path: Path) -> None:
    texts = zsad.encode_texts(Worded(), "lid", prompts)
    path = written_texts(texts, tmp_path / "texts.h5")
    read = zsad.read_texts(path)
    assert read.path == path
    assert (read.sentences, read.patch_part) == (texts.sentences, texts.patch_part)
    assert read.provenance["prompts"] == texts.provenance["prompts"]
    np.testing.assert_array_equal(read.states, texts.states)
    np.testing.assert_array_equal(read.embeddings, texts.embeddings)
    path.unlink()  # nothing is open
    with pytest.raises(DataError, match=r"texts\.h5"):
        zsad.read_texts(path)


def test_a_method_finds_what_the_words_say(prompts: Path) -> None:
    tokens = zsad.extract([DARK, SPOT], Worded())
    texts = zsad.encode_texts(Worded(), "lid", prompts)
    sound, damaged = zsad.score("text_similarity", test=tokens, texts=texts)
    assert damaged.anomaly_map is not None
    assert damaged.anomaly_map.shape == GRID
    assert np.unravel_index(damaged.anomaly_map.argmax(), GRID) == (1, 2)
    assert sound.image_score is not None
    assert damaged.image_score is not None
    assert damaged.image_score > sound.image_score
    assert damaged.image_score != damaged.anomaly_map.max()  # it is of the whole image
    assert tokens.texts is None  # what was given is as it was


def test_tokens_in_a_file_are_asked_about_too(prompts: Path, tmp_path: Path) -> None:
    tokens = zsad.extract([DARK, SPOT], Worded())
    path = tmp_path / "features.h5"
    shape = {"layers": tokens.layers, "channels": tokens.channels, "grid_sizes": tokens.grid_sizes}
    with FeatureWriter(path, ["a", "b"], tokens.provenance, **shape, cls_source=tokens.cls_source) as writer:
        for index in range(2):
            writer.write(index, tokens.half_tokens(index), tokens.cls_tokens_of(index))
    texts = zsad.encode_texts(Worded(), "lid", prompts)
    with zsad.read_features(path) as features:
        found = zsad.score("text_similarity", test=features, texts=texts)
        assert features.texts is None
    expected = zsad.score("text_similarity", test=tokens, texts=texts)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)
        assert one.image_score == other.image_score


def test_texts_that_come_with_the_tokens_do(prompts: Path) -> None:
    tokens = zsad.extract([SPOT], Worded())
    tokens.texts = zsad.encode_texts(Worded(), "lid", prompts)
    (found,) = zsad.score("text_similarity", test=tokens)
    assert found.anomaly_map is not None


@pytest.mark.parametrize(
    ("scorer", "texts", "sentence"),
    [
        ("text_similarity", None, "TextSimilarity needs text prompts; give texts=zsad.encode_texts"),
        ("self_similarity", "made", "SelfSimilarity uses no texts; leave them out"),
        ("text_similarity", "a lid", "the texts are a str; give the result of zsad.encode_texts"),
    ],
)
def test_texts_that_are_missing_or_wrong_are_one_sentence(scorer: str, texts: str | None, sentence: str) -> None:
    tokens = zsad.extract([SPOT], Worded())
    given = zsad.encode_texts(Worded(), "lid") if texts == "made" else texts
    with pytest.raises(ArrayError, match=f"^{sentence}"):
        zsad.score(scorer, test=tokens, texts=given)  # type: ignore[arg-type]


def test_texts_of_another_model_are_refused(prompts: Path) -> None:
    texts = zsad.encode_texts(Worded(), "lid", prompts)
    texts.provenance["model"] = {"id": "another"}
    with pytest.raises(DataError, match="different models"):
        zsad.score("text_similarity", test=zsad.extract([SPOT], Worded()), texts=texts)


def test_no_model_is_made_with_texts_of_another(prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES._entries, "worded", "worded_backbone:Worded")
    texts = zsad.encode_texts(Worded(), "lid", prompts)
    texts.provenance["model"] = {"id": "another"}
    with pytest.raises(DataError, match=r"^texts in memory and tokens in memory come from different models"):
        zsad.fit(
            tmp_path / "m.h5", [DARK], "winclip_plus", backbone="worded", backbone_params={"windows": True}, texts=texts
        )
    assert not (tmp_path / "m.h5").exists()


@pytest.mark.parametrize(
    ("backbone", "part", "sentence"),
    [
        ("embedded", "lid", "this backbone has no text tower"),
        (Worded(longest=5), "lid with a very long name indeed", "5"),
        (Worded(), "", "^part_name = '' is not valid: it must not be empty$"),
        (Worded(), "a {}", "^part_name = 'a {}' is not valid: it must not contain '{'"),
        (Worded(), 3, "^part_name = 3 is not valid: it must be text"),
        (Worded(longest=16), "lid " * 9, "^with the name 'lid .*' a sentence has [0-9]+ tokens"),
        ("nothing-of-that-name", "lid", "there is no backbone 'nothing-of-that-name'"),
        ("dinov2-small", "lid", "has no text"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(backbone: object, part: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        zsad.encode_texts(backbone, part)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "embeddings", "reason"),
    [
        ([0, 0], np.eye(2), "do not describe both states"),
        ([0, 1], np.eye(3), "do not match its sentences"),
        ([0, 1], [[1.0, 0.0], [0.0, 0.0]], "an embedding has length 0"),
        ([0, 1], [[1.0, 0.0], [np.nan, 0.0]], "not finite"),
        ([0, 1], [1.0, 2.0], "not finite vectors"),
    ],
)
def test_embeddings_of_ones_own_that_do_not_go_together_are_refused(states, embeddings, reason: str) -> None:
    with pytest.raises(ArrayError, match=f"^texts in memory cannot be used: .*{reason}"):
        zsad.MemoryTexts(["a lid", "a broken lid"], states, embeddings)


def test_embeddings_of_ones_own_are_all_that_it_takes() -> None:
    texts = zsad.MemoryTexts(["a lid", "a broken lid"], [0, 1], np.eye(2))
    assert (len(texts), texts.patch_part, texts.embeddings.dtype) == (2, (0, 2), np.float32)
    (found,) = zsad.score("text_similarity", test=zsad.extract([SPOT], Worded()), texts=texts)
    assert found.anomaly_map is not None
    assert np.unravel_index(found.anomaly_map.argmax(), GRID) == (1, 2)
