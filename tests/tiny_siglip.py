"""A tiny SigLIP 2, and a tiny TIPSv2, of random weights, whose tokenizers know letters: for whole runs with texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedModel,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
    Tipsv2Config,
    Tipsv2Model,
)

from random_weights import randomise
from sentence_piece_files import BYTE, CONTROL, NORMAL, PAIRS, UNKNOWN, sentence_piece_file

WIDTH, LONGEST = 16, 200  # tokens: a text has one for each letter
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = "▁abcdefghijklmnopqrstuvwxyz"
VISION: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4}
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": LONGEST,
}


def write_siglip2(folder: Path, *, naflex: bool = False) -> None:
    """Write a checkpoint of both towers with Gemma's kind of tokenizer.

    Args:
        naflex: the kind for images of any size; at a fixed resolution otherwise.
    """
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    vocabulary = {token: place for place, token in enumerate([*special, *BYTES, *LETTERS])}
    text = TEXT | {"vocab_size": len(vocabulary)}
    vision = VISION | {"intermediate_size": 24}
    if naflex:
        _write(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision | {"num_patches": 16})), folder)
    else:
        _write(SiglipModel(SiglipConfig(text_config=text, vision_config=vision | {"image_size": 16})), folder)
    pairs = models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(pairs)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GemmaTokenizer"}))


def write_tipsv2(folder: Path) -> None:
    """Write a checkpoint of both towers with a tokenizer in SentencePiece's own form."""
    pieces = [("<pad>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), *((byte, 0.0, BYTE) for byte in BYTES)]
    pieces += [(letter, -1.0, NORMAL) for letter in LETTERS]
    vision = VISION | {"mlp_ratio": 2, "image_size": 16}
    _write(Tipsv2Model(Tipsv2Config(text_config=TEXT | {"vocab_size": len(pieces)}, vision_config=vision)), folder)
    (folder / "tokenizer.model").write_bytes(sentence_piece_file(pieces, PAIRS, falls_back_to_bytes=True))


def _write(model: PreTrainedModel, folder: Path) -> None:
    randomise(model, scale=0.2, seed=3)
    model.save_pretrained(folder)
