"""SigLIP's head of attention pooling, for a whole image and for a single patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

HEAD_WEIGHTS = (
    "head.probe",
    *(f"head.attention.{part}" for part in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")),
    *(f"head.{part}.{kind}" for part in ("layernorm", "mlp.fc1", "mlp.fc2") for kind in ("weight", "bias")),
)


def head_of(network: nn.Module) -> nn.Module:
    """The head of a SigLIP tower.

    Raises:
        ModelError: the tower was saved without it.
    """
    head: nn.Module | None = getattr(network, "head", None)
    if head is None:
        raise ModelError(
            "a SigLIP tower without its pooling head (vision_use_head is false) has no vectors in the space of texts; "
            "use the whole model"
        )
    return head


def patch_head(network: nn.Module) -> nn.Module:
    """A module that maps patch tokens ``[..., channel]`` into the space of texts.

    It is the network's head for an image with only this patch. Attention over a single token is 1 for any query, so
    that only the projections of values and of the heads' output remain, and the perceptron with its LayerNorm and
    residual. This is this project's own choice: SigLIP was trained on whole images, and no paper evaluates it.

    Raises:
        ModelError: see `head_of`.
    """
    # It imports torch, which the list of families must not.
    from zsad.models.families.patch_head import PatchHead

    return PatchHead(head_of(network))
