"""Options of feature extraction that only change the speed: their change makes no result again."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from zsad.registry import Options

AUTO = "auto"  # represents null among the resources of a rule


class Execution(NamedTuple):
    """How a backbone is run, which changes its speed but not its results (beyond rounding).

    Attributes:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        threads: processor cores that may be used.
        workers: processes that read images; None for a number that suits device, threads and images, 0 for none.
        batch: images at a time; None for a number that suits the device.
        compiled: whether the network is compiled by ``torch.compile`` first.
    """

    device: str = "auto"
    threads: int = 1
    workers: int | None = 0
    batch: int | None = None
    compiled: bool = False


class ExtractionOptions(Options):
    """The section ``extraction`` of the configuration."""

    batch: int | None = Field(
        None, ge=1, description="images at a time; null for a number that suits the device (halved if memory runs out)"
    )
    workers: int | None = Field(
        None,
        ge=0,
        description="processes that read images for the network; null for a number that suits the device and the "
        "images, 0 for none",
    )
    compile: bool = Field(
        False, description="whether networks are compiled by torch.compile first: a minute of waiting, then faster"
    )

    def resource(self, name: str) -> str:
        """An option as a resource of a rule: unlike a parameter, its change runs nothing again."""
        value = getattr(self, name)
        return AUTO if value is None else str(int(value))


def execution_of(*, device: str, threads: int, batch: str | int, workers: str | int, compiled: str | int) -> Execution:
    """The execution for a job's threads and resources."""
    return Execution(
        device=device,
        threads=threads,
        workers=None if workers == AUTO else int(workers),
        batch=None if batch == AUTO else int(batch),
        compiled=bool(int(compiled)),
    )
