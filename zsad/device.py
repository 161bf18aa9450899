"""The device and the number format of models and matrix products."""

from __future__ import annotations

import functools
import logging
import re
from pathlib import Path

from zsad.errors import ConfigError, nearest_hint
from zsad.lazy import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PROCESSOR = Path("/proc/cpuinfo")
NATIVE_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # the last of ARM
EMULATED = (
    "bfloat16 is requested, but {place} only emulates it: products take 3 to 12 times as long as in "
    "float32; use 'auto' or 'float32'"
)

logger = logging.getLogger(__name__)


def resolve_device(device: str) -> str:
    """The torch device to use: ``"cuda"``, ``"mps"`` or ``"cpu"``; ``"auto"`` takes the first one available.

    It imports torch, so that code without torch should not call it.

    Raises:
        ConfigError: the device does not exist, on this machine or at all.
    """
    if device not in DEVICES:
        raise ConfigError(f"there is no device '{device}'{nearest_hint(device, DEVICES)}")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, is_present in present.items() if is_present)
    if not present[device]:
        raise ConfigError(f"device '{device}' is requested, but torch does not find it here; use 'auto' or 'cpu'")
    return device


def number_format(dtype: str, device: str) -> torch.dtype:
    """The format to compute in; ``"auto"`` is bfloat16 if the device computes in it natively, else float32.

    This is the only place where a format is chosen. If bfloat16 is requested and would be emulated, one warning is
    logged. It is for networks, whose features then depend slightly on the machine (a mean cosine of 0.99999);
    provenance records the format. Scoring from features uses `zsad.scoring.compute.Compute.format`, for which
    ``"auto"`` is float32.

    Raises:
        ConfigError: float16 on a CPU, which is hundreds of times as slow there.
    """
    if dtype == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if dtype == "float16" and device == "cpu":
        raise ConfigError("dtype 'float16' is very slow on CPUs; use 'auto' or 'float32'")
    if dtype == "bfloat16" and not _has_bfloat16(device):
        _warn_of_emulation(device)
    named: torch.dtype = getattr(torch, dtype)
    return named


def processor_has_bfloat16() -> bool | None:
    """Whether this machine's processor computes in bfloat16 natively, without torch; None if unknown."""
    try:
        described = PROCESSOR.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", described, re.MULTILINE)
    return None if flags is None else not NATIVE_FLAGS.isdisjoint(flags[1].split())


@functools.cache
def _warn_of_emulation(device: str) -> None:
    logger.warning(EMULATED.format(place=f"device '{device}'"))


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
