"""SigLIP and SigLIP 2 against plain forward passes and transformers itself: tokens, images among texts, and texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tokenizers
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
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import (
    PreTrainedModel,
    Siglip2Config,
    Siglip2Model,
    Siglip2TextModel,
    Siglip2Tokenizer,
    Siglip2VisionModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from closeness import assert_close
from random_weights import exact_weights, randomise
from sentence_piece_files import CONTROL, NORMAL, UNIGRAM, UNKNOWN, most_likely, sentence_piece_file
from zsad.errors import ConfigError, ModelError
from zsad.features.architecture import Transformer, architecture_of, assumed_architecture
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.features.network import NetworkExtractor
from zsad.models.checkpoint import find_checkpoint
from zsad.models.texts import batched as text_module
from zsad.models.texts.base import TextEncoder
from zsad.models.texts.loading import TextModel, load_texts

PATCH, HIDDEN, HEADS, BLOCKS, TRAINED_SIDE, LONGEST = 4, 32, 4, 3, 16, 10
SIZE = Size(PATCH, TRAINED_SIDE, HEADS, BLOCKS)
VISION: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "patch_size": PATCH,
    "intermediate_size": 48,
}
TEXT: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 40,
    "max_position_embeddings": LONGEST,
    "projection_size": HIDDEN,  # another width inside, as SigLIP 2 giant has it
}
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]  # Gemma's, in its order
LETTERS = "▁abcdefghijklmnopqrstuvwxyzABS.,"
MERGES = [("s", "c"), ("sc", "r"), ("a", "t"), ("scr", "at"), ("c", "h"), ("scrat", "ch"), ("▁", "scratch")]
VOCABULARY = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *LETTERS, *("".join(pair) for pair in MERGES)]
SCORES = {"▁a": -1.0, "▁scratch": -2.0, "▁s": -3.0, "cratch": -2.5, **dict.fromkeys(LETTERS, -9.0)}
OLD_SPECIAL = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
TEXTS = ["a scratch", "A Scratch.", "bent", "a dent"]
SIZES = [(16, 16), (24, 24), (16, 28), (8, 32)]  # the last has as many patches as were trained, in another shape


def make(case: str) -> PreTrainedModel:
    text = TEXT | {"vocab_size": len(OLD_SPECIAL) + len(SCORES) if case == "siglip" else len(VOCABULARY)}
    if case == "siglip2 naflex":
        positions = {"num_patches": (TRAINED_SIDE // PATCH) ** 2}
        return Siglip2Model(Siglip2Config(vision_config=VISION | positions, text_config=text))
    return SiglipModel(SiglipConfig(vision_config=VISION | {"image_size": TRAINED_SIDE}, text_config=text))


class Saved(NamedTuple):
    case: str
    folder: Path
    weights: Weights

    @property
    def layout(self) -> str:
        return "siglip2" if self.case == "siglip2 naflex" else "siglip"


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Saved]:
    """Small checkpoints in which every weight matters, with their tokenizers."""
    saved = {}
    for case in ("siglip", "siglip2", "siglip2 naflex"):
        model = make(case)
        randomise(model, scale=0.3, seed=7)
        folder = tmp_path_factory.mktemp(case.replace(" ", "_"))
        model.save_pretrained(folder)
        (write_old_tokenizer if case == "siglip" else write_tokenizer)(folder)
        weights = exact_weights(model)
        if case == "siglip2 naflex":  # a linear map of packed patches, in which colours are fastest
            name = "vision_model.embeddings.patch_embedding.weight"
            weights[name] = weights[name].reshape(HIDDEN, PATCH, PATCH, 3).transpose(0, 3, 1, 2)
        saved[case] = Saved(case, folder, weights)
    return saved


@pytest.fixture(params=["siglip", "siglip2", "siglip2 naflex"])
def saved(request: pytest.FixtureRequest, saved_models: dict[str, Saved]) -> Saved:
    return saved_models[request.param]


@pytest.fixture
def copy(saved_models: dict[str, Saved], tmp_path: Path) -> Path:
    """A copy of a checkpoint of SigLIP 2 to damage."""
    return Path(shutil.copytree(saved_models["siglip2"].folder, tmp_path / "copy"))


def write_tokenizer(folder: Path) -> None:
    """Gemma's, as the hub has it for SigLIP 2: capitals are left, and texts cut and filled up."""
    vocabulary = {token: place for place, token in enumerate(VOCABULARY)}
    pairs = models.BPE(vocab=vocabulary, merges=MERGES, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(pairs)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding(length=LONGEST, pad_id=0, pad_token="<pad>")
    tokenizer.save(str(folder / "tokenizer.json"))
    content = {"tokenizer_class": "GemmaTokenizer", "padding_side": "right", "model_input_names": ["input_ids"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))


def write_old_tokenizer(folder: Path) -> None:
    """SentencePiece's own, as the hub has it for SigLIP."""
    pieces = [*OLD_SPECIAL, *((text, score, NORMAL) for text, score in SCORES.items())]
    (folder / "spiece.model").write_bytes(sentence_piece_file(pieces, UNIGRAM))


def head_of_patches(weights: Weights, tokens: np.ndarray) -> np.ndarray:
    """The pooling head for each of some patches ``[patch, channel]`` alone, by all of attention."""
    part = part_of(weights, "vision_model.head.")
    return np.stack([pooled(part, token[None]) for token in tokens])


def pooled(part: Weights, tokens: np.ndarray) -> np.ndarray:
    """The head's output ``[channel]`` for an image of these tokens ``[patch, channel]``, after the final LayerNorm."""
    queries, keys, values = (
        inputs @ weight.T + bias
        for inputs, weight, bias in zip(
            (part["probe"][0], tokens, tokens),
            np.split(part["attention.in_proj_weight"], 3),
            np.split(part["attention.in_proj_bias"], 3),
            strict=True,
        )
    )
    width, heads = HIDDEN // HEADS, []
    for head in range(HEADS):
        own = slice(head * width, (head + 1) * width)
        shares = np.exp(keys[:, own] @ queries[0, own] / np.sqrt(width))
        heads.append(shares / shares.sum() @ values[:, own])
    attended = linear(np.concatenate(heads)[None], part, "attention.out_proj")
    hidden = layer_norm(attended, part, "layernorm", 1e-6)
    return (attended + perceptron(hidden, part, LAYOUTS["siglip"].activation))[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("normed", [True, False])
def test_tokens_of_every_block_equal_a_plain_forward_pass(saved: Saved, size: tuple[int, int], normed: bool) -> None:
    reader = reader_of(saved.folder, (2, 0, -2), normed=normed)
    rows, columns = size[0] // PATCH, size[1] // PATCH
    pixels = random_pixels(*size)
    patch_tokens, cls_tokens = read(reader, pixels)

    assert (reader.layers, reader.channels, reader.prefix_tokens) == (["2", "0", "1"], HIDDEN, 0)
    assert (reader.patch, reader.stride, reader.cls_source) == (PATCH, PATCH, "mean of patch tokens")
    assert patch_tokens.shape == (2, 3, rows, columns, HIDDEN)
    for image in range(2):
        states = transformer_states(saved.layout, saved.weights, as_image(pixels[image]), SIZE)
        for place, block in enumerate((2, 0, 1)):
            state = final_norm(saved.layout, saved.weights, states[block]) if normed else states[block]
            assert_close(patch_tokens[image, place], state.reshape(rows, columns, HIDDEN))
            assert_close(cls_tokens[image, place], state.mean(axis=0), size=np.abs(state).max())


def test_projected_tokens_are_the_heads_output_for_each_patch_alone(saved: Saved) -> None:
    pixels = random_pixels(8, 24)
    patch_tokens, _ = read(reader_of(saved.folder, (-1, 0), projected=True), pixels)
    for image in range(2):
        states = transformer_states(saved.layout, saved.weights, as_image(pixels[image]), SIZE)
        for place, block in enumerate((2, 0)):
            tokens = final_norm(saved.layout, saved.weights, states[block])
            assert_close(patch_tokens[image, place].flatten(0, 1), head_of_patches(saved.weights, tokens))


@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
def test_the_normed_last_layer_is_what_transformers_calls_the_output(saved: Saved, size: tuple[int, int]) -> None:
    pixels = random_pixels(*size)
    patch_tokens, _ = read(reader_of(saved.folder, (-1,)), pixels)
    assert_close(patch_tokens[:, 0].flatten(1, 2), image_output(saved, pixels).last_hidden_state)


def image_output(saved: Saved, pixels: torch.Tensor) -> Any:
    """What transformers makes of images; of packed ones as its own processor packs them."""
    with torch.inference_mode():
        if saved.case != "siglip2 naflex":
            model = SiglipModel.from_pretrained(saved.folder).eval()
            return model.get_image_features(pixels, interpolate_pos_encoding=True)
        rows, columns = (side // PATCH for side in pixels.shape[-2:])
        packed = np.empty((len(pixels), rows * columns, PATCH * PATCH * 3), dtype=np.float32)
        for image in range(len(pixels)):
            for row in range(rows):
                for column in range(columns):
                    cut = as_image(pixels[image])[row * PATCH :, column * PATCH :][:PATCH, :PATCH]
                    packed[image, row * columns + column] = cut.reshape(-1)
        model = Siglip2Model.from_pretrained(saved.folder).eval()
        return model.get_image_features(
            pixel_values=torch.from_numpy(packed),
            pixel_attention_mask=torch.ones(packed.shape[:2], dtype=torch.int32),
            spatial_shapes=torch.tensor([[rows, columns]] * len(pixels)),
        )


def test_a_tower_that_was_saved_alone_loads(saved_models: dict[str, Saved], tmp_path: Path) -> None:
    pixels = random_pixels(8, 16)
    for case, tower in (("siglip", SiglipVisionModel), ("siglip2 naflex", Siglip2VisionModel)):
        whole = saved_models[case].folder
        config = find_checkpoint(str(whole), None).config
        tower.from_pretrained(whole, config=config).save_pretrained(tmp_path / case)
        expected, actual = (read(reader_of(folder, (-1,)), pixels) for folder in (whole, tmp_path / case))
        assert_close(actual[0], expected[0])


def test_the_head_is_needed_only_in_the_space_of_texts(tmp_path: Path) -> None:
    config = SiglipVisionConfig(**VISION, image_size=TRAINED_SIDE, vision_use_head=False)
    SiglipVisionModel(config).save_pretrained(tmp_path)
    assert read(reader_of(tmp_path, (-1,)), random_pixels(8, 8))[0].shape == (2, 1, 2, 2, HIDDEN)
    with pytest.raises(ModelError, match="without its pooling head"):
        reader_of(tmp_path, (-1,), projected=True)


def test_weights_without_the_head_are_refused_where_it_is_needed(copy: Path) -> None:
    model = SiglipModel.from_pretrained(copy)
    state = {name: value for name, value in model.state_dict().items() if "vision_model.head" not in name}
    model.save_pretrained(copy, state_dict=state)
    reader_of(copy, (-1,))
    with pytest.raises(ModelError, match=r"lack 11 of its tensors \(head\.attention"):
        reader_of(copy, (-1,), projected=True)


def test_positions_that_make_no_square_are_refused(saved_models: dict[str, Saved], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved_models["siglip2 naflex"].folder, tmp_path / "copy"))
    content = json.loads((copy / "config.json").read_text())
    content["vision_config"]["num_patches"] = 15
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="has 15 positions"):
        find_checkpoint(str(copy), None)


# Images among texts


def backbone_of(folder: Path, **options: Any) -> ImageText:
    params = {"model": str(folder), "resolution": 2 * PATCH, "dtype": "float32"} | options
    return ImageText.build(params, where="test")


def extracted(extractor: NetworkExtractor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return extractor.tokens_of(pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("layers", "options"),
    [((-1,), {}), ((0, 2), {}), ((1, -1), {"projected": False}), ((0,), {"projected": False, "normed": False})],
)
def test_an_image_among_texts_equals_a_plain_forward_pass(
    saved: Saved, size: tuple[int, int], layers: tuple[int, ...], options: dict[str, bool]
) -> None:
    extractor = backbone_of(saved.folder, layers=layers, **options).load(Execution())
    rows, columns = size[0] // PATCH, size[1] // PATCH
    pixels = random_pixels(*size)
    patch_tokens, vectors = extracted(extractor, pixels)

    chosen = [layer % BLOCKS for layer in layers]
    assert (extractor.layers, extractor.channels) == ([str(block) for block in chosen], HIDDEN)
    assert extractor.cls_source == "class token"
    assert patch_tokens.shape == (2, len(layers), rows, columns, HIDDEN)
    for image in range(2):
        states = transformer_states(saved.layout, saved.weights, as_image(pixels[image]), SIZE)
        last = final_norm(saved.layout, saved.weights, states[-1])
        for place, block in enumerate(chosen):
            assert_close(vectors[image, place], pooled(part_of(saved.weights, "vision_model.head."), last))
            expected = states[block]
            if options.get("normed", True):
                expected = final_norm(saved.layout, saved.weights, expected)
            if options.get("projected", True):
                expected = head_of_patches(saved.weights, expected)
            assert_close(patch_tokens[image, place].flatten(0, 1), expected)


@pytest.mark.parametrize("size", [(16, 16), (16, 24), (8, 32)])
def test_the_vector_of_an_image_is_what_transformers_makes_of_it(saved: Saved, size: tuple[int, int]) -> None:
    pixels = random_pixels(*size)
    _, vectors = extracted(backbone_of(saved.folder, layers=(0, -1)).load(Execution()), pixels)
    expected = image_output(saved, pixels).pooler_output
    assert_close(vectors[:, 0], expected)
    assert_close(vectors[:, 1], expected)


def test_an_image_of_one_patch_is_that_patch(saved: Saved) -> None:
    patch_tokens, vectors = extracted(
        backbone_of(saved.folder, resolution=PATCH).load(Execution()), random_pixels(4, 4)
    )
    assert_close(patch_tokens[:, 0, 0, 0], vectors[:, 0])


def test_the_layout_is_known_before_loading(saved: Saved) -> None:
    backbone = backbone_of(saved.folder, layers=(0, 2))
    backbone.check_model()
    extractor, layout = backbone.load(Execution()), backbone.known_layout()
    assert layout is not None
    assert (list(layout.layers or ()), layout.channels) == (extractor.layers, extractor.channels)
    assert layout.rule.size(40, 60) == extractor.grid_size(40, 60)
    assert (backbone.operations(40, 60) or 0) > 0
    assert backbone.local_files() == [str(saved.folder / name) for name in ("config.json", "model.safetensors")]


def test_bfloat16_stays_close_to_float32(saved: Saved) -> None:
    pixels = random_pixels(16, 24)
    exact, rough = (
        extracted(backbone_of(saved.folder, dtype=dtype).load(Execution()), pixels) for dtype in ("float32", "bfloat16")
    )
    for expected, found in zip(exact, rough, strict=True):
        assert found.dtype == torch.float32
        cosines = torch.nn.functional.cosine_similarity(expected, found, dim=-1)
        assert (cosines > 0.99).all()
        assert not torch.equal(expected, found)


def test_no_output_outlives_the_call(saved: Saved) -> None:
    reader = backbone_of(saved.folder).load(Execution())._read
    read(reader, random_pixels(8, 8))
    assert not reader._kept._outputs  # type: ignore[attr-defined]


def test_a_compiled_network_gives_the_same(saved_models: dict[str, Saved]) -> None:
    torch.compiler.reset()
    folder = saved_models["siglip2 naflex"].folder
    reader, pixels = backbone_of(folder).load(Execution())._read, random_pixels(8, 12)
    expected = read(reader, pixels)
    reader.compile(backend="eager")
    for found, known in zip(read(reader, pixels), expected, strict=True):
        assert_close(found, known)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "windows"}, "does not support path windows, which is for CLIP models"),
        ({"path": "values"}, "does not support path values, which is for CLIP models"),
        ({"positions": "bilinear"}, "positions bilinear is not supported by model"),
        ({"class_norm": False}, "class_norm False is not supported by model"),
        ({"layers": (3,)}, "has no layer 3"),
    ],
)
def test_what_siglip_does_not_have_is_said_before_it_is_loaded(
    saved: Saved, options: dict[str, Any], sentence: str
) -> None:
    for refuse in (lambda backbone: backbone.check_model(), lambda backbone: backbone.load(Execution())):
        with pytest.raises(ConfigError, match=sentence) as caught:
            refuse(backbone_of(saved.folder, **options))
        assert "\n" not in str(caught.value)


