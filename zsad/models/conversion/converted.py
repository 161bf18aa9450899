"""The result of a conversion, and the check that it is complete."""

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
    """A checkpoint in the form of ``transformers``.

    Attributes:
        config: of the architecture, which determines the model.
        state: every tensor of that model, by its name there; parts of fused tensors share their memory.
        normalisation: of pixels, if the checkpoint states it; None for that of its family.
    """

    config: PretrainedConfig
    state: dict[str, torch.Tensor]
    normalisation: Normalisation | None = None


def check_converted(config: PretrainedConfig, state: dict[str, torch.Tensor], weights: OriginalWeights) -> Converted:
    """Return the conversion, if all tensors are used, none is missing and every shape is the model's.

    Raises:
        ModelError: this is not the case.
    """
    weights.check_all_used()
    with torch.device("meta"):
        expected = AutoModel.from_config(config).state_dict()
    differing = sorted(expected.keys() ^ state.keys())
    if differing:
        raise ModelError(
            f"the weights of model '{weights.name}' do not make a complete {config.model_type} (its '{differing[0]}' "
            "is present in some blocks but not in all); download them again"
        )
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise ModelError(
                f"a tensor of model '{weights.name}' ('{key}' in transformers) has shape {list(tensor.shape)} instead "
                f"of {list(expected[key].shape)}; use the weights as their authors published them"
            )
    return Converted(config, state)
