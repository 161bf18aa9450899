"""What texts need comes from the hub, too: open_clip's folders whole, and tokenizers alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from clip_words import SCRATCH
from hub_server import Hub, Repository, running_hub, use_hub
from tiny_open_clip import CONFIG, RELEASED, TINY, WEIGHTS, config_of, save_folder, save_release, state_of
from zsad.cli import main
from zsad.errors import ModelError
from zsad.models.catalogue import MODELS
from zsad.models.hub import is_cached, locate, locate_files
from zsad.models.texts.base import TextModel
from zsad.models.texts.clip import TOKENIZER, TOKENIZER_FILES
from zsad.models.texts.loading import load_texts

PLUS = "clip-vitb16-plus-240"
HUB_ID = MODELS[PLUS].hub_id
NOTHING_LISTENS = "http://127.0.0.1:9"
TEXTS = ["a scratch", "good"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as open_clip publishes it, with things that nobody needs beside it."""
    folder = save_folder(tmp_path_factory.mktemp("open_clip"))
    for name in ("open_clip_pytorch_model.bin", "README.md"):
        (folder / name).write_bytes(b"not needed" * 200)
    return folder


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with that model and OpenAI's tokenizer, and an empty local cache."""
    with running_hub() as hub:
        hub.models[HUB_ID] = Repository.of_folder(folder)
        openai = Repository.of_folder(SCRATCH.save(tmp_path / "openai"))
        openai.files |= {"config.json": b'{"model_type": "clip"}', "model.safetensors": b"weights" * 200}
        hub.models[TOKENIZER] = openai
        use_hub(monkeypatch, hub.endpoint, tmp_path / "cache")
        yield hub


def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, NOTHING_LISTENS, Path(constants.HF_HUB_CACHE))


def refusal(wanted: TextModel) -> str:
    with pytest.raises(ModelError) as caught:
        load_texts(wanted, "cpu")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_folder_of_open_clip_is_downloaded_with_its_tokenizer_and_one_set_of_weights(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_cached(HUB_ID, None)
    assert main(["download", PLUS]) == 0
    assert sorted(hub.sent_files()) == ["merges.txt", CONFIG, WEIGHTS, "vocab.json"]
    assert is_cached(HUB_ID, None)
    without_network(monkeypatch)
    encoder = load_texts(TextModel(PLUS), "cpu")
    np.testing.assert_array_equal(encoder.encode(TEXTS), load_texts(TextModel(str(folder)), "cpu").encode(TEXTS))
    assert encoder.model["id"] == PLUS
    assert encoder.model["revision"] == hub.models[HUB_ID].commit


def test_a_folder_that_is_of_timm_as_well_is_read_as_open_clip(hub: Hub) -> None:
    timm = {"config.json": b'{"architecture": "vit_base_patch16_plus_clip_240"}', "model.safetensors": b"timm" * 200}
    hub.models[HUB_ID].files |= timm
    located = locate(PLUS, None)
    assert "model.safetensors" not in hub.sent_files()
    assert (located.path / WEIGHTS).is_file()
    assert locate(PLUS, None) == located
    assert load_texts(TextModel(PLUS), "cpu").channels == TINY.projected


def test_a_folder_that_is_of_transformers_as_well_is_read_as_such(hub: Hub) -> None:
    hub.models[HUB_ID].files |= {"config.json": b'{"model_type": "clip"}', "model.safetensors": b"whole" * 200}
    located = locate(PLUS, None)
    assert (located.path / "model.safetensors").is_file()
    assert not {CONFIG, WEIGHTS} & set(hub.sent_files())


@pytest.mark.parametrize("name", ["dinov2-small", "facebook/dino-vits8", "dinov3-vitb16"])
def test_a_published_model_without_texts_is_refused_before_it_is_downloaded(hub: Hub, name: str) -> None:
    message = refusal(TextModel(name))
    assert message.startswith(f"model '{name}', DINO")
    assert message.endswith("has no texts; choose a model of images and texts, such as clip-vitl14-336")
    assert hub.requests == []


def test_a_folder_of_open_clip_without_weights_is_refused(hub: Hub) -> None:
    for name in (WEIGHTS, "open_clip_pytorch_model.bin"):
        del hub.models[HUB_ID].files[name]
    assert "has no weights (open_clip_model.safetensors or open_clip_pytorch_model.bin) on the hub" in refusal(
        TextModel(PLUS)
    )


def test_a_single_file_is_read_with_the_tokenizer_of_the_hub_alone(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_release(tmp_path, state_of(RELEASED))
    encoder = load_texts(TextModel(str(file)), "cpu")
    assert sorted(hub.sent_files()) == ["merges.txt", "vocab.json"]
    assert encoder.model["tokenizer"] == {"id": TOKENIZER, "revision": hub.models[TOKENIZER].commit}
    without_network(monkeypatch)
    again = load_texts(TextModel(str(file)), "cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    named = load_texts(TextModel(str(file), tokenizer="clip-vitb16"), "cpu")
    np.testing.assert_array_equal(named.encode(TEXTS), encoder.encode(TEXTS))


def test_without_a_network_the_tokenizer_that_is_missing_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_release(tmp_path, state_of(RELEASED))
    without_network(monkeypatch)
    message = refusal(TextModel(str(file)))
    assert message.startswith(f"model '{TOKENIZER}' is not complete in the local cache and the hub cannot be reached")
    assert message.endswith("or point 'tokenizer' at a local folder")


def test_a_tokenizer_that_another_program_left_out_is_fetched(hub: Hub) -> None:
    located = locate(PLUS, None)
    for name in ("vocab.json", "merges.txt"):
        (located.path / name).resolve().unlink()
        (located.path / name).unlink()
    hub.requests.clear()
    encoder = load_texts(TextModel(PLUS), "cpu")
    assert "tokenizer" not in encoder.model
    assert sorted(hub.sent_files()) == ["merges.txt", "vocab.json"]
    hub.requests.clear()
    load_texts(TextModel(PLUS), "cpu")
    assert hub.requests == []


def test_a_place_without_a_tokenizer_is_refused(hub: Hub, tmp_path: Path) -> None:
    file = save_release(tmp_path, state_of(RELEASED))
    for name in ("vocab.json", "merges.txt"):
        del hub.models[TOKENIZER].files[name]
    message = refusal(TextModel(str(file)))
    assert message.startswith(f"the tokenizer '{TOKENIZER}' of model '{file}' has no tokenizer.json, or its vocab.json")
    assert locate_files(TOKENIZER, None, TOKENIZER_FILES, option="tokenizer") is None


def test_a_file_with_its_configuration_is_read_like_a_folder(hub: Hub, tmp_path: Path) -> None:
    file = save_release(tmp_path, state_of(RELEASED), "mine")
    (tmp_path / CONFIG).write_text(json.dumps(config_of(RELEASED)))
    assert load_texts(TextModel(str(file)), "cpu").channels == RELEASED.projected
