"""What a step of a training sees of the images of an auxiliary data set: class tokens, and some patches of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from zsad.adaptation.prototypes import Drawn
from zsad.adaptation.training import generator
from zsad.scoring.compute import Compute
from zsad.scoring.labelled_images import LabelledImages
from zsad.scoring.tokens import normalise

KEPT_SHARE = 0.5  # of the memory, for patches that are kept; a step takes the rest


class _Patches(NamedTuple):
    """Patches of one image.

    Attributes:
        tokens: float16 ``[layer, patch, channel]``, as the backbone gave them.
        shares: float32 ``[patch]``, how much of each is anomalous.
        counts: float32 ``[patch]``, how many patches each stands for.
    """

    tokens: np.ndarray
    shares: np.ndarray
    counts: np.ndarray


class DrawnPatches:
    """All class tokens, and of each image all patches with an anomaly in them and some of the others.

    What is drawn of an image depends on the seed and its name alone. Patches that do not fit the memory are read again
    each time.

    Args:
        normal: how many of the patches without an anomaly are drawn of each image, which stand for all of them; 0 for
            class tokens alone.
    """

    def __init__(self, images: LabelledImages, normal: int, seed: int, compute: Compute) -> None:
        self._images, self._normal, self._seed = images, normal, seed
        self._device = compute.device
        self._room = KEPT_SHARE * compute.memory
        self._kept: dict[int, _Patches] = {}
        self._class_tokens = images.class_tokens().to(compute.device)
        self._labels = torch.tensor(images.labels, device=compute.device)

    def seen(self, numbers: Sequence[int]) -> Drawn:
        """What a step sees of the images at these positions."""
        chosen = [patches for number in numbers if (patches := self._patches(number)) is not None]
        shape = len(chosen), max((len(patches.shares) for patches in chosen), default=0)
        tokens = np.zeros((shape[0], len(self._images.layers), shape[1], self._images.channels), dtype=np.float16)
        shares, counts = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for place, patches in enumerate(chosen):
            size = len(patches.shares)
            tokens[place, :, :size] = patches.tokens
            shares[place, :size], counts[place, :size] = patches.shares, patches.counts
        some = list(numbers)
        return Drawn(
            self._class_tokens[some],
            self._labels[some],
            normalise(torch.from_numpy(tokens).to(self._device).float()),
            torch.from_numpy(shares).to(self._device),
            torch.from_numpy(counts).to(self._device),
        )

    def _patches(self, number: int) -> _Patches | None:
        """Some patches of one image; None of an image of which nobody knows where it is anomalous."""
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
        """Some of the patches without an anomaly, in order."""
        if len(normal) <= self._normal:
            return normal
        order = torch.randperm(len(normal), generator=generator(self._seed, f"patches of {self._images.name(number)}"))
        places: np.ndarray = normal[np.sort(order[: self._normal].numpy())]
        return places
