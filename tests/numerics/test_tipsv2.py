"""TIPSv2 against plain forward passes and transformers itself: tokens, images in the space of texts, and texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference_networks import (
    LAYOUTS,
    Size,
    Weights,
    block_output,
    final_norm,
    layer_norm,
    linear,
    part_of,
    perceptron,
    transformer_states,
)
from token_readers import as_image, random_pixels, read, reader_of
from transformers import (
    Tipsv2Config,
    Tipsv2Model,
    Tipsv2TextModel,
    Tipsv2Tokenizer,
    Tipsv2VisionConfig,
    Tipsv2VisionModel,
)

from closeness import assert_close
from random_weights import exact_weights, randomise
from sentence_piece_files import BYTE, CONTROL, NORMAL, PAIRS, UNKNOWN, merged_pairs, sentence_piece_file
from zsad.errors import ConfigError, ModelError
from zsad.features.architecture import Transformer, architecture_of, assumed_architecture
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.features.network import NetworkExtractor
from zsad.models.checkpoint import find_checkpoint
from zsad.models.families import tipsv2_config as config_module
from zsad.models.families.tipsv2_config import Tower, tipsv2_config
from zsad.models.texts import batched as text_module
from zsad.models.texts.base import TextEncoder
from zsad.models.texts.loading import TextModel, load_texts

PATCH, HIDDEN, HEADS, BLOCKS, TRAINED_SIDE, LONGEST = 4, 32, 4, 3, 16, 10
PREFIX = 2  # both class tokens
SIZE = Size(PATCH, TRAINED_SIDE, HEADS, BLOCKS)
VISION: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "patch_size": PATCH,
    "image_size": TRAINED_SIDE,
    "mlp_ratio": 1.5,
}
WORDS = ("▁a", "at", "▁s", "▁sc", "ra", "▁scra", "▁scrat", "ch", "▁scratch", "▁d", "▁de", "nt")
SCORES = {**{word: -1.0 - place for place, word in enumerate(WORDS)}, **dict.fromkeys("▁abcdehnrst", -99.0)}
SPECIAL = [("<pad>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), *((f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256))]
PIECES = [*SPECIAL, *((text, score, NORMAL) for text, score in SCORES.items())]
NAMES = [name for name, _, _ in PIECES]
TEXT: dict[str, Any] = {
    "vocab_size": len(PIECES),
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 40,
    "max_position_embeddings": LONGEST,
}
TEXTS = ["a scratch", "A Scratch", "ten cents", "a dent"]
SIZES = [(16, 16), (24, 24), (16, 28), (8, 32)]  # the last has as many patches as were trained, in another shape
FLAT = {  # as the authors write it
    "model_type": "tipsv2",
    "architectures": ["TIPSv2Model"],
    "auto_map": {"AutoConfig": "configuration_tips.TIPSv2Config", "AutoModel": "modeling_tips.TIPSv2Model"},
    "patch_size": PATCH,
    "img_size": TRAINED_SIDE,
    "init_values": 1.0,
    "num_register_tokens": 1,
    "vocab_size": len(PIECES),
    "max_len": LONGEST,
    "vision_fn": "vit_tiny",
    "embed_dim": HIDDEN,
    "text_hidden_size": HIDDEN,
    "text_mlp_dim": 40,
    "text_num_heads": HEADS,
    "text_num_layers": 2,
    "ffn_layer": "mlp",
    "temperature": 0.0046,
}

Saved = tuple[Path, Weights]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A small checkpoint in which every weight matters; transformers writes it in the authors' own names."""
    model = Tipsv2Model(Tipsv2Config(vision_config=VISION, text_config=TEXT))
    randomise(model, scale=0.3, seed=9)
    folder = tmp_path_factory.mktemp("tipsv2")
    model.save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(sentence_piece_file(PIECES, PAIRS, falls_back_to_bytes=True))
    return folder, exact_weights(model)


@pytest.fixture
def copy(saved: Saved, tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(saved[0], tmp_path / "copy"))


@pytest.fixture(scope="module")
def encoder(saved: Saved) -> TextEncoder:
    return texts_of(saved[0])


def texts_of(folder: Path, **options: str) -> TextEncoder:
    return load_texts(TextModel(str(folder), **options), "cpu")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("normed", [True, False])
