"""EfficientNet-Lites against a plain forward pass, and their tokens against a slow reference in float64.

The reference takes kernels and widths from the weights, and is written without modules: batch norms by their formula,
explicit padding. The weights are the published ones, of the packages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from closeness import assert_close
from zsad.features.base import Execution
from zsad.features.cnn.efficientnet_lite import EfficientNetLite as Network
from zsad.features.cnn.efficientnet_lite import trunk_of
from zsad.features.cnn.extractor import CnnExtractor
from zsad.features.efficientnet_lite import VARIANTS, EfficientNetLite

MODELS = sorted(VARIANTS)
STRIDED = {model: {1, 3, 5, 11} if model.endswith("0") else {1, 4, 7, 15} for model in MODELS}  # blocks of stride 2
SIDES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}  # that they were trained at
CATS, ESPRESSO, MOTORCYCLES = range(281, 286), [967], [665, 670]  # of ImageNet: a moped and a motor scooter
EXACT = 1e-12  # share of the values' size, in float64
CPU = Execution(device="cpu")


def state_of(model: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    state = torch.load(VARIANTS[model].weights.path(), weights_only=True)
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}


def network_of(model: str, state: Mapping[str, Tensor], padding: str) -> Network:
    network = Network(VARIANTS[model].blocks(), padding).to(state["_fc.bias"].dtype).eval()
    network.load_state_dict(state, strict=True)
    return network


def same(values: Tensor, kernel: int, stride: int, mode: str) -> Tensor:
    """TensorFlow's padding, as its documentation has it."""
    height, width = values.shape[2:]
    along = [max(kernel - (stride if side % stride == 0 else side % stride), 0) for side in (height, width)]
    top, left = along[0] // 2, along[1] // 2
    return pad(values, (left, along[1] - left, top, along[0] - top), mode=mode)


