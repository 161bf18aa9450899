"""DINOv3 with dino.txt, images and texts, against plain forward passes in the terms of the authors' file."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_networks import (
    Size,
    Weights,
    final_norm,
    gelu,
    layer_norm,
    linear,
    part_of,
    silu,
    transformer_states,
)
from transformers import DINOv3ViTModel

import tiny_dinotxt
from clip_words import SCRATCH
from closeness import assert_close
from tiny_dinotxt import (
    END,
    HEAD_BLOCKS,
    HEADS,
    LONGEST,
    PATCH,
    REGISTERS,
    START,
    TEXT_BLOCKS,
    TEXT_HEADS,
    VOCABULARY,
    WIDTH,
    TinyDinoTxt,
    head_state,
)
from zsad.errors import ConfigError, ModelError
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.features.registry import completed, find_family, listed
from zsad.models.dinotxt.facts import PARAMETERS, PLACE, PUBLISHED
from zsad.models.dinotxt.head_file import read_head_file
from zsad.models.dinotxt.networks import TextNetwork, VisionHead
from zsad.models.texts import batched as texts_module
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.loading import load_texts

SIZE = Size(PATCH, trained_side=0, heads=HEADS, blocks=2)  # positions are rotary
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


def backbone(tiny: TinyDinoTxt, **options: Any) -> ImageText:
    """Images become grids of 4 rows, or columns."""
    params = {"model": str(tiny.folder), "head": str(tiny.head), "resolution": 4 * PATCH, "dtype": "float32"}
    return ImageText.build(params | options, where="test")


def read(tiny: TinyDinoTxt, pixels: torch.Tensor, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return backbone(tiny, **options).load(Execution()).tokens_of(pixels)


def random_pixels(height: int, width: int, images: int = 2) -> torch.Tensor:
    return torch.randn(images, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def states_of(tiny: TinyDinoTxt, image: torch.Tensor) -> list[np.ndarray]:
    """Tokens ``[token, channel]`` of one image behind each block of the backbone."""
    return transformer_states("dinov3_vit", backbone_weights(tiny), image.permute(1, 2, 0).double().numpy(), SIZE)


def normed(tiny: TinyDinoTxt, tokens: np.ndarray) -> np.ndarray:
    return final_norm("dinov3_vit", backbone_weights(tiny), tokens)


def backbone_weights(tiny: TinyDinoTxt) -> Weights:
    state = DINOv3ViTModel.from_pretrained(tiny.folder).state_dict()
    return {key: tensor.double().numpy() for key, tensor in state.items()}


def tokens_of(words: Sequence[str]) -> list[int]:
    return [START, *(VOCABULARY.index(word) for word in words), END]


def image_vector(tokens: np.ndarray) -> np.ndarray:
    """Of one image's tokens ``[token, channel]`` behind the head."""
    return np.concatenate([tokens[0], tokens[1 + REGISTERS :].mean(axis=0)])


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


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_equal_a_plain_forward_pass(tiny: TinyDinoTxt, weights: Weights, height: int, width: int) -> None:
    pixels = random_pixels(height, width)
    patches, vectors = read(tiny, pixels)
    rows, columns = height // PATCH, width // PATCH
    assert patches.shape == (2, 1, rows, columns, 2 * WIDTH)
    assert vectors.shape == (2, 1, 2 * WIDTH)
    assert not patches[..., :WIDTH].any()
    for place, image in enumerate(pixels):
        expected = head_tokens(weights, normed(tiny, states_of(tiny, image)[-1]))
        own = patches[place, 0, :, :, WIDTH:].reshape(rows * columns, WIDTH)
        assert_close(own, expected[1 + REGISTERS :], share=SHARE)
        assert_close(vectors[place, 0], image_vector(expected), share=SHARE)


