"""Tokens of a ResNet's stages as computed by the authors of PatchCore and PaDiM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from zsad.features.cnn.extractor import MapsExtractor
from zsad.features.cnn.family import PATCH
from zsad.features.cnn.published import POOLED, SIDE, Embedding
from zsad.features.cnn.trunk import Trunk

if TYPE_CHECKING:
    from zsad.features.cnn.family import Cnn
    from zsad.features.execution import Execution


class PublishedExtractor(MapsExtractor):
    """Raw outputs of stages, combined as in a paper: neither standardised nor of unit length, and without a margin.

    Args:
        trunk: the network, on the CPU, in float32, with the maps of the embedding's stages.
        embedding: the published embedding.
        backbone, model: see `MapsExtractor`.
    """

    def __init__(
        self, trunk: Trunk, embedding: Embedding, backbone: Cnn, execution: Execution, model: dict[str, Any]
    ) -> None:
        super().__init__(trunk, backbone, execution, model)
        self.layers = [embedding.name]
        self.channels = embedding.token_channels([layer.channels for layer in trunk.layers])
        self.model["patch_size"] = embedding.stride
        self._finer = PATCH // embedding.stride
        self._joined = JOINED[embedding.name]

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the tokens of an image of ``height x width`` pixels."""
        rows, columns = self.prepare.grid_size(height, width)
        return rows * self._finer, columns * self._finer

    def tokens_of_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See `BatchedExtractor.tokens_of_images`."""
        maps = [values.float() for values in self.maps_of_pixels(self.normalised(images))]
        patch_tokens = self._joined(maps).permute(0, 2, 3, 1)[:, None]
        return patch_tokens, patch_tokens.mean(dim=(2, 3))


def patchcore_maps(maps: Sequence[Tensor]) -> Tensor:
    """PatchCore's features (Roth et al., CVPR 2022, section 3.1, in the steps of the authors' code).

    A cell and its eight neighbours, zeros beyond the border, are ``9 C`` values, channel by channel; they are averaged
    in 1024 consecutive runs of nearly equal length, which may overlap by one value. Coarser layers are resampled
    bilinearly to the grid of the first. The concatenated runs of all layers are averaged in 1024 runs again. (The code
    interpolates before it averages; both are linear, and the order does not matter.)

    Args:
        maps: ``[image, channel, row, column]`` of each layer, the finest first.

    Returns:
        ``[image, 1024, row, column]``.
    """
    size = maps[0].shape[-2:]
    pooled = [_neighbourhoods(values) for values in maps]
    on_grid = [F.interpolate(values, size=size, mode="bilinear", align_corners=False) for values in pooled[1:]]
    return _averaged_runs(torch.cat([pooled[0], *on_grid], dim=1))


def padim_maps(maps: Sequence[Tensor]) -> Tensor:
    """PaDiM's features (Defard et al., ICPR 2021, section III.A): layers concatenated, with the coarser ones repeated.

    Args:
        maps: ``[image, channel, row, column]`` of each layer, the finest first, each half as fine as the one before.

    Returns:
        ``[image, sum of the channels, row, column]``.
    """
    rows, columns = maps[0].shape[-2:]
    repeated = [
        values.repeat_interleave(2**place, dim=2).repeat_interleave(2**place, dim=3)[:, :, :rows, :columns]
        for place, values in enumerate(maps)
    ]
    return torch.cat(repeated, dim=1)


JOINED: Mapping[str, Callable[[Sequence[Tensor]], Tensor]] = MappingProxyType(
    {"patchcore": patchcore_maps, "padim": padim_maps}
)


def _neighbourhoods(values: Tensor) -> Tensor:
    """A map ``[image, channel, row, column]`` with the averages of its neighbourhoods for channels."""
    unfolded = F.unfold(values, SIDE, padding=SIDE // 2).unflatten(2, values.shape[-2:])
    return _averaged_runs(unfolded)


def _averaged_runs(values: Tensor) -> Tensor:
    """Channels ``[image, channel, row, column]`` averaged in runs, `POOLED` of them."""
    channels_last = values.permute(0, 2, 3, 1)
    runs: Tensor = F.adaptive_avg_pool1d(channels_last.flatten(0, 2), POOLED)
    return runs.reshape(*channels_last.shape[:3], POOLED).permute(0, 3, 1, 2)
