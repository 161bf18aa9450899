"""The sizes of ResNets' stages, without a framework, for use before a network is loaded.

ResNet (He et al., CVPR 2016, table 1), with the stride of bottlenecks in their 3 x 3 convolution as torchvision has it,
and Wide ResNet (Zagoruyko and Komodakis, BMVC 2016), whose bottlenecks are wider inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zsad.features.cnn.places import Cells, MapLayer

STEM_KERNEL, STEM_STRIDE = 7, 4  # pixels; the stride includes the pooling after the convolution
# All convolutions are padded equally on both sides, so that cell i is centred at the middle of pixel i * stride.
MODEL_TYPE = "resnet"  # of the config.json of a transformers folder
FIRST = 0.5


class Stage(NamedTuple):
    """Residual blocks of one size.

    Attributes:
        depth: number of blocks.
        inner: channels of their 3 x 3 convolutions.
        width: channels of their outputs.
        stride: of the first of them, 1 or 2.
        groups: of the 3 x 3 convolutions of bottlenecks.
    """

    depth: int
    inner: int
    width: int
    stride: int
    groups: int = 1


class ResNetShape(NamedTuple):
    """A network up to its last stage.

    Attributes:
        stem: channels of the first convolution.
        bottleneck: whether blocks have a 3 x 3 convolution between two of 1 x 1, instead of two of 3 x 3.
        stages: in order.
        strided_first: whether the stride of a bottleneck is that of its first convolution, not of its 3 x 3 one.
    """

    stem: int
    bottleneck: bool
    stages: tuple[Stage, ...]
    strided_first: bool = False

    def up_to(self, stage: int) -> ResNetShape:
        """The network without the stages after this number, counted from 1."""
        return self._replace(stages=self.stages[:stage])

    def strides(self) -> list[int]:
        """Pixels of the image between cells of the output of each stage."""
        strides, total = [], STEM_STRIDE
        for stage in self.stages:
            total *= stage.stride
            strides.append(total)
        return strides

    def layers(self, kept: Sequence[int]) -> list[MapLayer]:
        """The outputs of the stages of these numbers, counted from 1."""
        strides = self.strides()
        return [
            MapLayer(f"layer{stage}", Cells(strides[stage - 1], FIRST), self.stages[stage - 1].width) for stage in kept
        ]

    def parameters(self) -> int:
        """Weights of all convolutions."""
        return 3 * STEM_KERNEL**2 * self.stem + sum(
            within + after for block in self._blocks() for within, after in [block.weights(self.bottleneck)]
        )

    def operations(self, height: int, width: int) -> float:
        """Multiplications and additions for an input of ``height x width`` pixels."""
        products = 3 * STEM_KERNEL**2 * self.stem * _cells(height, width, STEM_STRIDE // 2)
        for block in self._blocks():
            within, after = block.weights(self.bottleneck)
            before = block.total_stride if self.strided_first else block.total_stride // block.stride
            products += within * _cells(height, width, before) + after * _cells(height, width, block.total_stride)
        return 2.0 * products

    def widest_values(self, height: int, width: int) -> int:
        """Most values that the stem or a block holds at once: its input, those inside it, and its output."""
        stem = self.stem * (_cells(height, width, STEM_STRIDE // 2) + _cells(height, width, STEM_STRIDE))
        return max(
            stem,
            *(
                (block.inputs + block.inner) * _cells(height, width, block.total_stride // block.stride)
                + (block.inner + 2 * block.width) * _cells(height, width, block.total_stride)
                for block in self._blocks()
            ),
        )

    def _blocks(self) -> list[_Block]:
        blocks, inputs = [], self.stem
        for stage, total in zip(self.stages, self.strides(), strict=True):
            for place in range(stage.depth):
                stride = stage.stride if place == 0 else 1
                blocks.append(_Block(inputs, stage.inner, stage.width, stride, stage.groups, total))
                inputs = stage.width
        return blocks


class _Block(NamedTuple):
    inputs: int
    inner: int
    width: int
    stride: int
    groups: int
    total_stride: int

    def weights(self, bottleneck: bool) -> tuple[int, int]:
        """Numbers of weights applied at every position of the input, and of the output."""
        shortcut = 0 if self.stride == 1 and self.inputs == self.width else self.inputs * self.width
        if bottleneck:
            return self.inputs * self.inner, 9 * self.inner**2 // self.groups + self.inner * self.width + shortcut
        return 0, 9 * (self.inputs * self.inner + self.inner * self.width) + shortcut


def _cells(height: int, width: int, stride: int) -> int:
    return -(-height // stride) * -(-width // stride)


def _shape(bottleneck: bool, depths: Sequence[int], wider: int = 1) -> ResNetShape:
    stages = (
        Stage(depth, wider * inner, 4 * inner if bottleneck else inner, stride)
        for depth, inner, stride in zip(depths, (64, 128, 256, 512), (1, 2, 2, 2), strict=True)
    )
    return ResNetShape(64, bottleneck, tuple(stages))


# By the names at the beginning of torchvision's file names.
PUBLISHED = {
    "resnet18": _shape(False, (2, 2, 2, 2)),
    "resnet34": _shape(False, (3, 4, 6, 3)),
    "resnet50": _shape(True, (3, 4, 6, 3)),
    "resnet101": _shape(True, (3, 4, 23, 3)),
    "resnet152": _shape(True, (3, 8, 36, 3)),
    "wide_resnet50_2": _shape(True, (3, 4, 6, 3), wider=2),
    "wide_resnet101_2": _shape(True, (3, 4, 23, 3), wider=2),
}


def timm_network(content: Mapping[str, Any]) -> str | None:
    """The network that the ``config.json`` of a folder of timm names.

    Returns:
        A key of `PUBLISHED`; None for any other network, and any other folder.
    """
    if "model_type" in content:
        return None
    name = str(content.get("architecture")).partition(".")[0]  # the part after the dot describes its training
    return name if name in PUBLISHED else None
