"""Single files of weights, as their authors release them, each recognised by a unique set of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from zsad.errors import ModelError
from zsad.models.conversion import dinov2, dinov3_convnext, dinov3_vit, open_clip
from zsad.models.conversion.converted import Converted
from zsad.models.conversion.weights import OriginalWeights


class Layout(NamedTuple):
    """A form in which weights are published.

    Attributes:
        marks: the tensors by which it is recognised.
        convert: converts its weights.
        release_name: maps the name of a tensor in any checkpoint of this layout to that in its releases.
    """

    marks: tuple[str, ...]
    convert: Callable[[OriginalWeights], Converted]
    release_name: Callable[[str], str] = str


LAYOUTS = {
    "DINOv3 ViT": Layout(dinov3_vit.MARKS, dinov3_vit.from_torch_hub),
    "DINOv3 ConvNeXt": Layout(dinov3_convnext.MARKS, dinov3_convnext.from_torch_hub),
    "DINOv2": Layout(dinov2.MARKS, dinov2.from_torch_hub, dinov2.without_chunks),
    "CLIP": Layout(open_clip.MARKS, open_clip.from_file),
}


OF_RESNETS = "visual.attnpool.positional_embedding"  # in OpenAI's and open_clip's models of another image tower


def from_torch_hub(state: Mapping[str, torch.Tensor], name: str, source: Path | None = None) -> Converted:
    """Convert a state dict in the names of DINOv3's and DINOv2's authors, of OpenAI's CLIP, or of open_clip.

    Args:
        state: from `zsad.models.pth.read_pth`.
        name: of the model, for messages.
        source: the file that it is from; files beside it may give facts that tensors do not.

    Raises:
        ModelError: its layout is unknown; or a tensor is missing, unused, or of another shape.
    """
    for layout in LAYOUTS.values():
        if all(mark in state for mark in layout.marks):
            renamed = {layout.release_name(key): tensor for key, tensor in state.items()}
            return layout.convert(OriginalWeights(renamed, name, source))
    if OF_RESNETS in state:
        raise ModelError(
            f"model '{name}' is a CLIP whose image tower is a ResNet (such as RN50), which has no patch tokens and is "
            "not supported; use one with a vision transformer, such as ViT-L-14-336px.pt or clip-vitl14-336"
        )
    raise ModelError(
        f"the weights of model '{name}' are not in the names of any of {', '.join(LAYOUTS)} (the first is "
        f"'{next(iter(state), '')}'); use a .pth file of these releases, or a transformers folder"
    )
