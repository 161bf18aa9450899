"""Check requested layers against those of a network."""

from __future__ import annotations

from collections.abc import Sequence

from zsad.errors import ConfigError


def chosen_layers(layers: Sequence[int], count: int, *, noun: str, name: str) -> list[int]:
    """Layers counted from 0, in the requested order; negative ones are counted from the last.

    Args:
        count: number of layers of the model.
        noun: its word for a layer.
        name: of the model, for messages.

    Raises:
        ConfigError: a layer does not exist or is named twice.
    """
    for layer in layers:
        if not -count <= layer < count:
            raise ConfigError(
                f"model '{name}' has no layer {layer}; its {count} {noun}s are 0 to {count - 1}, or {-count} to -1"
            )
    chosen = [layer % count for layer in layers]
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"layers {list(layers)} contain a {noun} of model '{name}' twice; remove one")
    return chosen
