"""Published embeddings of a ResNet's stages: their layers and token layouts.

`zsad.features.cnn.published_tokens` computes them; nothing here imports a framework.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

POOLED: Final = 1024  # channels that PatchCore pools a layer to, and all layers together
SIDE: Final = 3  # of PatchCore's neighbourhood, cells of a layer's own map


class Embedding(NamedTuple):
    """An embedding.

    Attributes:
        name: of the only layer of its tokens.
        stages: that it reads, counted from 1; the first defines the grid.
        stride: of the grid, pixels.
        channels: of a token; None for the concatenated channels of all stages.
        unfolded: intermediate values per channel of a map's cell.
    """

    name: str
    stages: tuple[int, ...]
    stride: int
    channels: int | None = None
    unfolded: int = 1

    def token_channels(self, widths: Sequence[int]) -> int:
        """Width of a token.

        Args:
            widths: channels of the stages' outputs.
        """
        return sum(widths) if self.channels is None else self.channels

    def values_at_once(self, widths: Sequence[int], rows: int, columns: int) -> int:
        """Values of all maps for a grid of ``rows x columns`` tokens, unfolded and resampled to that grid."""
        return rows * columns * self.unfolded * sum(widths)


EMBEDDINGS: Mapping[str, Embedding] = MappingProxyType(
    {
        "patchcore": Embedding("patchcore", (2, 3), stride=8, channels=POOLED, unfolded=SIDE**2),
        "padim": Embedding("padim", (1, 2, 3), stride=4),
    }
)
