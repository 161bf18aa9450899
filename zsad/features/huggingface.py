"""Vision transformers of the DINO family from ``transformers`` checkpoints, local or on the Hugging Face hub.

DINOv2 (Oquab et al., TMLR 2024), DINOv2 with registers (Darcet et al., ICLR 2024) and DINOv3 (Siméoni et al., 2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from zsad.errors import ConfigError, ModelError
from zsad.features.base import Backbone, Extractor, Tokens
from zsad.features.geometry import nearest_multiples, patch_grid, resized_to_grid
from zsad.lazy import torch
from zsad.provenance import file_sha256

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from zsad.features.checkpoint import Checkpoint

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class HuggingFace(Backbone):
    """The patch and class tokens of chosen blocks of a frozen vision transformer."""

    summary: ClassVar[str] = "Any local or hub checkpoint of DINOv2, DINOv2 with registers or DINOv3."

    model: Annotated[str, Field(min_length=1)] = Field(
        description="local folder with config.json and weights, or hub id such as facebook/dinov2-small"
    )
    revision: str | None = Field(None, description="branch, tag or commit on the hub; null for its main branch")
    resolution: int = Field(
        448, ge=1, description="short side of the resized image, pixels; a multiple of the model's patch size"
    )
    layers: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        (-1,), description="blocks whose output is kept, counted from 0; negative ones from the last"
    )
    normed: bool = Field(True, description="whether the model's final LayerNorm is applied to every kept layer")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="number format of weights and arithmetic")

    def load(self, device: str) -> HuggingFaceExtractor:
        """Load the checkpoint onto ``device`` (``"auto"`` as well).

        Raises:
            ConfigError: resolution, layers or device do not fit the model or the machine.
            ModelError: the model is absent, gated, damaged, or of an unknown family.
        """
        # These import transformers, which declaring the parameters must not.
        from zsad.device import resolve_device
        from zsad.features.checkpoint import find_checkpoint

        device = resolve_device(device)
        checkpoint = find_checkpoint(self.model, self.revision)
        return HuggingFaceExtractor(self, checkpoint, device)


class HuggingFaceExtractor(Extractor):
    """A loaded checkpoint.

    ``transformers`` gives as ``hidden_states[0]`` the embeddings and as ``hidden_states[l + 1]`` the output of block
    ``l`` before the final norm, for all three families; ``last_hidden_state`` is the norm of the last of them.
    """

    cls_source = "class token"

    def __init__(self, backbone: HuggingFace, checkpoint: Checkpoint, device: str) -> None:
        from zsad.features.checkpoint import FINAL_NORM, load_model

        config = checkpoint.config
        self._patch = _patch_size(config, checkpoint.name)
        self._resolution = _checked_resolution(backbone.resolution, self._patch, checkpoint.name)
        self._blocks = _block_indices(backbone.layers, config.num_hidden_layers, checkpoint.name)
        self._prefix = 1 + getattr(config, "num_register_tokens", 0)
        self._name = checkpoint.name
        self._dtype = getattr(torch, backbone.dtype)
        self._network = load_model(checkpoint, self._dtype, device)
        self._norm = getattr(self._network, FINAL_NORM[config.model_type]) if backbone.normed else None
        self.device = device
        self.layers = [str(block) for block in self._blocks]
        self.channels = config.hidden_size
        self.model = {
            "id": checkpoint.name,
            "revision": checkpoint.commit,
            "weights_sha256": {path.name: file_sha256(path) for path in checkpoint.weight_files},
            "patch_size": self._patch,
            "prefix_tokens": self._prefix,
        }

    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""
        return patch_grid(height, width, self._resolution, self._patch)

    def extract(self, image: np.ndarray) -> Tokens:
        """Tokens of one image, uint8 RGB ``[height, width, 3]``.

        Raises:
            ModelError: the device has too little memory for an image of this size.
        """
        resized = resized_to_grid(image, self._resolution, self._patch)
        height, width = resized.shape[:2]
        try:
            with torch.inference_mode():
                states = self._network(self._pixel_values(resized), output_hidden_states=True).hidden_states
                kept = torch.cat([states[block + 1] for block in self._blocks])  # [layer, token, channel]
                tokens = (self._norm(kept) if self._norm is not None else kept).float().cpu().numpy()
        except torch.OutOfMemoryError:
            raise ModelError(
                f"model '{self._name}' runs out of memory on {self.device} at {height} x {width} pixels; "
                "lower resolution, use dtype bfloat16, or a smaller model"
            ) from None
        grid = (height // self._patch, width // self._patch)
        patches = tokens[:, self._prefix :].reshape(len(self._blocks), *grid, self.channels)
        return Tokens(patch_tokens=patches, cls_tokens=tokens[:, 0])

    def _pixel_values(self, resized: np.ndarray) -> torch.Tensor:
        """``[1, 3, height, width]``, normalised as in training."""
        scaled = (resized.astype(np.float32) / 255 - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
        return torch.from_numpy(scaled).permute(2, 0, 1)[None].to(self.device, self._dtype)


def _patch_size(config: PretrainedConfig, name: str) -> int:
    sides = {config.patch_size} if isinstance(config.patch_size, int) else set(config.patch_size)
    if len(sides) != 1:
        raise ModelError(f"model '{name}' has patches that are not square ({config.patch_size}); choose another")
    return sides.pop()


def _checked_resolution(resolution: int, patch: int, name: str) -> int:
    if resolution % patch:
        lower, upper = nearest_multiples(resolution, patch)
        raise ConfigError(
            f"resolution {resolution} is not a multiple of the patch size {patch} of model '{name}'; "
            f"use {lower} or {upper}"
        )
    return resolution


def _block_indices(layers: tuple[int, ...], count: int, name: str) -> list[int]:
    for layer in layers:
        if not -count <= layer < count:
            raise ConfigError(
                f"model '{name}' has no layer {layer}; its {count} blocks are 0 to {count - 1}, or {-count} to -1"
            )
    blocks = [layer % count for layer in layers]
    if len(set(blocks)) < len(blocks):
        raise ConfigError(f"layers {list(layers)} name a block of model '{name}' twice; leave one out")
    return blocks