def test_a_tower_without_its_head_has_no_texts(tmp_path: Path) -> None:
    config = SiglipVisionConfig(**VISION, image_size=TRAINED_SIDE, vision_use_head=False)
    SiglipVisionModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="without its pooling head"):
        backbone_of(tmp_path).load(Execution())


@pytest.mark.parametrize(
    ("published", "content"),  # as the hub has them, where the sizes of the base model are left out
    [
        ("siglip2-vitb16-512", {"vision_config": {"image_size": 512, "model_type": "siglip_vision_model"}}),
        (
            "siglip2-so400m16-256",
            {
                "vision_config": {
                    "hidden_size": 1152,
                    "image_size": 256,
                    "intermediate_size": 4304,
                    "num_attention_heads": 16,
                    "num_hidden_layers": 27,
                    "patch_size": 16,
                }
            },
        ),
    ],
)
def test_a_network_is_assumed_as_large_as_it_is(tmp_path: Path, published: str, content: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip", **content}))
    found = assumed_architecture(HuggingFace(model=str(tmp_path)), 1500)
    known = architecture_of(HuggingFace(model=published))
    own = architecture_of(HuggingFace(model=str(tmp_path)))
    assert isinstance(found, Transformer)
    assert isinstance(known, Transformer)
    assert own == known
    for size in ("patch", "width", "blocks", "block_weights", "depth"):
        assert getattr(found, size) == getattr(known, size)


# Texts


@pytest.fixture(scope="module")
def encoders(saved_models: dict[str, Saved]) -> dict[str, TextEncoder]:
    return {case: texts_of(saved.folder) for case, saved in saved_models.items()}


@pytest.fixture
def encoder(saved: Saved, encoders: dict[str, TextEncoder]) -> TextEncoder:
    return encoders[saved.case]


def texts_of(folder: Path, **options: str) -> TextEncoder:
    return load_texts(TextModel(str(folder), **options), "cpu")


def refusal(folder: Path, **options: str) -> str:
    with pytest.raises(ModelError) as caught:
        texts_of(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"'{folder}'", "'tiny'")


def plain_embedding(weights: Weights, tokens: Sequence[int]) -> np.ndarray:
    """That of the last place of a text that is filled up; every place attends to all."""
    layout = LAYOUTS["siglip_text"]
    states = weights["text_model.embeddings.token_embedding.weight"][list(tokens)]
    states = states + weights["text_model.embeddings.position_embedding.weight"]
    for block in range(TEXT["num_hidden_layers"]):
        states = block_output(states, part_of(weights, f"{layout.blocks}.{block}."), layout, HEADS)
    return linear(final_norm("siglip_text", weights, states)[-1], weights, "text_model.head")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a scratch", ["a", "▁scratch"]),
        ("A Scratch.", ["a", "▁scratch", "."]),
        ("scat ß", ["sc", "at", "▁", "<0xC3>", "<0x9F>"]),
        ("", []),
    ],
)
@pytest.mark.parametrize("case", ["siglip2", "siglip2 naflex"])
def test_an_embedding_of_siglip2_equals_a_plain_forward_pass(
    saved_models: dict[str, Saved], encoders: dict[str, TextEncoder], case: str, text: str, words: Sequence[str]
) -> None:
    tokens = [*map(VOCABULARY.index, words), VOCABULARY.index("<eos>")]
    expected = plain_embedding(saved_models[case].weights, tokens + [0] * (LONGEST - len(tokens)))
    embeddings = encoders[case].encode([text])
    assert encoders[case].count_tokens(text) == len(tokens)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (1, HIDDEN)
    assert_close(embeddings[0], expected)


