"""What is known of a published model, and words that several kinds share."""

from __future__ import annotations

from typing import Literal, NamedTuple

APACHE, BSD, MIT = "Apache-2.0", "BSD-3-Clause", "MIT"
LAST_BLOCK = (-1,)
RESOLUTION = 448  # pixels; a multiple of 8, 14, 16 and 32
FLOAT32_BYTES = 4


class ModelFacts(NamedTuple):
    """What is known of a published model.

    Attributes:
        name: what the configuration may call it.
        hub_id: where it lies on the Hugging Face hub.
        family: method and paper.
        licence: of the weights.
        reference: address of the paper.
        parameters: in the whole checkpoint, a text tower included.
        patch: what sides of the image must be a multiple of, pixels.
        prefix_tokens: class and register tokens before the patch tokens.
        gated: whether the hub asks for an account that has accepted the licence.
        layers: blocks (of a ConvNeXt: stages; of a ResNet: stages counted from 1) whose output is used unless the
            configuration says otherwise.
        resolution: short side of the resized image unless the configuration says otherwise, pixels.
        normalisation: whose mean and standard deviation the pixels are normalised with.
        texts: by what its texts are read: ``"own"`` for a text tower of its own, ``"head"`` for one in another file,
            which must be named; empty where it has none.
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
        """Where its weights are."""
        return self.hub_id

    @property
    def gigabytes(self) -> float:
        """Size of the weights in float32, 10^9 bytes."""
        return self.parameters * FLOAT32_BYTES / 1e9
