"""A loaded convolutional network: batches of prepared images to tokens of unit length on one grid."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zsad.device import resolve_device
from zsad.features.batched import BatchedExtractor
from zsad.features.cnn.family import PATCH
from zsad.features.cnn.places import joined_name, margin_around, reflected, sampling
from zsad.features.cnn.trunk import Trunk
from zsad.features.constant import with_constant
from zsad.features.geometry import Preparation
from zsad.models.config_sense import computed_by
from zsad.models.memory import keep_freed_memory
from zsad.models.precision import computing_in, in_channels_last, in_format

if TYPE_CHECKING:
    from zsad.features.cnn.family import Cnn
    from zsad.features.execution import Execution

REMEDY = "lower resolution, or choose a smaller model"
SIZES_REMEMBERED = 16  # images of one size come in sequence


class MapsExtractor(BatchedExtractor):
    """A convolutional network on the requested device, whose maps a subclass combines into tokens.

    Args:
        trunk: the network, on the CPU, in float32.
        backbone: its parameters.
        model: for the provenance; ``id`` is the name for messages.

    Raises:
        ConfigError: the device or the number format is not available here.
    """

    cls_source = "mean of patch tokens"
    prepare: Preparation

    def __init__(self, trunk: Trunk, backbone: Cnn, execution: Execution, model: dict[str, Any]) -> None:
        device = resolve_device(execution.device)
        dtype: torch.dtype = getattr(torch, backbone.number_format(device))
        super().__init__(name=model["id"], remedy=REMEDY, device=device, batch=execution.batch)
        torch.set_num_threads(execution.threads)
        if device == "cpu":
            keep_freed_memory()
        network = in_format(trunk.network.eval().requires_grad_(False), dtype).to(device)
        in_channels_last(network)
        if execution.compiled:
            network.compile(dynamic=False)
        self.model = {**model, "patch_size": PATCH, "prefix_tokens": 0, "dtype": str(dtype).removeprefix("torch.")}
        self.prepare = Preparation(backbone.resolution, PATCH, "short_side")
        self._network, self._dtype = network, dtype
        self._pixel_mean, self._pixel_scale = (
            torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
            for values in (trunk.pixel_mean, trunk.pixel_scale)
        )

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""
        return self.prepare.grid_size(height, width)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 ``[image, 3, height, width]`` to float32, normalised by the statistics of the training images."""
        pixels: torch.Tensor = (images.float() - self._pixel_mean) / self._pixel_scale
        return pixels

    def maps_of_pixels(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Maps ``[image, channel, row, column]`` of the kept layers for normalised images."""
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with computed_by(self._name), computing_in(self._dtype, self.device):
            maps: list[torch.Tensor] = self._network(pixels)
            return maps


class CnnExtractor(MapsExtractor):
    """The kept layers of a network, each standardised and averaged over neighbouring tokens, concatenated in one token.

    As in PatchCore (Roth et al., CVPR 2022, section 3.1), all layers are resampled to one grid and concatenated; unlike
    there, each channel is standardised by its training statistics, so that none dominates and no calibration is needed.

    Args:
        trunk, backbone, model: see `MapsExtractor`.
    """

    def __init__(self, trunk: Trunk, backbone: Cnn, execution: Execution, model: dict[str, Any]) -> None:
        super().__init__(trunk, backbone, execution, model)
        self.layers = [joined_name(trunk.layers)]
        self.channels = sum(layer.channels for layer in trunk.layers) + 1
        self._trunk, self._constant = trunk, backbone.constant
        moments = [torch.cat(values) for values in zip(*trunk.moments, strict=True)]
        self._mean, self._deviation = (values.to(self.device) for values in moments)
        self._plan = lru_cache(SIZES_REMEMBERED)(self._planned)

    def tokens_of_images(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `BatchedExtractor.tokens_of_images`."""
        tokens = self.tokens_of_maps(self.maps_of(images), *images.shape[-2:])
        patch_tokens = with_constant(tokens, self._constant)[:, None]
        return patch_tokens, patch_tokens.mean(dim=(2, 3))

    def maps_of(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps ``[image, channel, row, column]`` of the kept layers for images with their margin.

        Args:
            images: uint8 ``[image, 3, height, width]``, prepared.
        """
        (rows, _), (columns, _) = (self._plan(length) for length in images.shape[-2:])
        return self.maps_of_pixels(self.normalised(images)[:, :, rows][:, :, :, columns])

    def tokens_of_maps(self, maps: list[torch.Tensor], height: int, width: int) -> torch.Tensor:
        """Standardised tokens ``[image, row, column, channel]``, float32, before the constant and the unit length.

        Args:
            maps: the output of `maps_of`.
            height, width: of the prepared images, pixels.
        """
        (_, by_row), (_, by_column) = (self._plan(length) for length in (height, width))
        sampled = [
            torch.einsum("rh,nchw,kw->nrkc", rows, values.float(), columns)
            for rows, values, columns in zip(by_row, maps, by_column, strict=True)
        ]
        return (torch.cat(sampled, dim=-1) - self._mean) / self._deviation

    def _planned(self, length: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """For a side: its pixels with the margin, and the weights of each layer's cells for its tokens."""
        layers = self._trunk.layers
        margin = margin_around(length, PATCH, layers, self._trunk.multiple)
        weights = [sampling(length // PATCH, PATCH, layer.cells, margin) for layer in layers]
        return self._there(reflected(length, margin)), [self._there(matrix) for matrix in weights]

    def _there(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)