def test_tokens_of_every_block_equal_a_plain_forward_pass(saved: Saved, size: tuple[int, int], normed: bool) -> None:
    folder, weights = saved
    vision = part_of(weights, "vision_model.")
    reader = reader_of(folder, (2, 0, -2), normed=normed)
    rows, columns = size[0] // PATCH, size[1] // PATCH
    pixels = random_pixels(*size)
    patch_tokens, cls_tokens = read(reader, pixels)

    assert (reader.layers, reader.channels, reader.prefix_tokens) == (["2", "0", "1"], HIDDEN, PREFIX)
    assert (reader.patch, reader.stride, reader.cls_source) == (PATCH, PATCH, "class token")
    assert patch_tokens.shape == (2, 3, rows, columns, HIDDEN)
    for image in range(2):
        states = transformer_states("tipsv2", vision, as_image(pixels[image]), SIZE)
        for place, block in enumerate((2, 0, 1)):
            state = final_norm("tipsv2", vision, states[block]) if normed else states[block]
            assert_close(patch_tokens[image, place], state[PREFIX:].reshape(rows, columns, HIDDEN))
            assert_close(cls_tokens[image, place], state[0])


def test_the_space_of_texts_is_that_of_normed_tokens(saved: Saved) -> None:
    pixels = random_pixels(8, 24)
    normed, projected = (
        read(reader_of(saved[0], (-1, 0), normed=projected is False, projected=projected), pixels)
        for projected in (False, True)
    )
    assert_close(projected[0], normed[0])
    assert_close(projected[1], normed[1])


def test_the_class_token_is_what_transformers_calls_the_image_embedding(saved: Saved) -> None:
    pixels = random_pixels(16, 24)
    patch_tokens, cls_tokens = read(reader_of(saved[0], (-1,)), pixels)
    with torch.inference_mode():
        output = Tipsv2Model.from_pretrained(saved[0]).eval().get_image_features(pixels)
    assert_close(cls_tokens[:, 0], output.pooler_output)
    assert_close(patch_tokens[:, 0].flatten(1, 2), output.last_hidden_state[:, PREFIX:])


def test_a_tower_that_was_saved_alone_loads(saved: Saved, tmp_path: Path) -> None:
    config = Tipsv2Config.from_pretrained(saved[0])
    Tipsv2VisionModel.from_pretrained(saved[0], config=config.vision_config).save_pretrained(tmp_path / "vision")
    Tipsv2TextModel.from_pretrained(saved[0], config=config.text_config).save_pretrained(tmp_path / "text")
    shutil.copy(saved[0] / "tokenizer.model", tmp_path / "text")
    pixels = random_pixels(8, 16)
    expected, actual = (read(reader_of(folder, (-1,)), pixels) for folder in (saved[0], tmp_path / "vision"))
    assert_close(actual[0], expected[0])
    assert_close(texts_of(tmp_path / "text").encode(TEXTS), texts_of(saved[0]).encode(TEXTS))


def test_the_form_of_the_authors_loads_alike(
    saved: Saved, copy: Path, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "TOWERS", {"vit_tiny": Tower(BLOCKS, HEADS, 1.5)})
    (copy / "config.json").write_text(json.dumps(FLAT))
    pixels = random_pixels(8, 16)
    expected, actual = (read(reader_of(folder, (-1, 0)), pixels) for folder in (saved[0], copy))
    assert_close(actual[0], expected[0])
    assert_close(actual[1], expected[1])
    assert_close(texts_of(copy).encode(TEXTS), encoder.encode(TEXTS))


@pytest.mark.parametrize(
    ("tower", "width", "text", "layer", "mebibytes"),  # the sizes of the files on the hub
    [
        ("vit_base", 768, (3072, 12, 12), "mlp", 747),
        ("vit_large", 1024, (4096, 16, 12), "mlp", 1861),
        ("vit_so400m", 1152, (4304, 16, 27), "mlp", 3287),
        ("vit_giant2", 1536, (6144, 24, 12), "swiglu", 5818),
    ],
)
def test_the_models_of_the_authors_are_as_large_as_their_files(
    tower: str, width: int, text: tuple[int, int, int], layer: str, mebibytes: int
) -> None:
    sizes = {"embed_dim": width, "text_hidden_size": width, "vision_fn": tower, "ffn_layer": layer}
    text_sizes = dict(zip(("text_mlp_dim", "text_num_heads", "text_num_layers"), text, strict=True))
    config = tipsv2_config(
        Tipsv2Config(**FLAT | sizes | text_sizes | {"vocab_size": 32000, "patch_size": 14, "img_size": 448})
    )
    with torch.device("meta"):
        network = Tipsv2Model(config)
    assert sum(parameter.numel() for parameter in network.parameters()) * 4 / 2**20 == pytest.approx(mebibytes, abs=1)


