"""Checkpoints as their authors publish them, turned into what ``transformers`` loads: a configuration and weights.

Architecture and size are read from the names and shapes of the tensors, never from the name of a file. What shapes
cannot tell (epsilons of norms, the base of rotary positions) comes from the authors' code, and stands beside its
source in the module of each layout.
"""

from zsad.models.conversion.converted import Converted
from zsad.models.conversion.pth import read_pth
from zsad.models.conversion.timm import from_timm
from zsad.models.conversion.torch_hub import from_torch_hub

__all__ = ["Converted", "from_timm", "from_torch_hub", "read_pth"]
