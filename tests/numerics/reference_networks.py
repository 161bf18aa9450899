"""Plain forward passes of the families of networks, token by token in float64, to hold the real ones against.

Weights are the tensors of a ``transformers`` model by name; pixels are ``[row, column, colour]``, normalised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import erf

Weights = dict[str, np.ndarray]


class Layout(NamedTuple):
    """What a family of transformers calls its parts, and where it differs from the others.

    Attributes:
        kernel: of the patch embedding.
        blocks: prefix of the blocks' names, before their number.
        norms: the LayerNorms of a block, before attention and before the perceptron.
        attention: prefix of a block's attention.
        output: linear map after the heads.
        final_norm: after the last block.
        epsilon: of every LayerNorm.
        activation: of the perceptron.
        antialias: whether positions are antialiased when interpolated.
        mode: how they are interpolated.
    """

    kernel: str
    blocks: str
    norms: tuple[str, str]
    attention: str
    output: str
    final_norm: str
    epsilon: float
    activation: Callable[[np.ndarray], np.ndarray]
    antialias: bool = False
    mode: str = "bicubic"


class Size(NamedTuple):
    """The size of a vision transformer: side of a patch and of the trained input in pixels, and counts."""

    patch: int
    trained_side: int
    heads: int
    blocks: int


def gelu(values: np.ndarray) -> np.ndarray:
    return values * (1 + erf(values / math.sqrt(2))) / 2


def tanh_gelu(values: np.ndarray) -> np.ndarray:
    return values * (1 + np.tanh(math.sqrt(2 / math.pi) * (values + 0.044715 * values**3))) / 2


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def quick_gelu(values: np.ndarray) -> np.ndarray:
    return values / (1 + np.exp(-1.702 * values))


def silu(values: np.ndarray) -> np.ndarray:
    return values / (1 + np.exp(-values))


LAYOUTS = {
    "vit": Layout(
        kernel="embeddings.patch_embeddings.projection",
        blocks="layers",
        norms=("layernorm_before", "layernorm_after"),
        attention="attention",
        output="o_proj",
        final_norm="layernorm",
        epsilon=1e-12,
        activation=gelu,
    ),
    "dinov2": Layout(
        kernel="embeddings.patch_embeddings.projection",
        blocks="encoder.layer",
        norms=("norm1", "norm2"),
        attention="attention",
        output="o_proj",
        final_norm="layernorm",
        epsilon=1e-6,
        activation=gelu,
    ),
    "dinov2_with_registers": Layout(
        kernel="embeddings.patch_embeddings.projection",
        blocks="encoder.layer",
        norms=("norm1", "norm2"),
        attention="attention",
        output="o_proj",
        final_norm="layernorm",
        epsilon=1e-6,
        activation=gelu,
        antialias=True,
    ),
    "dinov3_vit": Layout(
        kernel="embeddings.patch_embeddings",
        blocks="model.layer",
        norms=("norm1", "norm2"),
        attention="attention",
        output="o_proj",
        final_norm="norm",
        epsilon=1e-5,
        activation=gelu,
    ),
    "clip": Layout(
        kernel="vision_model.embeddings.patch_embedding",
        blocks="vision_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="vision_model.post_layernorm",
        epsilon=1e-5,
        activation=quick_gelu,
    ),
    "siglip": Layout(
        kernel="vision_model.embeddings.patch_embedding",
        blocks="vision_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="vision_model.post_layernorm",
        epsilon=1e-6,
        activation=tanh_gelu,
    ),
    "siglip2": Layout(
        kernel="vision_model.embeddings.patch_embedding",
        blocks="vision_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="vision_model.post_layernorm",
        epsilon=1e-6,
        activation=tanh_gelu,
        antialias=True,
        mode="bilinear",
    ),
    "siglip_text": Layout(
        kernel="",
        blocks="text_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="text_model.final_layer_norm",
        epsilon=1e-6,
        activation=tanh_gelu,
    ),
    "tipsv2": Layout(
        kernel="embeddings.patch_embeddings.projection",
        blocks="encoder.layer",
        norms=("norm1", "norm2"),
        attention="attention",
        output="o_proj",
        final_norm="layernorm",
        epsilon=1e-6,
        activation=gelu,
        antialias=True,
        mode="bilinear",
    ),
    "tipsv2_text": Layout(
        kernel="",
        blocks="text_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="text_model.final_layer_norm",
        epsilon=1e-5,
        activation=relu,
    ),
    "clip_text": Layout(
        kernel="",
        blocks="text_model.encoder.layers",
        norms=("layer_norm1", "layer_norm2"),
        attention="self_attn",
        output="out_proj",
        final_norm="text_model.final_layer_norm",
        epsilon=1e-5,
        activation=quick_gelu,
    ),
}


def transformer_states(family: str, weights: Weights, pixels: np.ndarray, size: Size) -> list[np.ndarray]:
    """Output ``[token, channel]`` of each block, before the final norm; class and register tokens come first."""
    layout = LAYOUTS[family]
    rows, columns = pixels.shape[0] // size.patch, pixels.shape[1] // size.patch
    tokens = embedded_patches(pixels, weights, layout.kernel, size.patch).reshape(rows * columns, -1)
    tokens = with_prefix_and_positions(family, weights, tokens, rows, columns, size)
    width = tokens.shape[1] // size.heads
    angles = rotary_angles(rows, columns, width) if family == "dinov3_vit" else None
    states = []
    for block in range(size.blocks):
        tokens = block_output(tokens, part_of(weights, f"{layout.blocks}.{block}."), layout, size.heads, angles=angles)
        states.append(tokens)
    return states


def final_norm(family: str, weights: Weights, tokens: np.ndarray) -> np.ndarray:
    return layer_norm(tokens, weights, LAYOUTS[family].final_norm, LAYOUTS[family].epsilon)


def with_prefix_and_positions(
    family: str, weights: Weights, tokens: np.ndarray, rows: int, columns: int, size: Size
) -> np.ndarray:
    if family == "dinov3_vit":
        prefix = [weights["embeddings.cls_token"][0], weights["embeddings.register_tokens"][0]]
        return np.concatenate([*prefix, tokens])
    side = size.trained_side // size.patch
    antialias, mode = LAYOUTS[family].antialias, LAYOUTS[family].mode
    if family in ("siglip", "siglip2"):
        positions = weights["vision_model.embeddings.position_embedding.weight"]
        return tokens + interpolated(positions, side, rows, columns, antialias, mode)
    if family == "clip":
        class_token = weights["vision_model.embeddings.class_embedding"][None]
        positions = weights["vision_model.embeddings.position_embedding.weight"]
    else:
        class_token = weights["embeddings.cls_token"][0]
        positions = weights["embeddings.position_embeddings"][0]
    registers = weights.get("embeddings.register_tokens", np.empty((1, 0, tokens.shape[1])))[0]
    patch_positions = interpolated(positions[1:], side, rows, columns, antialias, mode)
    tokens = np.concatenate([class_token + positions[:1], registers, tokens + patch_positions])
    return layer_norm(tokens, weights, "vision_model.pre_layrnorm", 1e-5) if family == "clip" else tokens


def block_output(
    tokens: np.ndarray,
    part: Weights,
    layout: Layout,
    heads: int,
    *,
    angles: np.ndarray | None = None,
    causal: bool = False,
) -> np.ndarray:
    first, second = layout.norms
    attended = attention(layer_norm(tokens, part, first, layout.epsilon), part, layout, heads, angles, causal)
    tokens = tokens + part.get("layer_scale1.lambda1", 1.0) * attended
    hidden = perceptron(layer_norm(tokens, part, second, layout.epsilon), part, layout.activation)
    return tokens + part.get("layer_scale2.lambda1", 1.0) * hidden


def perceptron(tokens: np.ndarray, part: Weights, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if "mlp.gate_proj.weight" in part:
        gated = silu(linear(tokens, part, "mlp.gate_proj")) * linear(tokens, part, "mlp.up_proj")
        return linear(gated, part, "mlp.down_proj")
    up, down = ("fc1", "fc2") if "mlp.fc1.weight" in part else ("up_proj", "down_proj")
    return linear(activation(linear(tokens, part, f"mlp.{up}")), part, f"mlp.{down}")


def attention(
    tokens: np.ndarray, part: Weights, layout: Layout, heads: int, angles: np.ndarray | None, causal: bool
) -> np.ndarray:
    query, key, value = (linear(tokens, part, f"{layout.attention}.{name}_proj") for name in ("q", "k", "v"))
    width = tokens.shape[1] // heads
    attended = []
    for head in range(heads):
        q, k, v = (matrix[:, head * width : (head + 1) * width] for matrix in (query, key, value))
        if angles is not None:
            q, k = rotated(q, angles), rotated(k, angles)
        scores = np.exp(q @ k.T / math.sqrt(width))
        if causal:
            scores = np.tril(scores)
        attended.append(scores / scores.sum(axis=1, keepdims=True) @ v)
    return linear(np.concatenate(attended, axis=1), part, f"{layout.attention}.{layout.output}")


def rotary_angles(rows: int, columns: int, width: int) -> np.ndarray:
    """``[patch, head channel]``: a quarter of the channels for y, a quarter for x, then both again."""
    quarter = width // 4
    frequencies = [100.0 ** (-i / quarter) for i in range(quarter)]
    angles = []
    for row in range(rows):
        for column in range(columns):
            y, x = 2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1
            half = [2 * math.pi * y * f for f in frequencies] + [2 * math.pi * x * f for f in frequencies]
            angles.append(half + half)
    return np.array(angles)


def rotated(vectors: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate the patches among the vectors, not the class and register tokens before them."""
    prefix = len(vectors) - len(angles)
    patches, half = vectors[prefix:], vectors.shape[1] // 2
    turned = np.concatenate([-patches[:, half:], patches[:, :half]], axis=1)
    return np.concatenate([vectors[:prefix], patches * np.cos(angles) + turned * np.sin(angles)])


