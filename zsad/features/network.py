"""A loaded network, which computes tokens of batches of prepared images."""

from __future__ import annotations

from typing import Any

import torch

from zsad.device import number_format, resolve_device
from zsad.errors import ModelError
from zsad.features.batched import BatchedExtractor
from zsad.features.debias import BasisCache, positional_basis, without_positions
from zsad.features.execution import Execution
from zsad.features.geometry import SIDES, Border, Preparation, check_multiples
from zsad.features.network_options import NetworkOptions
from zsad.features.tiling import Tile, TilePlan
from zsad.grids import GridRule
from zsad.models.attention import BLOCKED
from zsad.models.checkpoint import Checkpoint, find_checkpoint
from zsad.models.config_sense import computed_by, sense_of_config
from zsad.models.families import TokenReader
from zsad.models.hub import check_weights
from zsad.models.memory import is_out_of_memory, keep_freed_memory
from zsad.models.precision import computing_in, in_channels_last, in_format

REMEDY = "lower resolution, cut images into tiles (tile), use dtype bfloat16, or choose a smaller model"


def load_extractor(backbone: NetworkOptions, execution: Execution) -> NetworkExtractor:
    """Load the checkpoint that ``backbone`` names onto a device.

    Raises:
        ConfigError: resolution, tiles, layers, device or number format do not fit the model or the machine.
        ModelError: the model is missing, gated, damaged, or of an unknown family.
    """
    device = resolve_device(execution.device)
    dtype = number_format(backbone.dtype, device)
    checkpoint = find_checkpoint(backbone.model, backbone.revision)
    family, config, name = checkpoint.family, checkpoint.config, checkpoint.name
    patch = family.patch(config)
    check_multiples({side: getattr(backbone, side) for side in SIDES}, patch, name)
    reading = backbone.reading()
    reading.check(family, config, name)
    digests = check_weights(checkpoint.weight_files, backbone.sha256, name)
    digests |= check_weights(reading.more_files, None, name)
    torch.set_num_threads(execution.threads)
    if device == "cpu":
        keep_freed_memory()
    network = checkpoint.load(_attention(device, dtype), projected=reading.projected)
    with sense_of_config(name, checkpoint.source):
        positions = backbone.positions
        if positions == "authors":
            positions = family.authors_positions(config, checkpoint.normalisation)
        family.place_positions(network, config, positions)
        reader = reading.reader(family, network, config, name)
    _move(in_format(network, dtype), device, name)
    if not family.has_attention:
        in_channels_last(network)  # faster for convolutions, no effect on matrix products
    if execution.compiled:
        reader.compile(dynamic=False)
    model = {
        "id": checkpoint.name,
        "revision": checkpoint.commit,
        "weights_sha256": digests,
        "patch_size": patch,
        "prefix_tokens": reader.prefix_tokens,
        "dtype": str(dtype).removeprefix("torch."),
        "positions": positions,
        "pixels": checkpoint.pixels.described(),
    }
    return NetworkExtractor(backbone, checkpoint, reader, dtype, device, execution.batch, model)


class NetworkExtractor(BatchedExtractor):
    """A checkpoint on a device; made by `load_extractor`."""

    prepare: Preparation

    def __init__(
        self,
        backbone: NetworkOptions,
        checkpoint: Checkpoint,
        reader: TokenReader,
        dtype: torch.dtype,
        device: str,
        batch: int | None,
        model: dict[str, Any],
    ) -> None:
        super().__init__(name=checkpoint.name, remedy=REMEDY, device=device, batch=batch)
        self.layers, self.channels, self.cls_source = reader.layers, reader.channels, reader.cls_source
        self.model = model
        self.prepare = Preparation(backbone.resolution, reader.patch, backbone.fit)
        self._read = reader
        self._dtype = dtype
        self._tile, self._overlap = backbone.tile, backbone.overlap
        self._rule = GridRule.of_network(
            backbone.resolution, reader.patch, reader.stride, backbone.fit, backbone.tile, backbone.overlap
        )
        statistics = torch.tensor(checkpoint.normalisation, device=device)
        self._mean, self._std = statistics[:, None, :, None, None]
        self._debias = backbone.debias
        self._bases = BasisCache(self._basis)

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""
        return self._rule.size(height, width)

    def computed_patches(self, height: int, width: int) -> int:
        """How many patches the network computes for such an image, including a border and overlaps."""
        return self._rule.computed(height, width)

    def computed_at_once(self, height: int, width: int) -> int:
        """Patches of the network's input: of a prepared image, its square, or a tile."""
        if self.prepare.fit == "pad":
            height = width = max(height, width)
        elif self._tile is not None:
            height, width = min(height, self._tile), min(width, self._tile)
        return self._read.computed(height // self._read.patch, width // self._read.patch)

    def tokens_of_images(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `BatchedExtractor.tokens_of_images`."""
        return self.tokens_of(self._normalised(images))

    def tokens_of(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute tokens of images on the device.

        Args:
            pixels: float32 ``[image, 3, height, width]``, normalised; both sides multiples of the patch.

        Returns:
            Patch tokens ``[image, layer, row, column, channel]`` and class tokens ``[image, layer, channel]``, float32.
        """
        rows, columns = (side // self._read.stride for side in pixels.shape[-2:])
        tile = None if self._tile is None else self._tile // self._read.stride
        if tile is not None and max(rows, columns) > tile:
            plan = TilePlan(rows, columns, tile, self._overlap // self._read.stride)
            return plan.blended(lambda part: self._tokens_of_input(self._cut(pixels, part)))
        if self.prepare.fit == "pad":
            border = Border.to_square(*(side // self._read.patch for side in pixels.shape[-2:]))
            patch_tokens, cls_tokens = self._tokens_of_input(border.around(pixels, self._read.patch))
            return border.dropped(patch_tokens, self._read.patch // self._read.stride), cls_tokens
        return self._tokens_of_input(pixels)

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 ``[image, 3, height, width]`` to float32, normalised by the statistics of the training images."""
        normalised: torch.Tensor = (pixels.float() / 255 - self._mean) / self._std
        return normalised

    def _cut(self, pixels: torch.Tensor, tile: Tile) -> torch.Tensor:
        top, left, height, width = (self._read.stride * length for length in tile)
        return pixels[:, :, top : top + height, left : left + width]

    def _tokens_of_input(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute tokens of one input: an image with its border, if any, or a tile."""
        patch_tokens, cls_tokens = self._computed(pixels)
        if self._debias:
            patch_tokens = without_positions(patch_tokens, self._bases.basis(*pixels.shape[-2:]))
        return patch_tokens, cls_tokens

    def _computed(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with computed_by(self._name), computing_in(self._dtype, self.device):
            patch_tokens, cls_tokens = self._read(pixels)
        return patch_tokens.float(), cls_tokens.float()

    def _basis(self, height: int, width: int) -> torch.Tensor:
        black = torch.zeros(1, 3, height, width, dtype=torch.uint8, device=self.device)
        patch_tokens, _ = self._computed(self._normalised(black))
        return positional_basis(patch_tokens[0], self._debias)


def _move(network: torch.nn.Module, device: str, name: str) -> None:
    try:
        network.to(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(
            f"model '{name}' does not fit into the memory of {device}; use dtype bfloat16, choose a smaller model, or "
            "set device to cpu"
        ) from None


def _attention(device: str, dtype: torch.dtype) -> str:
    return BLOCKED if device == "cpu" and dtype != torch.float32 else "sdpa"
