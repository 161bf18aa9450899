"""A tiny DINOv3 with dino.txt's head and text encoder of random weights, in the forms in which they are published."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from clip_words import SCRATCH
from random_weights import randomise

State = dict[str, Tensor]

PATCH, WIDTH, HEADS, REGISTERS = 4, 48, 3, 4
HEAD_BLOCKS, HEAD_HIDDEN = 2, 64
TEXT_WIDTH, TEXT_HEADS, TEXT_BLOCKS, TEXT_HIDDEN, LONGEST = 128, 2, 2, 96, 12
VOCABULARY = SCRATCH.vocabulary
START, END = len(VOCABULARY) - 2, len(VOCABULARY) - 1


class TinyDinoTxt(NamedTuple):
    """Where it lies.

    Attributes:
        folder: DINOv3 itself, in the format of transformers.
        head: the file of dino.txt.
        tokenizer: a folder with CLIP's kind of tokenizer.
    """

    folder: Path
    head: Path
    tokenizer: Path


def head_state(width: int = WIDTH, text_width: int = TEXT_WIDTH, longest: int = LONGEST) -> State:
    """A state dict with the names and order of the published one; each tensor matters."""
    shapes: dict[str, tuple[int, ...]] = {"logit_scale": (1,)}
    for block in range(HEAD_BLOCKS):
        prefix = f"visual_model.head.blocks.{block}"
        shapes |= {
            f"{prefix}.norm1.weight": (width,),
            f"{prefix}.norm1.bias": (width,),
            f"{prefix}.attn.qkv.weight": (3 * width, width),
            f"{prefix}.attn.proj.weight": (width, width),
            f"{prefix}.attn.proj.bias": (width,),
            f"{prefix}.ls1.gamma": (width,),
            f"{prefix}.norm2.weight": (width,),
            f"{prefix}.norm2.bias": (width,),
            f"{prefix}.mlp.w1.weight": (HEAD_HIDDEN, width),
            f"{prefix}.mlp.w1.bias": (HEAD_HIDDEN,),
            f"{prefix}.mlp.w2.weight": (HEAD_HIDDEN, width),
            f"{prefix}.mlp.w2.bias": (HEAD_HIDDEN,),
            f"{prefix}.mlp.w3.weight": (width, HEAD_HIDDEN),
            f"{prefix}.mlp.w3.bias": (width,),
            f"{prefix}.ls2.gamma": (width,),
        }
    shapes |= {
        "visual_model.head.ln_final.weight": (width,),
        "visual_model.head.ln_final.bias": (width,),
        "text_model.backbone.positional_embedding": (longest, text_width),
        "text_model.backbone.token_embedding.weight": (len(VOCABULARY), text_width),
    }
    for block in range(TEXT_BLOCKS):
        prefix = f"text_model.backbone.blocks.{block}"
        shapes |= {
            f"{prefix}.attention_norm.weight": (text_width,),
            f"{prefix}.attention_norm.bias": (text_width,),
            f"{prefix}.attention.qkv.weight": (3 * text_width, text_width),
            f"{prefix}.attention.proj.weight": (text_width, text_width),
            f"{prefix}.attention.proj.bias": (text_width,),
            f"{prefix}.ffn_norm.weight": (text_width,),
            f"{prefix}.ffn_norm.bias": (text_width,),
            f"{prefix}.feed_forward.fc1.weight": (TEXT_HIDDEN, text_width),
            f"{prefix}.feed_forward.fc1.bias": (TEXT_HIDDEN,),
            f"{prefix}.feed_forward.fc2.weight": (text_width, TEXT_HIDDEN),
            f"{prefix}.feed_forward.fc2.bias": (text_width,),
        }
    shapes |= {
        "text_model.backbone.ln_final.weight": (text_width,),
        "text_model.backbone.ln_final.bias": (text_width,),
        "text_model.head.linear_projection.weight": (2 * width, text_width),
    }
    generator = torch.Generator().manual_seed(0)
    return {key: 0.2 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def save_backbone(folder: Path) -> Path:
    """A DINOv3 of two blocks."""
    model = DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=HEADS,
            intermediate_size=64,
            patch_size=PATCH,
            num_register_tokens=REGISTERS,
        )
    )
    randomise(model, scale=0.2, seed=1)
    model.save_pretrained(folder)
    return folder


def saved(folder: Path, longest: int = LONGEST) -> TinyDinoTxt:
    """All three in a folder."""
    head = folder / "dinotxt.pth"
    tiny = TinyDinoTxt(save_backbone(folder / "dinov3"), head, SCRATCH.save(folder / "tokenizer"))
    torch.save(head_state(longest=longest), head)
    return tiny
