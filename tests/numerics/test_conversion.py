"""Original checkpoints against plain forward passes in float64, written from the authors' code over its own names."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel

from closeness import assert_close
from zsad.errors import ModelError
from zsad.models.conversion.converted import Converted
from zsad.models.conversion.timm import from_timm
from zsad.models.conversion.torch_hub import from_torch_hub
from zsad.models.pth import read_pth

WIDTH, HEADS, BLOCKS, REGISTERS, CHANNELS = 128, 2, 2, 4, 3
DEPTHS, DIMS = (1, 2, 2, 1), (8, 16, 24, 32)
State = dict[str, torch.Tensor]
Make = Callable[..., torch.Tensor]


# --- Checkpoints in the original names ---------------------------------------------------------------------------


class Random:
    """Makes tensors in which every entry matters."""

    def __init__(self, seed: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, mean: float = 0.0, deviation: float | None = None) -> torch.Tensor:
        if deviation is None:
            deviation = 0.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.2
        return mean + deviation * torch.randn(shape, generator=self._generator)


def without_memory(*shape: int, mean: float = 0.0, deviation: float | None = None) -> torch.Tensor:
    """Makes tensors whose matrices have a shape only, so that the largest models take no room."""
    return torch.empty(shape, device="meta") if len(shape) > 1 else torch.ones(shape)


def affine(make: Make, name: str, outputs: int, *inputs: int, bias: bool = True) -> State:
    state = {f"{name}.weight": make(outputs, *inputs)}
    return state | {f"{name}.bias": make(outputs)} if bias else state


def norm(make: Make, name: str, width: int) -> State:
    return {f"{name}.weight": make(width, mean=1.0, deviation=0.2), f"{name}.bias": make(width)}


def rotary_periods(head_width: int) -> torch.Tensor:
    """Of the releases: 100 to a power, rounded to bfloat16."""
    return torch.tensor([100 ** (4 * i / head_width) for i in range(head_width // 4)]).bfloat16().float()


def key_mask(width: int) -> torch.Tensor:
    return torch.cat([torch.ones(width), torch.zeros(width), torch.ones(width)])


def dinov3_vit_state(
    make: Make,
    *,
    width: int = WIDTH,
    depth: int = BLOCKS,
    hidden: int = 192,
    gated: bool = False,
    qkv_bias: bool = True,
    masked: bool = True,
    head_width: int = 64,
    registers: int = REGISTERS,
) -> State:
    state = {
        "cls_token": make(1, 1, width),
        "mask_token": make(1, width),
        "rope_embed.periods": rotary_periods(head_width),
        **affine(make, "patch_embed.proj", width, CHANNELS, 16, 16),
        **norm(make, "norm", width),
    }
    if registers:
        state["storage_tokens"] = make(1, registers, width)
    for block in range(depth):
        prefix = f"blocks.{block}"
        state |= norm(make, f"{prefix}.norm1", width) | norm(make, f"{prefix}.norm2", width)
        state |= affine(make, f"{prefix}.attn.qkv", 3 * width, width, bias=qkv_bias)
        if qkv_bias and masked:
            state[f"{prefix}.attn.qkv.bias_mask"] = key_mask(width)
        state |= affine(make, f"{prefix}.attn.proj", width, width)
        state |= {f"{prefix}.ls1.gamma": make(width, mean=1.0), f"{prefix}.ls2.gamma": make(width, mean=1.0)}
        for name in ("w1", "w2") if gated else ("fc1",):
            state |= affine(make, f"{prefix}.mlp.{name}", hidden, width)
        state |= affine(make, f"{prefix}.mlp.{'w3' if gated else 'fc2'}", width, hidden)
    return state


def timm_vit_state(
    make: Make,
    *,
    width: int = WIDTH,
    depth: int = BLOCKS,
    hidden: int = 192,
    gated: bool = False,
    qkv_bias: bool = False,
) -> State:
    state = {
        "cls_token": make(1, 1, width),
        "reg_token": make(1, REGISTERS, width),
        **affine(make, "patch_embed.proj", width, CHANNELS, 16, 16),
        **norm(make, "norm", width),
    }
    for block in range(depth):
        prefix = f"blocks.{block}"
        state |= norm(make, f"{prefix}.norm1", width) | norm(make, f"{prefix}.norm2", width)
        state |= affine(make, f"{prefix}.attn.qkv", 3 * width, width, bias=False)
        if qkv_bias:
            state |= {f"{prefix}.attn.q_bias": make(width), f"{prefix}.attn.v_bias": make(width)}
        state |= affine(make, f"{prefix}.attn.proj", width, width)
        state |= {f"{prefix}.gamma_1": make(width, mean=1.0), f"{prefix}.gamma_2": make(width, mean=1.0)}
        for name in ("fc1_g", "fc1_x") if gated else ("fc1",):
            state |= affine(make, f"{prefix}.mlp.{name}", hidden, width)
        state |= affine(make, f"{prefix}.mlp.fc2", width, hidden)
    return state


def dinov2_state(
    make: Make,
    *,
    width: int = WIDTH,
    depth: int = BLOCKS,
    hidden: int = 512,
    gated: bool = False,
    registers: int = 0,
    side: int = 4,
) -> State:
    state = {
        "cls_token": make(1, 1, width),
        "pos_embed": make(1, side * side + 1, width, deviation=0.5),
        "mask_token": make(1, width),
        **affine(make, "patch_embed.proj", width, CHANNELS, 14, 14),
        **norm(make, "norm", width),
    }
    if registers:
        state["register_tokens"] = make(1, registers, width)
    for block in range(depth):
        prefix = f"blocks.{block}"
        state |= norm(make, f"{prefix}.norm1", width) | norm(make, f"{prefix}.norm2", width)
        state |= affine(make, f"{prefix}.attn.qkv", 3 * width, width) | affine(
            make, f"{prefix}.attn.proj", width, width
        )
        state |= {f"{prefix}.ls1.gamma": make(width, mean=1.0), f"{prefix}.ls2.gamma": make(width, mean=1.0)}
        state |= affine(make, f"{prefix}.mlp.{'w12' if gated else 'fc1'}", 2 * hidden if gated else hidden, width)
        state |= affine(make, f"{prefix}.mlp.{'w3' if gated else 'fc2'}", width, hidden)
    return state


def convnext_state(make: Make, *, depths: Sequence[int] = DEPTHS, dims: Sequence[int] = DIMS) -> State:
    state = norm(make, "norm", dims[-1])
    state |= {f"norms.3.{part}": state[f"norm.{part}"] for part in ("weight", "bias")}
    for stage, (depth, width) in enumerate(zip(depths, dims, strict=True)):
        before = f"downsample_layers.{stage}"
        if stage == 0:
            state |= affine(make, f"{before}.0", width, CHANNELS, 4, 4) | norm(make, f"{before}.1", width)
        else:
            state |= norm(make, f"{before}.0", dims[stage - 1])
            state |= affine(make, f"{before}.1", width, dims[stage - 1], 2, 2)
        for block in range(depth):
            prefix = f"stages.{stage}.{block}"
            state |= affine(make, f"{prefix}.dwconv", width, 1, 7, 7) | norm(make, f"{prefix}.norm", width)
            state |= affine(make, f"{prefix}.pwconv1", 4 * width, width)
            state |= affine(make, f"{prefix}.pwconv2", width, 4 * width)
            state[f"{prefix}.gamma"] = make(width, mean=1.0)
    return state


def timm_convnext_state(make: Make, *, depths: Sequence[int] = DEPTHS, dims: Sequence[int] = DIMS) -> State:
    state = affine(make, "stem.0", dims[0], CHANNELS, 4, 4) | norm(make, "stem.1", dims[0])
    for stage, (depth, width) in enumerate(zip(depths, dims, strict=True)):
        if stage:
            state |= norm(make, f"stages.{stage}.downsample.0", dims[stage - 1])
            state |= affine(make, f"stages.{stage}.downsample.1", width, dims[stage - 1], 2, 2)
        for block in range(depth):
            prefix = f"stages.{stage}.blocks.{block}"
            state |= affine(make, f"{prefix}.conv_dw", width, 1, 7, 7) | norm(make, f"{prefix}.norm", width)
            state |= affine(make, f"{prefix}.mlp.fc1", 4 * width, width)
            state |= affine(make, f"{prefix}.mlp.fc2", width, 4 * width)
            state[f"{prefix}.gamma"] = make(width, mean=1.0)
    return state | norm(make, "head.norm", dims[-1])


# --- Plain forward passes over the original names ----------------------------------------------------------------


class Weights:
    """The tensors of a module, in float64."""

    def __init__(self, state: State, prefix: str = "") -> None:
        self._state, self._prefix = state, prefix

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._state

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._state[self._prefix + name].double()

    def of(self, name: str) -> Weights:
        return Weights(self._state, f"{self._prefix}{name}.")

    def linear(self, name: str, values: torch.Tensor) -> torch.Tensor:
        product = values @ self[f"{name}.weight"].T
        return product + self[f"{name}.bias"] if f"{name}.bias" in self else product

    def norm(self, name: str, values: torch.Tensor, epsilon: float) -> torch.Tensor:
        centred = values - values.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + epsilon)
        return scaled * self[f"{name}.weight"] + self[f"{name}.bias"]


def patch_tokens(w: Weights, pixels: torch.Tensor, patch: int) -> tuple[torch.Tensor, int, int]:
    """``[token, channel]`` in rows from the top, and the numbers of rows and columns."""
    rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
    kernel = w["patch_embed.proj.weight"].flatten(1)
    tokens = [
        kernel @ pixels[:, patch * row : patch * (row + 1), patch * column : patch * (column + 1)].flatten()
        for row in range(rows)
        for column in range(columns)
    ]
    return torch.stack(tokens) + w["patch_embed.proj.bias"], rows, columns


def rotary_angles(rows: int, columns: int, head_width: int) -> torch.Tensor:
    """``[patch, head channel]``: places in [-1, 1], by side; the y quarter, the x quarter, and both again."""
    quarter = head_width // 4
    periods = [100.0 ** (i / quarter) for i in range(quarter)]
    angles = []
    for row in range(rows):
        for column in range(columns):
            y, x = 2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1
            half = [2 * math.pi * place / period for place in (y, x) for period in periods]
            angles.append(half + half)
    return torch.tensor(angles, dtype=torch.float64)


def rotated(vectors: torch.Tensor, angles: torch.Tensor | None) -> torch.Tensor:
    """Turn the patches, which come last."""
    if angles is None:
        return vectors
    prefix, patches = vectors[: -len(angles)], vectors[-len(angles) :]
    first, second = patches.chunk(2, dim=1)
    turned = patches * torch.cos(angles) + torch.cat([-second, first], dim=1) * torch.sin(angles)
    return torch.cat([prefix, turned])


def attended(qkv: torch.Tensor, angles: torch.Tensor | None) -> torch.Tensor:
    """``[token, 3 x width]`` to ``[token, width]``."""
    heads = []
    for q, k, v in zip(*(part.chunk(HEADS, dim=1) for part in qkv.chunk(3, dim=1)), strict=True):
        scores = rotated(q, angles) @ rotated(k, angles).T / math.sqrt(q.shape[1])
        heads.append(torch.softmax(scores, dim=1) @ v)
    return torch.cat(heads, dim=1)


def hub_mlp(w: Weights, values: torch.Tensor) -> torch.Tensor:
    if "w12.weight" in w:  # DINOv2's fused gate
        gate, up = w.linear("w12", values).chunk(2, dim=1)
        return w.linear("w3", functional.silu(gate) * up)
    if "w1.weight" in w:
        return w.linear("w3", functional.silu(w.linear("w1", values)) * w.linear("w2", values))
    return w.linear("fc2", functional.gelu(w.linear("fc1", values)))


def hub_block(w: Weights, tokens: torch.Tensor, angles: torch.Tensor | None, epsilon: float) -> torch.Tensor:
    qkv = w.linear("attn.qkv", w.norm("norm1", tokens, epsilon))
    if "attn.qkv.bias_mask" in w:
        qkv = qkv - w["attn.qkv.bias"] * (1 - w["attn.qkv.bias_mask"])
    tokens = tokens + w["ls1.gamma"] * w.linear("attn.proj", attended(qkv, angles))
    return tokens + w["ls2.gamma"] * hub_mlp(w.of("mlp"), w.norm("norm2", tokens, epsilon))


def timm_block(w: Weights, tokens: torch.Tensor, angles: torch.Tensor, epsilon: float) -> torch.Tensor:
    qkv = w.linear("attn.qkv", w.norm("norm1", tokens, epsilon))
    if "attn.q_bias" in w:
        qkv = qkv + torch.cat([w["attn.q_bias"], torch.zeros(WIDTH).double(), w["attn.v_bias"]])
    tokens = tokens + w["gamma_1"] * w.linear("attn.proj", attended(qkv, angles))
    normed = w.norm("norm2", tokens, epsilon)
    if "mlp.fc1_g.weight" in w:
        hidden = functional.silu(w.linear("mlp.fc1_g", normed)) * w.linear("mlp.fc1_x", normed)
    else:
        hidden = functional.gelu(w.linear("mlp.fc1", normed))
    return tokens + w["gamma_2"] * w.linear("mlp.fc2", hidden)


def dinov3_outputs(w: Weights, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Tokens after each block, and after the norm of the last."""
    in_timm = "reg_token" in w
    patches, rows, columns = patch_tokens(w, pixels, 16)
    registers = [w[name][0] for name in ("reg_token", "storage_tokens") if name in w]
    tokens = torch.cat([w["cls_token"][0], *registers, patches])
    angles = rotary_angles(rows, columns, WIDTH // HEADS)
    block = timm_block if in_timm else hub_block
    outputs = []
    for index in range(BLOCKS):
        tokens = block(w.of(f"blocks.{index}"), tokens, angles, 1e-5)
        outputs.append(tokens)
    return [*outputs, w.norm("norm", tokens, 1e-5)]


def dinov2_outputs(w: Weights, pixels: torch.Tensor, offset: float = 0.0) -> list[torch.Tensor]:
    """Tokens after each block, and after the norm of the last.

    Args:
        offset: how many patches more the interpolation of positions aims at: 0 in transformers, and 0.1 in the
            authors' code for models without registers.
    """
    patches, rows, columns = patch_tokens(w, pixels, 14)
    positions = w["pos_embed"][0]
    registers = w["register_tokens"][0] if "register_tokens" in w else torch.empty(0, WIDTH).double()
    grid = interpolated(positions[1:], rows, columns, antialias=len(registers) > 0, offset=offset)
    tokens = torch.cat([w["cls_token"][0] + positions[:1], registers, patches + grid])
    outputs = []
    for index in range(BLOCKS):
        tokens = hub_block(w.of(f"blocks.{index}"), tokens, None, 1e-6)
        outputs.append(tokens)
    return [*outputs, w.norm("norm", tokens, 1e-6)]


def interpolated(
    positions: torch.Tensor, rows: int, columns: int, *, antialias: bool, offset: float = 0.0
) -> torch.Tensor:
    """Positions on another grid; on the trained one, as they are."""
    side = math.isqrt(len(positions))
    if (rows, columns) == (side, side):
        return positions
    plane = positions.T.reshape(1, WIDTH, side, side)
    factors = ((rows + offset) / side, (columns + offset) / side)
    target: dict[str, Any] = {"scale_factor": factors} if offset else {"size": (rows, columns)}
    resized = functional.interpolate(plane, **target, mode="bicubic", antialias=antialias)
    return resized[0].flatten(1).T


def convnext_outputs(w: Weights, pixels: torch.Tensor) -> list[torch.Tensor]:
    """``[row x column, channel]`` after each stage, and after the norm of the last."""
    in_timm = "stem.0.weight" in w
    dwconv, pwconv1, pwconv2 = ("conv_dw", "mlp.fc1", "mlp.fc2") if in_timm else ("dwconv", "pwconv1", "pwconv2")
    features, outputs = pixels[None], []
    for stage, depth in enumerate(DEPTHS):
        before = (
            f"stages.{stage}.downsample" if in_timm and stage else "stem" if in_timm else f"downsample_layers.{stage}"
        )
        part = w.of(before)
        if stage == 0:
            features = functional.conv2d(features, part["0.weight"], part["0.bias"], stride=4)
            features = part.norm("1", features.movedim(1, -1), 1e-6).movedim(-1, 1)
        else:
            features = part.norm("0", features.movedim(1, -1), 1e-6).movedim(-1, 1)
            features = functional.conv2d(features, part["1.weight"], part["1.bias"], stride=2)
        for index in range(depth):
            part = w.of(f"stages.{stage}.blocks.{index}" if in_timm else f"stages.{stage}.{index}")
            mixed = functional.conv2d(
                features, part[f"{dwconv}.weight"], part[f"{dwconv}.bias"], padding=3, groups=features.shape[1]
            )
            hidden = functional.gelu(part.linear(pwconv1, part.norm("norm", mixed.movedim(1, -1), 1e-6)))
            features = features + (part["gamma"] * part.linear(pwconv2, hidden)).movedim(-1, 1)
        outputs.append(features[0].flatten(1).T)
    return [*outputs, w.norm("head.norm" if in_timm else "norm", outputs[-1], 1e-6)]


# --- The conversion equals them ----------------------------------------------------------------------------------


class Case(NamedTuple):
    """A source layout."""

    state: Callable[[], State]
    convert: Callable[[State], Converted]
    outputs: Callable[[Weights, torch.Tensor], list[torch.Tensor]]
    model_type: str
    prefix: int = 0
    sizes: tuple[tuple[int, int], ...] = ((48, 64),)


def hub(state: State) -> Converted:
    return from_torch_hub(state, "tiny")


def timm(architecture: str) -> Callable[[State], Converted]:
    return lambda state: from_timm(state, architecture, "tiny")


DINOV3 = {"convert": hub, "outputs": dinov3_outputs, "model_type": "dinov3_vit", "prefix": 1 + REGISTERS}
DINOV2 = {"convert": hub, "outputs": dinov2_outputs, "sizes": ((56, 56), (42, 56))}
CONVNEXT = {"outputs": convnext_outputs, "model_type": "dinov3_convnext", "sizes": ((64, 96),)}
CASES = {
    "dinov3": Case(lambda: dinov3_vit_state(Random()), **DINOV3),
    "dinov3 without registers": Case(lambda: dinov3_vit_state(Random(), registers=0), **DINOV3 | {"prefix": 1}),
    "dinov3 with biased keys": Case(lambda: dinov3_vit_state(Random(), masked=False), **DINOV3),
    "dinov3 gated": Case(lambda: dinov3_vit_state(Random(), gated=True), **DINOV3),
    "dinov3 gated, unbiased": Case(lambda: dinov3_vit_state(Random(), gated=True, qkv_bias=False), **DINOV3),
    "timm dinov3": Case(lambda: timm_vit_state(Random()), **DINOV3 | {"convert": timm("vit_small_patch16_dinov3")}),
    "timm dinov3 biased": Case(
        lambda: timm_vit_state(Random(), qkv_bias=True), **DINOV3 | {"convert": timm("vit_small_patch16_dinov3_qkvb")}
    ),
    "timm dinov3 gated": Case(
        lambda: timm_vit_state(Random(), gated=True), **DINOV3 | {"convert": timm("vit_small_plus_patch16_dinov3")}
    ),
    "dinov2": Case(lambda: dinov2_state(Random()), model_type="dinov2", prefix=1, **DINOV2),
    "dinov2 gated": Case(
        lambda: dinov2_state(Random(), gated=True, hidden=344), model_type="dinov2", prefix=1, **DINOV2
    ),
    "dinov2 with registers": Case(
        lambda: dinov2_state(Random(), registers=4), model_type="dinov2_with_registers", prefix=5, **DINOV2
    ),
    "dinov2 gated, with registers": Case(
        lambda: dinov2_state(Random(), registers=4, gated=True, hidden=344),
        model_type="dinov2_with_registers",
        prefix=5,
        **DINOV2,
    ),
    "dinov3 convnext": Case(lambda: convnext_state(Random()), convert=hub, **CONVNEXT),
    "timm dinov3 convnext": Case(lambda: timm_convnext_state(Random()), convert=timm("convnext_tiny"), **CONVNEXT),
}


def loaded(converted: Converted) -> PreTrainedModel:
    model = AutoModel.from_config(converted.config)
    model.load_state_dict(converted.state, strict=True)
    return model.eval()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_block_equals_the_authors_forward_pass_before_and_after_the_norm(case: Case) -> None:
    state = case.state()
    converted = case.convert(state)
    assert converted.config.model_type == case.model_type
    model = loaded(converted)
    for size in case.sizes:
        pixels = torch.randn(CHANNELS, *size, generator=torch.Generator().manual_seed(1))
        expected = case.outputs(Weights(state), pixels.double())
        with torch.no_grad():
            output = model(pixels[None], output_hidden_states=True)
        hidden = [states[0] for states in output.hidden_states[1:]]
        if case.outputs is convnext_outputs:
            hidden = [features.flatten(1).T for features in hidden]
            actual = [*hidden, output.last_hidden_state[0, 1:]]  # the mean comes first
        else:
            actual = [*hidden, output.last_hidden_state[0]]
        assert len(actual) == len(expected)
        for ours, theirs in zip(actual, expected, strict=True):
            assert_close(ours[case.prefix :], theirs[case.prefix :])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_from_pretrained_takes_every_converted_tensor_by_its_name(case: Case) -> None:
    converted = case.convert(case.state())
    model, info = type(AutoModel.from_config(converted.config)).from_pretrained(
        None, config=converted.config, state_dict=dict(converted.state), output_loading_info=True
    )
    assert not any(info.values())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, converted.state[name], rtol=0, atol=0)


