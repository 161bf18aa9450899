"""A trained head on frozen tokens, whose input is the difference of each patch from the nearest normal patch.

This module imports torch, so it is imported only where methods learn or score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

import torch
from torch import nn

from zsad.adaptation.losses import dice, focal
from zsad.adaptation.residual_shape import BATCH, KERNEL, LARGEST, STATES, WIDTHS, Input, input_channels
from zsad.adaptation.training import Course, Schedule, generator, seeded, train

IGNORED: Final = -1  # label of a cell that counts neither as normal nor as anomalous


def head_input(tokens: torch.Tensor, nearest: torch.Tensor, kind: Input) -> torch.Tensor:
    """The input of the head for patches ``q`` and their nearest normal patches ``n``.

    Args:
        tokens, nearest: unit vectors ``[..., channel]``.
        kind: ``residual`` for ``|q - n|``, channel by channel; ``sum`` for ``q + |q - n|``; ``concatenated`` for both
            ``q`` and ``|q - n|``, concatenated.
    """
    residual = (tokens - nearest).abs()
    if kind == "sum":
        return tokens + residual
    return torch.cat([tokens, residual], dim=-1) if kind == "concatenated" else residual


class ResidualHead(nn.Module):
    """AdaptCLIP's prompt-query adapter: two convolutions that make the grid four times finer, and an image head.

    Batch normalisation of the input; 3 x 3 convolution to 128 channels, batch normalisation, ReLU, transposed
    convolution to twice the grid; the same with 64 channels; 1 x 1 convolution to the logits of normal and anomalous.
    For the image, of each channel of the normalised input its mean and the mean of its 10 largest values are added, and
    go through layers of 128, 64 and 2. The transposed convolutions have kernels and strides of 2 and keep the number of
    channels, which the paper does not specify.

    Args:
        channels: of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide, narrow = WIDTHS
        self.input_norm = nn.BatchNorm2d(channels)
        self.first = nn.Conv2d(channels, wide, KERNEL, padding=KERNEL // 2)
        self.first_norm = nn.BatchNorm2d(wide)
        self.first_finer = nn.ConvTranspose2d(wide, wide, 2, stride=2)
        self.second = nn.Conv2d(wide, narrow, KERNEL, padding=KERNEL // 2)
        self.second_norm = nn.BatchNorm2d(narrow)
        self.second_finer = nn.ConvTranspose2d(narrow, narrow, 2, stride=2)
        self.last = nn.Conv2d(narrow, STATES, 1)
        self.image = nn.Sequential(
            nn.Linear(channels, wide), nn.ReLU(), nn.Linear(wide, narrow), nn.ReLU(), nn.Linear(narrow, STATES)
        )

    def forward(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of normal and anomalous.

        Args:
            patches: float32 ``[image, channel, row, column]``, as `head_input` makes them.

        Returns:
            Logits of cells ``[image, 2, 4 row, 4 column]``, and of images ``[image, 2]``.
        """
        patches = self.input_norm(patches)
        finer = self.first_finer(torch.relu(self.first_norm(self.first(patches))))
        finer = self.second_finer(torch.relu(self.second_norm(self.second(finer))))
        return self.last(finer), self.image(pooled(patches))


def pooled(patches: torch.Tensor) -> torch.Tensor:
    """The mean of each channel plus the mean of its 10 largest values, or of all if there are fewer.

    Args:
        patches: ``[image, channel, row, column]``.

    Returns:
        ``[image, channel]``.
    """
    values = patches.flatten(2)
    largest = values.topk(min(LARGEST, values.shape[2]), dim=2).values
    return values.mean(dim=2) + largest.mean(dim=2)


def repeatable() -> AbstractContextManager[None]:
    """A context in which convolutions on a GPU are computed in float32 and in a fixed order."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


class Answer(NamedTuple):
    """Output of the head for an image, from one layer or the mean of several.

    Attributes:
        cells: anomaly probability of each cell, ``[4 row, 4 column]`` in 0...1.
        image: anomaly probability of the image.
    """

    cells: torch.Tensor
    image: float


def answer(head: ResidualHead, inputs: Sequence[torch.Tensor]) -> Answer:
    """The output of a trained head for one image, averaged over layers.

    Args:
        inputs: input for each layer, ``[row, column, channel]``, see `head_input`.
    """
    cells, images = [], []
    with torch.inference_mode(), repeatable():
        for patches in inputs:
            of_cells, of_image = head(patches.permute(2, 0, 1)[None])
            cells.append(of_cells.softmax(dim=1)[0, 1])
            images.append(of_image.softmax(dim=1)[0, 1])
    return Answer(torch.stack(cells).mean(dim=0), float(torch.stack(images).mean()))


class Examples(Protocol):
    """Interface of labelled images with their nearest normal patches."""

    @property
    def layers(self) -> int:
        """Number of layers."""

    @property
    def labels(self) -> Sequence[int]:
        """1 for an anomalous image, 0 for a normal one."""

    @property
    def grids(self) -> Sequence[tuple[int, int]]:
        """Rows and columns of the patches of each."""

    def pair(self, index: int, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit tokens of one image and layer and their nearest normal tokens, ``[row, column, channel]`` each."""

    def cells(self, index: int) -> torch.Tensor:
        """int64 ``[4 row, 4 column]``: 1 for an anomalous cell, 0 for a normal one, -1 for neither."""


class Batch(NamedTuple):
    """A mini-batch.

    Attributes:
        indices: of images of one grid size; images repeat if there are too few of the size.
        layer: the layer that is used.
    """

    indices: list[int]
    layer: int


def train_head(
    examples: Examples, channels: int, kind: Input, schedule: Schedule, *, seed: int, device: str
) -> tuple[ResidualHead, Course]:
    """Train one head for all layers.

    A step uses four images of one size, half of them anomalous, and one layer. Its loss is the focal and the Dice loss
    of the cells and the cross-entropy of the images; an image without known cells counts for the last alone.

    Args:
        channels: of the tokens.
        kind: see `head_input`.
        seed: random seed of the initial weights and of the training.
    """
    with seeded(seed, "weights of the residual head"):
        head = ResidualHead(input_channels(channels, kind))
    head.to(device)
    batches = _batches(examples, schedule.steps, seed)

    def loss_at(_step: int) -> torch.Tensor:
        batch = next(batches)
        pairs = [examples.pair(index, batch.layer) for index in batch.indices]
        inputs = torch.stack([head_input(*pair, kind).permute(2, 0, 1) for pair in pairs])
        labels = torch.tensor([examples.labels[index] for index in batch.indices], device=device)
        cells = torch.stack([examples.cells(index) for index in batch.indices]).to(device)
        of_cells, of_images = head(inputs)
        return head_loss(of_cells, of_images, cells, labels)

    with repeatable():
        course = train(head, loss_at, schedule, label="training the residual head")
    return head, course


def head_loss(
    cell_logits: torch.Tensor, image_logits: torch.Tensor, cells: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Focal and Dice loss of the known cells plus the cross-entropy of the images, a scalar.

    Args:
        cell_logits, image_logits: see `ResidualHead.forward`.
        cells: ``[image, 4 row, 4 column]``, see `Examples.cells`.
        labels: ``[image]``.
    """
    loss = nn.functional.cross_entropy(image_logits, labels)
    known = (cells != IGNORED).flatten(1)
    is_known = known.any(dim=1)
    if is_known.any():
        logits = cell_logits.flatten(2).transpose(1, 2)[is_known][:, None]  # [image, layer, cell, 2]
        shares, counts = (cells == 1).flatten(1)[is_known].float(), known[is_known].float()
        loss = loss + focal(logits, shares, counts) + dice(logits, shares, counts)
    return loss


def _batches(examples: Examples, steps: int, seed: int) -> Iterator[Batch]:
    """Random batches: a grid size, weighted by its number of images, then images of that size and a layer."""
    rng = generator(seed, "batches of the residual head")
    for _ in range(steps):
        first = _drawn(range(len(examples.grids)), 1, rng)[0]
        alike = [index for index, grid in enumerate(examples.grids) if grid == examples.grids[first]]
        kinds = [[index for index in alike if examples.labels[index] == label] for label in (1, 0)]
        kinds = [kind for kind in kinds if kind]
        indices = [index for kind in kinds for index in _drawn(kind, BATCH // len(kinds), rng)]
        yield Batch(indices, _drawn(range(examples.layers), 1, rng)[0])


def _drawn(among: Sequence[int], count: int, rng: torch.Generator) -> list[int]:
    """Random numbers among some, none twice before each was chosen once."""
    drawn: list[int] = []
    while len(drawn) < count:
        order = torch.randperm(len(among), generator=rng).tolist()
        drawn += [among[place] for place in order[: count - len(drawn)]]
    return drawn
