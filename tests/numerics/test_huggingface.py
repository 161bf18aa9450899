"""The transformer backbone against a plain forward pass of each family, written out token by token in float64."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
)

from zsad.features.geometry import resized_to_grid
from zsad.features.huggingface import HuggingFace

PATCH, HIDDEN, HEADS, BLOCKS, TRAINED_SIDE = 4, 32, 4, 3, 16
SHARED: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "patch_size": PATCH,
    "image_size": TRAINED_SIDE,
}
MODELS = {
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SHARED, mlp_ratio=2)),
    "dinov2_with_registers": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**SHARED, mlp_ratio=2, num_register_tokens=3)
    ),
    "dinov3_vit": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SHARED, intermediate_size=64, num_register_tokens=4)),
}
REGISTERS = {"dinov2": 0, "dinov2_with_registers": 3, "dinov3_vit": 4}
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=list(MODELS))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Weights]:
    """Family, folder and weights of a small checkpoint in which every weight matters."""
    family = request.param
    generator = torch.Generator().manual_seed(3)
    model = MODELS[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    folder = tmp_path_factory.mktemp(family)
    model.save_pretrained(folder)
    return family, folder, {name: value.double().numpy() for name, value in model.state_dict().items()}


def reference_states(family: str, weights: Weights, resized: np.ndarray) -> list[np.ndarray]:
    """Output ``[token, channel]`` of each block, before the final norm."""
    rows, columns = resized.shape[0] // PATCH, resized.shape[1] // PATCH
    tokens = embedded_tokens(family, weights, resized, rows, columns)
    prefix = "model.layer" if family == "dinov3_vit" else "encoder.layer"
    up, down = ("up_proj", "down_proj") if family == "dinov3_vit" else ("fc1", "fc2")
    epsilon = 1e-5 if family == "dinov3_vit" else 1e-6
    states = []
    for block in range(BLOCKS):
        part = {
            name.removeprefix(f"{prefix}.{block}."): value
            for name, value in weights.items()
            if name.startswith(f"{prefix}.{block}.")
        }
        angles = rotary_angles(rows, columns) if family == "dinov3_vit" else None
        attended = attention(layer_norm(tokens, part, "norm1", epsilon), part, angles)
        tokens = tokens + part["layer_scale1.lambda1"] * attended
        hidden = linear(layer_norm(tokens, part, "norm2", epsilon), part, f"mlp.{up}")
        gelu = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
        tokens = tokens + part["layer_scale2.lambda1"] * linear(gelu, part, f"mlp.{down}")
        states.append(tokens)
    return states


def embedded_tokens(family: str, weights: Weights, resized: np.ndarray, rows: int, columns: int) -> np.ndarray:
    kernel_name = "embeddings.patch_embeddings" + ("" if family == "dinov3_vit" else ".projection")
    kernel, bias = weights[f"{kernel_name}.weight"], weights[f"{kernel_name}.bias"]
    pixels = (resized / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    patches = []
    for row in range(rows):
        for column in range(columns):
            patch = pixels[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
            patches.append([(kernel[c] * patch.transpose(2, 0, 1)).sum() + bias[c] for c in range(HIDDEN)])
    tokens, class_token = np.array(patches), weights["embeddings.cls_token"][0]
    if family == "dinov3_vit":
        return np.concatenate([class_token, weights["embeddings.register_tokens"][0], tokens])
    class_position, positions = np.split(weights["embeddings.position_embeddings"][0], [1])
    tokens = tokens + interpolated(positions, rows, columns, antialias=family == "dinov2_with_registers")
    registers = weights.get("embeddings.register_tokens", np.empty((1, 0, HIDDEN)))[0]
    return np.concatenate([class_token + class_position, registers, tokens])


def interpolated(positions: np.ndarray, rows: int, columns: int, antialias: bool) -> np.ndarray:
    side = TRAINED_SIDE // PATCH
    if (rows, columns) == (side, side):
        return positions
    plane = torch.from_numpy(positions.reshape(1, side, side, HIDDEN).transpose(0, 3, 1, 2))
    resized = torch.nn.functional.interpolate(
        plane, size=(rows, columns), mode="bicubic", align_corners=False, antialias=antialias
    )
    return resized[0].numpy().transpose(1, 2, 0).reshape(-1, HIDDEN)


def rotary_angles(rows: int, columns: int) -> np.ndarray:
    """``[patch, head channel]``: a quarter of the channels for y, a quarter for x, then both again."""
    quarter = HIDDEN // HEADS // 4
    frequencies = [100.0 ** (-i / quarter) for i in range(quarter)]
    angles = []
    for row in range(rows):
        for column in range(columns):
            y, x = 2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1
            half = [2 * math.pi * y * f for f in frequencies] + [2 * math.pi * x * f for f in frequencies]
            angles.append(half + half)
    return np.array(angles)


def attention(tokens: np.ndarray, part: Weights, angles: np.ndarray | None) -> np.ndarray:
    query, key, value = (linear(tokens, part, f"attention.{name}_proj") for name in ("q", "k", "v"))
    width = HIDDEN // HEADS
    heads = []
    for head in range(HEADS):
        q, k, v = (matrix[:, head * width : (head + 1) * width] for matrix in (query, key, value))
        if angles is not None:
            q, k = rotated(q, angles), rotated(k, angles)
        scores = np.exp(q @ k.T / math.sqrt(width))
        heads.append(scores / scores.sum(axis=1, keepdims=True) @ v)
    return linear(np.concatenate(heads, axis=1), part, "attention.o_proj")


def rotated(vectors: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate the patches among the vectors, not the class and register tokens before them."""
    prefix = len(vectors) - len(angles)
    patches, half = vectors[prefix:], vectors.shape[1] // 2
    turned = np.concatenate([-patches[:, half:], patches[:, :half]], axis=1)
    return np.concatenate([vectors[:prefix], patches * np.cos(angles) + turned * np.sin(angles)])


