"""UniADet's learned vectors: two for images and two for patches in each layer (arXiv 2601.05552)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import normalize

from zsad.adaptation.losses import cross_entropy, dice, focal
from zsad.adaptation.training import Course, Schedule, generator, seeded, train

STATES = 2  # normal and anomalous
DEVIATION = 0.02  # of the first values
DECAY = 0.01  # of weights
LAST_RATE = 0.1  # as a share of the first


class TrainingSample(NamedTuple):
    """Tokens of some images for a training step.

    Attributes:
        class_tokens: unit vectors ``[image, layer, channel]``.
        labels: ``[image]``, 1 for an anomalous image and 0 for a normal one.
        patch_tokens: unit vectors ``[marked, layer, patch, channel]`` of some patches of the images with known
            anomalous pixels, padded with zeros.
        shares: ``[marked, patch]``, anomalous share of each.
        counts: ``[marked, patch]``, how many patches of the image each represents; 0 for padding.
    """

    class_tokens: torch.Tensor
    labels: torch.Tensor
    patch_tokens: torch.Tensor
    shares: torch.Tensor
    counts: torch.Tensor


class Prototypes(torch.nn.Module):
    """Learned vectors that class tokens and patch tokens are compared with, layer by layer.

    Attributes:
        image, patch: ``[layer, state, channel]``, of any length; the states are normal and anomalous.
    """

    def __init__(self, layers: int, channels: int) -> None:
        super().__init__()
        self.image = torch.nn.Parameter(DEVIATION * torch.randn(layers, STATES, channels))
        self.patch = torch.nn.Parameter(DEVIATION * torch.randn(layers, STATES, channels))


def image_logits(class_tokens: torch.Tensor, rows: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cosines over the temperature, ``[..., layer, state]``.

    Args:
        class_tokens: unit vectors ``[..., layer, channel]``.
        rows: ``[layer, state, channel]``.
    """
    return torch.einsum("...lc,lsc->...ls", class_tokens, normalize(rows, dim=-1)) / temperature


def patch_logits(patch_tokens: torch.Tensor, rows: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cosines over the temperature, ``[..., layer, patch, state]``.

    Args:
        patch_tokens: unit vectors ``[..., layer, patch, channel]``.
        rows: ``[layer, state, channel]``.
    """
    return patch_tokens @ normalize(rows, dim=-1).transpose(1, 2) / temperature


def anomalous_share(logits: torch.Tensor) -> torch.Tensor:
    """Softmax probability of anomalous, ``[...]``, from logits ``[..., 2]``."""
    return torch.sigmoid(logits[..., 1] - logits[..., 0])


def loss_of(prototypes: Prototypes, drawn: TrainingSample, temperature: float) -> torch.Tensor:
    """Cross-entropy of the images, plus focal and Dice loss of the maps of images with known patches, a scalar."""
    loss = cross_entropy(image_logits(drawn.class_tokens, prototypes.image, temperature), drawn.labels)
    if len(drawn.patch_tokens) == 0:
        return loss
    logits = patch_logits(drawn.patch_tokens, prototypes.patch, temperature)
    return loss + focal(logits, drawn.shares, drawn.counts) + dice(logits, drawn.shares, drawn.counts)


def train_prototypes(
    layers: int,
    channels: int,
    batches: Sequence[Sequence[int]],
    draw: Callable[[Sequence[int]], TrainingSample],
    *,
    temperature: float,
    rate: float,
    seed: int,
    device: str,
    label: str,
) -> tuple[Prototypes, Course]:
    """Train prototypes, one step for each batch; those of the last step are kept, whatever the loss was.

    Args:
        batches: positions of images.
        draw: returns the tokens of some images for a step.
    """
    with seeded(seed, "prototypes"):
        prototypes = Prototypes(layers, channels)
    prototypes.to(device)
    schedule = Schedule(len(batches), rate, "cosine", LAST_RATE, DECAY)
    course = train(
        prototypes, lambda step: loss_of(prototypes, draw(batches[step]), temperature), schedule, label=label
    )
    return prototypes, course


def batches_of(images: int, batch: int, epochs: int, seed: int) -> list[list[int]]:
    """Batches of all images, in a new random order for each epoch; the last batch of an epoch may be smaller."""
    batches = []
    for epoch in range(epochs):
        order = torch.randperm(images, generator=generator(seed, f"epoch {epoch}")).tolist()
        batches += [order[start : start + batch] for start in range(0, images, batch)]
    return batches
