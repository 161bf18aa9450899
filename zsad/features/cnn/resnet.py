"""ResNets and Wide ResNets in plain torch.

He et al., CVPR 2016; Zagoruyko and Komodakis, BMVC 2016. Module names are those of torchvision, so that its published
state dicts fit unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from zsad.features.cnn.residual import STEM_KERNEL, ResNetShape, Stage
from zsad.features.cnn.trunk import Moments, Padding, Trunk, fused
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST_SHARE = 0.1  # least standard deviation after rectification, relative to that before, and to the mean one


class ResNet(nn.Module):
    """The network without its classifier.

    Args:
        shape: its stages.
        padding: ``"zeros"``, as in training, or ``"replicate"``, which repeats the border of every map, so that a flat
            image has the same values everywhere. The pooling always ignores values beyond the border.
    """

    def __init__(self, shape: ResNetShape, padding: Padding = "zeros") -> None:
        super().__init__()
        self.conv1 = _convolution(3, shape.stem, STEM_KERNEL, 2, padding)
        self.bn1 = nn.BatchNorm2d(shape.stem)
        inputs = shape.stem
        self.stages = len(shape.stages)
        for number, stage in enumerate(shape.stages, start=1):
            self.add_module(f"layer{number}", _stage(inputs, stage, shape, padding))
            inputs = stage.width

    def maps(self, pixels: Tensor, kept: Sequence[int]) -> list[Tensor]:
        """The outputs of stages, ``[image, channel, row, column]`` each; nothing after the last of them is computed.

        Args:
            pixels: ``[image, 3, height, width]``, normalised.
            kept: numbers of the stages, counted from 1.
        """
        values = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels)), inplace=True), 3, 2, 1)
        outputs = {}
        for number in range(1, max(kept) + 1):
            values = self.stage(number)(values)
            outputs[number] = values
        return [outputs[number] for number in kept]

    def moments(self, kept: Sequence[int]) -> list[Moments]:
        """Mean and standard deviation of the channels of stages' outputs in training, from their batch norms.

        A batch norm's output has its bias as mean and its weight as standard deviation. Summands are assumed to be
        independent, and normally distributed before rectification.
        """
        moments = rectified(*_of_norm(self.bn1))
        found = {}
        for number in range(1, max(kept) + 1):
            for block in self._blocks(number):
                moments = block.moments(moments)
            found[number] = moments
        return [found[number] for number in kept]

    def fuse(self) -> None:
        """Fuse batch norms into the convolutions before them."""
        fused(self, "conv1", "bn1")
        for number in range(1, self.stages + 1):
            for block in self._blocks(number):
                block.fuse()

    def stage(self, number: int) -> nn.Module:
        """A stage, counted from 1."""
        return self.get_submodule(f"layer{number}")

    def _blocks(self, number: int) -> list[ResidualBlock]:
        """The blocks of a stage, counted from 1."""
        return [block for block in self.stage(number).children() if isinstance(block, ResidualBlock)]


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3, or a bottleneck: 1 x 1, 3 x 3, 1 x 1; the input is added to the last.

    Args:
        stride: of the block.
        convolutions: kernel, inputs, outputs, stride and groups of each.
    """

    def __init__(self, stride: int, convolutions: Sequence[tuple[int, int, int, int, int]], padding: Padding) -> None:
        super().__init__()
        self._count = len(convolutions)
        for number, (kernel, inputs, outputs, own, groups) in enumerate(convolutions, start=1):
            self.add_module(f"conv{number}", _convolution(inputs, outputs, kernel, own, padding, groups))
            self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
        inputs, outputs = convolutions[0][1], convolutions[-1][2]
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_convolution(inputs, outputs, 1, stride, padding), nn.BatchNorm2d(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """``[image, channel, row, column]`` to the output."""
        values = inputs
        for number in range(1, self._count + 1):
            values = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(values))
            if number < self._count:
                values = F.relu(values, inplace=True)
        return F.relu(values + (inputs if self.downsample is None else self.downsample(inputs)), inplace=True)

    def moments(self, inputs: Moments) -> Moments:
        """Moments of the output, for moments of the input."""
        shortcut = inputs if self.downsample is None else _of_norm(self.downsample[1])
        own = _of_norm(self.get_submodule(f"bn{self._count}"))
        return rectified(own.mean + shortcut.mean, (own.deviation**2 + shortcut.deviation**2) ** 0.5)

    def fuse(self) -> None:
        """Fuse batch norms into the convolutions before them."""
        for number in range(1, self._count + 1):
            fused(self, f"conv{number}", f"bn{number}")
        if self.downsample is not None:
            fused(self.downsample, "0", "1")


