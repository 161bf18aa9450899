"""The scorers by name: one line each."""

from zsad.registry import Registry
from zsad.scoring.base import Scorer

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
