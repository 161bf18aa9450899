"""A tiny CLIP of random weights as OpenAI publishes its models: a TorchScript archive in half precision.

The network has the modules and the forward pass of https://github.com/openai/CLIP, ``clip/model.py``, in words of our
own.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from clip_words import SCRATCH
from tiny_open_clip import BLOCKS, RELEASED, Shape, state_of

WORDS = len(SCRATCH.vocabulary)


class Block(nn.Module):
    """Attention and perceptron with QuickGELU, each added to what goes in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """``[token, image, channel]`` in and out."""
        normed = self.ln_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        hidden = self.mlp.c_fc(self.ln_2(tokens))
        return tokens + self.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class Transformer(nn.Module):
    """The blocks."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads) for _ in range(BLOCKS))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """``[image, token, channel]`` in and out."""
        tokens = tokens.transpose(0, 1)
        for block in self.resblocks:
            tokens = block(tokens, mask)
        return tokens.transpose(0, 1)


class Image(nn.Module):
    """The image tower."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv2d(3, width, shape.patch, shape.patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(shape.grid**2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, shape.heads)
        self.proj = nn.Parameter(torch.empty(width, shape.projected))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the last block ``[image, 1 + patch, channel]``, and vectors of images ``[image, channel]``."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        classes = self.class_embedding.expand(pixels.shape[0], 1, -1)
        tokens = self.transformer(self.ln_pre(torch.cat([classes, patches], dim=1) + self.positional_embedding))
        return tokens, self.ln_post(tokens[:, 0]) @ self.proj


class Clip(nn.Module):
    """Both towers."""

    def __init__(self, shape: Shape = RELEASED) -> None:
        super().__init__()
        self.visual = Image(shape)
        self.transformer = Transformer(shape.text_width, shape.text_heads)
        self.token_embedding = nn.Embedding(WORDS, shape.text_width)
        self.positional_embedding = nn.Parameter(torch.empty(shape.longest, shape.text_width))
        self.ln_final = nn.LayerNorm(shape.text_width)
        self.text_projection = nn.Parameter(torch.empty(shape.text_width, shape.projected))
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.load_state_dict(state_of(shape))
        for name, number in (
            ("input_resolution", shape.side),
            ("context_length", shape.longest),
            ("vocab_size", WORDS),
        ):
            self.register_buffer(name, torch.tensor(number))
        for module in self.modules():  # as `convert_weights` leaves them: norms and embeddings stay in float32
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.MultiheadAttention)):
                module.half()
        for parameter in (self.visual.proj, self.text_projection):
            parameter.data = parameter.data.half()
        self.eval().requires_grad_(False)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Vectors ``[text, channel]`` of texts ``[text, token]``, each of which ends with the highest number."""
        mask = torch.full((tokens.shape[1], tokens.shape[1]), -torch.inf).triu(1)
        states = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        states = self.ln_final(self.transformer(states, mask))
        return states[torch.arange(tokens.shape[0]), tokens.argmax(dim=-1)] @ self.text_projection

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of images and of texts."""
        return self.visual(pixels)[1], self.encode_text(tokens)


def save_archive(path: Path, shape: Shape = RELEASED) -> Clip:
    """An archive as OpenAI's, and the network in it, which computes in float32 from then on."""
    network = Clip(shape)
    kinds = {key: tensor.dtype for key, tensor in network.state_dict().items()}
    network.float()
    texts = torch.tensor([[3, WORDS - 1, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that are taken as they are, and of TorchScript's age
        traced = torch.jit.trace(network, (torch.randn(1, 3, shape.side, shape.side), texts), check_trace=False)
    for key, tensor in [*traced.named_parameters(), *traced.named_buffers()]:
        tensor.data = tensor.data.to(kinds[key])
    traced.save(str(path))
    return network.float()