class KeptMaps(nn.Module):
    """The maps of chosen stages of a network, whose batch norms are fused."""

    def __init__(self, network: ResNet, kept: Sequence[int]) -> None:
        super().__init__()
        network.fuse()
        self._network, self._kept = network, list(kept)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """See `ResNet.maps`."""
        return self._network.maps(pixels, self._kept)


def rectified(mean: Tensor, deviation: Tensor) -> Moments:
    """Moments of rectified normal variables.

    If a channel is hardly ever positive, its standard deviation has a lower limit, so that its rare values do not
    dominate.

    Args:
        mean, deviation: float32 ``[channel]``.
    """
    sigma = deviation.double().clamp(min=1e-12)
    ratio = mean.double() / sigma
    below = (1 + torch.erf(ratio / math.sqrt(2))) / 2
    density = torch.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    first = sigma * (ratio * below + density)
    second = sigma**2 * ((1 + ratio**2) * below + ratio * density)
    spread = (second - first**2).clamp(min=0).sqrt()
    return Moments(first.to(mean.dtype), torch.maximum(spread, SMALLEST_SHARE * sigma).to(mean.dtype))


def trunk_of(
    shape: ResNetShape, weights: Mapping[str, Tensor], kept: Sequence[int], padding: Padding = "replicate"
) -> Trunk:
    """The network up to the last kept stage.

    Args:
        weights: its state dict in float32, without classifier; see `zsad.features.cnn.resnet_weights`.
        kept: numbers of the stages, counted from 1.
        padding: see `ResNet`.
    """
    with torch.device("meta"):
        network = ResNet(shape, padding)
    network.load_state_dict(weights, strict=True, assign=True)
    network.eval()
    for number in range(max(kept) + 1, network.stages + 1):
        delattr(network, f"layer{number}")
    network.stages = max(kept)
    return Trunk(
        moments=[_of_any_use(moments) for moments in network.moments(kept)],
        network=KeptMaps(network, kept),
        layers=shape.layers(kept),
        multiple=shape.strides()[max(kept) - 1],
        pixel_mean=[255 * value for value in IMAGENET_MEAN],
        pixel_scale=[255 * value for value in IMAGENET_STD],
    )


def _of_any_use(moments: Moments) -> Moments:
    """Moments with positive standard deviations: a pruned channel has none."""
    deviation = moments.deviation
    least = SMALLEST_SHARE * deviation.mean() if deviation.any() else torch.ones(())
    return moments._replace(deviation=deviation.clamp(min=float(least)))


def _of_norm(norm: nn.Module) -> Moments:
    return Moments(norm.get_parameter("bias").detach(), norm.get_parameter("weight").detach().abs())


def _stage(inputs: int, stage: Stage, shape: ResNetShape, padding: Padding) -> nn.Sequential:
    blocks = []
    for place in range(stage.depth):
        stride = stage.stride if place == 0 else 1
        blocks.append(ResidualBlock(stride, _convolutions(inputs, stage, stride, shape), padding))
        inputs = stage.width
    return nn.Sequential(*blocks)


def _convolutions(inputs: int, stage: Stage, stride: int, shape: ResNetShape) -> list[tuple[int, int, int, int, int]]:
    """Kernel, inputs, outputs, stride and groups of a block's convolutions."""
    if not shape.bottleneck:
        return [(3, inputs, stage.inner, stride, 1), (3, stage.inner, stage.width, 1, 1)]
    first, second = (stride, 1) if shape.strided_first else (1, stride)
    return [
        (1, inputs, stage.inner, first, 1),
        (3, stage.inner, stage.inner, second, stage.groups),
        (1, stage.inner, stage.width, 1, 1),
    ]


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: Padding, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode=padding, groups=groups, bias=False
    )