def normed(values: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (values - mean) / torch.sqrt(variance + 1e-3) * weight + bias


def plain_blocks(state: Mapping[str, Tensor], strided: set[int], pixels: Tensor, mode: str) -> list[Tensor]:
    """The outputs of all blocks."""
    values = conv2d(same(pixels, 3, 2, mode), state["_conv_stem.weight"], stride=2)
    values = normed(values, state, "_bn0").clamp(0, 6)
    outputs = []
    while (name := f"_blocks.{len(outputs)}") + "._depthwise_conv.weight" in state:
        inside, stride = values, 2 if len(outputs) in strided else 1
        if f"{name}._expand_conv.weight" in state:
            inside = conv2d(values, state[f"{name}._expand_conv.weight"])
            inside = normed(inside, state, f"{name}._bn0").clamp(0, 6)
        weight = state[f"{name}._depthwise_conv.weight"]
        inside = conv2d(same(inside, weight.shape[-1], stride, mode), weight, stride=stride, groups=len(weight))
        inside = conv2d(normed(inside, state, f"{name}._bn1").clamp(0, 6), state[f"{name}._project_conv.weight"])
        inside = normed(inside, state, f"{name}._bn2")
        values = values + inside if inside.shape == values.shape else inside
        outputs.append(values)
    return outputs


def plain_logits(state: Mapping[str, Tensor], strided: set[int], pixels: Tensor) -> Tensor:
    head = conv2d(plain_blocks(state, strided, pixels, "constant")[-1], state["_conv_head.weight"])
    pooled = normed(head, state, "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return pooled @ state["_fc.weight"].T + state["_fc.bias"]


def photograph(name: str) -> np.ndarray:
    """One of those that scikit-image brings."""
    image = getattr(skimage.data, name)()
    return image[0] if isinstance(image, tuple) else image


def pixels_of(image: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    return ((torch.from_numpy(image.copy()).to(dtype) - 127) / 128).permute(2, 0, 1)[None]


@pytest.mark.parametrize("model", MODELS)
def test_photographs_get_their_classes(model: str) -> None:
    network = network_of(model, state_of(model, torch.float32), "zeros")
    for name, classes in (("chelsea", CATS), ("coffee", ESPRESSO), ("stereo_motorcycle", MOTORCYCLES)):
        image = photograph(name)
        height, width = image.shape[:2]
        top, left, side = (height - min(height, width)) // 2, (width - min(height, width)) // 2, min(height, width)
        square = cv2.resize(
            image[top : top + side, left : left + side], (SIDES[model],) * 2, interpolation=cv2.INTER_AREA
        )
        with torch.no_grad():
            logits = network(pixels_of(square, torch.float32))[0]
        assert int(logits.argmax()) in classes, name


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_the_network_is_that_of_a_plain_forward_pass(model: str, size: tuple[int, int]) -> None:
    state = state_of(model)
    pixels = torch.from_numpy(np.random.default_rng(3).uniform(-1, 1, (2, 3, *size)))
    expected = plain_logits(state, STRIDED[model], pixels)
    with torch.no_grad():
        assert_close(network_of(model, state, "zeros")(pixels), expected, share=EXACT)
        assert_close(network_of(model, state_of(model, torch.float32), "zeros")(pixels.float()), expected)


@pytest.mark.parametrize("model", MODELS)
def test_maps_of_the_fused_network_are_those_of_the_plain_one(model: str) -> None:
    state, kept = state_of(model), [4, 10, 1]
    pixels = torch.from_numpy(np.random.default_rng(4).uniform(-1, 1, (2, 3, 80, 96)))
    plain = plain_blocks(state, STRIDED[model], pixels, "replicate")
    trunk = trunk_of(VARIANTS[model].blocks(), state, kept)
    single = trunk_of(VARIANTS[model].blocks(), state_of(model, torch.float32), kept)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.network.modules())
    with torch.no_grad():
        for layer, block, exact, rough in zip(
            trunk.layers, kept, trunk.network(pixels), single.network(pixels.float()), strict=True
        ):
            assert layer.name == str(block)
            assert layer.channels == plain[block].shape[1]
            assert layer.cells.stride == 80 // plain[block].shape[2]
            assert_close(exact, plain[block], share=EXACT)
            assert_close(rough, plain[block])


def moments(state: Mapping[str, Tensor], terms: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Of a sum of blocks' outputs, by their last batch norms."""
    mean = sum(state[f"_blocks.{block}._bn2.bias"].numpy() for block in terms)
    return mean, np.sqrt(sum(state[f"_blocks.{block}._bn2.weight"].numpy() ** 2 for block in terms))


def interpolated(values: np.ndarray, row: float, column: float) -> np.ndarray:
    """Linearly between the four cells ``[channel, row, column]`` around a place."""
    top, left = math.floor(row), math.floor(column)
    down, right = row - top, column - left
    found = np.zeros(len(values))
    for cell, along in ((top, 1 - down), (top + 1, down)):
        for other, across in ((left, 1 - right), (left + 1, right)):
            if along * across > 0:
                found += along * across * values[:, cell, other]
    return found


def test_tokens_are_those_of_a_slow_reference() -> None:
    """Each by itself: its place in each map, nine interpolations, standardised, a constant, unit length."""
    model, constant = "efficientnet-lite0", 1.5
    image = cv2.resize(photograph("coffee"), (48, 40), interpolation=cv2.INTER_AREA)
    extractor = EfficientNetLite(model=model, resolution=40, constant=constant).load(CPU)
    state = state_of(model)
    # 8 pixels before: the cells of stride 16 look at 10, those of stride 8 at 3.5, the first patch is centred at 12.
    wide = np.pad(image, ((8, 16), (8, 8), (0, 0)), mode="symmetric")
    outputs = plain_blocks(state, STRIDED[model], pixels_of(wide), "replicate")
    parts = [(outputs[4][0].numpy(), 8, 3.5, [3, 4]), (outputs[10][0].numpy(), 16, 10.0, [8, 9, 10])]
    expected = np.zeros((5, 6, 153))
    for row in range(5):
        for column in range(6):
            token = []
            for values, stride, first, terms in parts:
                around = [
                    interpolated(
                        values,
                        (8 + 8 * min(max(row + down, 0), 4) + 4 - first) / stride,
                        (8 + 8 * min(max(column + right, 0), 5) + 4 - first) / stride,
                    )
                    for down in (-1, 0, 1)
                    for right in (-1, 0, 1)
                ]
                mean, deviation = moments(state, terms)
                token.append((np.mean(around, axis=0) - mean) / deviation)
            joined = np.concatenate([*token, [constant * math.sqrt(152)]])
            expected[row, column] = joined / np.linalg.norm(joined)
    tokens = extractor.extract(image)
    assert extractor.layers == ["4+10"]
    assert_close(tokens.patch_tokens[0], expected)
    assert_close(tokens.cls_tokens[0], expected.mean(axis=(0, 1)))


def noise(sigma: float, rng: np.random.Generator) -> np.ndarray:
    smooth = cv2.GaussianBlur(rng.normal(size=(256, 256, 3)), (0, 0), sigma)
    return np.clip(smooth / smooth.std() * 40 + 128, 0, 255).astype(np.uint8)


def displacements(extractor: CnnExtractor, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Of the centroid of what a dot changes from the dot, ``[dot, axis]``, pixels of the image before ``change``."""
    rng = np.random.default_rng(0)
    centres = 8 * np.arange(32) + 4
    found = []
    for sigma in (1, 4):
        image = noise(sigma, rng)
        before = change(extractor.extract(change(image)).patch_tokens[0])
        for _ in range(4):
            row, column = (int(place) for place in rng.integers(112, 144, 2))
            dotted = image.copy()
            cv2.circle(dotted, (column, row), int(rng.integers(2, 6)), rng.integers(0, 255, 3).tolist(), -1)
            changed = change(extractor.extract(change(dotted)).patch_tokens[0])
            weights = ((changed - before) ** 2).sum(axis=-1)
            weights /= weights.sum()
            found.append((weights.sum(axis=1) @ centres - row - 0.5, weights.sum(axis=0) @ centres - column - 0.5))
    return np.array(found)


@pytest.mark.parametrize("model", MODELS)
def test_tokens_change_where_the_image_does_and_mirrored_ones_at_the_mirrored_place(model: str) -> None:
    extractor = EfficientNetLite(model=model).load(CPU)
    plain = displacements(extractor, lambda image: image).mean(axis=0)
    turned = displacements(extractor, lambda image: np.ascontiguousarray(image[::-1, ::-1])).mean(axis=0)
    for found in (plain, turned):
        assert np.abs(found).max() < 2, found  # of patches of 8 pixels
