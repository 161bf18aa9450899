"""What a conversion results in, and the check that it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from transformers import AutoModel

from zsad.errors import ModelError
from zsad.models.colours import Normalisation
from zsad.models.conversion.weights import OriginalWeights

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Converted(NamedTuple):
    """A checkpoint in the terms of ``transformers``.

    Attributes:
        config: of the architecture, which says by itself which model to build.
        state: every tensor of that model, by its name there; parts of fused tensors share their memory.
        normalisation: of pixels, where the checkpoint says so; None for that of its family.
    """

    config: PretrainedConfig
    state: dict[str, torch.Tensor]
    normalisation: Normalisation | None = None


def checked(config: PretrainedConfig, state: dict[str, torch.Tensor], weights: OriginalWeights) -> Converted:
    """The conversion, once nothing is left over, nothing is missing and every shape is the model's.

    Raises:
        ModelError: one of these does not hold.
    """
    weights.check_all_used()
    with torch.device("meta"):
        expected = AutoModel.from_config(config).state_dict()
    differing = sorted(expected.keys() ^ state.keys())
    if differing:
        raise ModelError(
            f"the weights of model '{weights.name}' do not make a whole {config.model_type} (its '{differing[0]}' is "
            "present in some blocks but not in all); download them again"
        )
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise ModelError(
                f"a tensor of model '{weights.name}' ('{key}' in transformers) is of shape {list(tensor.shape)} where "
                f"{list(expected[key].shape)} is expected; use the weights as their authors published them"
            )
    return Converted(config, state)
