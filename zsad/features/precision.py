"""The number format that a network computes in.

Weights of matrix products and convolutions are stored in the format, and inference runs under ``torch.autocast``, so
that the sums along the network's depth, its norms and its scales stay in float32. That is both closer to float32 than
a network that is converted as a whole (mean patch cosine 0.99999 against 0.99995, DINOv3 ViT-S/16 of random weights)
and faster than autocast alone, which converts all weights anew for every image.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from zsad.errors import ConfigError

PRODUCTS = (torch.nn.Linear, torch.nn.Conv2d)


def number_format(dtype: str, device: str) -> torch.dtype:
    """The format to compute in; ``"auto"`` is bfloat16 where the device computes in it natively, else float32.

    Raises:
        ConfigError: float16 on a CPU, which is hundreds of times as slow there.
    """
    if dtype == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if dtype == "float16" and device == "cpu":
        raise ConfigError("dtype 'float16' is not for CPUs, which compute in it very slowly; use 'auto' or 'float32'")
    return getattr(torch, dtype)


def in_format(network: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """Store the weights of matrix products and convolutions in ``dtype``, in place; return the network."""
    if dtype != torch.float32:
        for module in network.modules():
            if isinstance(module, PRODUCTS):
                module.to(dtype)
    return network


def computing_in(dtype: torch.dtype, device: str) -> AbstractContextManager[object]:
    """The context in which a network whose weights are `in_format` computes."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype)


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
