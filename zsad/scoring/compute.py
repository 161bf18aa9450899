"""Resources of a scorer: device, memory budget, and number format of matrix products."""

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
        description="memory for tokens, distances and tables; it changes the speed and at most the last digits, so "
        "that a change does not run jobs again",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="number format of matrix products: auto (which is float32, so that figures are the same on all "
        "machines), float32, bfloat16 or float16",
    )


class Compute(NamedTuple):
    """Where and how a scorer computes.

    Attributes:
        device: torch device, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        memory: bytes that the scorer's blocks of tokens, distances and tables may take together.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    The rounding of float32 sums depends on the size of blocks, and so on the memory, and on the number of threads:
    distances may then differ in their seventh digit, which no table shows.
    """

    device: str = "cpu"
    memory: int = 1000 * MEGABYTE
    precision: str = "float32"

    @property
    def format(self) -> torch.dtype:
        """Number format of the operands of matrix products; ``"auto"`` is float32 on every device.

        Image scores from bfloat16 are off by up to 0.3 % and those from float16 by 0.04 %. That swaps images in a
        ranking, moves thresholds, and changes the outlines of refiners, so that every table would depend on the
        machine. Features are different: the same ones serve all methods, see `zsad.device.number_format`.

        Raises:
            ConfigError: float16 on a CPU.
        """
        return number_format("float32" if self.precision == "auto" else self.precision, self.device)

    def count(self, bytes_each: int, share: float = 1.0) -> int:
        """How many items of ``bytes_each`` fit into a share of the memory; at least one."""
        return max(1, int(share * self.memory) // max(1, bytes_each))


def compute_of(*, device: str, memory_mb: str | int, precision: str) -> Compute:
    """The `Compute` of a job's resources and parameters; ``device`` may be ``"auto"``.

    Raises:
        ConfigError: the device does not exist.
    """
    return Compute(resolve_device(device), int(memory_mb) * MEGABYTE, precision)