@pytest.mark.parametrize(
    ("published", "sizes"),
    [
        ("tipsv2-vitl14", {"vision_fn": "vit_large", "embed_dim": 1024, "text_hidden_size": 1024}),
        ("tipsv2-so400m14", {"vision_fn": "vit_so400m", "embed_dim": 1152, "text_hidden_size": 1152}),
        ("tipsv2-vitg14", {"vision_fn": "vit_giant2", "embed_dim": 1536, "text_hidden_size": 1536}),
    ],
)
def test_a_network_is_assumed_as_large_as_it_is(tmp_path: Path, published: str, sizes: dict[str, Any]) -> None:
    gated = {"ffn_layer": "swiglu" if published == "tipsv2-vitg14" else "mlp"}
    (tmp_path / "config.json").write_text(json.dumps(FLAT | sizes | gated | {"patch_size": 14, "img_size": 448}))
    found = assumed_architecture(HuggingFace(model=str(tmp_path)), 1500)
    known = architecture_of(HuggingFace(model=published))
    assert isinstance(found, Transformer)
    assert isinstance(known, Transformer)
    assert architecture_of(HuggingFace(model=str(tmp_path))) == known
    for size in ("patch", "width", "blocks", "block_weights", "depth", "prefix_tokens"):
        assert getattr(found, size) == getattr(known, size)


def test_a_tower_that_is_not_known_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps(FLAT))
    with pytest.raises(
        ModelError, match=r"names the image tower 'vit_tiny' .*, which is not one of vit_small, vit_base"
    ):
        find_checkpoint(str(copy), None)
    assert "which is not one of vit_small" in refusal(copy)


# Images among texts


def backbone_of(folder: Path, **options: Any) -> ImageText:
    params = {"model": str(folder), "resolution": 2 * PATCH, "dtype": "float32"} | options
    return ImageText.build(params, where="test")


def extracted(extractor: NetworkExtractor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return extractor.tokens_of(pixels)


def without_attention(vision: Weights, tokens: np.ndarray) -> np.ndarray:
    """What the last block makes of its input if each token attends to itself alone, after the final LayerNorm."""
    layout, part = LAYOUTS["tipsv2"], part_of(vision, f"encoder.layer.{BLOCKS - 1}.")
    values = linear(layer_norm(tokens, part, "norm1", 1e-6), part, "attention.v_proj")
    tokens = tokens + part["layer_scale1.lambda1"] * linear(values, part, "attention.o_proj")
    hidden = perceptron(layer_norm(tokens, part, "norm2", 1e-6), part, layout.activation)
    return final_norm("tipsv2", vision, tokens + part["layer_scale2.lambda1"] * hidden)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": (0, 2)},
        {"layers": (0, -1), "projected": False, "normed": False},
        {"path": "values"},
    ],
)
def test_an_image_among_texts_equals_a_plain_forward_pass(
    saved: Saved, size: tuple[int, int], options: dict[str, Any]
) -> None:
    vision = part_of(saved[1], "vision_model.")
    extractor = backbone_of(saved[0], **options).load(Execution())
    rows, columns = size[0] // PATCH, size[1] // PATCH
    pixels = random_pixels(*size)
    patch_tokens, vectors = extracted(extractor, pixels)

    chosen = [layer % BLOCKS for layer in options.get("layers", (-1,))]
    assert (extractor.layers, extractor.channels) == ([str(block) for block in chosen], HIDDEN)
    assert patch_tokens.shape == (2, len(chosen), rows, columns, HIDDEN)
    for image in range(2):
        states = transformer_states("tipsv2", vision, as_image(pixels[image]), SIZE)
        for place, block in enumerate(chosen):
            assert_close(vectors[image, place], final_norm("tipsv2", vision, states[-1][:1])[0])
            expected = states[block]
            if options.get("path") == "values":
                expected = without_attention(vision, states[-2])
            elif options.get("normed", True):
                expected = final_norm("tipsv2", vision, expected)
            assert_close(patch_tokens[image, place].flatten(0, 1), expected[PREFIX:])


