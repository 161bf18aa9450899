"""Visual prompts: an image and its patches against two learned vectors of each layer, a normal and an anomalous one."""

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
from zsad.scoring.labelled_images import LabelledImages, LabelledImagesScorer, learned_layers, told_of
from zsad.scoring.tokens import Layers, normalise, unit_tokens
from zsad.scoring.trained import IMAGES

if TYPE_CHECKING:
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource

STATES = 2
STEP = 4e8  # operations of a step, however few patches it sees
HALF = 2  # bytes of a value as it is kept
STEP_BYTES = 12  # of a value as a step computes with it


class VisualPrompts(LabelledImagesScorer):
    """Score patches, and the image as a whole, by vectors that were learned on another data set (UniADet).

    In each layer ``l``, ``w_0`` and ``w_1`` are learned for class tokens and, apart from them, for patch tokens. A
    token ``v`` has the score

        ``s(v) = softmax(cos(v, w_0) / temperature, cos(v, w_1) / temperature)_1``.

    The map is ``s`` of each patch, averaged over the layers. The image score is the mean over the layers of half ``s``
    of the class token and half the greatest ``s`` of the layer's patches. The backbone is frozen: only the vectors are
    learned, 20 480 numbers for five layers of 1024 channels.

    They are learned by the cross-entropy of the class tokens' logits, and the focal loss (gamma 2) and the Dice loss of
    the anomalous channel of each layer's map, all averaged over the layers: AdamW, decay 0.01, a rate that falls to a
    tenth by half a cosine, images of all categories mixed and each once an epoch. The number of epochs is fixed, and
    the last step's vectors are kept.

    Departures from the paper, as its figures and a third party's re-implementation show it (its own code is not
    published):

    - Maps are compared with masks at the resolution of patches and not of pixels. A patch has the share of its pixels
      that is anomalous as its target, and its loss is the mean of what its pixels have where all of them take its
      logits; so the difference is that logits are not interpolated between patches. See `zsad.adaptation.losses`.
    - Of each image, all patches with an anomaly in them and ``normal_patches`` of the others are drawn once, and the
      drawn ones stand for all others, so that sums are right on average. Of the test images of VisA with ViT-L/14 that
      is about 2 GB; what does not fit half of ``scoring.memory_mb`` is read from the features again in each epoch.
    - No mosaics of images of the same category ("class-aware augmentation"): a mosaic must be seen by the backbone, and
      tokens are cached. A mosaic of cached tokens would have patches without the surroundings that they were computed
      in, and no class token. In the paper mosaics are worth 0.2 points of image AUROC and 2.1 of pixel AP on MVTec AD
      with CLIP, 2.0 and 0.4 on VisA.
    - Softmax before the map is brought to the size of the image, and not after.
    - Images without a mask train the vectors of class tokens alone. Where no anomalous image has one, patches are
      compared with the vectors of class tokens, and the image score is that of the class token; the facts of the
      weights say so.

    With references too, fuse it with ``memory_bank`` on the same layers: the setting is then
    ``few-shot-K+auxiliary(NAME)``, as of UniADet with references, whose weights of the two are not known.
    """

    of_training: ClassVar[tuple[str, ...]] = ("epochs", "batch", "rate", "temperature", "normal_patches", "seed")
    summary: ClassVar[str] = "A patch, and the image as a whole, against vectors learned on another data set."
    reference: ClassVar[str] = "UniADet: Gao and Wang, arXiv 2601.05552."
    blind_to: ClassVar[str] = (
        "a defect unlike those of the data set it was trained on, such as a part that is missing or in a wrong place; "
        "and what looks like those by nature, such as a rough surface, scores high throughout"
    )

    epochs: int = Field(
        15,
        ge=1,
        description="How often each image of the auxiliary data set is seen. The paper's 15 are 4 000 steps on VisA, "
        "but few on a small data set: there, fix more beforehand.",
    )
    batch: int = Field(8, ge=1, description="Images of a step.")
    rate: float = Field(1e-3, gt=0, le=1, description="Learning rate of the first step; it falls to a tenth.")
    temperature: float = Field(0.07, gt=0, description="Of the softmax over the cosines to both vectors.")
    normal_patches: int = Field(
        64, ge=1, description="Patches without an anomaly that are drawn of each image; they stand for the others."
    )
    seed: int = Field(0, ge=0, description="Seed of the first vectors, of the patches, and of the order of images.")
    layers: Layers = None

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Two cosines for each patch."""
        test = tokens["test"]
        patches = float(test.images) * test.patches * test.layers
        return super().operations(tokens) + pair_operations(STATES * patches, test.channels, finding=0)

    def training_operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """All tokens are read; those that are drawn are normalised, and gone through and back, once an epoch."""
        steps = self.epochs * math.ceil(tokens[IMAGES].images / self.batch)
        return VALUE * (tokens[IMAGES].values + self.epochs * self._drawn(tokens)) + STEP * steps

    def training_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """The patches that are drawn, and those of a step as it computes with them."""
        images = tokens[IMAGES].images
        return self._drawn(tokens) * (HALF + STEP_BYTES * min(self.batch, images) / max(1, images))

    def _drawn(self, tokens: Mapping[str, TokenCount]) -> float:
        """Values of the patches that are drawn of all images, if as many are anomalous as are drawn of the others."""
        count = tokens[IMAGES]
        return count._replace(patches=min(count.patches, 2 * self.normal_patches)).values

    def train(self, categories: Sequence[AuxiliaryCategory], compute: Compute) -> Learned:
        """Learn the vectors.

        Returns:
            ``"image"`` and ``"patch"``, float32 ``[layer, state, channel]``; the states are normal and anomalous.

        Raises:
            ConfigError: the features have no such layer.
            DataError: the loss is not finite any more.
        """
        from zsad.adaptation.prototypes import batches_of, trained_prototypes  # imports torch
        from zsad.adaptation.training import arrays_of
        from zsad.scoring.drawn_patches import DrawnPatches

        images = LabelledImages(categories, self.layers)
        told = told_of(images, "patches are compared with what was learned about whole images")
        localises = told.facts["localises"]
        patches = DrawnPatches(images, self.normal_patches if localises else 0, self.seed, compute)
        prototypes, course = trained_prototypes(
            len(images.layers),
            images.channels,
            batches_of(len(images), self.batch, self.epochs, self.seed),
            patches.seen,
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
            **told.facts,
            "temperature": self.temperature,
            "seed": self.seed,
            "steps": course.steps,
            "parameters": sum(tensor.size for name, tensor in tensors.items() if localises or name == "image"),
            "notes": told.notes,
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
            DataError: they are for tokens of another width.
        """
        shape = (len(learned.facts["layers"]), STATES, test.channels)
        return torch.from_numpy(self.learned_tensor(learned, name, test, shape, np.float32)[list(kept)])
