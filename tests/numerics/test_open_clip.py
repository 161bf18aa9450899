"""CLIP in open_clip's own form against a plain forward pass over its own tensors, and what is wrong with files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clip_words import SCRATCH
from closeness import assert_close
from tiny_open_clip import (
    BLOCKS,
    CONFIG,
    RELEASED,
    TINY,
    WEIGHTS,
    Shape,
    State,
    config_of,
    save_folder,
    save_release,
    save_weights,
    state_of,
)
from zsad.errors import ModelError, ZsadError
from zsad.features.architecture import architecture_of
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.models import checkpoint, config_sense
from zsad.models.checkpoint import find_checkpoint, locate_checkpoint
from zsad.models.families.clip import CLIP_MEAN, CLIP_STD
from zsad.models.hub import Located
from zsad.models.texts.base import TextModel
from zsad.models.texts.loading import load_texts

TEXTS = ["a scratch", "good", "at, scat."]
WORDS = [["a</w>", "scratch</w>"], ["g", "o", "o", "d</w>"], ["a", "t</w>", ",</w>", "sc", "a", "t</w>", ".</w>"]]
EPSILON = 1e-5

Weights = dict[str, np.ndarray]


# The plain forward pass, in the names of the file.


def weights_of(state: State) -> Weights:
    return {key: tensor.double().numpy() for key, tensor in state.items()}


def norm(states: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    centred = states - states.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def affine(states: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attended(states: np.ndarray, weights: Weights, name: str, heads: int, *, causal: bool) -> np.ndarray:
    fused = states @ weights[f"{name}.in_proj_weight"].T + weights[f"{name}.in_proj_bias"]
    query, key, value = np.split(fused, 3, axis=-1)
    width = states.shape[-1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[:, part] @ key[:, part].T / math.sqrt(width)
        if causal:
            scores[np.triu_indices(len(scores), k=1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        outputs.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, part])
    return affine(np.concatenate(outputs, axis=1), weights, f"{name}.out_proj")


def activated(values: np.ndarray, quick: bool) -> np.ndarray:
    if quick:
        return values / (1 + np.exp(-1.702 * values))
    return values * 0.5 * (1 + np.vectorize(math.erf)(values / math.sqrt(2)))


def through_blocks(
    states: np.ndarray, weights: Weights, name: str, heads: int, *, causal: bool, quick: bool
) -> np.ndarray:
    for block in range(BLOCKS):
        prefix = f"{name}.{block}"
        normed = norm(states, weights, f"{prefix}.ln_1")
        states = states + attended(normed, weights, f"{prefix}.attn", heads, causal=causal)
        hidden = activated(affine(norm(states, weights, f"{prefix}.ln_2"), weights, f"{prefix}.mlp.c_fc"), quick)
        states = states + affine(hidden, weights, f"{prefix}.mlp.c_proj")
    return states


def image_tokens(weights: Weights, pixels: np.ndarray, shape: Shape, *, quick: bool) -> np.ndarray:
    """Class token and patch tokens of one image ``[3, height, width]``, behind the final norm, not projected."""
    patches = [
        pixels[:, row * shape.patch :, column * shape.patch :][:, : shape.patch, : shape.patch].reshape(-1)
        for row in range(shape.grid)
        for column in range(shape.grid)
    ]
    embedded = np.stack(patches) @ weights["visual.conv1.weight"].reshape(shape.width, -1).T
    states = np.concatenate([weights["visual.class_embedding"][None], embedded])
    states = norm(states + weights["visual.positional_embedding"], weights, "visual.ln_pre")
    states = through_blocks(states, weights, "visual.transformer.resblocks", shape.heads, causal=False, quick=quick)
    return norm(states, weights, "visual.ln_post")


def text_embedding(weights: Weights, words: list[str], shape: Shape, *, quick: bool) -> np.ndarray:
    tokens = [SCRATCH.vocabulary.index(word) for word in ("<|startoftext|>", *words, "<|endoftext|>")]
    states = weights["token_embedding.weight"][tokens] + weights["positional_embedding"][: len(tokens)]
    states = through_blocks(states, weights, "transformer.resblocks", shape.text_heads, causal=True, quick=quick)
    return norm(states, weights, "ln_final")[int(np.argmax(tokens))] @ weights["text_projection"]


def assert_equals_the_plain_pass(model: Path, state: State, shape: Shape, *, quick: bool, **options: str) -> None:
    weights = weights_of(state)
    pixels = np.random.default_rng(0).normal(size=(3, shape.side, shape.side))
    expected = image_tokens(weights, pixels, shape, quick=quick)
    checkpoint = find_checkpoint(str(model), None)
    network = checkpoint.load("sdpa", projected=True)
    with torch.inference_mode():
        found = network(pixel_values=torch.from_numpy(pixels)[None].float())
        tokens = network.vision_model.post_layernorm(found.last_hidden_state[0, 1:])
    assert_close(tokens.numpy(), expected[1:])
    assert_close(found.image_embeds[0].numpy(), expected[0] @ weights["visual.proj"])
    encoder = load_texts(TextModel(str(model), **options), "cpu")
    texts = [text_embedding(weights, words, shape, quick=quick) for words in WORDS]
    assert_close(encoder.encode(TEXTS), np.stack(texts))
    assert (encoder.channels, encoder.longest) == (shape.projected, shape.longest)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("weights", [WEIGHTS, "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_folder_equals_the_plain_forward_pass(tmp_path: Path, quick: bool, weights: str) -> None:
    folder = save_folder(tmp_path, weights=weights, quick_gelu=quick)
    assert_equals_the_plain_pass(folder, state_of(), TINY, quick=quick)


@pytest.mark.parametrize(
    ("stem", "quick"),
    [
        ("vit_b_16_plus_240-laion400m_e31", False),
        ("vit_b_32-quickgelu-laion400m_e32", True),
        ("vit_l_14-laion400m_e31", False),
        ("vit_b_32-laion2b_e16", False),
    ],
)
def test_a_released_file_equals_the_plain_forward_pass(tmp_path: Path, stem: str, quick: bool) -> None:
    state = state_of(RELEASED)
    file = save_release(tmp_path, state, stem)
    tokenizer = SCRATCH.save(tmp_path / "tokenizer")
    assert_equals_the_plain_pass(file, state, RELEASED, quick=quick, tokenizer=str(tokenizer))


@pytest.mark.parametrize("quick", [False, True])
def test_another_file_is_what_the_configuration_beside_it_says(tmp_path: Path, quick: bool) -> None:
    state = state_of()
    torch.save(state, tmp_path / "epoch_5.pt")
    (tmp_path / CONFIG).write_text(json.dumps(config_of(quick_gelu=quick)))
    tokenizer = str(SCRATCH.save(tmp_path / "tokenizer"))
    assert_equals_the_plain_pass(tmp_path / "epoch_5.pt", state, TINY, quick=quick, tokenizer=tokenizer)
    files = HuggingFace(model=str(tmp_path / "epoch_5.pt")).local_files()
    assert files == sorted(str(tmp_path / name) for name in ("epoch_5.pt", CONFIG))


def test_what_varies_between_versions_makes_no_difference(tmp_path: Path) -> None:
    folder = save_folder(tmp_path, init_logit_bias=-10, nonscalar_logit_scale=True)
    state = state_of()
    more = {"logit_scale": torch.ones(1), "logit_bias": torch.zeros(1), "attn_mask": torch.zeros(TINY.longest)}
    save_weights({key: tensor.half() for key, tensor in state.items()} | more, folder / WEIGHTS)
    halves = {key: tensor.half().float() for key, tensor in state.items()}
    assert_equals_the_plain_pass(folder, halves, TINY, quick=False)


def test_defaults_are_those_of_open_clip(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    content = config_of()
    content["model_cfg"]["vision_cfg"].pop("head_width")  # 64
    content["model_cfg"]["text_cfg"].pop("layers")  # 12
    (folder / CONFIG).write_text(json.dumps(content))
    assert "head_width 64 does not divide width 32" in refusal(folder)
    content["model_cfg"]["vision_cfg"]["head_width"] = 16
    (folder / CONFIG).write_text(json.dumps(content))
    assert "(text blocks 12, but they have 2)" in refusal(folder)


def test_both_towers_are_read_by_their_names_in_transformers(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    found = locate_checkpoint(str(folder), None)
    assert found.model_type == "clip"
    assert find_checkpoint(str(folder), None).config.position_interpolation == "antialiased"
    assert [path.name for path in found.weight_files] == [WEIGHTS]
    digests = load_texts(TextModel(str(folder)), "cpu").model["weights_sha256"]
    assert [*digests] == [WEIGHTS]


def test_a_folder_is_a_backbone_whose_sizes_are_known_without_its_weights(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    backbone = HuggingFace(model=str(folder), resolution=TINY.side, layers=(0, -1), dtype="float32")
    backbone.check_model()
    network = architecture_of(backbone)
    assert network is not None
    assert (network.patch, network.width, network.channels, network.layers) == (4, 32, 32, 2)
    assumed = backbone.assumed_layout()
    assert (assumed.channels, assumed.rule.size(TINY.side, TINY.side)) == (32, (5, 5))
    extractor = backbone.load(Execution("cpu"))
    tokens = extractor.extract(np.zeros((20, 24, 3), dtype=np.uint8))
    assert tokens.patch_tokens.shape == (2, 5, 6, 32)


def test_a_published_model_is_read_by_windows_at_the_size_that_it_was_trained_for() -> None:
    backbone = ImageText.build({"model": "clip-vitb16-plus-240", "path": "windows", "resolution": 240}, where="test")
    backbone.check_model()
    layout = backbone.known_layout()
    assert layout is not None
    assert (layout.layers, layout.channels) == (("window2", "window3", "patches"), 896)
    assert layout.rule.size(240, 240) == (15, 15)


@pytest.mark.parametrize("quick", [False, True])
def test_the_backbone_of_images_and_texts_gives_the_vectors_of_the_plain_forward_pass(
    tmp_path: Path, quick: bool
) -> None:
    folder = save_folder(tmp_path, quick_gelu=quick)
    image = np.random.default_rng(1).integers(0, 255, (TINY.side, TINY.side, 3), dtype=np.uint8)
    described = config_of()["preprocess_cfg"]
    pixels = ((image / 255 - described["mean"]) / described["std"]).transpose(2, 0, 1)
    weights = weights_of(state_of())
    expected = image_tokens(weights, pixels, TINY, quick=quick) @ weights["visual.proj"]
    backbone = ImageText(model=str(folder), resolution=TINY.side, dtype="float32")
    backbone.check_model()
    tokens = backbone.load(Execution("cpu")).extract(image)
    assert_close(tokens.cls_tokens[0], expected[0])
    assert_close(tokens.patch_tokens[0], expected[1:].reshape(TINY.grid, TINY.grid, -1))
    encoder = backbone.load_texts(Execution("cpu"))
    assert encoder.channels == tokens.cls_tokens.shape[1]
    assert encoder.device == "cpu"


def test_a_network_of_a_wrapped_file_is_bounded_by_what_the_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_sense, "SPARE", 0)
    monkeypatch.setattr(config_sense, "SPARE_TENSORS", 0)
    file = save_release(tmp_path, state_of(RELEASED))
    find_checkpoint(str(file), None).load("sdpa", projected=True)
    load_texts(TextModel(str(file), tokenizer=str(SCRATCH.save(tmp_path / "tokenizer"))), "cpu")


def test_pixels_are_normalised_as_the_folder_says(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    backbone = HuggingFace(model=str(folder), resolution=20, dtype="float32")
    usual = backbone.load(Execution("cpu")).extract(image).patch_tokens
    content = config_of()
    (folder / CONFIG).write_text(json.dumps({"model_cfg": content["model_cfg"]}))
    assert_close(backbone.load(Execution("cpu")).extract(image).patch_tokens, usual)
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (folder / CONFIG).write_text(json.dumps({"model_cfg": content["model_cfg"], "preprocess_cfg": half}))
    network = find_checkpoint(str(folder), None).load("sdpa", projected=False)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        states = network.vision_model(pixel_values=(pixels - 0.5) / 0.5).last_hidden_state[:, 1:]
        expected = network.vision_model.post_layernorm(states).reshape(5, 5, 32)
    found = backbone.load(Execution("cpu")).extract(image).patch_tokens[0]
    assert_close(found, expected.numpy())
    assert np.abs(found - usual[0]).max() > 0.01


def test_a_folder_of_transformers_is_preferred_where_both_are_there(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"}))
    assert refusal(folder).startswith("model 'tiny' has no weights (model.safetensors)")
    (folder / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_plus_clip_240"}))  # timm's
    assert locate_checkpoint(str(folder), None).model_type == "clip"


# What is wrong with files.


def refusal(model: Path, read: Callable[[str, None], object] = find_checkpoint) -> str:
    with pytest.raises(ModelError) as caught:
        read(str(model), None)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message.replace(f"'{model}'", "'tiny'")


def test_a_file_that_does_not_say_its_activation_is_refused(tmp_path: Path) -> None:
    for name in ("epoch_32.pt", "ViT-B-16-plus-240.pt", "vit_b_16_plus_240.pt", "b16_400m.pt"):
        torch.save({"state_dict": state_of(RELEASED)}, tmp_path / name)
        message = refusal(tmp_path / name)
        assert (
            "do not state whether their activation is GELU or QuickGELU; put the model's open_clip_config.json"
        ) in message


@pytest.mark.parametrize("name", [WEIGHTS, "open_clip_pytorch_model.bin"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_weights_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = save_folder(tmp_path, weights=name) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "download" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "epoch_5.pt"])
def test_pickled_objects_are_never_run(tmp_path: Path, name: str) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    folder = save_folder(tmp_path / "model")
    (folder / WEIGHTS).unlink()
    torch.save(state_of() | {"logit_scale": Malicious()}, folder / name)
    model = folder if name.endswith(".bin") else folder / name
    assert "contains more than tensors, which may be harmful code" in refusal(model)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", state_of())
def test_whichever_tensor_is_missing_or_of_another_shape_it_is_named(tmp_path: Path, key: str) -> None:
    folder = save_folder(tmp_path)
    state = state_of()
    save_weights({name: tensor for name, tensor in state.items() if name != key}, folder / WEIGHTS)
    missing = refusal(folder)
    of_marks = key in ("visual.class_embedding", "visual.conv1.weight")
    assert f"lack the tensor '{key}'" in missing or of_marks
    larger = torch.zeros([length + 1 for length in state[key].shape] or [2])
    save_weights(state | {key: larger}, folder / WEIGHTS)
    wrong = refusal(folder)
    assert (
        f"'{key}'" in wrong or "describes another model than its weights" in wrong or " in transformers) has" in wrong
    )


def test_a_tensor_too_many_is_refused(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    save_weights(state_of() | {"visual.transformer.resblocks.0.ls_1.gamma": torch.ones(32)}, folder / WEIGHTS)
    assert "1 unknown tensors (the first is 'visual.transformer.resblocks.0.ls_1.gamma')" in refusal(folder)


def test_weights_of_other_models_are_refused(tmp_path: Path) -> None:
    resnet = {"visual.conv1.weight": torch.zeros(8, 3, 3, 3), "visual.layer1.0.conv1.weight": torch.zeros(8, 8, 1, 1)}
    timm = {"visual.trunk.patch_embed.proj.weight": torch.zeros(8, 3, 4, 4), "text.logit_scale": torch.zeros(())}
    for state in (resnet, timm):
        torch.save(state, tmp_path / "weights.pt")
        assert "not in the names of any of" in refusal(tmp_path / "weights.pt")
        folder = save_folder(tmp_path / "folder")
        save_weights(state, folder / WEIGHTS)
        assert "lack the tensor" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"embed_dim": 25},
            "describes another model than its weights (projected 25, but they have 24); download both again",
        ),
        ({"embed_dim": "24"}, "(embed_dim is '24', not a whole number above 0)"),
        ({"quick_gelu": "yes"}, "(quick_gelu is 'yes', neither true nor false)"),
        (
            {"custom_text": True},
            "not a plain CLIP of two transformers (custom_text is True in its open_clip_config.json)",
        ),
        ({"multimodal_cfg": {"layers": 12}}, "not a plain CLIP of two transformers (multimodal_cfg is"),
        ({"vision_cfg": None}, "(it has no vision_cfg)"),
        ({"vision_cfg": {"timm_model_name": "vit_base"}}, "(timm_model_name is 'vit_base' in its"),
        ({"vision_cfg": {"layers": [3, 4, 6, 3]}}, "(layers is [3, 4, 6, 3], not a whole number above 0)"),
        ({"vision_cfg": {"attentional_pool": True}}, "(attentional_pool is True in its"),
        ({"vision_cfg": {"pool_type": "avg"}}, "(pool_type is 'avg' in its"),
        ({"vision_cfg": {"norm_kwargs": {"eps": 1e-6}}}, "(norm_kwargs is {'eps': 1e-06} in its"),
        ({"vision_cfg": {"layers": 2**40}}, "(layers is 1099511627776, not a whole number above 0)"),
        ({"vision_cfg": {"image_size": 2}}, "(image_size 2 is smaller than patch_size 4)"),
        ({"vision_cfg": {"mlp_ratio": -1}}, "(mlp_ratio is -1, not a number above 0)"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "(hf_model_name is 'roberta-base' in its"),
        ({"text_cfg": {"heads": 5}}, "(heads 5 does not divide width 48)"),
        ({"text_cfg": {"no_causal_mask": True}}, "(no_causal_mask is True in its"),
    ],
)
def test_other_configurations_are_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    folder = save_folder(tmp_path)
    content = config_of()
    for key, value in changes.items():
        old = content["model_cfg"].get(key)
        content["model_cfg"][key] = {**old, **value} if isinstance(old, dict) and value is not None else value
    (folder / CONFIG).write_text(json.dumps(content))
    assert expected in refusal(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_cfg": 3}', '{"model_cfg": {"embed_dim": 24}}'])
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: str) -> None:
    folder = save_folder(tmp_path)
    (folder / CONFIG).write_text(content)
    assert "model 'tiny'" in refusal(folder)


@pytest.mark.parametrize("pixels", [3, {"mean": [0.5]}, {"mean": [0.5] * 3}, {"mean": [0.5] * 3, "std": [0, 1, 1]}])
def test_a_senseless_normalisation_is_refused(tmp_path: Path, pixels: object) -> None:
    folder = save_folder(tmp_path)
    (folder / CONFIG).write_text(json.dumps(config_of() | {"preprocess_cfg": pixels}))
    assert "open_clip_config.json of model 'tiny' is not usable" in refusal(folder)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (save_folder(tmp_path) / WEIGHTS).unlink()
    assert refusal(tmp_path).startswith("model 'tiny' has no weights (open_clip_model.safetensors) in")


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_folder(tmp_path)
    vocabulary = {
        token: place for place, token in enumerate([*SCRATCH.vocabulary[:-2], "x9", *SCRATCH.vocabulary[-2:]])
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ZsadError, match="is not that of its text tower"):
        load_texts(TextModel(str(folder)), "cpu")


def test_a_folder_of_transformers_may_say_its_normalisation_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_checkpoint(str(save_folder(tmp_path / "open_clip")), None).load("sdpa", projected=True).save_pretrained(
        tmp_path
    )
    assert find_checkpoint(str(tmp_path), None).normalisation == (CLIP_MEAN, CLIP_STD)
    half = (0.5, 0.5, 0.5)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": half, "image_std": half}))
    assert find_checkpoint(str(tmp_path), None).normalisation == (half, half)
    # On the hub, from where this file may not have been downloaded, those that differ are known by their id.
    (tmp_path / "preprocessor_config.json").unlink()
    name = "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"
    monkeypatch.setattr(checkpoint, "locate", lambda *_: Located(tmp_path, "0" * 40))
    assert find_checkpoint(name, None).normalisation == (half, half)
    assert find_checkpoint("openai/clip-vit-base-patch16", None).normalisation == (CLIP_MEAN, CLIP_STD)
