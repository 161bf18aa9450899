"""The shape of the residual head, and what it costs: known without torch, which takes its time to import."""

from __future__ import annotations

from typing import Final, Literal

Input = Literal["residual", "concatenated", "sum"]
FINER: Final = 4  # cells of the head's map along a side of a patch
LARGEST: Final = 10  # positions of which the image head averages the largest values
WIDTHS: Final = (128, 64)  # of the convolutions, and of the layers of the image head
KERNEL: Final = 3  # of the convolutions, along a side
BATCH: Final = 4  # images of a step, half of them anomalous
STATES: Final = 2  # normal and anomalous


def input_channels(channels: int, kind: Input) -> int:
    """How wide the head's input is, of tokens of so many channels."""
    return 2 * channels if kind == "concatenated" else channels


def head_operations(channels: int) -> float:
    """Multiplications and additions for each patch of an image, of an input of so many channels."""
    wide, narrow = WIDTHS
    window = KERNEL**2
    coarse = window * channels * wide + 4 * wide**2
    middle = 4 * (window * wide * narrow + 4 * narrow**2)
    return 2.0 * (coarse + middle + FINER**2 * narrow * STATES)


def head_values(channels: int) -> float:
    """Numbers that are kept of each patch while the head is trained: what each layer gives to the next."""
    wide, narrow = WIDTHS
    return 2.0 * channels + 3 * wide + 4 * (wide + 3 * narrow) + FINER**2 * (narrow + STATES)