def linear(values: np.ndarray, part: Weights, name: str) -> np.ndarray:
    return values @ part[f"{name}.weight"].T + part.get(f"{name}.bias", 0.0)


def layer_norm(tokens: np.ndarray, part: Weights, name: str, epsilon: float) -> np.ndarray:
    centred = tokens - tokens.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon)
    return scaled * part[f"{name}.weight"] + part[f"{name}.bias"]


@pytest.mark.parametrize(("resolution", "size"), [(16, (16, 16)), (24, (30, 30)), (16, (21, 40)), (20, (33, 20))])
@pytest.mark.parametrize("normed", [True, False])
def test_tokens_of_every_layer_equal_a_plain_forward_pass(
    saved: tuple[str, Path, Weights], resolution: int, size: tuple[int, int], normed: bool
) -> None:
    family, folder, weights = saved
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    layers = (2, 0, -2)
    extractor = HuggingFace(model=str(folder), resolution=resolution, layers=layers, normed=normed).load("cpu")
    tokens = extractor.extract(image)

    states = reference_states(family, weights, resized_to_grid(image, resolution, PATCH))
    rows, columns = extractor.grid_size(*size)
    assert tokens.patch_tokens.shape == (3, rows, columns, HIDDEN)
    assert extractor.layers == ["2", "0", "1"]
    for position, layer in enumerate((2, 0, 1)):
        state = states[layer]
        assert len(state) == 1 + REGISTERS[family] + rows * columns
        if normed:
            norm = "norm" if family == "dinov3_vit" else "layernorm"
            state = layer_norm(state, weights, norm, 1e-5 if family == "dinov3_vit" else 1e-6)
        patches = state[1 + REGISTERS[family] :].reshape(rows, columns, HIDDEN)
        np.testing.assert_allclose(tokens.patch_tokens[position], patches, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(tokens.cls_tokens[position], state[0], rtol=1e-5, atol=1e-5)


def test_the_default_is_the_normed_last_layer_that_the_model_calls_its_output(
    saved: tuple[str, Path, Weights],
) -> None:
    family, folder, _ = saved
    image = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    tokens = HuggingFace(model=str(folder), resolution=16).load("cpu").extract(image)
    model = type(MODELS[family]()).from_pretrained(folder).eval()
    scaled = (image / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    with torch.no_grad():
        output = model(torch.tensor(scaled, dtype=torch.float32).permute(2, 0, 1)[None]).last_hidden_state[0].numpy()
    np.testing.assert_allclose(tokens.patch_tokens[0].reshape(20, HIDDEN), output[-20:], rtol=1e-5, atol=1e-5)


def test_bfloat16_is_close_to_float32(saved: tuple[str, Path, Weights]) -> None:
    _, folder, _ = saved
    image = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exact, rough = (
        HuggingFace(model=str(folder), resolution=16, dtype=dtype).load("cpu").extract(image).patch_tokens
        for dtype in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()
