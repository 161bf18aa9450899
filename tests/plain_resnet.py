"""A plain forward pass of a ResNet, by nothing but its weights, to hold the real one against."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad


def normed(values: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (values - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def plain_stages(state: Mapping[str, Tensor], pixels: Tensor, mode: str = "constant") -> list[Tensor]:
    """The outputs of all stages, of a network of torchvision's, by nothing but its weights."""

    def convolved(values: Tensor, name: str, stride: int) -> Tensor:
        kernel = state[f"{name}.weight"]
        side = kernel.shape[-1] // 2
        values = pad(values, (side, side, side, side), mode=mode) if side else values
        return conv2d(values, kernel, stride=stride)

    values = max_pool2d(normed(convolved(pixels, "conv1", 2), state, "bn1").clamp(min=0), 3, 2, 1)
    stages = []
    for stage in range(1, 5):
        block = 0
        while (name := f"layer{stage}.{block}") + ".conv1.weight" in state:
            stride = 2 if stage > 1 and block == 0 else 1
            last = 3 if f"{name}.conv3.weight" in state else 2
            inside = values
            for number in range(1, last + 1):
                is_strided = state[f"{name}.conv{number}.weight"].shape[-1] == 3 and number == last - 1
                inside = convolved(inside, f"{name}.conv{number}", stride if is_strided else 1)
                inside = normed(inside, state, f"{name}.bn{number}")
                inside = inside.clamp(min=0) if number < last else inside
            if f"{name}.downsample.0.weight" in state:
                values = normed(convolved(values, f"{name}.downsample.0", stride), state, f"{name}.downsample.1")
            values = (values + inside).clamp(min=0)
            block += 1
        stages.append(values)
    return stages
