"""The tokens of DINOv3 with the head of dino.txt (Jose et al., CVPR 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zsad.models.dinotxt.networks import VisionHead
from zsad.models.families.base import KeptOutputs, TokenReader
from zsad.models.image_text.vectors import image_vectors, padded


class DinoTxtReader(TokenReader):
    """Patch tokens, and the vector of the whole image beside them.

    The vector of an image is the class token behind the head, and the mean of the patches behind it. Patches are
    compared with the second half of a text, so that those of the head have zeros in the place of the first.

    Args:
        network: takes pixels ``[image, 3, height, width]``.
        blocks: of that network.
        norm: its final LayerNorm.
        head: takes the normed tokens of the last block.
        chosen: places of the blocks whose outputs are patch tokens.
        normed: whether they go through ``norm``; not used of those of the head, which always do.
        projected: whether the patch tokens are those of the head, the only ``chosen`` one being the last.
        width: channels of a token of the network.
    """

    cls_source = "class token"

    def __init__(
        self,
        network: nn.Module,
        blocks: nn.ModuleList,
        norm: nn.Module,
        head: VisionHead,
        chosen: Sequence[int],
        *,
        normed: bool,
        projected: bool,
        patch: int,
        prefix_tokens: int,
        width: int,
    ) -> None:
        self.patch = self.stride = patch
        self.prefix_tokens = prefix_tokens
        self.layers = [str(block) for block in chosen]
        self.channels = 2 * width
        self._network = network
        self._norm = norm
        self._head = head
        self._normed = normed
        self._projected = projected
        self._width = width
        self._kept = KeptOutputs([*(blocks[block] for block in chosen), blocks[-1]])

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See `TokenReader.__call__`."""
        *states, last = self._kept.of(lambda: self._network(pixels))
        behind_head = self._head(self._norm(last))
        patches = behind_head[:, self.prefix_tokens :]
        image = torch.cat([behind_head[:, 0], patches.mean(dim=1)], dim=-1)
        if self._projected:
            layers = pad(patches[:, None], (self._width, 0))
        else:
            layers = padded(self._own(states)[:, :, self.prefix_tokens :], self.channels)
        rows, columns = (side // self.stride for side in pixels.shape[-2:])
        return layers.unflatten(2, (rows, columns)), image_vectors(image, len(self.layers), self.channels)

    def compile(self, **options: Any) -> None:
        """See `TokenReader.compile`."""
        self._network.compile(**options)
        self._head.compile(**options)

    def _own(self, states: Sequence[Tensor]) -> Tensor:
        """The network's own tokens ``[image, layer, token, channel]``."""
        stacked = torch.stack(list(states), dim=1)
        normed: Tensor = self._norm(stacked) if self._normed else stacked
        return normed
