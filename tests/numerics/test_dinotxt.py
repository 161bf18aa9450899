"""DINOv3 with dino.txt, images and texts, against plain forward passes in the terms of the authors' file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_networks import (
    Weights,
    gelu,
    layer_norm,
    linear,
    part_of,
    silu,
)

import tiny_dinotxt
from closeness import assert_close
from tiny_dinotxt import (
    END,
    HEAD_BLOCKS,
    HEADS,
    LONGEST,
    START,
    TEXT_BLOCKS,
    TEXT_HEADS,
    VOCABULARY,
    WIDTH,
    TinyDinoTxt,
    head_state,
)
from zsad.errors import ConfigError, ModelError
from zsad.models.dinotxt.facts import PARAMETERS
from zsad.models.dinotxt.head_file import read_head_file
from zsad.models.dinotxt.networks import TextNetwork, VisionHead
from zsad.models.texts import dinotxt as texts_module
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.loading import load_texts

SHARE = 1e-5  # of the largest value
SIZES = [(16, 28), (8, 8), (24, 12)]  # pixels; grids that are not square among them
WORDS = {
    "a scratch": ["a</w>", "scratch</w>"],
    " A\n Scratch": ["a</w>", "scratch</w>"],
    "at, scat": ["a", "t</w>", ",</w>", "sc", "a", "t</w>"],
    "": [],
    "a b c d e f g h i j": [f"{letter}</w>" for letter in "abcdefghij"],
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDinoTxt:
    return tiny_dinotxt.saved(tmp_path_factory.mktemp("dinotxt"))


@pytest.fixture(scope="module")
def weights(tiny: TinyDinoTxt) -> Weights:
    """Of the head's file, by the authors' names."""
    return {key: tensor.double().numpy() for key, tensor in torch.load(tiny.head).items()}


@pytest.fixture(scope="module")
def encoder(tiny: TinyDinoTxt) -> TextEncoder:
    return load_texts(wanted(tiny), "cpu")


def wanted(tiny: TinyDinoTxt) -> TextModel:
    return TextModel(str(tiny.folder), head=str(tiny.head), tokenizer=str(tiny.tokenizer))


def head_tokens(weights: Weights, tokens: np.ndarray) -> np.ndarray:
    """What the vision head makes of one image's tokens ``[token, channel]``."""
    head = part_of(weights, "visual_model.head.")
    for block in range(HEAD_BLOCKS):
        part = part_of(head, f"blocks.{block}.")
        normed = layer_norm(tokens, part, "norm1", 1e-5)
        tokens = tokens + part["ls1.gamma"] * attention(normed, part_of(part, "attn."), HEADS, causal=False)
        normed = layer_norm(tokens, part, "norm2", 1e-5)
        hidden = silu(linear(normed, part, "mlp.w1")) * linear(normed, part, "mlp.w2")
        tokens = tokens + part["ls2.gamma"] * linear(hidden, part, "mlp.w3")
    return layer_norm(tokens, head, "ln_final", 1e-5)


def text_states(weights: Weights, tokens: Sequence[int]) -> np.ndarray:
    """Normed states ``[token, channel]`` of one text."""
    backbone = part_of(weights, "text_model.backbone.")
    states = backbone["token_embedding.weight"][list(tokens)] + backbone["positional_embedding"][: len(tokens)]
    for block in range(TEXT_BLOCKS):
        part = part_of(backbone, f"blocks.{block}.")
        normed = layer_norm(states, part, "attention_norm", 1e-5)
        states = states + attention(normed, part_of(part, "attention."), TEXT_HEADS, causal=True)
        normed = layer_norm(states, part, "ffn_norm", 1e-5)
        states = states + linear(gelu(linear(normed, part, "feed_forward.fc1")), part, "feed_forward.fc2")
    return layer_norm(states, backbone, "ln_final", 1e-5)


def text_embedding(weights: Weights, tokens: Sequence[int]) -> np.ndarray:
    return text_states(weights, tokens)[-1] @ weights["text_model.head.linear_projection.weight"].T


