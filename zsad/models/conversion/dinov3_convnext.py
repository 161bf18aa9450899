"""ConvNeXts of DINOv3 (Siméoni et al., 2025).

Source: https://github.com/facebookresearch/dinov3, ``dinov3/models/convnext.py``. Its downsampling layers, including
the stem, are in a separate list besides the stages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from transformers import DINOv3ConvNextConfig

from zsad.models.conversion.converted import Converted, check_converted
from zsad.models.conversion.weights import OriginalWeights

MARKS = ("downsample_layers.0.0.weight", "stages.0.0.dwconv.weight")
DROPPED = (
    r"norms\.3\.(weight|bias)",  # the final norm under a second name
    r"(dino|ibot)_head\..*",  # the losses of training, in addition to the backbone in a training checkpoint
)
NORM_EPSILON = 1e-6  # of every norm; not given by a shape


class Names(NamedTuple):
    """The names of tensors that differ between the authors and timm.

    Attributes:
        downsampling: from the number of a stage to the norm and convolution before it (for stage 0, the stem).
        blocks: from the number of a stage to the prefix before the number of a block.
        depthwise: the depthwise convolution of a block.
        pointwise: the two linear layers of a block.
        final_norm: the norm after the last stage.
    """

    downsampling: Callable[[int], str]
    blocks: Callable[[int], str]
    depthwise: str
    pointwise: tuple[str, str]
    final_norm: str


TORCH_HUB = Names(
    downsampling=lambda stage: f"downsample_layers.{stage}",
    blocks=lambda stage: f"stages.{stage}.",
    depthwise="dwconv",
    pointwise=("pwconv1", "pwconv2"),
    final_norm="norm",
)


def from_torch_hub(weights: OriginalWeights) -> Converted:
    """Convert a release of the authors.

    Raises:
        ModelError: a tensor is missing, unused, or of another shape.
    """
    weights.drop(DROPPED)
    return convert(weights, TORCH_HUB)


def convert(weights: OriginalWeights, names: Names) -> Converted:
    """Convert weights that use ``names``.

    Raises:
        ModelError: a tensor is missing, unused, or of another shape.
    """
    stages = range(max(weights.count("stages."), 1))
    kernels = [weights.shape(f"{names.downsampling(stage)}.{_convolution(stage)}.weight", 4) for stage in stages]
    depths = [weights.count(names.blocks(stage)) for stage in stages]
    config = DINOv3ConvNextConfig(
        num_channels=kernels[0][1],
        hidden_sizes=[kernel[0] for kernel in kernels],
        depths=depths,
        layer_norm_eps=NORM_EPSILON,
    )
    state = weights.module(names.final_norm, "layer_norm")
    for stage in stages:
        for part in range(2):
            state |= weights.module(
                f"{names.downsampling(stage)}.{part}", f"model.stages.{stage}.downsample_layers.{part}"
            )
        for block in range(depths[stage]):
            state |= _block(weights, names, f"{names.blocks(stage)}{block}", f"model.stages.{stage}.layers.{block}")
    return check_converted(config, state, weights)


def _convolution(stage: int) -> int:
    """Index of the convolution in a downsampling layer: the stem normalises its output, the others their input."""
    return 0 if stage == 0 else 1


def _block(weights: OriginalWeights, names: Names, source: str, target: str) -> dict[str, torch.Tensor]:
    return {
        f"{target}.gamma": weights.take(f"{source}.gamma"),
        **weights.module(f"{source}.{names.depthwise}", f"{target}.depthwise_conv"),
        **weights.module(f"{source}.norm", f"{target}.layer_norm"),
        **weights.module(f"{source}.{names.pointwise[0]}", f"{target}.pointwise_conv1"),
        **weights.module(f"{source}.{names.pointwise[1]}", f"{target}.pointwise_conv2"),
    }