def interpolated(
    positions: np.ndarray, side: int, rows: int, columns: int, antialias: bool, mode: str = "bicubic"
) -> np.ndarray:
    """The positions of a square grid, brought to another grid; ``[patch, channel]`` both."""
    if (rows, columns) == (side, side):
        return positions
    channels = positions.shape[1]
    plane = torch.from_numpy(positions.reshape(1, side, side, channels).transpose(0, 3, 1, 2))
    resized = torch.nn.functional.interpolate(
        plane, size=(rows, columns), mode=mode, align_corners=False, antialias=antialias
    )
    return resized[0].numpy().transpose(1, 2, 0).reshape(-1, channels)


def text_embedding(weights: Weights, tokens: Sequence[int], heads: int, blocks: int) -> np.ndarray:
    """CLIP's embedding of one text ``[channel]``: that of its last token, which ends the text, projected."""
    layout = LAYOUTS["clip_text"]
    states = weights["text_model.embeddings.token_embedding.weight"][list(tokens)]
    states = states + weights["text_model.embeddings.position_embedding.weight"][: len(tokens)]
    for block in range(blocks):
        states = block_output(states, part_of(weights, f"{layout.blocks}.{block}."), layout, heads, causal=True)
    return linear(final_norm("clip_text", weights, states)[-1:], weights, "text_projection")[0]


