"""Positional de-biasing: remove the part of tokens that encodes the position instead of the content.

DINOv3's tokens carry the absolute position of their patch, in directions that an image without content shows (INSID3,
CVPR 2026; no training). It helps if content is not aligned, as in textures, and may hurt if the same position shows the
same part of an object in every image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zsad.errors import ConfigError
from zsad.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def positional_basis(tokens: Tensor, components: int) -> Tensor:
    """The directions in which the tokens of an image without content differ most.

    Args:
        tokens: of one black image, ``[layer, row, column, channel]``.
        components: how many directions.

    Returns:
        float32 ``[layer, channel, component]``; orthonormal within a layer, the strongest direction first.

    Raises:
        ConfigError: there are not that many directions.
    """
    layers, rows, columns, channels = tokens.shape
    most = min(rows * columns, channels) - 1  # centring removes one
    if components > most:
        raise ConfigError(
            f"debias {components} is more than the {most} directions of {rows} x {columns} patches with {channels} "
            f"channels; use at most {most}"
        )
    directions = torch.nn.functional.normalize(tokens.float().reshape(layers, rows * columns, channels), dim=-1)
    centred = directions - directions.mean(dim=1, keepdim=True)
    _, _, right = torch.linalg.svd(centred, full_matrices=False)
    basis: Tensor = right[:, :components].transpose(1, 2).contiguous()
    return basis


def without_positions(tokens: Tensor, basis: Tensor) -> Tensor:
    """Tokens without their components in the directions of a basis: ``x - U U^T x``.

    The paper normalises them afterwards; here they keep their length, since scorers normalise if they need unit
    vectors.

    Args:
        tokens: ``[..., layer, row, column, channel]``.
        basis: from `positional_basis`, of the same layers.

    Returns:
        float32, of the shape of ``tokens``.
    """
    tokens = tokens.float()
    per_layer = basis[:, None]  # [layer, 1, channel, component]
    return tokens - torch.matmul(torch.matmul(tokens, per_layer), per_layer.transpose(-1, -2))


class BasisCache:
    """The bases of one model and choice of layers, by the size of the input, each computed once.

    Args:
        basis_for: computes the basis for inputs of a height and width in pixels.
    """

    def __init__(self, basis_for: Callable[[int, int], Tensor]) -> None:
        self._basis_for = basis_for
        self._bases: dict[tuple[int, int], Tensor] = {}

    def basis(self, height: int, width: int) -> Tensor:
        """The basis for inputs of that size."""
        if (height, width) not in self._bases:
            self._bases[height, width] = self._basis_for(height, width)
        return self._bases[height, width]
