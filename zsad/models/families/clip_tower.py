"""CLIP's image tower in parts (Radford et al., ICML 2021), for readers with other paths through it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zsad.lazy import torch
from zsad.models.families.base import TokenReader
from zsad.models.image_text.vectors import image_vectors, padded
from zsad.models.positions import Positions

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPVisionModelWithProjection


class ClipTower(NamedTuple):
    """The parts of an image tower.

    Attributes:
        network: the tower, with its projection.
        patch: side of a patch, pixels.
        positions: the interpolation of its positions to another grid.
        class_norm: whether the final LayerNorm is applied to the class token before its projection.
    """

    network: CLIPVisionModelWithProjection
    patch: int
    positions: Positions
    class_norm: bool

    @property
    def blocks(self) -> Sequence[Any]:
        """The blocks, in order, ``CLIPEncoderLayer`` of ``transformers``."""
        blocks: Any = self.network.vision_model.encoder.layers
        return list(blocks)

    @property
    def heads(self) -> int:
        """Number of heads of each block's attention."""
        heads: int = self.network.config.num_attention_heads
        return heads

    def embedded(self, pixels: Tensor) -> Tensor:
        """The input of the first block: class token and patches with their positions, after the first LayerNorm.

        Args:
            pixels: ``[image, 3, height, width]``.

        Returns:
            float32 ``[image, 1 + patch, channel]``.
        """
        from zsad.models.interpolation import positions_for  # imports torch

        parts: Any = self.network.vision_model.embeddings
        patches = parts.patch_embedding(pixels.to(parts.patch_embedding.weight.dtype))
        rows, columns = patches.shape[-2:]
        positions = positions_for(parts.position_embedding.weight, rows, columns, self.positions)
        classes = parts.class_embedding.expand(len(pixels), 1, -1)
        tokens = torch.cat([classes, patches.flatten(2).transpose(1, 2).float()], dim=1) + positions
        normed: Tensor = self.network.vision_model.pre_layrnorm(tokens)
        return normed

    def normed(self, tokens: Tensor) -> Tensor:
        """Apply the final LayerNorm."""
        normed: Tensor = self.network.vision_model.post_layernorm(tokens)
        return normed

    def projected(self, tokens: Tensor) -> Tensor:
        """Apply the final LayerNorm and the projection into the space of texts."""
        projected: Tensor = self.network.visual_projection(self.normed(tokens))
        return projected

    def vectors(self, class_tokens: Tensor) -> Tensor:
        """The vectors of whole images ``[image, channel]``, from the last block's class tokens."""
        if self.class_norm:
            return self.projected(class_tokens)
        vectors: Tensor = self.network.visual_projection(class_tokens)
        return vectors


class ClipReader(TokenReader):
    """Reads an image tower by one of its paths.

    Args:
        layers: their names.
        channels: width of a token, and of an image's vector with the zeros at its end.
    """

    prefix_tokens = 1
    cls_source = "class token"

    def __init__(self, tower: ClipTower, layers: Sequence[str], channels: int) -> None:
        self.patch = self.stride = tower.patch
        self.layers, self.channels = list(layers), channels
        self._tower = tower
        self._read = self._layers_and_vectors

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See `TokenReader.__call__`."""
        layers, vectors = self._read(pixels)
        rows, columns = (side // self.patch for side in pixels.shape[-2:])
        tokens = torch.stack([padded(layer, self.channels).float() for layer in layers], dim=1)
        return tokens.unflatten(2, (rows, columns)), image_vectors(vectors, len(layers), self.channels)

    def compile(self, **options: Any) -> None:
        """See `TokenReader.compile`."""
        self._read = torch.compile(self._read, **options)

    @abstractmethod
    def _layers_and_vectors(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """The layers' tokens, each ``[image, patch, channel]``, and the images' vectors ``[image, channel]``."""
