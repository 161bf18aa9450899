"""A tiny CLIP of random weights in the forms in which open_clip publishes its models: a folder, and a single file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from clip_words import SCRATCH

State = dict[str, Tensor]
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
BLOCKS = 2


class Shape(NamedTuple):
    """Of a tiny model; heads are not told by any tensor."""

    width: int = 32
    heads: int = 2
    patch: int = 4
    grid: int = 5
    text_width: int = 48
    text_heads: int = 3
    longest: int = 77
    projected: int = 24

    @property
    def side(self) -> int:
        """Of the images that it was trained with, pixels."""
        return self.grid * self.patch


TINY = Shape()
RELEASED = Shape(width=128, heads=2, text_width=64, text_heads=1)  # heads of 64 channels, as in the releases


def state_of(shape: Shape = TINY, seed: int = 0) -> State:
    """A state dict in open_clip's names and order; each tensor matters but the temperature."""
    width, text_width = shape.width, shape.text_width
    shapes: dict[str, tuple[int, ...]] = {
        "positional_embedding": (shape.longest, text_width),
        "text_projection": (text_width, shape.projected),
        "logit_scale": (),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": (shape.grid**2 + 1, width),
        "visual.proj": (width, shape.projected),
        "visual.conv1.weight": (width, 3, shape.patch, shape.patch),
        **_norm("visual.ln_pre", width),
        **_blocks("visual.transformer.resblocks", width),
        **_norm("visual.ln_post", width),
        **_blocks("transformer.resblocks", text_width),
        "token_embedding.weight": (len(SCRATCH.vocabulary), text_width),
        **_norm("ln_final", text_width),
    }
    generator = torch.Generator().manual_seed(seed)
    return {key: 0.3 * torch.randn(size, generator=generator) for key, size in shapes.items()}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _affine(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _blocks(name: str, width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for block in range(BLOCKS):
        prefix = f"{name}.{block}"
        shapes |= {
            **_norm(f"{prefix}.ln_1", width),
            f"{prefix}.attn.in_proj_weight": (3 * width, width),
            f"{prefix}.attn.in_proj_bias": (3 * width,),
            **_affine(f"{prefix}.attn.out_proj", width, width),
            **_norm(f"{prefix}.ln_2", width),
            **_affine(f"{prefix}.mlp.c_fc", 4 * width, width),
            **_affine(f"{prefix}.mlp.c_proj", width, 4 * width),
        }
    return shapes


def config_of(shape: Shape = TINY, **changes: Any) -> dict[str, Any]:
    """The content of ``open_clip_config.json``; ``changes`` are to its ``model_cfg``."""
    model: dict[str, Any] = {
        "embed_dim": shape.projected,
        "vision_cfg": {
            "image_size": shape.side,
            "layers": BLOCKS,
            "width": shape.width,
            "head_width": shape.width // shape.heads,
            "patch_size": shape.patch,
        },
        "text_cfg": {
            "context_length": shape.longest,
            "vocab_size": len(SCRATCH.vocabulary),
            "width": shape.text_width,
            "heads": shape.text_heads,
            "layers": BLOCKS,
        },
    }
    pixels = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    return {"model_cfg": model | changes, "preprocess_cfg": pixels | {"interpolation": "bicubic"}}


def save_folder(folder: Path, *, weights: str = WEIGHTS, **changes: Any) -> Path:
    """A folder as on the hub, with a tokenizer of letters."""
    SCRATCH.save(folder)
    (folder / CONFIG).write_text(json.dumps(config_of(**changes)))
    save_weights(state_of(), folder / weights)
    return folder


def save_weights(state: State, path: Path) -> None:
    """Tensors in the format that the ending of a file says."""
    if path.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    else:
        torch.save(state, path)


def save_release(folder: Path, state: State, stem: str = "vit_b_16_plus_240-laion400m_e31") -> Path:
    """A single file, named and wrapped as the released ones, which training wrote."""
    path = folder / "file.pt"
    torch.save(
        {"epoch": 31, "name": stem, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(folder / f"{stem}-{digest[:8]}.pt")
