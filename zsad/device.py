"""Where models and matrix products run."""

from __future__ import annotations

from zsad.errors import ConfigError, nearest_hint
from zsad.lazy import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """The torch device to use: ``"cuda"``, ``"mps"`` or ``"cpu"``; ``"auto"`` takes the first of them that there is.

    It imports torch, so whoever does without torch should not call it.

    Raises:
        ConfigError: the device does not exist, on this machine or at all.
    """
    if device not in DEVICES:
        raise ConfigError(f"there is no device '{device}'{nearest_hint(device, DEVICES)}")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, is_present in present.items() if is_present)
    if not present[device]:
        raise ConfigError(f"device '{device}' is asked for but torch finds none here; use 'auto' or 'cpu'")
    return device
