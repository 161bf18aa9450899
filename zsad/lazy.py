"""Modules that are imported at their first use.

Snakemake reads the declarations of every scorer and backbone each time it starts; importing torch there would
more than double that time (1.9 s on a laptop, far more from a cluster's network disk).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import transformers
else:

    class _LazyModule:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    torch = _LazyModule("torch")
    transformers = _LazyModule("transformers")

__all__ = ["torch", "transformers"]
