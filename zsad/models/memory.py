"""Memory of devices: kept if that is faster, released if there is too little."""

from __future__ import annotations

import ctypes
import gc
import platform

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
LARGEST_KEPT_BLOCK = 32 * 2**20  # bytes; glibc's maximum
LARGEST_KEPT_HEAP = 2**30  # bytes
SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of a computation means that the device, or the machine, has too little memory for it.

    CUDA has its own error; the CPU's allocator and MPS raise a plain ``RuntimeError``.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def keep_freed_memory() -> None:
    """Let the C library keep the memory that the network frees, instead of returning it to the system.

    Without this, every activation gets new pages, which the system must zero: on a CPU that is a sixth of the time of a
    small network. It only affects glibc; elsewhere nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BLOCK)
    library.mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT_HEAP)


def release(device: str) -> None:
    """Release unused memory to the device."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
