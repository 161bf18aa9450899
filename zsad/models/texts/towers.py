"""Load text towers of ``transformers`` from a checkpoint of both towers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from zsad.errors import ConfigError, ModelError
from zsad.lazy import torch
from zsad.models.checkpoint import FoundCheckpoint, load_network
from zsad.models.texts.base import TextModel

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

Network = TypeVar("Network", bound="PreTrainedModel")


def check_no_head(wanted: TextModel, kind: str) -> None:
    """Reject the file of dino.txt for another kind of model.

    Raises:
        ConfigError: one is given.
    """
    if wanted.head is not None:
        raise ConfigError(f"model '{wanted.model}' is a {kind} model, which has no head; remove 'head'")


def loaded_tower(
    found: FoundCheckpoint,
    tower: type[Network],
    config: PretrainedConfig,
    device: str,
    *,
    state: Mapping[str, torch.Tensor] | None = None,
    remedy: str = "choose a model with both towers, or download it again",
) -> Network:
    """Load a text tower with its weights in float32, for inference; the image tower is not loaded.

    Args:
        tower: its class in ``transformers``.
        config: of this tower, not of both.
        state: its weights, if they had to be converted; None to read them from the checkpoint.
        remedy: what to do if there are none.

    Raises:
        ModelError: the weights are damaged, or lack some of its tensors.
    """
    network, lacking = load_network(found, tower, config, state)
    if missing := sorted(lacking):
        raise ModelError(
            f"the weights of model '{found.name}' lack {len(missing)} of the tensors of its text tower ({missing[0]}, "
            f"...); {remedy}"
        )
    _make_ready(network, device)
    return network


def _make_ready(network: torch.nn.Module, device: str) -> None:
    network.to(device).eval()
