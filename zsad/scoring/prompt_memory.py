"""Prompt memory: tokens of labelled images of another data set vote on each patch and image; no training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.files.learned import Learned
from zsad.lazy import torch
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.cost import LEAST, VALUE, TokenCount, pair_operations
from zsad.scoring.labelled_images import LabelledImages, LabelledImagesScorer, learned_layers, summarise_training_images
from zsad.scoring.tokens import Layers, normalise, unit_tokens
from zsad.scoring.trained import IMAGES

if TYPE_CHECKING:
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource

HIGHEST = 0.01  # share of a map's patches that the image score averages
PATCH_BYTES = 24.0  # of the data of a patch before sampling
VOTES_SHARE = 0.25  # of the memory, for a block of votes


class Memory(NamedTuple):
    """The entries that vote, in each layer.

    Attributes:
        keys: unit vectors, float32 ``[layer, entry, channel]``.
        weights: ``[entry, 2]``, vote of each for normal and for anomalous; each column sums to one.
    """

    keys: torch.Tensor
    weights: torch.Tensor


class PromptMemory(LabelledImagesScorer):
    """Score patches, and the image as a whole, by a vote of labelled tokens of another data set (MRAD-TF).

    The memory has keys ``k_i``, unit class tokens of the data set's images, and values ``y_i``, 1 for an anomalous
    image and 0 for a normal one. A class token ``v`` of a test image has the score

        ``p(v) = sum_i e_i y_i / n_1 / (sum_i e_i y_i / n_1 + sum_i e_i (1 - y_i) / n_0)``, with
        ``e_i = exp(cos(v, k_i) / temperature)``, ``n_1 = sum_i y_i`` and ``n_0 = sum_i (1 - y_i)``,

    averaged over the layers. Patch tokens are scored likewise by their own memory. For each image its keys are the mean
    of the anomalous patches and the mean of the others (``keys: regions``, as the authors' code), or single patches
    with the anomalous share of their pixels as values (``keys: patches``). The image score is the weighted mean of the
    vote on the class token, with weight ``image_weight``, and the mean of the highest 1 % of the map.

    Nothing is trained: the file of weights holds the memory. It has up to ``entries`` keys of each kind, a random
    sample by the seed, with a share ``anomalous_share`` of anomalous images or patches if there are so many.

    Departures from the authors' code (CROVO1026/MRAD):

    - Both classes have equal weight: votes are divided by ``n_1`` and ``n_0``. That changes all scores of a layer by
      one increasing function, and no ranking within a layer.
    - All layers are averaged unless ``layers`` names some; the code uses the last one, with class tokens in the space
      of CLIP's texts.
    - In the mean of an image's anomalous patches, a patch has its anomalous share as weight, so that a defect smaller
      than a patch has a key; the code uses only wholly anomalous patches. Patches are not averaged with their
      neighbours, and the map is not smoothed (`image_score.smoothing` does it).
    - Images without a mask are keys only for class tokens. If no anomalous image has a mask, patches are compared with
      the class tokens, and the image score is the vote on the class token; the facts of the weights record this.
    """

    of_training: ClassVar[tuple[str, ...]] = ("keys", "entries", "anomalous_share", "seed")
    summary: ClassVar[str] = "A patch, and the image as a whole, by a vote of labelled tokens of another data set."
    reference: ClassVar[str] = "MRAD-TF: Xu et al., ICLR 2026, arXiv 2602.00522."
    blind_to: ClassVar[str] = (
        "a defect unlike those of its memory, such as a component that is missing or in a wrong place; and normal "
        "regions that look like those, such as a rough surface, get high scores everywhere"
    )

    keys: Literal["regions", "patches"] = Field(
        "regions",
        description="Keys from the patches of an image: the mean of its anomalous ones and that of the others "
        "(regions), or single patches (patches).",
    )
    entries: int = Field(8192, ge=2, description="Greatest number of keys of images, and of patches, in each layer.")
    anomalous_share: float = Field(
        0.5, gt=0, lt=1, description="Share of anomalous keys, if there are more keys than entries."
    )
    temperature: float = Field(1.0, gt=0, description="Temperature of the softmax over the cosines to all keys.")
    image_weight: float = Field(
        0.7, ge=0, le=1, description="Weight of the vote on the class token in the image score; the map has the rest."
    )
    seed: int = Field(0, ge=0, description="Random seed of the sample of keys.")
    layers: Layers = None

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for a cosine and its exponential for each patch and key, with the greatest number of keys."""
        test = tokens["test"]
        pairs = float(test.images) * (test.patches + 1) * test.layers * self.entries
        return super().operations(tokens) + pair_operations(pairs, test.channels, LEAST)

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of both memories, and of the votes on the patches of an image."""
        test = tokens["test"]
        return 4.0 * self.entries * (2 * test.layers * test.channels + test.patches)

    def training_operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for reading all tokens once."""
        return VALUE * tokens[IMAGES].values

    def training_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of both memories, and of the anomalous share of each patch."""
        count = tokens[IMAGES]
        return 4.0 * self.entries * count.layers * count.channels + PATCH_BYTES * count.images * count.patches

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        """Store keys of images and patches.

        Returns:
            ``"image_keys"`` and ``"patch_keys"``, unit vectors, float16 ``[layer, entry, channel]``, and
            ``"image_values"`` and ``"patch_values"``, float32 ``[entry]`` in 0...1.

        Raises:
            ConfigError: the features have no such layer.
        """
        images = LabelledImages(categories, self.layers)
        summary = summarise_training_images(images, "patches are compared with the keys of whole images")
        numbers = self._some(np.array(images.labels), "images")
        tensors = {
            "image_keys": images.class_tokens()[torch.from_numpy(numbers)].transpose(0, 1).half().numpy(),
            "image_values": np.array(images.labels, dtype=np.float32)[numbers],
        }
        if not summary.facts["localises"]:
            tensors |= {"patch_keys": tensors["image_keys"].copy(), "patch_values": tensors["image_values"].copy()}
        else:
            remembered = self._regions(images) if self.keys == "regions" else self._patches(images)
            tensors["patch_keys"], tensors["patch_values"] = remembered
        facts = {
            **summary.facts,
            "keys": self.keys,
            "seed": self.seed,
            "entries": {"images": len(tensors["image_values"]), "patches": len(tensors["patch_values"])},
            "steps": 0,
            "parameters": 0,
            "notes": summary.notes,
        }
        return Learned(tensors, facts)

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the map and the image score of each image, in order, both in 0...1."""
        self.check(features)
        test = features["test"]
        learned = self.learned_for(test)
        places, kept = learned_layers(test, self.layers, learned.facts["layers"])
        of_images, of_patches = (self._memory(learned, name, kept, test, compute) for name in ("image", "patch"))
        for index in range(len(test)):
            class_tokens = torch.from_numpy(test.cls_tokens_of(index)[places]).to(compute.device)
            whole = float(self._votes(normalise(class_tokens)[:, None], of_images, compute).mean())
            tokens = unit_tokens(test, index, places, compute.device)
            anomaly_map = self._votes(tokens.flatten(1, 2), of_patches, compute).mean(dim=0)
            highest = float(anomaly_map.topk(math.ceil(HIGHEST * len(anomaly_map))).values.mean())
            weight = self.image_weight if learned.facts["localises"] else 1.0
            yield ImageScore(
                index,
                anomaly_map.float().reshape(tokens.shape[1:3]).cpu().numpy(),
                image_score=weight * whole + (1 - weight) * highest,
            )

    def _votes(self, tokens: torch.Tensor, memory: Memory, compute: Compute) -> torch.Tensor:
        """``p`` of unit vectors ``[layer, token, channel]``, float64 ``[layer, token]``."""
        height = compute.count(4 * memory.keys.shape[1], VOTES_SHARE)
        found = [
            torch.cat([self._vote(some, keys, memory.weights) for some in of_layer.split(height)])
            for of_layer, keys in zip(tokens, memory.keys, strict=True)
        ]
        return torch.stack(found)

    def _vote(self, tokens: torch.Tensor, keys: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """``p`` of some unit vectors of one layer, float64 ``[token]``."""
        logits = tokens @ keys.T / self.temperature
        powers = (logits - logits.amax(dim=1, keepdim=True)).exp()
        normal, anomalous = (powers @ weights).double().unbind(dim=1)
        return anomalous / (normal + anomalous)

    def _some(self, values: np.ndarray, what: str) -> np.ndarray:
        """Sample the positions of the keys to store, in order.

        Args:
            values: of all candidates; above 0 for anomalous ones.
        """
        from zsad.adaptation.training import generator

        anomalous, normal = np.flatnonzero(values > 0), np.flatnonzero(values == 0)
        if len(values) <= self.entries:
            return np.arange(len(values))
        most = min(max(1, round(self.anomalous_share * self.entries)), self.entries - 1)
        wanted = min(len(anomalous), max(most, self.entries - len(normal)))
        kinds = (("anomalous", anomalous, wanted), ("normal", normal, self.entries - wanted))
        drawn = [
            kind[torch.randperm(len(kind), generator=generator(self.seed, f"{name} {what}"))[:count].numpy()]
            for name, kind, count in kinds
        ]
        return np.sort(np.concatenate(drawn))

    def _regions(self, images: LabelledImages) -> tuple[np.ndarray, np.ndarray]:
        """The mean of the anomalous patches of an image and of the others: unit vectors, and values."""
        owners: list[tuple[int, np.ndarray]] = []  # an image, and the weights of its patches
        values = []
        for number in range(len(images)):
            if (shares := images.shares(number)) is None:
                continue
            for value, weights in ((1.0, shares), (0.0, (shares == 0).astype(np.float32))):
                if weights.any():
                    owners.append((number, weights / weights.sum()))
                    values.append(value)
        chosen = self._some(np.array(values), "regions")
        keys = np.empty((len(images.layers), len(chosen), images.channels), dtype=np.float16)
        for place, entry in enumerate(chosen):
            number, weights = owners[entry]
            tokens = images.half_tokens(number).astype(np.float32)
            means = np.einsum("lpc,p->lc", tokens, weights)
            keys[:, place] = normalise(torch.from_numpy(means)).numpy()
        return keys, np.array(values, dtype=np.float32)[chosen]

    def _patches(self, images: LabelledImages) -> tuple[np.ndarray, np.ndarray]:
        """Single patches: unit vectors, and the anomalous share of each."""
        known = {number: shares for number in range(len(images)) if (shares := images.shares(number)) is not None}
        sizes = [len(shares) for shares in known.values()]
        values = np.concatenate(list(known.values()))
        owners = np.repeat(np.array(list(known)), sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        chosen = self._some(values, "patches")
        keys = np.empty((len(images.layers), len(chosen), images.channels), dtype=np.float16)
        for number in np.unique(owners[chosen]).tolist():
            own = np.flatnonzero(owners[chosen] == number)
            tokens = torch.from_numpy(images.half_tokens(number)[:, places[chosen[own]]]).float()
            keys[:, own] = normalise(tokens).numpy()
        return keys, values[chosen]

    def _memory(self, learned: Learned, name: str, kept: Sequence[int], test: TokenSource, compute: Compute) -> Memory:
        """Some layers of a memory.

        Raises:
            DataError: it has tokens of another width.
        """
        entries = learned.tensors.get(f"{name}_values", np.empty(0)).size
        shape = (len(learned.facts["layers"]), entries, test.channels)
        keys = self.learned_tensor(learned, f"{name}_keys", test, shape, np.float16)
        values = self.learned_tensor(learned, f"{name}_values", test, (entries,), np.float32)
        both = np.stack([1 - values, values], axis=1).astype(np.float64)
        weights = torch.from_numpy((both / both.sum(axis=0)).astype(np.float32)).to(compute.device)
        return Memory(normalise(torch.from_numpy(keys[list(kept)]).to(compute.device).float()), weights)