# --- The published sizes -----------------------------------------------------------------------------------------

# Width, blocks, heads, hidden width, gated; of facebookresearch/dinov3, dinov3/hub/backbones.py.
DINOV3_VITS = {
    "S": (384, 12, 6, 1536, False),
    "S+": (384, 12, 6, 1536, True),
    "B": (768, 12, 12, 3072, False),
    "L": (1024, 24, 16, 4096, False),
    "H+": (1280, 32, 20, 5120, True),
    "7B": (4096, 40, 32, 8192, True),
}


@pytest.mark.parametrize("source", ["torch hub", "timm"])
@pytest.mark.parametrize("size", DINOV3_VITS)
def test_the_published_dinov3_transformers_are_recognised(size: str, source: str) -> None:
    width, depth, heads, hidden, gated = DINOV3_VITS[size]
    shape: dict[str, Any] = {"width": width, "depth": depth, "hidden": hidden, "gated": gated}
    if source == "timm":
        config = from_timm(timm_vit_state(without_memory, **shape), "vit_x_patch16_dinov3", size).config
    else:
        state = dinov3_vit_state(without_memory, **shape, head_width=width // heads, qkv_bias=size != "7B")
        config = from_torch_hub(state, size).config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (width, depth, heads)
    assert (config.intermediate_size, config.use_gated_mlp, config.num_register_tokens) == (hidden, gated, 4)
    biased = source == "torch hub" and size != "7B"
    assert (config.query_bias, config.key_bias, config.value_bias) == (biased, False, biased)
    assert (config.patch_size, config.rope_theta, config.layer_norm_eps) == (16, 100.0, 1e-5)


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize(
    ("width", "depth", "heads", "hidden"), [(384, 12, 6, 1536), (768, 12, 12, 3072), (1536, 40, 24, 4096)]
)
def test_the_published_dinov2_transformers_are_recognised(
    width: int, depth: int, heads: int, hidden: int, registers: int
) -> None:
    gated = width == 1536
    state = dinov2_state(
        without_memory, width=width, depth=depth, hidden=hidden, gated=gated, registers=registers, side=37
    )
    config = from_torch_hub(state, "published").config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (width, depth, heads)
    assert (config.use_swiglu_ffn, config.mlp_ratio, config.patch_size, config.image_size) == (gated, 4, 14, 518)
    assert getattr(config, "num_register_tokens", 0) == registers


@pytest.mark.parametrize(
    ("depths", "dims"), [((3, 3, 9, 3), (96, 192, 384, 768)), ((3, 3, 27, 3), (192, 384, 768, 1536))]
)
@pytest.mark.parametrize("source", ["torch hub", "timm"])
def test_the_published_dinov3_convnexts_are_recognised(
    depths: tuple[int, ...], dims: tuple[int, ...], source: str
) -> None:
    shape: dict[str, Any] = {"depths": depths, "dims": dims}
    if source == "timm":
        config = from_timm(timm_convnext_state(without_memory, **shape), "convnext_large", "published").config
    else:
        config = from_torch_hub(convnext_state(without_memory, **shape), "published").config
    assert (tuple(config.depths), tuple(config.hidden_sizes), config.layer_norm_eps) == (depths, dims, 1e-6)


# --- What is left out, and what is refused -----------------------------------------------------------------------


def sentence(action: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_a_masked_bias_of_keys_is_left_out_and_an_unmasked_one_kept() -> None:
    masked, unmasked = (hub(dinov3_vit_state(Random(), masked=masked)) for masked in (True, False))
    assert not masked.config.key_bias
    assert unmasked.config.key_bias
    assert unmasked.state.keys() - masked.state.keys() == {
        f"model.layer.{block}.attention.k_proj.bias" for block in range(BLOCKS)
    }


def test_a_masked_bias_of_keys_is_left_out_even_if_it_is_not_finite() -> None:
    state = dinov3_vit_state(Random())
    state["blocks.0.attn.qkv.bias"][WIDTH : 2 * WIDTH] = math.nan
    converted = hub(state)
    assert not converted.config.key_bias
    assert all(tensor.isfinite().all() for tensor in converted.state.values())


@pytest.mark.parametrize(
    ("case", "extra"),
    [
        ("dinov3", "local_cls_norm.weight"),
        ("dinov3", "dino_head.mlp.0.weight"),
        ("dinov2", "ibot_head.last_layer.weight"),
        ("dinov3 convnext", "dino_head.mlp.0.weight"),
        ("timm dinov3", "head.weight"),
    ],
)
def test_what_only_training_or_a_classifier_uses_is_left_out(case: str, extra: str) -> None:
    state = CASES[case].state()
    alone, accompanied = CASES[case].convert(state), CASES[case].convert(state | {extra: torch.ones(3)})
    assert alone.state.keys() == accompanied.state.keys()


def test_the_mask_token_is_kept_where_there_is_one() -> None:
    state = CASES["dinov3"].state()
    torch.testing.assert_close(hub(state).state["embeddings.mask_token"][0], state["mask_token"])
    assert not CASES["timm dinov3"].convert(CASES["timm dinov3"].state()).state["embeddings.mask_token"].any()


def test_blocks_that_training_saved_in_chunks_are_put_in_a_row() -> None:
    state = CASES["dinov2"].state()
    chunked = {key.replace("blocks.", "blocks.0."): tensor for key, tensor in state.items()}
    expected, actual = hub(state).state, hub(chunked).state
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[key], actual[key]) for key in expected)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_tensor_too_many_is_refused_by_its_name(case: Case) -> None:
    message = sentence(lambda: case.convert(case.state() | {"cls_norm.weight": torch.ones(WIDTH)}))
    assert "model 'tiny'" in message
    assert "contain 1 unknown tensors (the first is 'cls_norm.weight')" in message


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whichever_tensor_is_missing_it_is_refused_or_one_that_a_model_can_do_without(case: Case) -> None:
    state = case.state()
    dispensable = ("mask_token", "storage_tokens", "reg_token", "register_tokens", "bias_mask", "norms.3.")
    for missing in state:
        remaining = {key: tensor for key, tensor in state.items() if key != missing}
        if any(part in missing for part in dispensable) and missing != "mask_token":
            case.convert(remaining)
        elif missing != "mask_token":
            assert "model 'tiny'" in sentence(lambda remaining=remaining: case.convert(remaining))


