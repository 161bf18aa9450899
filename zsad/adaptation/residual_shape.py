"""Shape and cost of the residual head, available without importing torch, which is slow."""

from __future__ import annotations

from typing import Final, Literal

Input = Literal["residual", "concatenated", "sum"]
FINER: Final = 4  # cells of the head's map along a side of a patch
LARGEST: Final = 10  # number of largest values that the image head averages
WIDTHS: Final = (128, 64)  # of the convolutions, and of the layers of the image head
KERNEL: Final = 3  # of the convolutions, along a side
BATCH: Final = 4  # images of a step, half of them anomalous
STATES: Final = 2  # normal and anomalous


def input_channels(channels: int, kind: Input) -> int:
    """Width of the head's input for tokens of so many channels."""
    return 2 * channels if kind == "concatenated" else channels


def head_operations(channels: int) -> float:
    """Multiplications and additions for each patch of an image, for an input of so many channels."""
    wide, narrow = WIDTHS
    window = KERNEL**2
    coarse = window * channels * wide + 4 * wide**2
    middle = 4 * (window * wide * narrow + 4 * narrow**2)
    return 2.0 * (coarse + middle + FINER**2 * narrow * STATES)


def head_values(channels: int) -> float:
    """Numbers kept for each patch while the head is trained: the outputs of all layers."""
    wide, narrow = WIDTHS
    return 2.0 * channels + 3 * wide + 4 * (wide + 3 * narrow) + FINER**2 * (narrow + STATES)
