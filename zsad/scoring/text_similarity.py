"""Dense CLIP: a patch is anomalous if it resembles sentences about a damaged object more than about an intact one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from zsad.errors import DataError
from zsad.files.user_paths import UserPath
from zsad.lazy import torch
from zsad.scoring.base import ImageScore
from zsad.scoring.class_embeddings import STATES, Averaging, anomaly_probability, image_vector, in_space, of_patches
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, pair_operations
from zsad.scoring.text_scorer import TextScorer
from zsad.scoring.tokens import Layers, image_tokens, layer_indices

if TYPE_CHECKING:
    from zsad.models.texts.linear_layers import LinearLayers
    from zsad.scoring.token_source import Texts, TokenSource

OF_LINEAR_LAYERS = 0.01  # temperature of the training of APRIL-GAN's linear layers


class TextSimilarity(TextScorer):
    """Score each patch, and the whole image, by its similarity to sentences about a damaged object.

    With ``t_0`` and ``t_1`` the mean embeddings of the sentences about a normal and about an anomalous object, a vector
    ``v`` of the same model has the score

        ``s(v) = softmax(cos(v, t_0) / temperature, cos(v, t_1) / temperature)_1``.

    The map has ``s`` of each patch, averaged over the layers, and the image score is ``s`` of the vector of the whole
    image. With two classes ``s`` depends only on the difference of the cosines, so that a bias, as in SigLIP, would not
    change it.

    The vectors of patches lie in that space by a path of values (MaskCLIP, CLIP Surgery and AnomalyCLIP's DPAM; the
    backbone's ``path: values``) or by the training of the model (TIPSv2, dino.txt, whose patches are compared with some
    channels of the text). Like AnomalyCLIP's code, it uses only the last layer unless the backbone has others: in
    earlier code four layers were the same layer four times, and with four different ones its results are worse.

    With learned tokens as ``text_prompts`` it is the inference of AnomalyCLIP (zqhang/AnomalyCLIP), which smooths the
    map by 4 pixels (``image_score.smoothing`` 0.286 for patches of 14). With ``linear_layers`` it is that of APRIL-GAN
    (ByChelsea/VAND-APRIL-GAN): raw tokens of each block of the network go through a linear layer before they are
    compared. Two differences from its code: maps of layers are averaged and not summed, which gives the same ranking,
    and are resized to the image after the softmax and not before.
    """

    summary: ClassVar[str] = "A patch, and the whole image, against sentences about an intact and a damaged object."
    reference: ClassVar[str] = (
        "MaskCLIP: Zhou et al., ECCV 2022; CLIP Surgery: arXiv 2304.05653; AnomalyCLIP: Zhou et al., ICLR 2024; "
        "APRIL-GAN: arXiv 2305.17382; prompts of WinCLIP: Jeong et al., CVPR 2023."
    )
    blind_to: ClassVar[str] = (
        "a defect that sentences about a damaged object do not describe, such as a component that is missing or in a "
        "wrong place; and normal regions that look damaged, such as a rough surface, get high scores everywhere"
    )

    averaging: Averaging = Field(
        "normalised",
        description="Embeddings of sentences are averaged after each is scaled to length one, normalised (APRIL-GAN, "
        "AnomalyCLIP, mala-lab/WinCLIP), or as they are, raw (zqhang/Accurate-WinCLIP-pytorch, anomalib).",
    )
    image_from: Literal["class_token", "map"] = Field(
        "class_token", description="Image score: from the vector of the whole image, or from the map."
    )
    linear_layers: UserPath | None = Field(
        None,
        min_length=1,
        description="The .pth file of APRIL-GAN's linear layers, one for each layer of the features; null for none.",
    )
    layers: Layers = None

    @model_validator(mode="before")
    @classmethod
    def _as_trained(cls, given: Any) -> Any:
        """Set the temperature of the training of linear layers, unless another is given."""
        if isinstance(given, dict) and given.get("linear_layers") not in (None, "null"):
            return {"temperature": OF_LINEAR_LAYERS, **given}
        return given

    @property
    def own_image_scores(self) -> bool:
        """True unless the map decides."""
        return self.image_from == "class_token"

    def learned_files(self) -> dict[str, str]:
        """The linear layers."""
        return {} if self.linear_layers is None else {"linear_layers": self.linear_layers}

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for two cosines of each patch, and for the products of the linear layers, if there are any."""
        test = tokens["test"]
        patches = float(test.images) * test.patches * test.layers
        products = len(STATES) + (0 if self.linear_layers is None else test.channels)
        return super().operations(tokens) + pair_operations(patches * products, test.channels, finding=0)

    def backbone_refusal(self, parameters: Mapping[str, Any]) -> str:
        """A sentence if patch tokens are not in the space of texts or, with linear layers, not from raw blocks."""
        if reason := super().backbone_refusal(parameters):
            return reason
        path = parameters.get("path")
        if self.linear_layers is None:
            if path == "values" or (path == "plain" and parameters.get("projected", True)):
                return ""
            return (
                "its patch tokens do not lie in the space of texts; set `path: values`, or `path: plain` with "
                "`projected: true`"
            )
        if path == "plain" and not parameters.get("projected", True) and not parameters.get("normed", True):
            return ""
        return (
            "linear layers need the raw output of the network's blocks; set `path: plain`, `projected: false` and "
            "`normed: false`"
        )

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the map and the image score of each image, in order."""
        self.check(features)
        test = features["test"]
        texts = self.texts_of(test)
        layers = layer_indices(test, self.layers)
        classes = self.classes(texts, compute.device)
        classes_of_patches = of_patches(texts, self.averaging, compute.device)
        linear = self._linear(test, len(layers), texts, compute.device)
        for index in range(len(test)):
            tokens = image_tokens(test, index, layers, compute.device)
            whose = f"a patch of {test.image_ids[index]} in {test.path}"
            tokens = in_space(tokens, texts.patch_part, whose) if linear is None else _projected(tokens, linear, whose)
            anomaly_map = anomaly_probability(tokens, classes_of_patches, self.temperature).mean(axis=0)
            yield ImageScore(index, anomaly_map.astype(np.float32), image_score=self._whole(test, index, classes))

    def _whole(self, features: TokenSource, index: int, classes: torch.Tensor) -> float | None:
        """The score of the whole image from its vector; None if the map decides."""
        if self.image_from == "map":
            return None
        vector = image_vector(features, index, classes.shape[1])
        return float(anomaly_probability(vector, classes, self.temperature))

    def _linear(self, features: TokenSource, layers: int, texts: Texts, device: str) -> LinearLayers | None:
        """The linear layers.

        Args:
            layers: number of layers of the features.

        Raises:
            DataError: they do not fit the features or the texts.
        """
        if self.linear_layers is None:
            return None
        from zsad.models.texts.linear_layers import read_linear_layers  # imports torch

        linear = read_linear_layers(self.linear_layers)
        count, width, given = linear.weights.shape
        start, stop = texts.patch_part
        if count != layers:
            reason = f"are {count}, but the method reads {layers} layers of the features"
        elif given > features.channels:
            reason = f"read tokens of {given} channels, but the features have {features.channels}"
        elif width != stop - start:
            reason = f"lead to {width} channels, but texts have {stop - start}"
        else:
            return linear._replace(weights=linear.weights.to(device), biases=linear.biases.to(device))
        raise DataError(
            f"the linear layers in {self.linear_layers} {reason}; choose the model and the `layers` of the backbone "
            "for which they were trained"
        )


def _projected(tokens: torch.Tensor, linear: LinearLayers, whose: str) -> torch.Tensor:
    """Apply to tokens ``[layer, row, column, channel]`` the linear layer of each layer."""
    given = in_space(tokens, (0, linear.weights.shape[2]), whose)
    projected: torch.Tensor = torch.einsum("lrci,loi->lrco", given, linear.weights) + linear.biases[:, None, None]
    return projected
