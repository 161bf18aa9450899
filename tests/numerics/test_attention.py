"""Attention in blocks of queries against the plain formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zsad.models.attention import BLOCK_QUERIES, blocked_attention


def plain_attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, scaling: float) -> np.ndarray:
    """``[image, head, token, channel]``, head by head and token by token."""
    attended = np.empty_like(query)
    for image, head in np.ndindex(query.shape[:2]):
        for token, vector in enumerate(query[image, head]):
            weights = np.exp(scaling * key[image, head] @ vector)
            attended[image, head, token] = weights @ value[image, head] / weights.sum()
    return attended


@pytest.mark.parametrize("tokens", [1, BLOCK_QUERIES - 1, BLOCK_QUERIES, 2 * BLOCK_QUERIES + 5])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_blocks_give_what_the_formula_gives(tokens: int, scaling: float | None) -> None:
    query, key, value = np.random.default_rng(tokens).normal(size=(3, 2, 3, tokens, 4))
    attended, weights = blocked_attention(
        torch.nn.Identity(), *(torch.from_numpy(part) for part in (query, key, value)), None, scaling=scaling
    )
    assert weights is None
    expected = plain_attention(query, key, value, scaling or 4**-0.5)
    np.testing.assert_allclose(attended.numpy(), expected.transpose(0, 2, 1, 3), rtol=1e-12, atol=1e-12)


def test_a_mask_keeps_tokens_out() -> None:
    query, key, value = torch.randn(3, 1, 2, 200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 200, 200, dtype=torch.float64)
    mask[..., 50:] = float("-inf")
    masked, _ = blocked_attention(torch.nn.Identity(), query, key, value, mask)
    expected = plain_attention(query.numpy(), key[:, :, :50].numpy(), value[:, :, :50].numpy(), 0.5)
    np.testing.assert_allclose(masked.numpy(), expected.transpose(0, 2, 1, 3), rtol=1e-12, atol=1e-12)


def test_under_autocast_it_computes_in_the_format_of_autocast() -> None:
    query, key, value = torch.randn(3, 1, 2, 130, 8, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        attended, _ = blocked_attention(torch.nn.Identity(), query, key, value, None)
    assert attended.dtype == torch.bfloat16
    exact, _ = blocked_attention(torch.nn.Identity(), query, key, value, None)
    assert exact.dtype == torch.float32
    assert 0 < (attended - exact).abs().max() < 0.02