@pytest.mark.parametrize(
    ("text", "plain"), [("a scratch", "▁a▁scratch"), (" A -- bent, Scratch!", "▁a▁bent▁scratch"), ("", "")]
)
def test_an_embedding_of_siglip_equals_a_plain_forward_pass(
    saved_models: dict[str, Saved], encoders: dict[str, TextEncoder], text: str, plain: str
) -> None:
    names = [name for name, _, _ in OLD_SPECIAL] + list(SCORES)
    tokens = [*map(names.index, most_likely(plain, SCORES)), names.index("</s>")]
    expected = plain_embedding(saved_models["siglip"].weights, tokens + [1] * (LONGEST - len(tokens)))
    assert encoders["siglip"].count_tokens(text) == len(tokens)
    assert_close(encoders["siglip"].encode([text])[0], expected)


def test_embeddings_equal_the_text_features_of_transformers(saved_models: dict[str, Saved]) -> None:
    for case, kind in (("siglip2", SiglipModel), ("siglip2 naflex", Siglip2Model)):
        folder = saved_models[case].folder
        tokenizer = Siglip2Tokenizer.from_pretrained(folder)
        inputs = tokenizer(TEXTS, padding="max_length", max_length=LONGEST, return_tensors="pt")
        with torch.inference_mode():
            features = kind.from_pretrained(folder).eval().get_text_features(input_ids=inputs["input_ids"])
        assert_close(texts_of(folder).encode(TEXTS), features.pooler_output.numpy())


