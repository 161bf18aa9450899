"""The text tower of a model, by the type that its configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zsad.errors import ConfigError

if TYPE_CHECKING:
    from zsad.models.texts.base import TextEncoder


class TextModel(NamedTuple):
    """Which model's text tower is wanted.

    Attributes:
        model, revision, sha256: as of a backbone, see `zsad.features.network_options.NetworkOptions`.
        head, tokenizer: see `zsad.features.image_text.ImageText`.
    """

    model: str
    revision: str | None = None
    sha256: str | None = None
    head: str | None = None
    tokenizer: str | None = None


def load_texts(wanted: TextModel, device: str) -> TextEncoder:
    """Load a text tower, and its tokenizer.

    Args:
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: the model has no texts.
        ModelError: the model is absent, gated, damaged, or has no text tower or tokenizer.
    """
    raise ConfigError(f"model '{wanted.model}' has no text tower that is known here")