def test_values_of_a_single_block_are_those_of_the_embedded_patches(tmp_path: Path) -> None:
    model = Tipsv2VisionModel(Tipsv2VisionConfig(**VISION | {"num_hidden_layers": 1})).eval()
    model.save_pretrained(tmp_path)
    pixels = random_pixels(8, 12)
    found, _ = extracted(backbone_of(tmp_path, path="values").load(Execution()), pixels)
    vision = exact_weights(model)
    part = {name.replace(".0.", f".{BLOCKS - 1}."): value for name, value in vision.items()}
    with torch.inference_mode():
        embedded = model.embeddings(pixels)[0].double().numpy()
    assert_close(found[0, 0].flatten(0, 1), without_attention(part, embedded)[PREFIX:])


@pytest.mark.parametrize("path", ["plain", "values"])
def test_the_vector_of_an_image_is_what_transformers_makes_of_it(saved: Saved, path: str) -> None:
    pixels = random_pixels(8, 24)
    _, vectors = extracted(backbone_of(saved[0], path=path).load(Execution()), pixels)
    with torch.inference_mode():
        expected = Tipsv2Model.from_pretrained(saved[0]).eval().get_image_features(pixels).pooler_output
    assert_close(vectors[:, 0], expected)


@pytest.mark.parametrize("path", ["plain", "values"])
def test_the_layout_is_known_before_loading(saved: Saved, path: str) -> None:
    backbone = backbone_of(saved[0], path=path, layers=(2,))
    backbone.check_model()
    extractor, layout = backbone.load(Execution()), backbone.known_layout()
    assert layout is not None
    assert (list(layout.layers or ()), layout.channels) == (extractor.layers, extractor.channels)
    assert layout.rule.size(40, 60) == extractor.grid_size(40, 60)
    assert (backbone.operations(40, 60) or 0) > 0


@pytest.mark.parametrize("path", ["plain", "values"])
def test_bfloat16_stays_close_to_float32(saved: Saved, path: str) -> None:
    pixels = random_pixels(16, 24)
    exact, rough = (
        extracted(backbone_of(saved[0], path=path, dtype=dtype).load(Execution()), pixels)
        for dtype in ("float32", "bfloat16")
    )
    for expected, found in zip(exact, rough, strict=True):
        assert found.dtype == torch.float32
        assert (torch.nn.functional.cosine_similarity(expected, found, dim=-1) > 0.99).all()
        assert not torch.equal(expected, found)


@pytest.mark.parametrize("path", ["plain", "values"])
def test_no_output_outlives_the_call(saved: Saved, path: str) -> None:
    reader = backbone_of(saved[0], path=path).load(Execution())._read
    read(reader, random_pixels(8, 8))
    assert not reader._kept._outputs  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "windows"}, "does not support path windows, which is for CLIP models"),
        ({"path": "values", "layers": (0, 2)}, "only supports its last block; set layers to"),
        ({"path": "values", "first_value_block": -1}, "first_value_block is not supported by model"),
        ({"class_norm": False}, "class_norm False is not supported by model"),
        ({"head": "head.pth"}, "head head.pth is not supported by model"),
    ],
)
def test_what_tipsv2_does_not_have_is_said_before_it_is_loaded(
    saved: Saved, options: dict[str, Any], sentence: str
) -> None:
    for refuse in (lambda backbone: backbone.check_model(), lambda backbone: backbone.load(Execution())):
        with pytest.raises(ConfigError, match=sentence) as caught:
            refuse(backbone_of(saved[0], **options))
        assert "\n" not in str(caught.value)


# Texts


def plain_embedding(weights: Weights, tokens: Sequence[int]) -> np.ndarray:
    """The mean over the tokens of the text itself; what fills it up is not there for any of them."""
    layout, count = LAYOUTS["tipsv2_text"], HIDDEN // 2
    states = np.sqrt(HIDDEN) * weights["text_model.embeddings.token_embedding.weight"][list(tokens)]
    angles = np.arange(len(tokens))[:, None] * 10000.0 ** (-np.arange(count) / (count - 1))
    states = states + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    for block in range(TEXT["num_hidden_layers"]):
        states = block_output(states, part_of(weights, f"{layout.blocks}.{block}."), layout, HEADS)
    return final_norm("tipsv2_text", weights, states).mean(axis=0)


@pytest.mark.parametrize(
    ("text", "plain"), [("a scratch", "▁a▁scratch"), (" A\n Scratch ", "▁a▁scratch"), ("dents", "▁dents")]
)
def test_an_embedding_equals_a_plain_forward_pass(saved: Saved, encoder: TextEncoder, text: str, plain: str) -> None:
    tokens = [NAMES.index(piece) for piece in merged_pairs(plain, SCORES)]
    embeddings = encoder.encode([text])
    assert encoder.count_tokens(text) == len(tokens)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (1, HIDDEN)
    assert_close(embeddings[0], plain_embedding(saved[1], tokens))


