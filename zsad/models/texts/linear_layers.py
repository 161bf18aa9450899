"""APRIL-GAN's linear layers (Chen et al., 2023, arXiv 2305.17382, section 3.1), as its authors publish them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsad.models.texts.published_files import read_published, size_of

if TYPE_CHECKING:
    from torch import Tensor

KIND = "file of APRIL-GAN's linear layers"
OUTER = "trainable_linearlayer"
KNOWN = r"fc\.\d+\.(weight|bias)"
WEIGHT, BIAS = "fc.{}.weight", "fc.{}.bias"


class LinearLayers(NamedTuple):
    """Affine maps from the patch tokens of layers to the space of texts, on the CPU.

    Attributes:
        weights: float32 ``[layer, out, in]``; a token ``x [in]`` of layer ``l`` becomes ``weights[l] @ x + biases[l]``.
        biases: float32 ``[layer, out]``.
    """

    weights: Tensor
    biases: Tensor


def read_linear_layers(path: str | Path) -> LinearLayers:
    """Read linear layers from a file of APRIL-GAN's authors.

    It is ``{"trainable_linearlayer": {"fc.0.weight": [out, in], "fc.0.bias": [out], "fc.1.weight": ...}}``, one pair
    per layer, all of one size, as in a vision transformer.

    Raises:
        ModelError: the file does not exist, is damaged, is of another kind, or contains more than tensors.
    """
    file = read_published(Path(path), KIND, OUTER, KNOWN)
    weights, biases = file.stacked(WEIGHT), file.stacked(BIAS)
    if weights.ndim != 3:
        raise file.refuse(
            f"has {size_of(weights[0])} values in '{WEIGHT.format(0)}' instead of those of a linear layer"
        )
    layers, width, _ = weights.shape
    if biases.shape != (layers, width):
        raise file.refuse(
            f"has weights to {layers} x {width} channels of layers and biases of {size_of(biases)}; they must agree"
        )
    return LinearLayers(weights, biases)
