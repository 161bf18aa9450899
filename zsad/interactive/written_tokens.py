"""Write tokens in memory to a feature file, for stages that read files."""

from __future__ import annotations

from pathlib import Path

from zsad.files.features import FeatureWriter
from zsad.scoring.token_source import TokenSource


def written_tokens(tokens: TokenSource, path: Path) -> Path:
    """Write tokens to a feature file; return its path."""
    with FeatureWriter(
        path,
        tokens.image_ids,
        tokens.provenance,
        layers=tokens.layers,
        channels=tokens.channels,
        grid_sizes=tokens.grid_sizes,
        cls_source=tokens.cls_source,
    ) as writer:
        for index in range(len(tokens)):
            writer.write(index, tokens.half_tokens(index), tokens.cls_tokens_of(index))
    return path
