"""Patch tokens for scorers: unit vectors of the chosen layers, on the scoring device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from zsad.errors import ConfigError, nearest_hint
from zsad.grids import WINDOW
from zsad.lazy import torch

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader
    from zsad.scoring.token_source import PatchSource, TokenSource


def _names(value: Any) -> Any:
    """Accept block indices as names, so that ``layers: [8, 11]`` needs no quotes."""
    if isinstance(value, (list, tuple)):
        return tuple(str(item) if type(item) is int else item for item in value)
    return value


Layers = Annotated[
    Annotated[tuple[str, ...], Field(min_length=1)] | None,
    BeforeValidator(_names),
    Field(description="Layers of the backbone to average over; null for all that were extracted."),
]


def patch_layers(names: Sequence[str]) -> list[str]:
    """The layers of features that hold patches, not windows of the image."""
    return [name for name in names if not name.startswith(WINDOW)]


def layer_refusal(layer: str, names: Sequence[str]) -> str:
    """A sentence on why a method cannot read patches from a layer of features; empty if it can."""
    if layer not in names:
        return f"the features have no layer '{layer}'{nearest_hint(layer, patch_layers(names))}"
    if layer.startswith(WINDOW):
        return f"layer '{layer}' holds windows of the image, not patches; name others, or leave 'layers' out"
    return ""


def layer_indices(reader: TokenSource, layers: Sequence[str] | None) -> list[int]:
    """Positions of the named layers in a feature file; of all layers with patches for None.

    Raises:
        ConfigError: the file has no such layer, or it holds windows of the image.
    """
    named = patch_layers(reader.layers) if layers is None else layers
    if reason := next(filter(None, (layer_refusal(layer, reader.layers) for layer in named)), ""):
        raise ConfigError(reason)
    return [reader.layers.index(layer) for layer in named]


def kept_layers(reader: FittedReader, layers: Sequence[str] | None) -> int:
    """How many layers a model was fitted to: the named ones; for None all layers with patches."""
    return len(patch_layers(reader.layers) if layers is None else layers)


def image_tokens(reader: PatchSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """Patch tokens of one image as the output of the backbone, float32 ``[layer, row, column, channel]``."""
    return torch.from_numpy(reader.half_tokens(index)).to(device)[list(layers)].float()


def unit_tokens(reader: PatchSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """L2-normalised patch tokens of one image, float32 ``[layer, row, column, channel]``."""
    return normalise(image_tokens(reader, index, layers, device))


def side_by_side(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens ``[layer, row, column, channel]`` as one vector a patch, ``[row, column, layer * channel]``."""
    return tokens.permute(1, 2, 0, 3).flatten(2)


def normalise(tokens: torch.Tensor) -> torch.Tensor:
    """Scale vectors along the last axis to length one.

    A zero vector has no direction; it gets that of the all-ones vector, so that two of them are equal.
    """
    length = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    directed = length > 0
    unit = tokens / length.where(directed, 1)
    directions: torch.Tensor = unit if directed.all() else unit.where(directed, tokens.shape[-1] ** -0.5)
    return directions
