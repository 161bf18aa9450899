"""The tokens of a backbone, and what a network's products cost, without loading it or importing torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import ZsadError
from zsad.features.architecture import Architecture, Transformer, published
from zsad.features.base import Execution
from zsad.features.catalogue import facts_of
from zsad.features.estimate import input_shapes
from zsad.features.geometry import Preparation
from zsad.features.registry import BACKBONES
from zsad.resources.workload import Images, Size
from zsad.scoring.cost import TokenCount

if TYPE_CHECKING:
    from zsad.config import BackboneEntry

UNKNOWN_WEIGHTS = 1200  # MB of a network of which nothing is known: about a ViT-L
USUAL_PATCH, USUAL_BLOCKS, BLOCK_WEIGHTS = 16, 12, 12  # of a ViT; weights of a block in squares of its width


def is_network(entry: BackboneEntry) -> bool:
    """Whether a backbone has weights, and profits from several threads or a GPU; a joint if a member does."""
    return BACKBONES.load(entry.family).is_network or any(map(is_network, entry.members))


def weights_megabytes(entry: BackboneEntry) -> int:
    """Size of a backbone's weights in float32, MB."""
    known = entry.weights_megabytes()
    return UNKNOWN_WEIGHTS if known is None else known


def tokens_of(entry: BackboneEntry, images: Images) -> TokenCount:
    """The tokens that a backbone makes of some images; each counts as the one with the largest grid does."""
    if entry.members:
        return joined_tokens([tokens_of(member, images) for member in entry.members])
    if not is_network(entry):
        extractor = BACKBONES.build(entry.family, entry.params).load(Execution())
        patches = max(math.prod(extractor.grid_size(*size[:2])) for size in images.shapes)
        return TokenCount(images.count, patches, len(extractor.layers), extractor.channels)
    backbone, network = BACKBONES.build(entry.family, entry.params), network_of(entry)
    prepared = Preparation(backbone.resolution, network.patch, backbone.fit)
    patches = max(math.prod(prepared.grid_size(*size[:2])) for size in images.shapes)
    patches *= (network.patch // network.stride) ** 2
    return TokenCount(images.count, patches, network.layers, network.channels)


def joined_tokens(members: Sequence[TokenCount]) -> TokenCount:
    """The tokens of a joint: the layers of all members side by side, on the finest grid."""
    patches = max(tokens.patches for tokens in members)
    return TokenCount(members[0].images, patches, 1, sum(tokens.layers * tokens.channels for tokens in members))


def network_operations(entry: BackboneEntry, images: Images) -> float:
    """Multiplications and additions of a network for some images."""
    backbone, network = BACKBONES.build(entry.family, entry.params), network_of(entry)
    return sum(size.images * _operations(backbone, network, size) for size in images.sizes)


def network_of(entry: BackboneEntry) -> Architecture:
    """The sizes of a network: as published, as its ``config.json`` says, or a ViT with as many weights."""
    return _network_of(entry.family, json.dumps(entry.params), weights_megabytes(entry))


@lru_cache
def _network_of(family: str, params: str, megabytes: int) -> Architecture:
    backbone = BACKBONES.build(family, json.loads(params))
    try:
        if facts := facts_of(backbone.model):
            return published(facts, backbone)
    except ZsadError:  # a layer that does not exist: the job says so
        pass
    config = _config_in(Path(backbone.model))
    blocks = config.get("num_hidden_layers", USUAL_BLOCKS)
    width = config.get("hidden_size") or round(math.sqrt(megabytes * 1e6 / 4 / USUAL_BLOCKS / BLOCK_WEIGHTS)) or 1
    inner = config.get("intermediate_size") or 4 * width
    return Transformer(
        patch=config.get("patch_size", USUAL_PATCH),
        layers=len(backbone.layers),
        channels=width,
        prefix_tokens=1 + config.get("num_register_tokens", 0),
        width=width,
        blocks=blocks,
        block_weights=4 * width**2 + 2 * width * inner,
    )


def _config_in(folder: Path) -> Mapping[str, int]:
    """The whole numbers of a local model's configuration, of its vision tower if it has two; maybe none."""
    try:
        content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        content = content.get("vision_config", content)
        return {name: value for name, value in content.items() if type(value) is int}
    except (OSError, ValueError, AttributeError):
        return {}


def _operations(backbone: Any, network: Architecture, size: Size) -> float:
    return sum(network.operations(*shape) for shape in input_shapes(backbone, network, size))