def test_embeddings_equal_the_text_features_of_transformers(saved: Saved, encoder: TextEncoder) -> None:
    tokenizer = Tipsv2Tokenizer(
        vocab={name: place for place, name in enumerate(NAMES)},
        merges=[(word[:place], word[place:]) for word in WORDS for place in range(1, len(word)) if splits(word, place)],
    )
    inputs = tokenizer(TEXTS, padding="max_length", max_length=LONGEST, return_tensors="pt")
    with torch.inference_mode():
        features = Tipsv2Model.from_pretrained(saved[0]).eval().get_text_features(**inputs)
    assert_close(encoder.encode(TEXTS), features.pooler_output.numpy())


def splits(word: str, place: int) -> bool:
    return word[:place] in SCORES and word[place:] in SCORES


def test_what_transformers_makes_of_the_tokenizer_is_enough(copy: Path, encoder: TextEncoder) -> None:
    merges = [(word[:place], word[place:]) for word in WORDS for place in range(1, len(word)) if splits(word, place)]
    vocabulary = {name: place for place, name in enumerate(NAMES)}
    Tipsv2Tokenizer(vocab=vocabulary, merges=merges).save_pretrained(copy)
    (copy / "tokenizer.model").unlink()
    assert_close(texts_of(copy).encode(TEXTS), encoder.encode(TEXTS))


def test_a_text_is_embedded_alike_alone_and_among_others(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert_close(encoder.encode(TEXTS), alone)
    monkeypatch.setattr(text_module, "BATCH", 3)
    assert_close(encoder.encode(TEXTS), alone)


def test_an_encoder_says_what_it_is(encoder: TextEncoder, saved: Saved) -> None:
    assert (encoder.name, encoder.device, encoder.longest) == (str(saved[0]), "cpu", LONGEST)
    assert (encoder.channels, encoder.patch_part) == (HIDDEN, (0, HIDDEN))
    assert encoder.model["id"] == str(saved[0])
    assert set(encoder.model["weights_sha256"]) == {"model.safetensors"}
    assert encoder.encode([]).shape == (0, HIDDEN)


def test_a_text_may_be_as_long_as_the_model_reads_and_no_longer(encoder: TextEncoder) -> None:
    assert encoder.encode([" ".join("a" * LONGEST)]).shape == (1, HIDDEN)
    with pytest.raises(ConfigError) as caught:
        encoder.encode(["a dent", " ".join("a" * (LONGEST + 1))])
    expected = f"the text 'a a a a a a a a a a a' has 11 tokens, but model '{encoder.name}' reads 10; shorten it"
    assert str(caught.value) == expected


def test_a_text_without_tokens_is_embedded_finitely(encoder: TextEncoder) -> None:
    assert np.isfinite(encoder.encode([""])).all()


def refusal(folder: Path, **options: str) -> str:
    with pytest.raises(ModelError) as caught:
        texts_of(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"'{folder}'", "'tiny'")


def test_a_head_is_refused(copy: Path) -> None:
    with pytest.raises(ConfigError, match="is a TIPSv2 model, which has no head; remove 'head'"):
        texts_of(copy, head="head.pth")


def test_a_missing_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer.model").unlink()
    assert "add its tokenizer.model, or its tokenizer.json" in refusal(copy)


@pytest.mark.parametrize("size", [0, 9, -3])
def test_a_damaged_tokenizer_is_refused(copy: Path, size: int) -> None:
    path = copy / "tokenizer.model"
    path.write_bytes(path.read_bytes()[:size])
    assert "the tokenizer of model 'tiny'" in refusal(copy)
    assert "cannot be loaded (" in refusal(copy)


def test_the_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    pieces = [*PIECES, ("more", -1.0, NORMAL)]
    (copy / "tokenizer.model").write_bytes(sentence_piece_file(pieces, PAIRS))
    message = refusal(copy)
    assert f"is not that of its text tower ({len(pieces)} tokens for {len(PIECES)})" in message


def test_weights_without_the_text_tower_are_refused(copy: Path, tmp_path: Path) -> None:
    config = Tipsv2Config.from_pretrained(copy)
    Tipsv2VisionModel.from_pretrained(copy, config=config.vision_config).save_pretrained(tmp_path / "vision")
    shutil.copy(tmp_path / "vision" / "model.safetensors", copy)
    assert "of the tensors of its text tower" in refusal(copy)
