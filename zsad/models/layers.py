"""The layers of a network that are asked for, checked against those that it has."""

from __future__ import annotations

from collections.abc import Sequence

from zsad.errors import ConfigError


def chosen_layers(layers: Sequence[int], count: int, *, noun: str, name: str) -> list[int]:
    """Layers counted from 0, in the order asked for; negative ones were counted from the last.

    Args:
        count: how many a model has.
        noun: what it calls one.
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
        raise ConfigError(f"layers {list(layers)} name a {noun} of model '{name}' twice; leave one out")
    return chosen