@pytest.mark.parametrize("is_normed", [True, False])
def test_tokens_of_other_blocks_come_as_they_are_beside_the_same_vectors(
    tiny: TinyDinoTxt, weights: Weights, is_normed: bool
) -> None:
    pixels = random_pixels(16, 28)
    patches, vectors = read(tiny, pixels, layers=[1, 0], projected=False, normed=is_normed)
    assert patches.shape == (2, 2, 4, 7, 2 * WIDTH)
    assert not patches[..., WIDTH:].any()
    for place, image in enumerate(pixels):
        states = states_of(tiny, image)
        vector = image_vector(head_tokens(weights, normed(tiny, states[-1])))
        for layer, block in enumerate((1, 0)):
            expected = normed(tiny, states[block]) if is_normed else states[block]
            own = patches[place, layer, :, :, :WIDTH].reshape(-1, WIDTH)
            assert_close(own, expected[1 + REGISTERS :], share=SHARE)
            assert_close(vectors[place, layer], vector, share=SHARE)


def test_patches_and_images_lie_where_texts_do(tiny: TinyDinoTxt, encoder: TextEncoder) -> None:
    extractor = backbone(tiny).load(Execution())
    image = np.random.default_rng(0).integers(0, 256, (16, 28, 3), dtype=np.uint8)
    patch_tokens, cls_tokens = extractor.extract(image)
    embeddings = encoder.encode(["a scratch", "good"])
    assert patch_tokens.shape[-1] == cls_tokens.shape[-1] == embeddings.shape[1] == extractor.channels
    part = slice(*encoder.patch_part)
    assert_close(patch_tokens[0] @ embeddings.T, patch_tokens[0, ..., part] @ embeddings[:, part].T)
    assert patch_tokens[0, ..., part].any(axis=-1).all()


def test_the_extractor_says_what_its_tokens_are(tiny: TinyDinoTxt, encoder: TextEncoder) -> None:
    extractor = backbone(tiny).load(Execution())
    assert (extractor.layers, extractor.channels, extractor.cls_source) == (["1"], 2 * WIDTH, "class token")
    assert set(extractor.model["weights_sha256"]) == {"model.safetensors", tiny.head.name}
    assert extractor.model["weights_sha256"].items() >= encoder.model["weights_sha256"].items()
    assert (extractor.model["id"], extractor.model["revision"]) == (encoder.model["id"], encoder.model["revision"])
    assert extractor.model["prefix_tokens"] == 1 + REGISTERS


@pytest.mark.parametrize("options", [{}, {"layers": [1]}, {"layers": [0, 1], "projected": False}])
def test_the_layout_is_known_before_anything_is_loaded(tiny: TinyDinoTxt, options: dict[str, Any]) -> None:
    own = backbone(tiny, **options)
    own.check_model()
    layout, extractor = own.known_layout(), own.load(Execution())
    assert layout is not None
    assert (layout.channels, len(own.layers)) == (extractor.channels, len(extractor.layers))
    assert layout.rule.size(16, 28) == extractor.grid_size(16, 28)
    assert layout == own.layout_here()
    assert own.assumed_layout().channels == extractor.channels


