"""Attention with relative positions in blocks, against both libraries and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionAttention

from closeness import assert_close
from zsad.segmentation import attention
from zsad.segmentation.attention import BlockedAttention, BlockedSamAttention
from zsad.segmentation.torchvision_standin import segment_anything_modeling

WIDTH, HEADS = 12, 3
BLOCKS = [1, 100, 2000, 7777, 2**21]  # a query at a time, several, a head at a time, several, all


def drawn(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return module.requires_grad_(False)


def patches(batch: int, rows: int, columns: int) -> torch.Tensor:
    return torch.randn(batch, rows, columns, WIDTH, generator=torch.Generator().manual_seed(rows))


def authors_attention(rows: int, columns: int) -> torch.nn.Module:
    segment_anything_modeling()
    from segment_anything.modeling.image_encoder import Attention

    return drawn(Attention(WIDTH, HEADS, use_rel_pos=True, input_size=(rows, columns)))


def attended_by_loops(module: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Every pair of patches, head by head, in float64."""
    tensors = {name: tensor.double().numpy() for name, tensor in module.named_parameters()}
    attended = np.empty_like(images)
    _, rows, columns, _ = images.shape
    for image, result in zip(images, attended, strict=True):
        qkv = image @ tensors["qkv.weight"].T + tensors["qkv.bias"]
        query, key, value = (part.reshape(rows, columns, HEADS, -1) for part in np.split(qkv, 3, axis=-1))
        for row, column, head in np.ndindex(rows, columns, HEADS):
            own = query[row, column, head]
            scores = np.empty((rows, columns))
            for other in np.ndindex(rows, columns):
                by_row = tensors["rel_pos_h"][row - other[0] + rows - 1]
                by_column = tensors["rel_pos_w"][column - other[1] + columns - 1]
                scores[other] = own @ (key[(*other, head)] / math.sqrt(len(own)) + by_row + by_column)
            weights = np.exp(scores - scores.max())
            span = slice(head * len(own), (head + 1) * len(own))
            result[row, column, span] = np.einsum("rc,rcd->d", weights / weights.sum(), value[:, :, head])
    return attended @ tensors["proj.weight"].T + tensors["proj.bias"]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (3, 5), (1, 4)])
def test_blocks_give_what_the_formula_gives(
    rows: int, columns: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "BLOCK_SCORES", block)
    module, images = authors_attention(rows, columns), patches(2, rows, columns)
    attended = BlockedAttention(module, HEADS)(images)
    assert_close(attended, attended_by_loops(module, images.double().numpy()))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("batch", [1, 9])
def test_blocks_give_what_segment_anything_gives(batch: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK_SCORES", block)
    module, images = authors_attention(14, 14), patches(batch, 14, 14)
    assert_close(BlockedAttention(module, HEADS)(images), module(images))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("window", [0, 3])
def test_blocks_give_what_transformers_gives(window: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK_SCORES", block)
    config = SamVisionConfig(hidden_size=WIDTH, num_attention_heads=HEADS, image_size=80, patch_size=16)
    module = drawn(SamVisionAttention(config, window))
    images = patches(4, window or 5, window or 5)
    attended, weights = BlockedSamAttention(module, HEADS)(images)
    assert weights is None
    assert_close(attended, module(images)[0])


def test_under_autocast_it_computes_in_the_format_of_autocast() -> None:
    module, images = authors_attention(8, 8), patches(2, 8, 8)
    exact = BlockedAttention(module, HEADS)(images)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, of_library = BlockedAttention(module, HEADS)(images), module(images)
    assert rounded.dtype == of_library.dtype == torch.bfloat16
    assert 0 < (rounded - exact).norm() < 1.5 * (of_library - exact).norm()
