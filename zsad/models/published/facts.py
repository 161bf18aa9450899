"""The facts about a published model, and shared constants."""

from __future__ import annotations

from typing import Literal, NamedTuple

APACHE, BSD, MIT = "Apache-2.0", "BSD-3-Clause", "MIT"
LAST_BLOCK = (-1,)
RESOLUTION = 448  # pixels; a multiple of 8, 14, 16 and 32
FLOAT32_BYTES = 4


class ModelFacts(NamedTuple):
    """The facts about a published model.

    Attributes:
        name: its name in the configuration.
        hub_id: its place on the Hugging Face hub.
        family: method and paper.
        licence: of the weights.
        reference: address of the paper.
        parameters: in the whole checkpoint, including a text tower.
        patch: sides of the image must be multiples of this, pixels.
        prefix_tokens: class and register tokens before the patch tokens.
        gated: whether the hub requires an account that has accepted the licence.
        layers: default blocks (of a ConvNeXt: stages; of a ResNet: stages counted from 1) whose output is used.
        resolution: default short side of the resized image, pixels.
        normalisation: the source of mean and standard deviation for pixels.
        texts: how its texts are encoded: ``"own"`` for its own text tower, ``"head"`` for one in another file, which
            must be given; empty without texts.
    """

    name: str
    hub_id: str
    family: str
    licence: str
    reference: str
    parameters: int
    patch: int
    prefix_tokens: int
    gated: bool = False
    layers: tuple[int, ...] = LAST_BLOCK
    resolution: int = RESOLUTION
    normalisation: Literal["imagenet", "clip", "siglip", "none"] = "imagenet"
    texts: Literal["", "own", "head"] = ""

    @property
    def place(self) -> str:
        """The place of its weights."""
        return self.hub_id

    @property
    def gigabytes(self) -> float:
        """Size of the weights in float32, 10^9 bytes."""
        return self.parameters * FLOAT32_BYTES / 1e9
