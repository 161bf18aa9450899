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
    """Patch tokens, and the vector of the whole image.

    The vector of an image is the head's class token, followed by the mean of its patches. Patches are compared with the
    second half of a text, so that the head's patch tokens have zeros in the first half.

    Args:
        network: takes pixels ``[image, 3, height, width]``.
        blocks: of that network.
        norm: its final LayerNorm.
        head: takes the normed tokens of the last block.
        chosen: indices of the blocks whose outputs are patch tokens.
        normed: whether ``norm`` is applied to them; the head always uses normalised tokens.
        projected: whether the patch tokens are those of the head; then only the last block is ``chosen``.
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
