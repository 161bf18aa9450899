"""Class embeddings: two vectors, for a normal and an anomalous object, that images are compared with."""

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
    """The mean embedding of all sentences of each state, unit vectors ``[state, channel]``, normal and anomalous.

    Args:
        averaging: ``raw`` averages the raw embeddings of the text tower (zqhang/Accurate-WinCLIP-pytorch and anomalib),
            ``normalised`` scales each to length one before (mala-lab/WinCLIP, APRIL-GAN, AnomalyCLIP). Both scale the
            mean.
    """
    return _means(texts.embeddings, texts.states, averaging, device)


def of_patches(texts: Texts, averaging: Averaging, device: str) -> torch.Tensor:
    """The same for those channels of the embeddings that patches are compared with.

    The channels are selected first and normalised without the others, as in the segmentation notebook of
    facebookresearch/dinov3: the other channels must not affect their weight. For all models except dino.txt, these are
    all channels, and both functions give the same.
    """
    return _means(texts.embeddings[:, slice(*texts.patch_part)], texts.states, averaging, device)


def _means(embeddings: np.ndarray, states: np.ndarray, averaging: Averaging, device: str) -> torch.Tensor:
    embeddings = embeddings.astype(np.float64)
    if averaging == "normalised":
        embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.stack([embeddings[states == state].mean(axis=0) for state in STATES])
    return normalise(torch.from_numpy(means)).float().to(device)


def anomaly_probability(vectors: torch.Tensor, classes: torch.Tensor, temperature: float) -> np.ndarray:
    """Softmax of the cosines to both classes over the temperature; the probability of the anomalous class.

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
    """The vector of a whole image in the space of texts, float32 ``[channel]``, as the output of the image tower."""
    vector = torch.from_numpy(features.cls_tokens_of(index)[0])
    return in_space(vector, (0, channels), f"the image vector of {features.image_ids[index]} in {features.path}")


def in_space(vectors: torch.Tensor, part: tuple[int, int], whose: str) -> torch.Tensor:
    """Vectors ``[..., channel]`` without the zeros that pad them to the width of their file.

    Args:
        part: their channels, from the first to before the last.
        whose: their name in messages.

    Raises:
        DataError: they are wider than the space.
    """
    start, stop = part
    if vectors[..., :start].any() or vectors[..., stop:].any():
        raise DataError(
            f"{whose} does not lie in the space of the texts, which has {stop - start} channels; choose a backbone of "
            "`family: image_text`, and check its `path` and `projected`"
        )
    return vectors[..., start:stop]


def check_space(features: TokenSource, texts: Texts) -> None:
    """Reject texts and features of different models.

    Raises:
        DataError: they are, or the features have no vectors of whole images in the space of the texts.
    """
    if reason := model_difference(texts, features):
        raise DataError(
            f"{texts.path} and {features.path} come from different models ({reason}); encode the texts with the model "
            "of the features"
        )
    if (width := texts.embeddings.shape[1]) > features.channels:
        raise DataError(
            f"{texts.path} has embeddings of {width} channels and {features.path} has tokens of {features.channels}; "
            "encode the texts with the model of the features"
        )
