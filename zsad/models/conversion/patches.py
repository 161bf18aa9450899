"""The patch embedding, which is the same in all vision transformers here."""

from __future__ import annotations

from typing import NamedTuple

from zsad.errors import ModelError
from zsad.models.conversion.weights import OriginalWeights

PATCH_EMBEDDING = "patch_embed.proj"


class PatchEmbedding(NamedTuple):
    """The sizes of a model that its kernel gives.

    Attributes:
        width: channels of a token.
        channels: of the image.
        side: of a patch, pixels.
    """

    width: int
    channels: int
    side: int

    @classmethod
    def of(cls, weights: OriginalWeights) -> PatchEmbedding:
        """Read it from the shape ``[width, channel, side, side]``.

        Raises:
            ModelError: there is no such kernel, or it is not square.
        """
        key = f"{PATCH_EMBEDDING}.weight"
        width, channels, rows, columns = weights.shape(key, 4)
        if rows != columns:
            raise weights.wrong_shape(key, "a square kernel")
        return cls(width, channels, columns)


def head_count(width: int, head_width: int, weights: OriginalWeights) -> int:
    """Heads of attention.

    Raises:
        ModelError: the width is not a multiple of that of a head.
    """
    if width % head_width:
        raise ModelError(
            f"the tokens of model '{weights.name}' have {width} channels, which cannot be divided among heads of "
            f"{head_width}; use one of the published models"
        )
    return width // head_width
