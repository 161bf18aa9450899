"""The scorers and fusions by name: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.registry import Registry
from zsad.scoring.base import Scorer

if TYPE_CHECKING:  # a scorer's result does not depend on how scores are fused
    from zsad.scoring.fusion import Fusion

SCORERS: Registry[Scorer] = Registry(
    "scorer",
    {
        "self_similarity": "zsad.scoring.self_similarity:SelfSimilarity",
        "mirror_symmetry": "zsad.scoring.mirror_symmetry:MirrorSymmetry",
        "flip_consistency": "zsad.scoring.flip_consistency:FlipConsistency",
        "mutual": "zsad.scoring.mutual:Mutual",
        "memory_bank": "zsad.scoring.memory_bank:MemoryBank",
    },
)

FUSIONS: Registry[Fusion] = Registry("fusion", {"fusion": "zsad.scoring.fusion:Fusion"})
