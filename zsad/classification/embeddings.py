"""One vector per image for comparison with labelled examples: of the whole image, of its defect region, or of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.classification.regions import Place, Region, Regions
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.progress import progress
from zsad.registry import Options
from zsad.scoring.tokens import Layers, layer_indices


class EmbeddingOptions(Options):
    """Options of the embedding."""

    kind: Literal["image", "region", "both"] = Field(
        "image",
        description="image: the class token, or the mean of the patches; region: the patches where the defect is; both",
    )
    layers: Layers = Field(None, description="layers of the backbone, side by side; null for all that were extracted")


class Embedded(NamedTuple):
    """The embeddings of some images.

    Attributes:
        vectors: float64 ``[image, channel]``, of unit length.
        places: source of each image's defect region; empty if the embedding does not use regions.
    """

    vectors: np.ndarray
    places: list[Place]


def embed_images(
    features: FeatureReader, indices: Sequence[int], options: EmbeddingOptions, regions: Regions | None = None
) -> Embedded:
    """The embeddings of some images of a feature file; each is read once, and its patches only for regions.

    The vectors of the layers are scaled to length one, put side by side, and scaled again. For ``both``, the vectors of
    image and region are combined in the same way.

    Args:
        indices: of the images, in the wanted order.
        regions: the defect regions; used if ``options.kind`` is not ``image``.

    Raises:
        ConfigError: the features have no such layer.
        DataError: a vector of an image is zero or not finite; or see `Regions`.
    """
    layers = layer_indices(features, options.layers)
    parts, places = [], []
    if options.kind in ("image", "both"):
        tokens = features.cls_tokens()[np.asarray(indices, np.intp)][:, layers]
        parts.append(_unit_vectors(tokens.astype(np.float64), features, indices))
    if options.kind in ("region", "both"):
        if regions is None:
            raise ValueError(f"the embedding '{options.kind}' needs the defect regions")
        means = np.empty((len(indices), len(layers), features.channels))
        for place, index in enumerate(progress(indices, total=len(indices), label="embedding")):
            region = regions.region(index)
            means[place] = mean_token(features.half_tokens(index)[layers], region)
            places.append(region.place)
        parts.append(_unit_vectors(means, features, indices))
    return Embedded(parts[0] if len(parts) == 1 else side_by_side(np.stack(parts, axis=1)), places)


def mean_token(tokens: np.ndarray, region: Region) -> np.ndarray:
    """The mean of the patch tokens of an image, weighted by a region of it.

    Args:
        tokens: float ``[layer, row, column, channel]``.

    Returns:
        float64 ``[layer, channel]``.
    """
    inside = region.weights > 0
    weights = region.weights[inside]
    mean: np.ndarray = (weights / weights.sum()) @ tokens[:, inside].astype(np.float64)
    return mean


def side_by_side(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one side by side, in one vector of length one.

    Args:
        vectors: float64 ``[image, part, channel]``.

    Returns:
        float64 ``[image, part * channel]``.
    """
    images, parts, channels = vectors.shape
    joined: np.ndarray = vectors.reshape(images, parts * channels) / np.sqrt(parts)
    return joined


def _unit_vectors(tokens: np.ndarray, features: FeatureReader, indices: Sequence[int]) -> np.ndarray:
    """One vector an image from those of its layers, float64 ``[image, layer, channel]``; see `embed_images`."""
    lengths = np.linalg.norm(tokens, axis=2, keepdims=True)
    has_direction = (np.isfinite(lengths) & (lengths > 0)).all(axis=(1, 2))
    if not has_direction.all():
        place = int(np.argmin(has_direction))
        length = float(lengths[place].min())
        fault = "zero" if length == 0 else "not finite"
        raise DataError(
            f"the embedding of {features.image_ids[indices[place]]} from {features.path} is {fault}, so that it cannot "
            "be compared; leave the image out, or choose other layers or another backbone"
        )
    return side_by_side(tokens / lengths)
