"""The file of dino.txt: vision head and text encoder in one state dict.

Source for the names and for facts that no tensor gives: https://github.com/facebookresearch/dinov3,
``dinov3/hub/dinotxt.py`` and ``dinov3/eval/text``. The published file has two blocks of width 1024 for images, and for
texts 24 blocks of width 1280 with 20 heads over 77 of 49,408 tokens, projected to 2048.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from zsad.errors import ModelError
from zsad.models.config_sense import sense_of_weights
from zsad.models.conversion.weights import OriginalWeights
from zsad.models.dinotxt.facts import BACKBONE, PAGE, PUBLISHED
from zsad.models.dinotxt.networks import TextNetwork, VisionHead
from zsad.models.pth import read_pth

VISION, TEXT = "visual_model.head", "text_model"
MARK = f"{VISION}.ln_final.weight"  # identifies such a file
TEXT_HEAD_WIDTH = 64  # channels of a head of attention: 20 heads of 1280
DROPPED = (r"logit_scale",)  # the temperature of training; cosines are compared without it
# The names in the file of modules that have other names here.
VISION_NAMES = {
    "attention": "attn",
    "scale1": "ls1",
    "scale2": "ls2",
    "perceptron": "mlp",
    "gate": "w1",
    "up": "w2",
    "down": "w3",
    "norm": "ln_final",
}
TEXT_NAMES = {
    "embedding": "backbone.token_embedding",
    "positions": "backbone.positional_embedding",
    "blocks": "backbone.blocks",
    "norm1": "attention_norm",
    "norm2": "ffn_norm",
    "perceptron": "feed_forward",
    "up": "fc1",
    "down": "fc2",
    "norm": "backbone.ln_final",
    "projection": "head.linear_projection",
}


State = dict[str, torch.Tensor]
Network = TypeVar("Network", VisionHead, TextNetwork)


class VisionPart(NamedTuple):
    """The head of the images.

    Attributes:
        width: channels of its input and output tokens.
        hidden: width inside its perceptrons.
        blocks: their number.
        state: its tensors by their names in `VisionHead`.
    """

    width: int
    hidden: int
    blocks: int
    state: State

    @property
    def channels(self) -> int:
        """Width of the vector of a whole image: its class token, and the mean of its patches."""
        return 2 * self.width

    def network(self, heads: int) -> VisionHead:
        """The network, for inference on the CPU.

        Args:
            heads: of attention, as in the backbone.
        """
        return _filled(self.unfilled(heads), self.state)

    def unfilled(self, heads: int) -> VisionHead:
        """The network without weights."""
        with torch.device("meta"):
            return VisionHead(width=self.width, hidden=self.hidden, blocks=self.blocks, heads=heads)


class TextPart(NamedTuple):
    """The encoder of the texts.

    Attributes:
        vocabulary: number of tokens.
        longest: most tokens of a text, including its start and end.
        width: channels of a token.
        hidden: width inside its perceptrons.
        blocks: their number.
        projected: channels of an embedding.
        state: its tensors by their names in `TextNetwork`.
    """

    vocabulary: int
    longest: int
    width: int
    hidden: int
    blocks: int
    projected: int
    state: State

    def network(self) -> TextNetwork:
        """The network, for inference on the CPU."""
        return _filled(self.unfilled(), self.state)

    def unfilled(self) -> TextNetwork:
        """The network without weights."""
        with torch.device("meta"):
            return TextNetwork(
                vocabulary=self.vocabulary,
                longest=self.longest,
                width=self.width,
                hidden=self.hidden,
                blocks=self.blocks,
                heads=self.width // TEXT_HEAD_WIDTH,
                projected=self.projected,
            )


class HeadFile(NamedTuple):
    """Both networks of dino.txt; their weights are memory-mapped, and read when they are used."""

    vision: VisionPart
    text: TextPart


def read_head_file(path: Path) -> HeadFile:
    """Read the names and shapes of a file of dino.txt, each tensor of which must belong to one of the networks.

    Raises:
        ModelError: the file does not exist, is damaged, contains more than tensors, or is of another network.
    """
    name = str(path)
    with sense_of_weights(name, path):
        tensors = read_pth(path)
        if MARK not in tensors:
            raise ModelError(
                f"the file {path} is not a head of dino.txt (it has no tensor '{MARK}'); give {PUBLISHED} from {PAGE}"
            )
        weights = OriginalWeights(tensors, name)
        vision = _vision_part(weights)
        found = HeadFile(vision, _text_part(weights, vision.channels))
        weights.drop(DROPPED)
        weights.check_all_used()
    return found


def check_width(file: HeadFile, path: Path, width: int, name: str) -> None:
    """Reject a head for tokens of another width.

    Args:
        path: of the file.
        width: of the backbone's tokens.
        name: of the backbone, for the message.

    Raises:
        ModelError: it is one.
    """
    if file.vision.width != width:
        raise ModelError(
            f"the head {path} takes tokens of width {file.vision.width}, but those of model '{name}' are "
            f"{width} wide; the published head is for {BACKBONE}"
        )


def _vision_part(weights: OriginalWeights) -> VisionPart:
    (width,) = weights.shape(MARK, 1)
    part = VisionPart(
        width=width,
        hidden=weights.shape(f"{VISION}.blocks.0.mlp.w1.weight", 2)[0],
        blocks=_block_count(weights, f"{VISION}.blocks", "norm1.weight"),
        state={},
    )
    return part._replace(state=_state(part.unfilled(heads=1), weights, VISION, VISION_NAMES))


def _text_part(weights: OriginalWeights, projected: int) -> TextPart:
    embedding = f"{TEXT}.backbone.token_embedding.weight"
    vocabulary, width = weights.shape(embedding, 2)
    if width == 0 or width % TEXT_HEAD_WIDTH:
        raise weights.wrong_shape(embedding, f"a multiple of {TEXT_HEAD_WIDTH} columns")
    part = TextPart(
        vocabulary=vocabulary,
        longest=weights.shape(f"{TEXT}.backbone.positional_embedding", 2)[0],
        width=width,
        hidden=weights.shape(f"{TEXT}.backbone.blocks.0.feed_forward.fc1.weight", 2)[0],
        blocks=_block_count(weights, f"{TEXT}.backbone.blocks", "attention_norm.weight"),
        projected=projected,
        state={},
    )
    return part._replace(state=_state(part.unfilled(), weights, TEXT, TEXT_NAMES))


def _block_count(weights: OriginalWeights, prefix: str, part: str) -> int:
    """Number of blocks, each checked to have a required tensor, so that a large number in a name builds no blocks."""
    count = weights.count(f"{prefix}.")
    for block in range(count):
        weights.shape(f"{prefix}.{block}.{part}", 1)
    return count


def _state(network: nn.Module, weights: OriginalWeights, prefix: str, names: Mapping[str, str]) -> State:
    """All tensors of a network, by its own names for them."""
    state: State = {}
    for own, expected in network.state_dict().items():
        key = ".".join((prefix, *(names.get(part, part) for part in own.split("."))))
        tensor = state[own] = weights.take(key, *expected.shape)
        if not tensor.is_floating_point():
            raise ModelError(
                f"the tensor '{key}' of model '{weights.name}' contains {str(tensor.dtype).removeprefix('torch.')} "
                "instead of floating-point numbers; use the weights as their authors published them"
            )
    return state


def _filled(network: Network, state: State) -> Network:
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    return network.eval().requires_grad_(False)
