"""The scorers and fusions by name: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.registry import Registry
from zsad.scoring.base import Scorer

if TYPE_CHECKING:  # so that scoring does not depend on the code of fusions
    from zsad.scoring.fusion import Fusion

SCORERS: Registry[Scorer] = Registry(
    "scorer",
    {
        "self_similarity": "zsad.scoring.self_similarity:SelfSimilarity",
        "mirror_symmetry": "zsad.scoring.mirror_symmetry:MirrorSymmetry",
        "flip_consistency": "zsad.scoring.flip_consistency:FlipConsistency",
        "tile_distribution": "zsad.scoring.tile_distribution:TileDistribution",
        "mutual": "zsad.scoring.mutual:Mutual",
        "mutual_consistent": "zsad.scoring.mutual_consistent:MutualConsistent",
        "batch_neighbours": "zsad.scoring.batch_neighbours:BatchNeighbours",
        "memory_bank": "zsad.scoring.memory_bank:MemoryBank",
        "patchcore": "zsad.scoring.patchcore:PatchCore",
        "subspace": "zsad.scoring.subspace:Subspace",
        "mahalanobis": "zsad.scoring.mahalanobis:Mahalanobis",
        "padim": "zsad.scoring.padim:Padim",
        "gmm": "zsad.scoring.gmm:GMM",
        "class_token_knn": "zsad.scoring.class_token_knn:ClassTokenKnn",
        "flow": "zsad.scoring.flow:Flow",
        "coupling_flow": "zsad.scoring.coupling_flow:CouplingFlow",
        "visual_prompts": "zsad.scoring.visual_prompts:VisualPrompts",
        "prompt_memory": "zsad.scoring.prompt_memory:PromptMemory",
        "residual_prompts": "zsad.scoring.residual_prompts:ResidualPrompts",
        "text_similarity": "zsad.scoring.text_similarity:TextSimilarity",
        "winclip": "zsad.scoring.winclip:WinClip",
        "winclip_plus": "zsad.scoring.winclip_plus:WinClipPlus",
    },
)

FUSIONS: Registry[Fusion] = Registry("fusion", {"fusion": "zsad.scoring.fusion:Fusion"})
