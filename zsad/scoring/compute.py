"""What a scorer may use: the device, a budget of memory, and the number format of its matrix products."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from zsad.device import number_format, resolve_device
from zsad.lazy import torch
from zsad.registry import Options

MEGABYTE = 1_000_000


class ScoringOptions(Options):
    """The section ``scoring`` of the configuration."""

    memory_mb: int = Field(
        1000,
        ge=16,
        description="for tokens, distances and tables at a time; it changes the speed, and at most the last digits, so "
        "that nothing is computed anew for it",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="of matrix products: auto (which is float32, so that figures are the same on all machines), "
        "float32, "
        "bfloat16 or float16",
    )


class Compute(NamedTuple):
    """Where and how a scorer computes.

    Attributes:
        device: torch device, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        memory: bytes that the scorer's blocks of tokens, distances and tables may take together.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Sums of float32 are rounded in another order where blocks, and so the memory, or the number of threads are others:
    distances may then differ in their seventh digit, and no table shows it.
    """

    device: str = "cpu"
    memory: int = 1000 * MEGABYTE
    precision: str = "float32"

    @property
    def format(self) -> torch.dtype:
        """Number format of the operands of matrix products; ``"auto"`` is float32 on every device.

        Image scores from bfloat16 are off by up to 0.3 % and those from float16 by 0.04 %. That swaps images in a
        ranking, moves thresholds, and lets refiners draw other outlines, so that every table would tell which machine
        it was made on. Features are another matter: the same ones serve all methods, see `zsad.device.number_format`.

        Raises:
            ConfigError: float16 on a CPU.
        """
        return number_format("float32" if self.precision == "auto" else self.precision, self.device)

    def count(self, bytes_each: int, share: float = 1.0) -> int:
        """How many things of ``bytes_each`` fit into a share of the memory; at least one."""
        return max(1, int(share * self.memory) // max(1, bytes_each))


def compute_of(*, device: str, memory_mb: str | int, precision: str) -> Compute:
    """What a job's resources and parameters stand for; ``device`` may be ``"auto"``.

    Raises:
        ConfigError: the device does not exist.
    """
    return Compute(resolve_device(device), int(memory_mb) * MEGABYTE, precision)
