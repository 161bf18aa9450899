"""Visual prompts: an image and its patches against two learned vectors in each layer, normal and anomalous."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from zsad.files.learned import Learned
from zsad.lazy import torch
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import Compute
from zsad.scoring.cost import VALUE, TokenCount, pair_operations
from zsad.scoring.labelled_images import LabelledImages, LabelledImagesScorer, learned_layers, summarise_training_images
from zsad.scoring.tokens import Layers, normalise, unit_tokens
from zsad.scoring.trained import IMAGES

if TYPE_CHECKING:
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource

STATES = 2
STEP = 4e8  # least operations of a step
HALF = 2  # bytes of a stored value
STEP_BYTES = 12  # of a value in the computations of a step


class VisualPrompts(LabelledImagesScorer):
    """Score patches, and the whole image, by vectors learned on another data set (UniADet).

    In each layer ``l``, ``w_0`` and ``w_1`` are learned separately for class tokens and for patch tokens. A token ``v``
    has the score

        ``s(v) = softmax(cos(v, w_0) / temperature, cos(v, w_1) / temperature)_1``.

    The map is ``s`` of each patch, averaged over the layers. The image score is the mean over the layers of half ``s``
    of the class token and half the greatest ``s`` of the layer's patches. The backbone is frozen: only the vectors are
    learned, 20 480 numbers for five layers of 1024 channels.

    They are learned by the cross-entropy of the class tokens' logits, and the focal loss (gamma 2) and the Dice loss of
    the anomalous channel of each layer's map, all averaged over the layers: AdamW, decay 0.01, a rate that falls to a
    tenth along half a cosine, images of all categories mixed, each once per epoch. The number of epochs is fixed, and
    the last step's vectors are kept.

    Departures from the paper, as known from its figures and a third party's re-implementation (its own code is not
    published):

    - Maps are compared with masks at the resolution of patches and not of pixels. The target of a patch is the
      anomalous share of its pixels, and its loss is the mean loss of its pixels if all have its logits; so the only
      difference is that logits are not interpolated between patches. See `zsad.adaptation.losses`.
    - Of each image, all patches with an anomaly and a random sample of ``normal_patches`` of the others are used, and
      the sample represents all others, so that sums are right on average. Of the test images of VisA with ViT-L/14 that
      is about 2 GB; patches that do not fit half of ``scoring.memory_mb`` are read from the features again in each
      epoch.
    - No mosaics of images of the same category ("class-aware augmentation"): a mosaic must pass through the backbone,
      but tokens are cached. A mosaic of cached tokens would have patches without their context, and no class token. In
      the paper mosaics are worth 0.2 points of image AUROC and 2.1 of pixel AP on MVTec AD with CLIP, 2.0 and 0.4 on
      VisA.
    - Softmax before the map is resized to the image, and not after.
    - Images without a mask train only the vectors of class tokens. If no anomalous image has a mask, patches are
      compared with the vectors of class tokens, and the image score is that of the class token; the facts of the
      weights record this.

    To use references too, fuse it with ``memory_bank`` on the same layers: the setting is then
    ``few-shot-K+auxiliary(NAME)``, as for UniADet with references, whose weights of the two are not known.
    """

    of_training: ClassVar[tuple[str, ...]] = ("epochs", "batch", "rate", "temperature", "normal_patches", "seed")
    summary: ClassVar[str] = "A patch, and the whole image, against vectors learned on another data set."
    reference: ClassVar[str] = "UniADet: Gao and Wang, arXiv 2601.05552."
    blind_to: ClassVar[str] = (
        "a defect unlike those of the data set it was trained on, such as a component that is missing or in a wrong "
        "place; and normal regions that look like those, such as a rough surface, get high scores everywhere"
    )

    epochs: int = Field(
        15,
        ge=1,
        description="Epochs: how often each image of the auxiliary data set is used. The paper's 15 are 4 000 steps on "
        "VisA, but few on a small data set: choose more there beforehand.",
    )
    batch: int = Field(8, ge=1, description="Images per step.")
    rate: float = Field(1e-3, gt=0, le=1, description="Learning rate of the first step; it falls to a tenth.")
    temperature: float = Field(0.07, gt=0, description="Temperature of the softmax over the cosines to both vectors.")
    normal_patches: int = Field(
        64, ge=1, description="Number of patches without an anomaly sampled from each image; they represent the others."
    )
    seed: int = Field(
        0, ge=0, description="Random seed of the initial vectors, of the patches, and of the order of images."
    )
    layers: Layers = None

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for two cosines of each patch."""
        test = tokens["test"]
        patches = float(test.images) * test.patches * test.layers
        return super().operations(tokens) + pair_operations(STATES * patches, test.channels, finding=0)

    def training_operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for reading all tokens, and for the sampled ones forwards and backwards once per epoch."""
        steps = self.epochs * math.ceil(tokens[IMAGES].images / self.batch)
        return VALUE * (tokens[IMAGES].values + self.epochs * self._drawn(tokens)) + STEP * steps

    def training_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the sampled patches, and of those of a step."""
        images = tokens[IMAGES].images
        return self._drawn(tokens) * (HALF + STEP_BYTES * min(self.batch, images) / max(1, images))

    def _drawn(self, tokens: Mapping[str, TokenCount]) -> float:
        """Number of values of the sampled patches of all images, with as many anomalous ones as others."""
        count = tokens[IMAGES]
        return count._replace(patches=min(count.patches, 2 * self.normal_patches)).values

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        """Learn the vectors.

        Returns:
            ``"image"`` and ``"patch"``, float32 ``[layer, state, channel]``; the states are normal and anomalous.

        Raises:
            ConfigError: the features have no such layer.
            DataError: the loss is no longer finite.
        """
        from zsad.adaptation.prototypes import batches_of, train_prototypes  # imports torch
        from zsad.adaptation.training import arrays_of
        from zsad.scoring.sampled_patches import SampledPatches

        images = LabelledImages(categories, self.layers)
        summary = summarise_training_images(images, "patches are compared with the vectors learned for whole images")
        localises = summary.facts["localises"]
        patches = SampledPatches(images, self.normal_patches if localises else 0, self.seed, compute)
        prototypes, course = train_prototypes(
            len(images.layers),
            images.channels,
            batches_of(len(images), self.batch, self.epochs, self.seed),
            patches.sample,
            temperature=self.temperature,
            rate=self.rate,
            seed=self.seed,
            device=compute.device,
            label="training",
        )
        tensors = arrays_of(prototypes)
        if not localises:
            tensors["patch"] = tensors["image"].copy()
        facts = {
            **summary.facts,
            "temperature": self.temperature,
            "seed": self.seed,
            "steps": course.steps,
            "parameters": sum(tensor.size for name, tensor in tensors.items() if localises or name == "image"),
            "notes": summary.notes,
        }
        return Learned(tensors, facts)

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the map and the image score of each image, in order, both in 0...1."""
        from zsad.adaptation.prototypes import anomalous_share, image_logits, patch_logits  # imports torch

        self.check(features)
        test = features["test"]
        learned = self.learned_for(test)
        places, kept = learned_layers(test, self.layers, learned.facts["layers"])
        of_images, of_patches = [
            self._rows(learned, name, kept, test).to(compute.device) for name in ("image", "patch")
        ]
        for index in range(len(test)):
            class_tokens = torch.from_numpy(test.cls_tokens_of(index)[places]).to(compute.device)
            whole = anomalous_share(image_logits(normalise(class_tokens), of_images, self.temperature))
            tokens = unit_tokens(test, index, places, compute.device)
            logits = patch_logits(tokens.flatten(1, 2), of_patches, self.temperature)
            maps = anomalous_share(logits)  # [layer, patch]
            score = (whole + maps.amax(dim=1)) / 2 if learned.facts["localises"] else whole
            anomaly_map = maps.mean(dim=0).reshape(tokens.shape[1:3]).cpu().numpy()
            yield ImageScore(index, anomaly_map, image_score=float(score.double().mean()))

    def _rows(self, learned: Learned, name: str, kept: Sequence[int], test: TokenSource) -> torch.Tensor:
        """The vectors of some layers, float32 ``[layer, state, channel]``.

        Raises:
            DataError: they have tokens of another width.
        """
        shape = (len(learned.facts["layers"]), STATES, test.channels)
        return torch.from_numpy(self.learned_tensor(learned, name, test, shape, np.float32)[list(kept)])
