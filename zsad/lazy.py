"""Modules that are imported at their first use.

Snakemake reads the declarations of every scorer and backbone each time it starts; importing torch there would
more than double that time (1.9 s on a laptop, far more from a cluster's network disk).
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from zsad.timing import IMPORTS, counted

if TYPE_CHECKING:
    import torch
    import transformers
else:

    class _LazyModule:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            if self._name not in sys.modules:
                with counted(IMPORTS):
                    importlib.import_module(self._name)
            # Not the entry of `sys.modules`: another thread may be importing it; this waits until the import is
            # complete.
            return getattr(importlib.import_module(self._name), attribute)

    torch = _LazyModule("torch")
    transformers = _LazyModule("transformers")

__all__ = ["torch", "transformers"]
