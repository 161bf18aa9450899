"""Tokens in memory as a feature file, for stages that read such."""

from __future__ import annotations

from pathlib import Path

from zsad.files.features import FeatureWriter
from zsad.scoring.token_source import MemoryTokens


def written_tokens(tokens: MemoryTokens, path: Path) -> Path:
    """The same tokens in a feature file."""
    writer = FeatureWriter(
        path,
        tokens.image_ids,
        tokens.provenance,
        layers=tokens.layers,
        channels=tokens.channels,
        grid_sizes=tokens.grid_sizes,
        cls_source=tokens.cls_source,
    )
    with writer:
        for index in range(len(tokens)):
            writer.write(index, tokens.half_tokens(index), tokens.cls_tokens_of(index))
    return path