def test_a_missing_tensor_is_named_as_in_the_file() -> None:
    state = CASES["timm dinov3"].state()
    del state["blocks.1.gamma_2"]
    assert "lack the tensor 'blocks.1.gamma_2'" in sentence(lambda: CASES["timm dinov3"].convert(state))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_tensor_of_another_shape_is_refused_whichever_it_is(case: Case) -> None:
    state = case.state()
    for key, tensor in state.items():
        if key.startswith("norms.3."):  # left out
            continue
        for other in (torch.ones(()), torch.cat([tensor.flatten(), torch.ones(1)])):
            assert "model 'tiny'" in sentence(lambda key=key, other=other: case.convert(state | {key: other}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rope_embed.periods": rotary_periods(64) * 1.05}, "rotary positions of model 'tiny' (rope_embed.periods)"),
        ({"rope_embed.periods": torch.empty(0)}, "rotary positions of model 'tiny' (rope_embed.periods)"),
        ({"rope_embed.periods": rotary_periods(192)}, "128 channels, which cannot be divided among heads of 192"),
        ({"patch_embed.proj.weight": torch.ones(WIDTH, 3, 16, 14)}, "128 x 3 x 16 x 14, but a square kernel"),
    ],
)
def test_transformers_unlike_those_of_dinov3_are_refused(changes: State, expected: str) -> None:
    assert expected in sentence(lambda: hub(CASES["dinov3"].state() | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pos_embed": torch.ones(1, 16, WIDTH)}, "1 x 16 x 128, but a square grid of positions"),
        (
            {"blocks.0.mlp.fc1.weight": torch.ones(500, WIDTH)},
            "hidden width of 500, which does not follow from a whole multiple",
        ),
    ],
)
def test_transformers_unlike_those_of_dinov2_are_refused(changes: State, expected: str) -> None:
    assert expected in sentence(lambda: hub(CASES["dinov2"].state() | changes))


