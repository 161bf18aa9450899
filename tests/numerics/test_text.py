"""CLIP's text embeddings against a plain forward pass and transformers itself, with a tokenizer made on the spot."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_networks import Weights, text_embedding
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
)

from clip_words import ClipWords
from closeness import assert_close
from random_weights import exact_weights, randomise
from zsad.errors import ConfigError, ModelError
from zsad.models.texts import batched as text_module
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.clip import ClipTexts
from zsad.models.texts.loading import load_texts

WORDS = ClipWords("abcdefghijklmnopqrstuvwxyz,", ["s c", "sc r", "a t", "scr at", "c h</w>", "scrat ch</w>"])
VOCABULARY = WORDS.vocabulary
START, END = len(VOCABULARY) - 2, len(VOCABULARY) - 1
HEADS, BLOCKS, PROJECTED, LONGEST = 4, 2, 24, 12
TEXT: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "intermediate_size": 48,
    "max_position_embeddings": LONGEST,
    "bos_token_id": START,
    "eos_token_id": END,
}
VISION = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "patch_size": 4, "image_size": 8}
TEXTS = ["a scratch", "Scratch", "good", "a  bent\nwire"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    """Folder and weights of a small checkpoint of both towers in which every weight matters."""
    model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=PROJECTED))
    randomise(model, scale=0.3, seed=5)
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    WORDS.save(folder)
    return folder, exact_weights(model)


@pytest.fixture(scope="module")
def encoder(saved: tuple[Path, Weights]) -> TextEncoder:
    return texts_of(saved[0])


@pytest.fixture
def copy(saved: tuple[Path, Weights], tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(saved[0], tmp_path / "copy"))


def texts_of(folder: Path, **options: str) -> TextEncoder:
    return load_texts(TextModel(str(folder), **options), "cpu")


def tokens_of(*words: str) -> list[int]:
    return [START, *(VOCABULARY.index(word) for word in words), END]


def refusal(folder: Path, **options: str) -> str:
    with pytest.raises(ModelError) as caught:
        texts_of(folder, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value).replace(f"'{folder}'", "'tiny'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a scratch", ["a</w>", "scratch</w>"]),
        (" A\n Scratch", ["a</w>", "scratch</w>"]),
        ("at, scat", ["a", "t</w>", ",</w>", "sc", "a", "t</w>"]),
        ("", []),
    ],
)
def test_an_embedding_equals_a_plain_forward_pass(
    saved: tuple[Path, Weights], encoder: TextEncoder, text: str, words: Sequence[str]
) -> None:
    tokens = tokens_of(*words)
    expected = text_embedding(saved[1], tokens, HEADS, BLOCKS)
    assert encoder.count_tokens(text) == len(tokens)
    embeddings = encoder.encode([text])
    assert embeddings.shape == (1, PROJECTED)
    assert embeddings.dtype == np.float32
    assert_close(embeddings[0], expected)


def test_embeddings_equal_the_text_features_of_transformers(saved: tuple[Path, Weights], encoder: TextEncoder) -> None:
    model, tokenizer = CLIPModel.from_pretrained(saved[0]).eval(), CLIPTokenizer.from_pretrained(saved[0])
    with torch.inference_mode():
        inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
        features = model.get_text_features(**inputs).pooler_output
    assert_close(encoder.encode(TEXTS), features.numpy())


def test_a_text_is_embedded_alike_alone_and_among_longer_ones(
    encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert_close(encoder.encode(TEXTS), alone)
    monkeypatch.setattr(text_module, "BATCH", 3)
    assert_close(encoder.encode(TEXTS), alone)


def test_embeddings_have_their_own_lengths_and_differ(encoder: TextEncoder) -> None:
    embeddings = encoder.encode(TEXTS)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert len(np.unique(lengths.round(3))) == len(TEXTS)
    cosines = (embeddings / lengths) @ (embeddings / lengths).T
    assert (cosines[~np.eye(len(TEXTS), dtype=bool)] < 0.999).all()


def test_an_encoder_says_what_it_is(encoder: TextEncoder, saved: tuple[Path, Weights]) -> None:
    digest = hashlib.sha256((saved[0] / "model.safetensors").read_bytes()).hexdigest()
    assert encoder.model == {"id": str(saved[0]), "revision": None, "weights_sha256": {"model.safetensors": digest}}
    assert (encoder.name, encoder.device, encoder.longest) == (str(saved[0]), "cpu", LONGEST)
    assert (encoder.channels, encoder.patch_part) == (PROJECTED, (0, PROJECTED))


def test_weights_are_those_that_were_asked_for(copy: Path) -> None:
    with pytest.raises(ModelError, match="not those of the configuration"):
        texts_of(copy, sha256="0" * 64)


def test_another_tokenizer_may_be_named(copy: Path, tmp_path: Path, encoder: TextEncoder) -> None:
    words = tmp_path / "words"
    words.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (copy / name).rename(words / name)
    named = texts_of(copy, tokenizer=str(words))
    assert_close(named.encode(TEXTS), encoder.encode(TEXTS))
    assert named.model["tokenizer"] == {"id": str(words), "revision": None}


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        (
            "{folder}",
            "the tokenizer '{folder}' of model 'tiny' has no tokenizer.json, or its vocab.json and merges.txt",
        ),
        ("{folder}/../copy/config.json", "/config.json' is a file; give its folder"),
        ("nowhere", "tokenizer 'nowhere' is neither an existing folder nor a hub id such as"),
    ],
)
def test_a_tokenizer_that_is_not_there_is_refused(copy: Path, tmp_path: Path, tokenizer: str, expected: str) -> None:
    (tmp_path / "empty").mkdir()
    place = {"folder": str(tmp_path / "empty")}
    assert expected.format(**place) in refusal(copy, tokenizer=tokenizer.format(**place))


def test_a_head_is_refused(copy: Path) -> None:
    with pytest.raises(ConfigError, match="is a CLIP model, which has no head; remove 'head'"):
        texts_of(copy, head="head.pth")


def test_no_texts_give_no_embeddings(encoder: TextEncoder) -> None:
    embeddings = encoder.encode([])
    assert embeddings.shape == (0, PROJECTED)
    assert embeddings.dtype == np.float32


def test_a_text_may_be_as_long_as_the_model_reads_and_no_longer(encoder: TextEncoder) -> None:
    assert encoder.encode([" ".join("a" * (LONGEST - 2))]).shape == (1, PROJECTED)
    with pytest.raises(ConfigError) as caught:
        encoder.encode(["good", " ".join("a" * (LONGEST - 1))])
    assert str(caught.value) == (
        f"the text 'a a a a a a a a a a a' has 13 tokens, but model '{encoder.name}' reads 12; shorten it"
    )


def test_a_very_long_text_is_named_by_its_beginning(encoder: TextEncoder) -> None:
    with pytest.raises(ConfigError, match=r"^the text 'a{60}\.\.\.' has 1002 tokens"):
        encoder.encode(["a" * 1000])


@pytest.mark.parametrize("end", [END, 2])
def test_the_end_is_found_in_old_configurations_too(copy: Path, encoder: TextEncoder, end: int) -> None:
    # OpenAI's own configurations say 2 where the tokenizer says 49407.
    content = json.loads((copy / "config.json").read_text())
    content["text_config"]["eos_token_id"] = end
    (copy / "config.json").write_text(json.dumps(content))
    embeddings = texts_of(copy).encode(TEXTS)
    assert_close(embeddings, encoder.encode(TEXTS))


def test_the_image_tower_is_not_loaded(encoder: TextEncoder, saved: tuple[Path, Weights]) -> None:
    expected = {name for name in saved[1] if name.startswith("text_")}
    assert isinstance(encoder, ClipTexts)
    assert {name for name, _ in encoder._network.named_parameters()} == expected


def test_a_text_tower_that_was_saved_alone_loads(
    saved: tuple[Path, Weights], tmp_path: Path, encoder: TextEncoder
) -> None:
    config = CLIPTextConfig(**TEXT, projection_dim=PROJECTED)
    CLIPTextModelWithProjection.from_pretrained(saved[0], config=config).save_pretrained(tmp_path)
    WORDS.save(tmp_path)
    embeddings = texts_of(tmp_path).encode(TEXTS)
    assert_close(embeddings, encoder.encode(TEXTS))


def test_one_file_for_the_tokenizer_is_enough(copy: Path, encoder: TextEncoder) -> None:
    CLIPTokenizer.from_pretrained(copy).save_pretrained(copy)
    for name in ("vocab.json", "merges.txt"):
        (copy / name).unlink()
    assert_close(texts_of(copy).encode(TEXTS), encoder.encode(TEXTS))


def test_pickled_weights_are_read_as_tensors_only(copy: Path, encoder: TextEncoder, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    state = CLIPModel.from_pretrained(copy).state_dict()
    (copy / "model.safetensors").unlink()
    torch.save(state, copy / "pytorch_model.bin")
    assert_close(texts_of(copy).encode(TEXTS), encoder.encode(TEXTS))
    torch.save({"logit_scale": Malicious()}, copy / "pytorch_model.bin")
    assert "cannot be loaded (they are damaged, or contain more than tensors" in refusal(copy)
    assert not (tmp_path / "ran").exists()


def test_a_model_without_a_text_tower_is_refused(tmp_path: Path) -> None:
    Dinov2Config().save_pretrained(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert refusal(tmp_path) == (
        "model 'tiny' has type 'dinov2', which has no texts; choose a model of images and texts, such as "
        "clip-vitl14-336"
    )


def test_an_image_tower_alone_is_refused(tmp_path: Path) -> None:
    CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)).save_pretrained(tmp_path)
    assert "has type 'clip_vision_model', which has no texts" in refusal(tmp_path)


def test_a_text_tower_without_projection_is_refused(tmp_path: Path) -> None:
    CLIPTextModel(CLIPTextConfig(**TEXT)).save_pretrained(tmp_path)
    WORDS.save(tmp_path)
    assert "lack 1 of the tensors of its text tower (text_projection.weight" in refusal(tmp_path)


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_a_checkpoint_without_a_tokenizer_is_refused(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    assert "model 'tiny' has no tokenizer in" in refusal(copy)


@pytest.mark.parametrize("content", ["{", "[]", '{"model": {"type": "BPE"}}'])
@pytest.mark.parametrize("name", ["vocab.json", "tokenizer.json"])
def test_a_damaged_tokenizer_is_refused(copy: Path, name: str, content: str) -> None:
    (copy / name).write_text(content)
    message = refusal(copy)
    assert "the tokenizer of model 'tiny'" in message
    assert message.endswith("download it again")


@pytest.mark.parametrize(
    "change", [{"vocab_size": len(VOCABULARY) - 1}, {"eos_token_id": END - 1, "bos_token_id": END}]
)
def test_the_tokenizer_of_another_model_is_refused(copy: Path, change: dict[str, int]) -> None:
    content = json.loads((copy / "config.json").read_text())
    content["text_config"] |= change
    (copy / "config.json").write_text(json.dumps(content))
    assert "the tokenizer of model 'tiny' is not that of its text tower" in refusal(copy)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "model 'tiny': "),
        ("[]", "has type 'None'"),
        ('{"model_type": "clip", "text_config": {"hidden_size": "many"}}', "config.json of model 'tiny' is not usable"),
    ],
)
def test_a_damaged_configuration_is_refused(copy: Path, content: str, expected: str) -> None:
    (copy / "config.json").write_text(content)
    assert expected in refusal(copy)


@pytest.mark.parametrize("size", [0, 7, 2000])
def test_truncated_weights_are_refused(copy: Path, size: int) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    message = refusal(copy)
    assert "the weights of model 'tiny'" in message
    assert message.endswith("download them again")


def test_a_checkpoint_without_weights_is_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "model 'tiny' has no weights" in refusal(copy)
