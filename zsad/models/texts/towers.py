"""Text towers of ``transformers`` out of a checkpoint of both towers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from zsad.errors import ConfigError, ModelError
from zsad.lazy import torch
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_sense import built_within, sense_of_weights
from zsad.models.texts.base import TextModel

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

Network = TypeVar("Network", bound="PreTrainedModel")


def check_no_head(wanted: TextModel, kind: str) -> None:
    """Refuse the file of dino.txt for another kind of model.

    Raises:
        ConfigError: one is named.
    """
    if wanted.head is not None:
        raise ConfigError(f"model '{wanted.model}' is a {kind} model, which takes no head; leave 'head' out")


def loaded_tower(
    found: FoundCheckpoint,
    tower: type[Network],
    config: PretrainedConfig,
    device: str,
    *,
    state: Mapping[str, torch.Tensor] | None = None,
    remedy: str = "choose a model with both towers, or download it again",
) -> Network:
    """A text tower with its weights in float32, for inference; the image tower is left on the disk.

    Args:
        tower: its class in ``transformers``.
        config: its own, not that of both towers.
        state: its weights, if they had to be converted; None to read them from the checkpoint.
        remedy: what to do if there are none.

    Raises:
        ModelError: the weights are damaged, or lack some of its tensors.
    """
    source: dict[str, Any] = {"pretrained_model_name_or_path": None, "state_dict": state}
    if state is None:
        source = {
            "pretrained_model_name_or_path": found.source,
            "local_files_only": True,
            "trust_remote_code": False,
            "weights_only": True,
            "use_safetensors": found.weight_files[0].suffix == ".safetensors",
        }
    with sense_of_weights(found.name, found.source), built_within(found.weight_files, found.name):
        # Annotated without the pair that comes of ``output_loading_info``.
        from_pretrained: Callable[..., Any] = tower.from_pretrained
        loaded: tuple[Network, dict[str, Any]] = from_pretrained(
            **source, config=config, dtype=torch.float32, output_loading_info=True
        )
    network, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"the weights of model '{found.name}' lack {len(missing)} of the tensors of its text tower ({missing[0]}, "
            f"...); {remedy}"
        )
    _make_ready(network, device)
    return network


def _make_ready(network: torch.nn.Module, device: str) -> None:
    network.to(device).eval()
