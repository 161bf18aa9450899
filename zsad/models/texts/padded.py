"""Text towers that read texts of one length, the shorter ones filled up: SigLIP's and TIPSv2's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import tokenizers

from zsad.errors import ConfigError, ModelError, first_line
from zsad.lazy import torch
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_sense import built_within, computed_by, sense_of_weights
from zsad.models.texts.base import TextEncoder, TextModel
from zsad.models.texts.sentence_pieces import read_sentence_pieces, tokenizer_of
from zsad.models.texts.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

BATCH = 64  # texts
SENTENCE_PIECES = ".model"  # ends the names of SentencePiece's own files

Network = TypeVar("Network", bound="PreTrainedModel")


class Words(NamedTuple):
    """How a kind of model reads a text.

    Attributes:
        tokenizer: splits it into tokens.
        prepare: what is done to the text before.
        end: the token behind its last; None for none.
        filling: the token that short texts are filled up with.
    """

    tokenizer: tokenizers.Tokenizer
    prepare: Callable[[str], str]
    end: int | None
    filling: int

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, its end included; not filled up."""
        tokens: list[int] = self.tokenizer.encode(self.prepare(text), add_special_tokens=False).ids
        return tokens if self.end is None else [*tokens, self.end]


class PaddedTexts(TextEncoder):
    """A text tower that reads texts of one length.

    Args:
        network: in evaluation mode, on the device.
        words: how it reads a text.
        channels: width of an embedding.
        longest: tokens that every text is filled up to.
        model: see `TextEncoder`.
    """

    def __init__(
        self, network: PreTrainedModel, words: Words, *, channels: int, longest: int, device: str, model: dict[str, Any]
    ) -> None:
        self.name = model["id"]
        self.channels = channels
        self.patch_part = (0, channels)
        self.longest = longest
        self.device = device
        self.model = model
        self._network: Any = network
        self._words = words

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """See `TextEncoder.encode`."""
        with computed_by(self.name):
            tokens = [self._checked_tokens(text) for text in texts]
            batches = [self._embedded(tokens[start : start + BATCH]) for start in range(0, len(tokens), BATCH)]
        return np.concatenate([np.empty((0, self.channels), dtype=np.float32), *batches])

    def count_tokens(self, text: str) -> int:
        """See `TextEncoder.count_tokens`."""
        return len(self._words.tokens(text))

    def _checked_tokens(self, text: str) -> list[int]:
        self.check_length(text)
        return self._words.tokens(text)

    def _embedded(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        filled = torch.full((len(tokens), self.longest), self._words.filling)
        is_text = torch.zeros((len(tokens), self.longest), dtype=torch.bool)
        for place, own in enumerate(tokens):
            filled[place, : len(own)] = torch.tensor(own, dtype=torch.long)
            is_text[place, : len(own)] = True
        with torch.inference_mode():
            embeddings: np.ndarray = self._outputs(filled.to(self.device), is_text.to(self.device)).cpu().numpy()
        return embeddings

    @abstractmethod
    def _outputs(self, tokens: Tensor, is_text: Tensor) -> Tensor:
        """Embeddings ``[text, channel]``.

        Args:
            tokens: int64 ``[text, token]``, all filled up.
            is_text: bool, of the same shape: false for what fills up.
        """


def check_no_head(wanted: TextModel, kind: str) -> None:
    """Refuse the file of dino.txt for another kind of model.

    Raises:
        ConfigError: one is named.
    """
    if wanted.head is not None:
        raise ConfigError(f"model '{wanted.model}' is a {kind} model, which takes no head; leave 'head' out")


def loaded_tokenizer(place: Tokenizer, files: Sequence[str], name: str) -> tokenizers.Tokenizer:
    """The tokenizer in a folder, from the first of some files that is there.

    Args:
        place: its folder, which holds one of them.
        files: in the form of the ``tokenizers`` library (``.json``), or of SentencePiece (``.model``).
        name: of the model, for messages.

    Raises:
        ModelError: it is damaged.
    """
    path = next(path for file in files if (path := place.folder / file).is_file())
    try:
        if path.suffix == SENTENCE_PIECES:
            return tokenizer_of(read_sentence_pieces(path))
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()  # a text that is too long is refused, not cut
        return tokenizer
    except Exception as error:  # the library raises bare Exceptions for unreadable files
        raise ModelError(
            f"the tokenizer of model '{name}', {path}, cannot be loaded ({first_line(error)}); download it again"
        ) from None


def loaded_tower(found: FoundCheckpoint, tower: type[Network], config: PretrainedConfig, device: str) -> Network:
    """A text tower with its weights in float32, for inference; the image tower is left on the disk.

    Args:
        tower: its class in ``transformers``.
        config: its own, not that of both towers.

    Raises:
        ModelError: the weights are damaged, or lack some of its tensors.
    """
    with sense_of_weights(found.name, found.source), built_within(found.weight_files, found.name):
        # Annotated without the pair that comes of ``output_loading_info``.
        from_pretrained: Callable[..., Any] = tower.from_pretrained
        loaded: tuple[Network, dict[str, Any]] = from_pretrained(
            found.source,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=found.weight_files[0].suffix == ".safetensors",
            output_loading_info=True,
        )
    network, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"the weights of model '{found.name}' lack {len(missing)} of the tensors of its text tower ({missing[0]}, "
            "...); choose a model with both towers, or download it again"
        )
    _make_ready(network, device)
    return network


def _make_ready(network: torch.nn.Module, device: str) -> None:
    network.to(device).eval()
