"""What a configuration asks for in bfloat16 that the processor of this machine would have to emulate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zsad.device import EMULATED, processor_has_bfloat16

if TYPE_CHECKING:
    from zsad.workflow.settings import Settings

BFLOAT16 = "bfloat16"


def emulation_sentences(settings: Settings) -> list[str]:
    """A sentence for each part of the configuration; none where the processor has bfloat16, or a GPU computes.

    It reads what the operating system says of the processor and imports no torch.
    """
    device = settings.config["device"]
    if device not in ("auto", "cpu") or (device == "auto" and shutil.which("nvidia-smi") is not None):
        return []
    if processor_has_bfloat16() is not False:
        return []
    return [f"{asking}: {EMULATED.format(place='this processor')}" for asking in _asking(settings)]


def _asking(settings: Settings) -> Iterator[str]:
    """The parts of the configuration that ask for bfloat16, as people call them."""
    if settings.scoring.precision == BFLOAT16:
        yield "scoring.precision"
    for kind, named in (("backbone", settings.backbones), ("segmenter", settings.segmenters)):
        yield from (f"{kind} '{name}'" for name, entry in named.items() if entry.params.get("dtype") == BFLOAT16)
