"""A tiny CLIP whose tokenizer knows letters, and files of learned prompts in the layouts of their authors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import CLIPConfig, CLIPModel

from clip_words import ClipWords
from random_weights import exact_weights, randomise

WORDS = ClipWords(
    "abcdefghijklmnopqrstuvwxyz0123456789,.-'",
    ["o b", "ob j", "obj e", "obje c", "objec t</w>", "d a", "da m", "dam a", "dama g", "damag e", "damage d</w>"],
)
VOCABULARY = WORDS.vocabulary
START, END = len(VOCABULARY) - 2, len(VOCABULARY) - 1
WIDTH, HEADS, BLOCKS, PROJECTED, LONGEST = 32, 4, 10, 24, 77
TOKENS, DEEP_TOKENS, DEEP_BLOCKS = 12, 4, 8  # as AnomalyCLIP's authors publish them
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}

State = dict[str, torch.Tensor]


def write_tiny_clip(folder: Path, **text: Any) -> dict[str, np.ndarray]:
    """Write a checkpoint of both towers with its tokenizer; return its weights, in float64.

    Args:
        text: changes of the text tower's configuration.
    """
    config = CLIPConfig(
        text_config={
            "vocab_size": len(VOCABULARY),
            "hidden_size": WIDTH,
            "num_hidden_layers": BLOCKS,
            "num_attention_heads": HEADS,
            "intermediate_size": 48,
            "max_position_embeddings": LONGEST,
            "bos_token_id": START,
            "eos_token_id": END,
            **text,
        },
        vision_config={**VISION, "patch_size": 4, "image_size": 16},
        projection_dim=PROJECTED,
    )
    model = CLIPModel(config)
    randomise(model, scale=0.2, seed=5)
    model.save_pretrained(folder)
    WORDS.save(folder)
    return exact_weights(model)


def learned_state(width: int = WIDTH, blocks: int = DEEP_BLOCKS) -> State:
    """A state dict with all the keys and shapes of AnomalyCLIP's files, but for the width of the tokens."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    state = {"ctx_pos": random(1, 1, TOKENS, width), "ctx_neg": random(1, 1, TOKENS, width)}
    state |= {f"compound_prompts_text.{block}": random(DEEP_TOKENS, width) for block in range(blocks)}
    for block in range(blocks):
        state[f"compound_prompt_projections.{block}.weight"] = random(896, width)
        state[f"compound_prompt_projections.{block}.bias"] = random(896)
    for sign in ("pos", "neg"):
        state[f"token_prefix_{sign}"] = random(1, 1, 1, width)
        state[f"token_suffix_{sign}"] = random(1, 1, LONGEST - 1 - TOKENS, width)
        state[f"tokenized_prompts_{sign}"] = torch.zeros(1, 1, LONGEST, dtype=torch.int32)
    return state


def write_learned_tokens(path: Path, state: State | None = None) -> Path:
    """Write a file as AnomalyCLIP's authors do."""
    torch.save({"prompt_learner": learned_state() if state is None else state}, path)
    return path


def linear_state(layers: int = 4, channels: int = WIDTH, projected: int = PROJECTED) -> State:
    """A state dict with all the keys of APRIL-GAN's files."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for layer in range(layers):
        state[f"fc.{layer}.weight"] = torch.randn((projected, channels), generator=generator)
        state[f"fc.{layer}.bias"] = torch.randn((projected,), generator=generator)
    return state


def write_linear_layers(path: Path, state: State | None = None) -> Path:
    """Write a file as APRIL-GAN's authors do."""
    torch.save({"trainable_linearlayer": linear_state() if state is None else state}, path)
    return path
