"""What sentences stand for: a normal part and an anomalous one, as two vectors that images are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from zsad.errors import DataError
from zsad.files.texts import ANOMALOUS, NORMAL
from zsad.lazy import torch
from zsad.scoring.same_model import model_difference
from zsad.scoring.tokens import normalise

if TYPE_CHECKING:
    from zsad.scoring.token_source import Texts, TokenSource

Averaging = Literal["raw", "normalised"]
STATES = (NORMAL, ANOMALOUS)  # of the sentences


def class_embeddings(texts: Texts, averaging: Averaging, device: str) -> torch.Tensor:
    """The mean of all sentences of a state, unit vectors ``[state, channel]``, normal and anomalous.

    Args:
        averaging: ``raw`` averages the embeddings as the text tower gives them (zqhang/Accurate-WinCLIP-pytorch and
            anomalib), ``normalised`` scales each to length one before (mala-lab/WinCLIP, APRIL-GAN, AnomalyCLIP). Both
            scale the mean.
    """
    return _means(texts.embeddings, texts.states, averaging, device)


def of_patches(texts: Texts, averaging: Averaging, device: str) -> torch.Tensor:
    """The same of the part of the embeddings that patches are compared with.

    It is cut out first, and then treated as if there were no other, as in the notebook on segmentation in
    facebookresearch/dinov3: the other part of a sentence is not to weigh it. Where the part is the whole, as in all
    models but dino.txt, both are the same.
    """
    return _means(texts.embeddings[:, slice(*texts.patch_part)], texts.states, averaging, device)


def _means(embeddings: np.ndarray, states: np.ndarray, averaging: Averaging, device: str) -> torch.Tensor:
    embeddings = embeddings.astype(np.float64)
    if averaging == "normalised":
        embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.stack([embeddings[states == state].mean(axis=0) for state in STATES])
    return normalise(torch.from_numpy(means)).float().to(device)


def anomaly_probability(vectors: torch.Tensor, classes: torch.Tensor, temperature: float) -> np.ndarray:
    """Softmax of the cosines to both classes over the temperature; the share of the anomalous one.

    Args:
        vectors: ``[..., channel]``, of any length.
        classes: unit vectors ``[state, channel]``.

    Returns:
        float64 ``[...]``, in ``[0, 1]``.
    """
    cosines = normalise(vectors.to(classes.device)) @ classes.T
    normal, anomalous = cosines.cpu().double().unbind(dim=-1)
    probability: np.ndarray = torch.sigmoid((anomalous - normal) / temperature).numpy()
    return probability


def image_vector(features: TokenSource, index: int, channels: int) -> torch.Tensor:
    """The vector of a whole image in the space of texts, float32 ``[channel]``, as the image tower gives it."""
    vector = torch.from_numpy(features.cls_tokens_of(index)[0])
    return in_space(vector, (0, channels), f"the image vector of {features.image_ids[index]} in {features.path}")


def in_space(vectors: torch.Tensor, part: tuple[int, int], whose: str) -> torch.Tensor:
    """Vectors ``[..., channel]`` without the zeros that fill them up to the width of their file.

    Args:
        part: their channels, from the first to before the last.
        whose: what a message calls them.

    Raises:
        DataError: they are wider than that.
    """
    start, stop = part
    if vectors[..., :start].any() or vectors[..., stop:].any():
        raise DataError(
            f"{whose} lies not in the space of the texts, which has {stop - start} channels; choose a backbone of "
            "`family: image_text`, and check its `path` and `projected`"
        )
    return vectors[..., start:stop]


def check_space(features: TokenSource, texts: Texts) -> None:
    """Refuse texts of another model than the one that the features are of.

    Raises:
        DataError: they are, or the features have no vectors of whole images in the space of the texts.
    """
    if reason := model_difference(texts, features):
        raise DataError(
            f"{texts.path} and {features.path} come from different models ({reason}); encode the texts by the model of "
            "the features"
        )
    if (width := texts.embeddings.shape[1]) > features.channels:
        raise DataError(
            f"{texts.path} has embeddings of {width} channels and {features.path} has tokens of {features.channels}; "
            "encode the texts by the model of the features"
        )
