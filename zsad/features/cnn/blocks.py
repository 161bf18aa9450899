"""The sizes of the blocks of the EfficientNet-Lites, without a framework, for use before a network is loaded.

EfficientNet (Tan and Le, ICML 2019, table 1) with the scaling of its Lite variants (TensorFlow's
``efficientnet_lite_builder.py``): neither the stem nor the head is widened, and neither the first nor the last stage is
deepened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from zsad.features.cnn.places import Cells, MapLayer

STEM_CHANNELS, STEM_KERNEL, HEAD_CHANNELS, CLASSES = 32, 3, 1280, 1000
WIDTH_STEP = 8  # widths are multiples of it
# Repetitions, kernel, stride, expansion, channels of each stage of the smallest network.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# Offset in pixels of a map's cells from the middle of their kernels, by stride: the centroid of the response to a dot,
# averaged over dots on noise, is within 1 px of it in all three networks (for stride 32: 1 px in two, 8 in lite2).
LEADS = {2: 0.0, 4: 0.5, 8: 4.0, 16: 5.5, 32: 11.0}


class Block(NamedTuple):
    """An inverted residual block.

    Attributes:
        kernel: side of its depthwise convolution.
        stride: 1 or 2.
        expansion: ratio of its inner width to its input's width.
        inputs, outputs: channels.
        total_stride: of its output, pixels of the image.
        is_last: of its stage.
    """

    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int
    total_stride: int
    is_last: bool

    @property
    def width(self) -> int:
        """Channels inside."""
        return self.inputs * self.expansion

    @property
    def is_residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs


def blocks_of(width: float, depth: float) -> tuple[Block, ...]:
    """All blocks of a network, in order.

    Args:
        width, depth: relative to the smallest network.
    """
    return tuple(_blocks(width, depth))


def _blocks(width: float, depth: float) -> Iterator[Block]:
    inputs, total = STEM_CHANNELS, 2
    for stage, (number, kernel, stride, expansion, channels) in enumerate(STAGES):
        repeats = number if stage in (0, len(STAGES) - 1) else math.ceil(number * depth)
        outputs = _rounded(channels * width)
        for place in range(repeats):
            own = stride if place == 0 else 1
            total *= own
            yield Block(kernel, own, expansion, inputs, outputs, total, place == repeats - 1)
            inputs = outputs


def _rounded(width: float) -> int:
    """The nearest multiple of the step, but not less than nine tenths of the width."""
    nearest = max(WIDTH_STEP, int(width + WIDTH_STEP / 2) // WIDTH_STEP * WIDTH_STEP)
    return nearest if nearest >= 0.9 * width else nearest + WIDTH_STEP


def kept_layers(blocks: Sequence[Block], kept: Sequence[int]) -> list[MapLayer]:
    """The blocks at the indices ``kept`` as layers."""
    return [MapLayer(str(place), cells_of(blocks[place].total_stride), blocks[place].outputs) for place in kept]


def cells_of(stride: int) -> Cells:
    """The image positions of a map's cells for a stride.

    TensorFlow pads less before than after for a convolution with stride 2, so that the middle of the kernels of cell
    ``i`` is at ``stride * (i + 1) - 1/2``. But the trained networks compensate a part of it: their strided kernels have
    more weight before their middle than after.
    """
    return Cells(stride, stride - 0.5 - LEADS[stride])


def operations(blocks: Sequence[Block], height: int, width: int) -> float:
    """Multiplications and additions of the stem and of ``blocks`` for an input of ``height x width`` pixels."""
    products = 3 * STEM_KERNEL**2 * STEM_CHANNELS * _cells(height, width, 2)
    for block in blocks:
        within = _cells(height, width, block.total_stride // block.stride)
        after = _cells(height, width, block.total_stride)
        if block.expansion > 1:
            products += block.inputs * block.width * within
        products += (block.kernel**2 + block.outputs) * block.width * after
    return 2.0 * products


def widest_values(blocks: Sequence[Block], height: int, width: int) -> int:
    """Most values that a block holds at once: those inside it, before and after its depthwise convolution."""
    return max(
        block.width
        * (_cells(height, width, block.total_stride // block.stride) + _cells(height, width, block.total_stride))
        for block in blocks
    )


def _cells(height: int, width: int, stride: int) -> int:
    return -(-height // stride) * -(-width // stride)