def attention(tokens: np.ndarray, part: Weights, heads: int, *, causal: bool) -> np.ndarray:
    count, channels = tokens.shape
    queries, keys, values = np.split(tokens @ part["qkv.weight"].T, 3, axis=1)
    width = channels // heads
    attended = np.zeros((count, channels))
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        for token in range(count):
            seen = token + 1 if causal else count
            scores = np.exp(keys[:seen, own] @ queries[token, own] / math.sqrt(width))
            attended[token, own] = scores / scores.sum() @ values[:seen, own]
    return linear(attended, part, "proj")


def tokens_of(words: Sequence[str]) -> list[int]:
    return [START, *(VOCABULARY.index(word) for word in words), END]


def saved_head(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_head_file(path)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_the_head_equals_a_plain_forward_pass(tiny: TinyDinoTxt, weights: Weights) -> None:
    tokens = torch.randn(3, 19, WIDTH, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        found = read_head_file(tiny.head).vision.network(HEADS)(tokens)
    assert_close(found, np.stack([head_tokens(weights, image.double().numpy()) for image in tokens]), share=SHARE)


@pytest.mark.parametrize("text", WORDS)
def test_an_embedding_equals_a_plain_forward_pass(encoder: TextEncoder, weights: Weights, text: str) -> None:
    embeddings = encoder.encode([text])
    assert embeddings.dtype == np.float32
    assert_close(embeddings[0], text_embedding(weights, tokens_of(WORDS[text])), share=SHARE)


def test_texts_of_all_lengths_are_embedded_together(
    encoder: TextEncoder, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.stack([text_embedding(weights, tokens_of(words)) for words in WORDS.values()])
    assert_close(encoder.encode(list(WORDS)), expected, share=SHARE)
    monkeypatch.setattr(texts_module, "BATCH", 2)
    assert_close(encoder.encode(list(WORDS)), expected, share=SHARE)


def test_a_later_token_changes_no_earlier_state(tiny: TinyDinoTxt) -> None:
    network = read_head_file(tiny.head).text.network()
    tokens = torch.tensor([[START, 3, 4, 5, 6, END]])
    for place in range(1, 6):
        changed = tokens.clone()
        changed[0, place] = 9
        with torch.inference_mode():
            before, after = network.states(tokens)[0], network.states(changed)[0]
        assert_close(after[:place], before[:place], share=1e-6)
        assert (abs(after[place:] - before[place:]).amax(dim=1) > 1e-3).all()


def test_what_follows_the_end_of_a_text_changes_nothing(tiny: TinyDinoTxt) -> None:
    network = read_head_file(tiny.head).text.network()
    tokens, ends = torch.tensor([[START, 3, 4, END], [START, 5, END, END]]), torch.tensor([3, 2])
    with torch.inference_mode():
        alone = network(tokens, ends)
        for fill in (0, END, 7):
            padded = torch.cat([tokens, torch.full((2, LONGEST - 4), fill)], dim=1)
            assert_close(network(padded, ends), alone, share=1e-6)


def test_a_text_that_spells_out_the_end_is_read_to_there(encoder: TextEncoder) -> None:
    assert_close(encoder.encode(["a <|endoftext|> b"]), encoder.encode(["a"]), share=1e-6)


def test_the_encoder_says_what_its_embeddings_are(encoder: TextEncoder, tiny: TinyDinoTxt) -> None:
    assert (encoder.channels, encoder.patch_part, encoder.longest) == (2 * WIDTH, (WIDTH, 2 * WIDTH), LONGEST)
    assert encoder.count_tokens("a scratch") == 4
    assert encoder.encode([]).shape == (0, 2 * WIDTH)
    assert encoder.model["id"] == str(tiny.folder)
    assert set(encoder.model["weights_sha256"]) == {tiny.head.name}
    assert encoder.model["tokenizer"] == {"id": str(tiny.tokenizer), "revision": None}


def test_a_text_may_be_as_long_as_the_model_reads_and_no_longer(encoder: TextEncoder, tiny: TinyDinoTxt) -> None:
    assert encoder.encode([" ".join("a" * (LONGEST - 2))]).shape == (1, 2 * WIDTH)
    with pytest.raises(ConfigError) as caught:
        encoder.encode(["good", " ".join("a" * (LONGEST - 1))])
    assert str(caught.value) == (
        f"the text 'a a a a a a a a a a a' has 13 tokens, but model '{tiny.folder}' reads 12; shorten it"
    )


def test_of_the_backbone_no_weights_are_read_for_texts(tiny: TinyDinoTxt, tmp_path: Path, encoder: TextEncoder) -> None:
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "copy"))
    (folder / "model.safetensors").write_bytes(b"")
    found = load_texts(wanted(tiny._replace(folder=folder)), "cpu").encode(["a"])
    assert_close(found, encoder.encode(["a"]))


def test_the_published_file_would_have_the_published_size() -> None:
    with torch.device("meta"):
        head = VisionHead(width=1024, hidden=2752, blocks=2, heads=16)
        texts = TextNetwork(vocabulary=49408, longest=77, width=1280, hidden=5120, blocks=24, heads=20, projected=2048)
    counts = [sum(tensor.numel() for tensor in network.state_dict().values()) for network in (head, texts)]
    # What a file of dino.txt for DINOv2, which has these sizes too, holds beside some 400 bytes a tensor.
    assert counts == [25_326_336, 538_131_200]
    assert sum(counts) + 1 == PARAMETERS


def test_weights_in_half_precision_are_computed_with_in_single(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    halved = {key: tensor.half() for key, tensor in head_state().items()}
    file = read_head_file(saved_head(tmp_path / "head.pth", halved))
    for network in (file.vision.network(HEADS), file.text.network()):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("key", head_state())
def test_a_tensor_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    state = head_state()
    del state[key]
    path = saved_head(tmp_path / "head.pth", state)
    if key == "logit_scale":  # of no use
        read_head_file(path)
    elif key == "visual_model.head.ln_final.weight":
        assert f"the file {path} is no head of dino.txt (it has no tensor '{key}'); give dinov3_vitl16" in refusal_of(
            path
        )
    else:
        assert refusal_of(path) == (f"the weights of model '{path}' lack the tensor '{key}'; download them again")


@pytest.mark.parametrize("key", [key for key in head_state() if key != "logit_scale"])
def test_a_tensor_of_another_shape_is_named(tmp_path: Path, key: str) -> None:
    state = head_state()
    state[key] = torch.cat([state[key], state[key]], dim=-1)
    assert "is expected; use the weights as their authors published them" in refusal_of(
        saved_head(tmp_path / "head.pth", state)
    )


@pytest.mark.parametrize("key", [key for key in head_state() if key != "logit_scale"])
def test_a_tensor_of_more_axes_is_named(tmp_path: Path, key: str) -> None:
    state = head_state()
    state[key] = state[key][None]
    path = saved_head(tmp_path / "head.pth", state)
    assert refusal_of(path).startswith(f"the tensor '{key}' of model '{path}' is 1 x ")


@pytest.mark.parametrize(
    "key",
    [
        "visual_model.head.linear_projection.weight",
        "visual_model.backbone.cls_token",
        "text_model.head.blocks.0.attention_norm.weight",
        "text_model.backbone.blocks.0.ls1.gamma",
        "visual_model.head.blocks.1.attn.qkv.bias",
    ],
)
def test_a_tensor_that_nothing_uses_is_refused(tmp_path: Path, key: str) -> None:
    path = saved_head(tmp_path / "head.pth", head_state() | {key: torch.zeros(3)})
    assert f"hold 1 tensors that are unknown here (the first is '{key}')" in refusal_of(path)


@pytest.mark.parametrize("prefix", ["visual_model.head.blocks", "text_model.backbone.blocks"])
def test_a_large_number_in_a_name_builds_no_large_network(tmp_path: Path, prefix: str) -> None:
    path = saved_head(tmp_path / "head.pth", head_state() | {f"{prefix}.999999999.norm1.weight": torch.zeros(3)})
    assert f"lack the tensor '{prefix}.2." in refusal_of(path)


def test_a_text_encoder_without_whole_heads_of_attention_is_refused(tmp_path: Path) -> None:
    path = saved_head(tmp_path / "head.pth", head_state(text_width=96))
    assert refusal_of(path) == (
        f"the tensor 'text_model.backbone.token_embedding.weight' of model '{path}' is {len(VOCABULARY)} x 96 where a "
        "multiple of 64 columns is expected; use the weights as their authors published them"
    )


def test_another_network_is_no_head(tmp_path: Path) -> None:
    path = saved_head(tmp_path / "head.pth", {"cls_token": torch.zeros(1, 1, 8)})
    assert "is no head of dino.txt" in refusal_of(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.pth'} cannot be read (No such file or directory)" in refusal_of(tmp_path / "none.pth")


@pytest.mark.parametrize("size", [0, 7, 3000])
def test_a_file_that_was_cut_off_is_refused(tiny: TinyDinoTxt, tmp_path: Path, size: int) -> None:
    path = tmp_path / "head.pth"
    path.write_bytes(tiny.head.read_bytes()[:size])
    assert refusal_of(path) == f"the file of weights {path} is damaged; download it again from its authors"


def test_a_file_whose_bytes_are_not_those_of_its_name_is_refused(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    head = Path(shutil.copy(tiny.head, tmp_path / "dinotxt-01234567.pth"))
    with pytest.raises(ModelError, match=r"are damaged: the SHA-256 of .*dinotxt-01234567\.pth begins with"):
        load_texts(wanted(tiny._replace(head=head)), "cpu")


def test_code_in_the_file_is_never_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    path = saved_head(tmp_path / "head.pth", head_state() | {"logit_scale": Malicious()})
    assert "holds more than tensors, which may be harmful code" in refusal_of(path)
    assert not (tmp_path / "ran").exists()


def test_a_head_for_another_width_is_refused(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    head = saved_head(tmp_path / "head.pth", head_state(width=32))
    with pytest.raises(ModelError) as caught:
        load_texts(wanted(tiny._replace(head=head)), "cpu")
    assert str(caught.value) == (
        f"the head {head} takes tokens of width 32, but those of model '{tiny.folder}' are 48 wide; the published head "
        "is for dinov3-vitl16"
    )


def test_dinov3_without_a_head_has_no_texts(tiny: TinyDinoTxt) -> None:
    with pytest.raises(ConfigError, match=r"shares no space with texts by itself; set 'head' to the file of dino\.txt"):
        load_texts(TextModel(str(tiny.folder)), "cpu")


def test_a_folder_without_a_tokenizer_is_refused(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"the tokenizer '{tmp_path}' of model '{tiny.folder}' has no tokenizer.json"):
        load_texts(wanted(tiny._replace(tokenizer=tmp_path)), "cpu")


def test_the_default_tokenizer_is_clips(tiny: TinyDinoTxt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="openai/clip-vit-large-patch14"):
        load_texts(wanted(tiny)._replace(tokenizer=None), "cpu")


@pytest.mark.parametrize("change", ["a token less", "a token more", "the end is not last"])
def test_the_tokenizer_of_another_model_is_refused(tiny: TinyDinoTxt, tmp_path: Path, change: str) -> None:
    folder = tiny_dinotxt.save_tokenizer(tmp_path)
    text = (folder / "vocab.json").read_text()
    places: dict[str, Callable[[str], str]] = {
        "a token less": lambda text: text.replace(f', ".": {VOCABULARY.index(".")}', ""),
        "a token more": lambda text: text.replace("}", f', "more": {len(VOCABULARY)}}}'),
        "the end is not last": lambda text: (
            text.replace(str(START), "x").replace(str(END), str(START)).replace("x", str(END))
        ),
    }
    (folder / "vocab.json").write_text(places[change](text))
    with pytest.raises(ModelError) as caught:
        load_texts(wanted(tiny._replace(tokenizer=folder)), "cpu")
    message = str(caught.value)
    assert message.startswith(f"the tokenizer '{folder}' is not that of {tiny.head} (")
    assert message.endswith("correct 'tokenizer', or leave it out")