def test_a_text_is_embedded_alike_alone_and_among_others(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert_close(encoder.encode(TEXTS), alone)
    monkeypatch.setattr(text_module, "BATCH", 3)
    assert_close(encoder.encode(TEXTS), alone)


def test_an_encoder_says_what_it_is(encoder: TextEncoder, saved: Saved) -> None:
    assert (encoder.name, encoder.device, encoder.longest) == (str(saved.folder), "cpu", LONGEST)
    assert (encoder.channels, encoder.patch_part) == (HIDDEN, (0, HIDDEN))
    assert encoder.model["id"] == str(saved.folder)
    assert set(encoder.model["weights_sha256"]) == {"model.safetensors"}
    assert encoder.encode([]).shape == (0, HIDDEN)


def test_capitals_change_nothing(encoder: TextEncoder) -> None:
    small, large = encoder.encode(["a scratch", "A SCRATCH"])
    assert_close(large, small)


def test_a_text_may_be_as_long_as_the_model_reads_and_no_longer(encoder: TextEncoder) -> None:
    assert encoder.encode([" ".join("a" * 5)]).shape == (1, HIDDEN)
    with pytest.raises(ConfigError) as caught:
        encoder.encode(["a dent", "a" * LONGEST])
    expected = f"the text 'aaaaaaaaaa' has 11 tokens, but model '{encoder.name}' reads 10; shorten it"
    assert str(caught.value) == expected


def test_a_text_tower_that_was_saved_alone_loads(saved_models: dict[str, Saved], tmp_path: Path) -> None:
    whole = saved_models["siglip2 naflex"].folder
    config = Siglip2Config.from_pretrained(whole).text_config
    Siglip2TextModel.from_pretrained(whole, config=config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    assert_close(texts_of(tmp_path).encode(TEXTS), texts_of(whole).encode(TEXTS))


def test_a_head_is_refused(copy: Path) -> None:
    with pytest.raises(ConfigError, match="is a SigLIP model, which has no head; remove 'head'"):
        texts_of(copy, head="head.pth")


def test_a_missing_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    assert "model 'tiny' has no tokenizer in" in refusal(copy)
    assert "add its spiece.model, or its tokenizer.json" in refusal(copy)


@pytest.mark.parametrize("content", ["", "{", '{"model": {"type": "BPE"}}', "[]"])
def test_a_damaged_tokenizer_is_refused(copy: Path, content: str) -> None:
    (copy / "tokenizer.json").write_text(content)
    assert "the tokenizer of model 'tiny'" in refusal(copy)
    assert "cannot be loaded (" in refusal(copy)


def test_the_tokenizer_of_another_model_is_refused(copy: Path, saved_models: dict[str, Saved]) -> None:
    content = json.loads((copy / "tokenizer.json").read_text().replace("<eos>", "<end>"))
    (copy / "tokenizer.json").write_text(json.dumps(content))
    assert "the tokenizer of model 'tiny' is not that of its text tower" in refusal(copy)
    other = saved_models["siglip"].folder  # of fewer tokens
    message = refusal(other, tokenizer=str(saved_models["siglip2"].folder))
    assert "is not that of its text tower" in message
    assert message.endswith("correct 'tokenizer', or remove it")


def test_weights_without_the_text_tower_are_refused(copy: Path) -> None:
    model = SiglipModel.from_pretrained(copy)
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("text_model.head")}
    model.save_pretrained(copy, state_dict=state)
    assert "lack 2 of the tensors of its text tower (head.bias, ...)" in refusal(copy)


def test_weights_of_other_shapes_are_refused(copy: Path) -> None:
    content = json.loads((copy / "config.json").read_text())
    content["text_config"]["intermediate_size"] = 36
    (copy / "config.json").write_text(json.dumps(content))
    assert "the weights of model 'tiny'" in refusal(copy)
