"""Patch tokens as the scorers use them: unit vectors of the chosen layers, on the scoring device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from zsad.errors import ConfigError, nearest_hint
from zsad.lazy import torch
from zsad.scoring.token_source import PatchSource, TokenSource

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader


def _names(value: Any) -> Any:
    """Read block indices as names, so that ``layers: [8, 11]`` needs no quotes."""
    if isinstance(value, (list, tuple)):
        return tuple(str(item) if type(item) is int else item for item in value)
    return value


Layers = Annotated[
    Annotated[tuple[str, ...], Field(min_length=1)] | None,
    BeforeValidator(_names),
    Field(description="Layers of the backbone to average over; null for all that were extracted."),
]


def layer_indices(reader: TokenSource, layers: Sequence[str] | None) -> list[int]:
    """Positions of the named layers in a feature file; all of them for None.

    Raises:
        ConfigError: the file has no such layer.
    """
    if layers is None:
        return list(range(len(reader.layers)))
    for layer in layers:
        if layer not in reader.layers:
            raise ConfigError(f"the features have no layer '{layer}'{nearest_hint(layer, reader.layers)}")
    return [reader.layers.index(layer) for layer in layers]


def kept_layers(reader: FittedReader, layers: Sequence[str] | None) -> int:
    """How many layers a model was fitted to: those that are named, or all of the features for None."""
    return len(reader.layers if layers is None else layers)


def image_tokens(reader: PatchSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """Patch tokens of one image as the backbone gave them, float32 ``[layer, row, column, channel]``."""
    return torch.from_numpy(reader.half_tokens(index)).to(device)[list(layers)].float()


def unit_tokens(reader: PatchSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """L2-normalised patch tokens of one image, float32 ``[layer, row, column, channel]``."""
    return normalise(image_tokens(reader, index, layers, device))


def normalise(tokens: torch.Tensor) -> torch.Tensor:
    """Scale vectors along the last axis to length one.

    A zero vector has no direction; it is given that of the all-ones vector, so that two of them are alike.
    """
    length = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    directed = length > 0
    unit = tokens / length.where(directed, 1)
    directions: torch.Tensor = unit if directed.all() else unit.where(directed, tokens.shape[-1] ** -0.5)
    return directions