def test_the_weights_of_another_backbone_form_give_the_same(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    """What matters of the backbone is what it computes, whoever saved it: here in half of the files' formats."""
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "copy"))
    torch.save(DINOv3ViTModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    pixels = random_pixels(8, 12)
    for found, expected in zip(read(tiny._replace(folder=folder), pixels), read(tiny, pixels), strict=True):
        assert_close(found, expected)


def test_a_compiled_network_gives_the_same(tiny: TinyDinoTxt) -> None:
    torch.compiler.reset()
    pixels = random_pixels(8, 12)
    extractor = backbone(tiny).load(Execution())
    with torch.inference_mode():
        expected = extractor.tokens_of(pixels)
        extractor._read.compile(backend="eager")
        for found, own in zip(extractor.tokens_of(pixels), expected, strict=True):
            assert_close(found, own)


def test_numbers_of_sixteen_bits_come_close(tiny: TinyDinoTxt) -> None:
    pixels = random_pixels(16, 28)
    for found, expected in zip(read(tiny, pixels, dtype="bfloat16"), read(tiny, pixels), strict=True):
        assert_close(found, expected, share=0.1)
        assert (found != expected).any()


def test_the_files_that_tokens_depend_on_are_those_of_model_and_head(tiny: TinyDinoTxt) -> None:
    own = backbone(tiny)
    assert own.local_files() == sorted(
        [str(tiny.head), str(tiny.folder / "config.json"), str(tiny.folder / "model.safetensors")]
    )


def test_the_size_of_the_weights_is_that_of_model_and_head(tmp_path: Path) -> None:
    folder, head = tmp_path / "model", tmp_path / "head.pth"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    head.write_bytes(bytes(5_000_000))
    own = {"model": str(folder), "head": str(head)}
    assert ImageText.build(own, where="test").weights_megabytes() == 8
    published = ImageText.build(own | {"model": "dinov3-vitl16"}, where="test")
    assert published.weights_megabytes() == round(303_129_600 * 4 / 1e6) + 5


def test_costs_count_the_blocks_of_the_head(tiny: TinyDinoTxt) -> None:
    whole = HuggingFace.build({"model": str(tiny.folder), "resolution": 4 * PATCH}, where="test").operations(16, 28)
    assert backbone(tiny).operations(16, 28) == pytest.approx(2 * whole)  # two blocks, and two of the head


@pytest.mark.parametrize("model", ["dinov3-vitl16", "facebook/dinov3-vitl16-pretrain-lvd1689m", "dinov3-vitl16-timm"])
def test_the_published_backbone_has_the_published_width(tiny: TinyDinoTxt, model: str) -> None:
    own = ImageText.build({"model": model, "head": str(tiny.head)}, where="test")
    layout = own.known_layout()
    assert layout is not None
    assert (layout.channels, layout.layers) == (2048, ("23",))
    with pytest.raises(ModelError) as caught:
        own.check_model()
    assert str(caught.value) == (
        f"the head {tiny.head} takes tokens of width {WIDTH}, but those of model '{model}' are 1024 wide; the "
        "published head is for dinov3-vitl16"
    )


def test_dinotxt_is_listed_with_its_licence_and_what_it_takes() -> None:
    family, listing = listed("dinov3-vitl16-dinotxt") or ("", None)
    assert (family, listing) == ("image_text", ImageText.models()[0])
    assert (listing.place, listing.licence, listing.gated, listing.patch) == (PLACE, "DINOv3 License", True, 16)
    assert listing.parameters == 303_129_600 + PARAMETERS
    assert find_family("dinov3-vitl16-dinotxt") == ("image_text", ImageText.params_of("dinov3-vitl16"))
    assert completed("image_text", {"model": "dinov3-vitl16-dinotxt", "head": "x.pth"})["model"] == (
        "facebook/dinov3-vitl16-pretrain-lvd1689m"
    )
    assert not ImageText.has("dinov3-vitl16-dinotxt")


@pytest.mark.parametrize("layers", [[0], [0, 1]])
def test_the_head_reads_the_last_block_alone(tiny: TinyDinoTxt, layers: list[int]) -> None:
    own = backbone(tiny, layers=layers)
    for refused in (own.check_model, lambda: own.load(Execution())):
        with pytest.raises(ConfigError) as caught:
            refused()
        assert str(caught.value) == (
            f"the head of dino.txt only uses the last block of model '{tiny.folder}'; remove 'layers', or "
            "set 'projected' to false for the patch tokens of other blocks"
        )


@pytest.mark.parametrize("model", ["dinov3-vitl16", "dinov3-vits16-timm", "own"])
def test_dinov3_without_a_head_is_no_model_of_images_and_texts(tiny: TinyDinoTxt, model: str) -> None:
    own = backbone(tiny, model=str(tiny.folder) if model == "own" else model, head=None, resolution=32)
    with pytest.raises(ConfigError) as caught:
        own.check_model()
    assert str(caught.value) == (
        f"model '{own.model}' does not share a space with texts by itself; set 'head' to the file of "
        f"dino.txt ({PUBLISHED}, from "
        "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/), or choose a model of "
        "images and texts, such as clip-vitl14-336"
    )


@pytest.mark.parametrize(
    "options", [{"path": "values"}, {"path": "windows"}, {"positions": "bilinear"}, {"class_norm": False}]
)
def test_what_is_for_clip_is_refused(tiny: TinyDinoTxt, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"model '{tiny.folder}'"):
        backbone(tiny, **options).check_model()


def test_another_familys_model_takes_no_head(tiny: TinyDinoTxt) -> None:
    for model in ("clip-vitb16", "dinov3-convnext-tiny"):
        with pytest.raises(ConfigError):
            ImageText.build({"model": model, "head": str(tiny.head), "resolution": 224}, where="test").check_model()


def test_the_check_reads_the_head(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pth cannot be read \(No such file or directory\)"):
        backbone(tiny, head=str(tmp_path / "none.pth")).check_model()
    head = saved_head(tmp_path / "head.pth", head_state(width=32))
    for refused in (
        backbone(tiny, head=str(head)).check_model,
        lambda: read(tiny._replace(head=head), random_pixels(8, 8)),
    ):
        with pytest.raises(ModelError, match="takes tokens of width 32"):
            refused()


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
        assert (
            f"the file {path} is not a head of dino.txt (it has no tensor '{key}'); give dinov3_vitl16"
            in refusal_of(path)
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
    assert f"contain 1 unknown tensors (the first is '{key}')" in refusal_of(path)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_numbers_of_another_kind_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    key = "text_model.backbone.ln_final.bias"
    path = saved_head(tmp_path / "head.pth", head_state() | {key: head_state()[key].to(dtype)})
    assert refusal_of(path) == (
        f"the tensor '{key}' of model '{path}' contains {str(dtype).removeprefix('torch.')} "
        "instead of floating-point numbers; use the weights as their authors published them"
    )


@pytest.mark.parametrize("prefix", ["visual_model.head.blocks", "text_model.backbone.blocks"])
def test_a_large_number_in_a_name_builds_no_large_network(tmp_path: Path, prefix: str) -> None:
    path = saved_head(tmp_path / "head.pth", head_state() | {f"{prefix}.999999999.norm1.weight": torch.zeros(3)})
    assert f"lack the tensor '{prefix}.2." in refusal_of(path)


def test_a_text_encoder_without_whole_heads_of_attention_is_refused(tmp_path: Path) -> None:
    path = saved_head(tmp_path / "head.pth", head_state(text_width=96))
    assert refusal_of(path) == (
        f"the tensor 'text_model.backbone.token_embedding.weight' of model '{path}' is {len(VOCABULARY)} x 96, but a "
        "multiple of 64 columns is expected; use the weights as their authors published them"
    )


def test_another_network_is_no_head(tmp_path: Path) -> None:
    path = saved_head(tmp_path / "head.pth", {"cls_token": torch.zeros(1, 1, 8)})
    assert "is not a head of dino.txt" in refusal_of(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.pth'} cannot be read (No such file or directory)" in refusal_of(tmp_path / "none.pth")


@pytest.mark.parametrize("size", [0, 7, 3000])
def test_a_file_that_was_cut_off_is_refused(tiny: TinyDinoTxt, tmp_path: Path, size: int) -> None:
    path = tmp_path / "head.pth"
    path.write_bytes(tiny.head.read_bytes()[:size])
    assert refusal_of(path) == f"the weights file {path} is damaged; download it again from its authors"


def test_a_file_whose_bytes_are_not_those_of_its_name_is_refused(tiny: TinyDinoTxt, tmp_path: Path) -> None:
    head = Path(shutil.copy(tiny.head, tmp_path / "dinotxt-01234567.pth"))
    with pytest.raises(ModelError, match=r"are damaged: the SHA-256 of .*dinotxt-01234567\.pth begins with"):
        load_texts(wanted(tiny._replace(head=head)), "cpu")


def test_code_in_the_file_is_never_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    path = saved_head(tmp_path / "head.pth", head_state() | {"logit_scale": Malicious()})
    assert "contains more than tensors, which may be harmful code" in refusal_of(path)
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
    with pytest.raises(
        ConfigError, match=r"does not share a space with texts by itself; set 'head' to the file of dino\.txt"
    ):
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
    folder = SCRATCH.save(tmp_path)
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
    assert message.endswith("correct 'tokenizer', or remove it")
