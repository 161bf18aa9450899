"""Tiny ResNets of random weights, in the two forms in which they are published."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zsad.features.cnn.residual import ResNetShape, Stage
from zsad.features.cnn.resnet import ResNet

State = dict[str, Tensor]

BASIC = ResNetShape(8, False, (Stage(2, 8, 8, 1), Stage(1, 12, 12, 2), Stage(2, 16, 16, 2), Stage(1, 20, 20, 2)))
BOTTLENECK = ResNetShape(8, True, (Stage(1, 4, 16, 1), Stage(2, 8, 32, 2), Stage(1, 12, 48, 2), Stage(2, 16, 64, 2)))
WIDE = ResNetShape(8, True, (Stage(1, 8, 16, 1), Stage(2, 16, 32, 2), Stage(1, 24, 48, 2), Stage(1, 32, 64, 2)))


def filled(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With random weights whose outputs neither vanish nor grow, and batch norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.ndim == 4:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
            elif name.endswith(("running_var", "weight")):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.2, generator=generator)
    return network.eval()


def state_of(shape: ResNetShape, seed: int = 0, classes: int = 7) -> dict[str, Tensor]:
    """A state dict as torchvision publishes it, with a classifier."""
    state = dict(filled(ResNet(shape), seed).state_dict())
    state["fc.weight"], state["fc.bias"] = torch.zeros(classes, shape.stages[-1].width), torch.zeros(classes)
    return state


def saved(shape: ResNetShape, path: Path, seed: int = 0) -> Path:
    """The same in a file."""
    torch.save(state_of(shape, seed), path)
    return path
