"""Training samples from an auxiliary data set: the class tokens of all images, and some patches of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from zsad.adaptation.prototypes import TrainingSample
from zsad.adaptation.training import generator
from zsad.scoring.compute import Compute
from zsad.scoring.labelled_images import LabelledImages
from zsad.scoring.tokens import normalise

KEPT_SHARE = 0.5  # of the memory, for patches kept in memory; a step takes the rest


class _Patches(NamedTuple):
    """Sampled patches of one image.

    Attributes:
        tokens: float16 ``[layer, patch, channel]``, as the output of the backbone.
        shares: float32 ``[patch]``, anomalous share of each.
        counts: float32 ``[patch]``, how many patches each represents.
    """

    tokens: np.ndarray
    shares: np.ndarray
    counts: np.ndarray


class SampledPatches:
    """All class tokens, and for each image all patches with an anomaly and a random sample of the others.

    The sample of an image depends only on the seed and its name. Patches that do not fit the memory are read again each
    time.

    Args:
        normal: number of sampled patches without an anomaly of each image, which represent all of them; 0 for class
            tokens alone.
    """

    def __init__(self, images: LabelledImages, normal: int, seed: int, compute: Compute) -> None:
        self._images, self._normal, self._seed = images, normal, seed
        self._device = compute.device
        self._room = KEPT_SHARE * compute.memory
        self._kept: dict[int, _Patches] = {}
        self._class_tokens = images.class_tokens().to(compute.device)
        self._labels = torch.tensor(images.labels, device=compute.device)

    def sample(self, numbers: Sequence[int]) -> TrainingSample:
        """The training sample of the images at these positions."""
        chosen = [patches for number in numbers if (patches := self._patches(number)) is not None]
        shape = len(chosen), max((len(patches.shares) for patches in chosen), default=0)
        tokens = np.zeros((shape[0], len(self._images.layers), shape[1], self._images.channels), dtype=np.float16)
        shares, counts = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for place, patches in enumerate(chosen):
            size = len(patches.shares)
            tokens[place, :, :size] = patches.tokens
            shares[place, :size], counts[place, :size] = patches.shares, patches.counts
        some = list(numbers)
        return TrainingSample(
            self._class_tokens[some],
            self._labels[some],
            normalise(torch.from_numpy(tokens).to(self._device).float()),
            torch.from_numpy(shares).to(self._device),
            torch.from_numpy(counts).to(self._device),
        )

    def _patches(self, number: int) -> _Patches | None:
        """The sampled patches of one image; None if the anomalous pixels of the image are unknown."""
        if number in self._kept:
            return self._kept[number]
        shares = self._images.shares(number)
        if shares is None or not self._normal:
            return None
        anomalous, normal = np.flatnonzero(shares > 0), np.flatnonzero(shares == 0)
        drawn = self._drawn(number, normal)
        places = np.concatenate([anomalous, drawn])
        counts = np.ones(len(places), dtype=np.float32)
        counts[len(anomalous) :] = len(normal) / max(1, len(drawn))
        patches = _Patches(self._images.half_tokens(number)[:, places], shares[places], counts)
        if patches.tokens.nbytes <= self._room:
            self._room -= patches.tokens.nbytes
            self._kept[number] = patches
        return patches

    def _drawn(self, number: int, normal: np.ndarray) -> np.ndarray:
        """Sample patches without an anomaly, in order."""
        if len(normal) <= self._normal:
            return normal
        order = torch.randperm(len(normal), generator=generator(self._seed, f"patches of {self._images.name(number)}"))
        places: np.ndarray = normal[np.sort(order[: self._normal].numpy())]
        return places
