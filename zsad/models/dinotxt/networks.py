"""The two networks of dino.txt: the head of the images, and the encoder of the texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5


class GatedPerceptron(nn.Module):
    """``down(silu(gate x) * up x)`` (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[image, token, channel]`` to the same shape."""
        return self.down(functional.silu(self.gate(tokens)) * self.up(tokens))  # type: ignore[no-any-return]


class Perceptron(nn.Module):
    """``down(gelu(up x))``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[text, token, channel]`` to the same shape."""
        return self.down(functional.gelu(self.up(tokens)))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Softmax attention of several heads, whose queries, keys and values have no bias and no positions."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)
        self._heads = heads
        self._causal = causal

    def forward(self, tokens: Tensor) -> Tensor:
        """``[sequence, token, channel]`` to the same shape."""
        # Each [sequence, head, token, channel].
        queries, keys, values = self.qkv(tokens).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=self._causal)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Scale(nn.Module):
    """A learned factor for each channel (LayerScale; Touvron et al., ICCV 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """``[image, token, channel]`` to the same shape."""
        return self.gamma * tokens


class Block(nn.Module):
    """A block that normalises before attention and before the perceptron.

    Args:
        causal: whether a token only attends to earlier ones.
        scaled: whether both branches are scaled before they are added.
    """

    def __init__(self, width: int, heads: int, perceptron: nn.Module, *, causal: bool, scaled: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, NORM_EPSILON)
        self.attention = Attention(width, heads, causal=causal)
        self.scale1 = Scale(width) if scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, NORM_EPSILON)
        self.perceptron = perceptron
        self.scale2 = Scale(width) if scaled else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """``[sequence, token, channel]`` to the same shape."""
        tokens = tokens + self.scale1(self.attention(self.norm1(tokens)))
        return tokens + self.scale2(self.perceptron(self.norm2(tokens)))  # type: ignore[no-any-return]


class VisionHead(nn.Module):
    """The head for all normalised tokens of a network's last block, including class token and registers."""

    def __init__(self, *, width: int, hidden: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(width, heads, GatedPerceptron(width, hidden), causal=False, scaled=True) for _ in range(blocks))
        )
        self.norm = nn.LayerNorm(width, NORM_EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[image, token, channel]`` to the same shape."""
        return self.norm(self.blocks(tokens))  # type: ignore[no-any-return]


class TextNetwork(nn.Module):
    """A causal transformer over the tokens of a text."""

    def __init__(
        self, *, vocabulary: int, longest: int, width: int, hidden: int, blocks: int, heads: int, projected: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(longest, width))
        self.blocks = nn.Sequential(
            *(Block(width, heads, Perceptron(width, hidden), causal=True, scaled=False) for _ in range(blocks))
        )
        self.norm = nn.LayerNorm(width, NORM_EPSILON)
        self.projection = nn.Linear(width, projected, bias=False)

    def states(self, tokens: Tensor) -> Tensor:
        """Numbers of tokens ``[text, token]`` to normed states ``[text, token, channel]``."""
        embedded = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        return self.norm(self.blocks(embedded))  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Embeddings ``[text, channel]`` of texts.

        Args:
            tokens: ``[text, token]``; tokens after the end of a text have no effect.
            ends: ``[text]``, positions of the tokens that end the texts.
        """
        return self.projection(self.states(tokens)[torch.arange(len(ends), device=ends.device), ends])  # type: ignore[no-any-return]
