"""AnomalyCLIP's sentences through CLIP's text tower: learned tokens before their words, and again before later blocks.

Zhou et al., ICLR 2024, section 3.2, as in the authors' code: the sentence is the start, the learned tokens, the words
and the end, with CLIP's positions; before each block from the second on that has learned tokens, these replace the
first tokens after the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from zsad.errors import ConfigError
from zsad.lazy import torch

if TYPE_CHECKING:
    from transformers import CLIPTextModelWithProjection

    from zsad.models.texts.learned_tokens import LearnedTokens


def check_learned(network: CLIPTextModelWithProjection, learned: LearnedTokens, name: str) -> None:
    """Reject tokens that were learned for another model.

    Args:
        name: of the model, for messages.

    Raises:
        ConfigError: they have another width, or are for more blocks.
    """
    width, blocks = network.config.hidden_size, network.config.num_hidden_layers
    given, needed = learned.normal.shape[1], 1 + len(learned.deep)
    if given != width:
        raise ConfigError(
            f"the learned tokens of text_prompts have {given} channels, but the text tower of model '{name}' has "
            f"{width}; choose the model that they were learned for (AnomalyCLIP's is clip-vitl14-336)"
        )
    if needed > blocks:
        raise ConfigError(
            f"the learned tokens of text_prompts are for {needed} blocks, but the text tower of model '{name}' has "
            f"{blocks}; choose the model that they were learned for (AnomalyCLIP's is clip-vitl14-336)"
        )


def embed_learned(
    network: CLIPTextModelWithProjection, words: Sequence[int], tokens: torch.Tensor, deep: torch.Tensor
) -> torch.Tensor:
    """The embedding ``[channel]`` of one sentence.

    Args:
        words: its words as numbers of tokens, with start and end.
        tokens: ``[token, channel]``, between the start and the words.
        deep: ``[block, token, channel]``, see `LearnedTokens`.
    """
    start, *others = words
    # At the places of learned tokens, any token but the end, which marks the embedding, is embedded and replaced.
    numbers = torch.tensor([[start, *[start] * len(tokens), *others]], device=network.device)
    blocks = network.text_model.encoder.layers[1 : 1 + len(deep)]
    with torch.inference_mode(), ExitStack() as hooks:
        embedding = network.text_model.embeddings.token_embedding
        hooks.callback(embedding.register_forward_hook(_embedded_as(tokens.to(network.device))).remove)
        for block, replacement in zip(blocks, deep.to(network.device), strict=True):
            hooks.callback(block.register_forward_pre_hook(_given(replacement)).remove)
        embedded: torch.Tensor = network(input_ids=numbers).text_embeds[0]
    return embedded


def _embedded_as(tokens: torch.Tensor) -> Callable[..., torch.Tensor]:
    """A hook that inserts tokens after the start of the embedded sentence ``[1, token, channel]``."""

    def replace(_module: torch.nn.Module, _arguments: Any, embedded: torch.Tensor) -> torch.Tensor:
        return _behind_the_start(embedded, tokens)

    return replace


def _given(tokens: torch.Tensor) -> Callable[..., tuple[torch.Tensor, ...]]:
    """A hook that inserts tokens after the start of a block's input."""

    def replace(_module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (_behind_the_start(arguments[0], tokens), *arguments[1:])

    return replace


def _behind_the_start(states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    changed = states.clone()
    changed[:, 1 : 1 + len(tokens)] = tokens[: states.shape[1] - 1]
    return changed
