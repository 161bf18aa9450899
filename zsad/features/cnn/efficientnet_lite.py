"""EfficientNet-Lite as its TensorFlow reference computes it: no squeeze and excitation, ReLU6, "SAME" padding.

Module names are those of the published state dicts, so that these fit unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from zsad.features.cnn.blocks import CLASSES, HEAD_CHANNELS, STEM_CHANNELS, STEM_KERNEL, Block, kept_layers
from zsad.features.cnn.trunk import Moments, Padding, Trunk, fused

EPSILON = 1e-3  # of batch norms
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # of uint8 values, before the network


class EfficientNetLite(nn.Module):
    """The whole network, with its classifier.

    Args:
        blocks: see `zsad.features.cnn.blocks.blocks_of`.
        padding: ``"zeros"``, as in training, or ``"replicate"``, which repeats the border of every map, so that a flat
            image has the same values everywhere.
    """

    def __init__(self, blocks: Sequence[Block], padding: Padding = "zeros") -> None:
        super().__init__()
        self._padding = padding
        self._conv_stem = nn.Conv2d(3, STEM_CHANNELS, STEM_KERNEL, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM_CHANNELS, EPSILON)
        self._blocks = nn.ModuleList(InvertedResidual(block, padding) for block in blocks)
        self._conv_head = nn.Conv2d(blocks[-1].outputs, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(HEAD_CHANNELS, EPSILON)
        self._fc = nn.Linear(HEAD_CHANNELS, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits ``[image, class]`` of normalised images ``[image, 3, height, width]``."""
        last = self.maps(pixels, [len(self._blocks) - 1])[0]
        logits: Tensor = self._fc(F.relu6(self._bn1(self._conv_head(last))).mean(dim=(2, 3)))
        return logits

    def maps(self, pixels: Tensor, kept: Sequence[int]) -> list[Tensor]:
        """The outputs of blocks, ``[image, channel, row, column]`` each; nothing after the last of them is computed."""
        values = F.relu6(self._bn0(self._conv_stem(padded(pixels, STEM_KERNEL, 2, self._padding))), inplace=True)
        outputs = {}
        for place, block in enumerate(self._blocks[: max(kept) + 1]):
            values = block(values)
            outputs[place] = values
        return [outputs[place] for place in kept]

    def moments(self, place: int) -> Moments:
        """Mean and standard deviation of a block's output channels in training, from the batch norms that it sums.

        Means add up; variances add up if the terms are independent.
        """
        bias, variance = torch.zeros(()), torch.zeros(())
        blocks = self._own_blocks()
        while True:
            block = blocks[place]
            bias = bias + block.get_parameter("_bn2.bias").detach()
            variance = variance + block.get_parameter("_bn2.weight").detach() ** 2
            if not block.is_residual:
                return Moments(bias, variance**0.5)
            place -= 1

    def _own_blocks(self) -> list[InvertedResidual]:
        """The blocks with their own type, which a list of modules does not keep."""
        return [block for block in self._blocks if isinstance(block, InvertedResidual)]

    def fuse(self, kept: Sequence[int]) -> None:
        """Fuse batch norms into the convolutions before them, and remove everything after the last kept block."""
        del self._blocks[max(kept) + 1 :], self._conv_head, self._bn1, self._fc
        fused(self, "_conv_stem", "_bn0")
        for block in self._own_blocks():
            for convolution, norm in block.pairs():
                fused(block, convolution, norm)


class KeptMaps(nn.Module):
    """The maps of chosen blocks of a network, which is modified for that."""

    def __init__(self, network: EfficientNetLite, kept: Sequence[int]) -> None:
        super().__init__()
        network.fuse(kept)
        self._network, self._kept = network, list(kept)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """See `EfficientNetLite.maps`."""
        return self._network.maps(pixels, self._kept)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; see `Block`."""

    def __init__(self, block: Block, padding: Padding) -> None:
        super().__init__()
        self.is_residual = block.is_residual
        self._kernel, self._stride, self._padding = block.kernel, block.stride, padding
        self._expands = block.expansion > 1
        if self._expands:
            self._expand_conv = nn.Conv2d(block.inputs, block.width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(block.width, EPSILON)
        self._depthwise_conv = nn.Conv2d(
            block.width, block.width, block.kernel, block.stride, groups=block.width, bias=False
        )
        self._bn1 = nn.BatchNorm2d(block.width, EPSILON)
        self._project_conv = nn.Conv2d(block.width, block.outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(block.outputs, EPSILON)

    def pairs(self) -> list[tuple[str, str]]:
        """Names of convolutions, and of the batch norms that follow them."""
        expansion = [("_expand_conv", "_bn0")] if self._expands else []
        return [*expansion, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]

    def forward(self, inputs: Tensor) -> Tensor:
        """``[image, channel, row, column]`` to the output."""
        # Replication can be done before the expansion, which is pointwise, where there are fewest channels. Zeros must
        # pad the expanded map.
        values = inputs if self._padding == "zeros" else self._padded(inputs)
        if self._expands:
            values = F.relu6(self._bn0(self._expand_conv(values)), inplace=True)
        if self._padding == "zeros":
            values = self._padded(values)
        values = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(values)), inplace=True)))
        outputs: Tensor = values + inputs if self.is_residual else values
        return outputs

    def _padded(self, values: Tensor) -> Tensor:
        return padded(values, self._kernel, self._stride, self._padding)


def trunk_of(blocks: Sequence[Block], weights: Mapping[str, Tensor], kept: Sequence[int]) -> Trunk:
    """The network up to the last kept block.

    Args:
        weights: the state dict of the whole network.

    Raises:
        RuntimeError: the names or shapes of the weights do not match the network.
    """
    with torch.device("meta"):
        network = EfficientNetLite(blocks, padding="replicate")
    network.load_state_dict(weights, strict=True, assign=True)
    network.eval()
    moments = [network.moments(place) for place in kept]
    return Trunk(
        network=KeptMaps(network, kept),
        layers=kept_layers(blocks, kept),
        moments=moments,
        multiple=blocks[max(kept)].total_stride,
        pixel_mean=[PIXEL_MEAN] * 3,
        pixel_scale=[PIXEL_SCALE] * 3,
    )


def padded(values: Tensor, kernel: int, stride: int, mode: str) -> Tensor:
    """With TensorFlow's "SAME" padding for a convolution: one less on each axis of even length where the stride is 2.

    An unpaired row or column of the border is added after the map.
    """
    widths = []
    for length in (values.shape[-1], values.shape[-2]):
        total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        widths += [total // 2, total - total // 2]
    return F.pad(values, widths, mode="constant" if mode == "zeros" else mode)