def convnext_stages(weights: Weights, pixels: np.ndarray, depths: Sequence[int]) -> list[np.ndarray]:
    """Output ``[row, column, channel]`` of each stage."""
    stages = []
    features = pixels
    for stage, depth in enumerate(depths):
        part = part_of(weights, f"model.stages.{stage}.")
        if stage == 0:
            features = embedded_patches(features, part, "downsample_layers.0", 4)
            features = layer_norm(features, part, "downsample_layers.1", 1e-6)
        else:
            features = layer_norm(features, part, "downsample_layers.0", 1e-6)
            features = embedded_patches(features, part, "downsample_layers.1", 2)
        for layer in range(depth):
            features = convnext_layer(features, part_of(part, f"layers.{layer}."))
        stages.append(features)
    return stages


def convnext_layer(features: np.ndarray, part: Weights) -> np.ndarray:
    kernel = part["depthwise_conv.weight"][:, 0].transpose(1, 2, 0)  # [row, column, channel]
    padded = np.pad(features, ((3, 3), (3, 3), (0, 0)))
    convolved = np.empty_like(features)
    for row in range(features.shape[0]):
        for column in range(features.shape[1]):
            window = padded[row : row + 7, column : column + 7]
            convolved[row, column] = (window * kernel).sum(axis=(0, 1)) + part["depthwise_conv.bias"]
    hidden = linear(layer_norm(convolved, part, "layer_norm", 1e-6), part, "pointwise_conv1")
    return features + part["gamma"] * linear(gelu(hidden), part, "pointwise_conv2")


def bilinear(features: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """``[row, column, channel]`` on a finer grid, between the centres of the coarse cells; flat beyond the last."""
    down, across = (linear_weights(*counts) for counts in ((features.shape[0], rows), (features.shape[1], columns)))
    return np.einsum("rs,stc,qt->rqc", down, features, across)


def linear_weights(coarse: int, fine: int) -> np.ndarray:
    """``[fine, coarse]``: how much each coarse cell counts for each fine one."""
    weights = np.zeros((fine, coarse))
    for place in range(fine):
        source = min(max((place + 0.5) * coarse / fine - 0.5, 0.0), coarse - 1.0)
        lower = int(source)
        weights[place, lower] += 1 - (source - lower)
        weights[place, min(lower + 1, coarse - 1)] += source - lower
    return weights


def embedded_patches(features: np.ndarray, weights: Weights, name: str, patch: int) -> np.ndarray:
    """A convolution whose stride is its kernel's side, ``[row, column, channel]`` to the same."""
    kernel = weights[f"{name}.weight"]
    bias = weights.get(f"{name}.bias", np.zeros(len(kernel)))
    rows, columns = features.shape[0] // patch, features.shape[1] // patch
    embedded = np.empty((rows, columns, len(kernel)))
    for row in range(rows):
        for column in range(columns):
            cut = features[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch].transpose(2, 0, 1)
            embedded[row, column] = [(kernel[channel] * cut).sum() + bias[channel] for channel in range(len(kernel))]
    return embedded


def part_of(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def linear(values: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return values @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def layer_norm(tokens: np.ndarray, weights: Weights, name: str, epsilon: float) -> np.ndarray:
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