def test_a_gate_of_an_unknown_width_is_refused() -> None:
    state = dinov2_state(Random(), gated=True, hidden=341)
    assert "hidden width of 341, which does not follow from a whole multiple of their width 128" in sentence(
        lambda: hub(state)
    )


def test_weights_of_an_unknown_layout_are_refused() -> None:
    dino = {key: tensor for key, tensor in CASES["dinov2"].state().items() if key != "mask_token"}
    message = sentence(lambda: hub(dino))
    assert "not in the names of any of DINOv3 ViT, DINOv3 ConvNeXt, DINOv2, CLIP (the first is 'cls_token')" in message
    sentence(lambda: hub({}))


@pytest.mark.parametrize(
    "architecture", ["vit_small_patch14_dinov2", "vit_medium_patch16_rope_reg1_gap_256", "resnet50"]
)
def test_other_architectures_of_timm_are_refused(architecture: str) -> None:
    message = sentence(lambda: from_timm(CASES["timm dinov3"].state(), architecture, "tiny"))
    assert f"has timm's architecture '{architecture}', which is not supported" in message


def test_an_architecture_of_timm_may_name_its_training() -> None:
    converted = from_timm(CASES["timm dinov3"].state(), "vit_small_patch16_dinov3.lvd1689m", "tiny")
    assert converted.config.model_type == "dinov3_vit"


