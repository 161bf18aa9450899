"""Running out of memory: how it shows on each device, and how what is free again is given back."""

from __future__ import annotations

import gc

import torch

SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of a computation means that the device, or the machine, has too little memory for it.

    CUDA has an error of its own; the CPU's allocator and MPS raise a plain ``RuntimeError``.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def release(device: str) -> None:
    """Give memory that is no longer used back to the device."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
