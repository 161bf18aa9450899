"""Warn about bfloat16 in a configuration that the processor of this machine would have to emulate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zsad.device import EMULATED, processor_has_bfloat16

if TYPE_CHECKING:
    from zsad.workflow.settings import Settings

BFLOAT16 = "bfloat16"


def emulation_sentences(settings: Settings) -> list[str]:
    """One sentence per section of the configuration; empty if the processor supports bfloat16, or a GPU computes.

    It reads the operating system's facts about the processor and does not import torch.
    """
    device = settings.config["device"]
    if device not in ("auto", "cpu") or (device == "auto" and shutil.which("nvidia-smi") is not None):
        return []
    if processor_has_bfloat16() is not False:
        return []
    return [f"{asking}: {EMULATED.format(place='this processor')}" for asking in _asking(settings)]


def _asking(settings: Settings) -> Iterator[str]:
    """The sections of the configuration that request bfloat16, in words."""
    if settings.scoring.precision == BFLOAT16:
        yield "scoring.precision"
    for kind, named in (("backbone", settings.backbones), ("segmenter", settings.segmenters)):
        yield from (f"{kind} '{name}'" for name, entry in named.items() if entry.params.get("dtype") == BFLOAT16)