# --- Reading the files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{key}": tensor for key, tensor in state.items()}},
        lambda state: {"student": {}, "teacher": {f"module.backbone.{key}": tensor for key, tensor in state.items()}},
    ],
    ids=["bare", "model", "distributed", "teacher"],
)
def test_a_state_dict_is_freed_of_what_training_wrapped_it_in(
    tmp_path: Path, wrap: Callable[[State], dict[str, Any]], modern: bool
) -> None:
    state = CASES["dinov2"].state()
    torch.save(wrap(state), tmp_path / "weights.pth", _use_new_zipfile_serialization=modern)
    read = read_pth(tmp_path / "weights.pth")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)
    assert hub(read).config.model_type == "dinov2"


@pytest.mark.parametrize("modern", [True, False])
def test_pickled_code_is_refused_and_never_run(tmp_path: Path, modern: bool) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "weights.pth"
    torch.save({"cls_token": Malicious()}, path, _use_new_zipfile_serialization=modern)
    message = sentence(lambda: read_pth(path))
    assert "contains more than tensors, which may be harmful code" in message
    assert str(path) in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_a_sentence(tmp_path: Path, share: float, modern: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save(CASES["dinov2"].state(), path, _use_new_zipfile_serialization=modern)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "download it again" in sentence(lambda: read_pth(path))


def test_any_other_file_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    assert "cannot be read (No such file or directory)" in sentence(lambda: read_pth(path))
    generator = torch.Generator().manual_seed(0)
    contents = [b"<!DOCTYPE html><html></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]
    contents += [torch.randint(256, (size,), generator=generator).byte().numpy().tobytes() for size in range(1, 200)]
    for content in contents:
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sentence(lambda: read_pth(path))


@pytest.mark.parametrize(
    "content", [torch.ones(3), {}, {"epoch": 3}, {"model": {}}, {"cls_token": torch.ones(3), "n": 1}]
)
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    assert "contains no state dict (names and tensors)" in sentence(lambda: read_pth(tmp_path / "weights.pth"))


def test_two_networks_under_one_name_are_refused(tmp_path: Path) -> None:
    torch.save({"norm.weight": torch.ones(3), "backbone.norm.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    assert "two networks (both have 'norm.weight')" in sentence(lambda: read_pth(tmp_path / "weights.pth"))


@pytest.mark.filterwarnings("ignore")  # torch's, of what it will no longer have
@pytest.mark.parametrize(
    "changed",
    [
        lambda tensor: tensor.to_sparse(),
        lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
        lambda tensor: tensor.to("meta"),
    ],
    ids=["sparse", "quantised", "without numbers"],
)
def test_a_tensor_that_is_no_plain_array_is_refused(
    tmp_path: Path, changed: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    torch.save({"cls_token": torch.zeros(3), "norm.weight": changed(torch.ones(3))}, tmp_path / "weights.pth")
    assert "'norm.weight' as a sparse or quantised tensor" in sentence(lambda: read_pth(tmp_path / "weights.pth"))
