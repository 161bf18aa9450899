"""The sizes of a network, known without its weights: the disk space of its tokens, and the cost of computing them.

They come from the model's ``config.json`` if the model is on this machine, and for published models from a table here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from zsad.features.assumed import USUAL_BLOCKS, USUAL_PATCH, assumed_width
from zsad.features.network_options import NetworkOptions
from zsad.grids import GridRule, TokenLayout
from zsad.models.catalogue import MODELS, ModelFacts, facts_of
from zsad.models.families.dinov3_convnext import stage_stride
from zsad.models.families.tipsv2_config import TOWERS
from zsad.models.families.vision_transformer import VisionTransformer
from zsad.models.image_text.options import ImageTextOptions
from zsad.models.weight_files import OPEN_CLIP, form_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from zsad.models.families import Family

KERNEL = 7  # side of a ConvNeXt's depthwise convolutions (Liu et al., CVPR 2022)
OF_BOTH_TOWERS = ("projection_dim",)  # of a configuration with one for each tower
# For SigLIP's configurations, which leave out the sizes of the base model.
DEFAULTS = MappingProxyType({"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "patch_size": 16})
OF_OPEN_CLIP = {"width": "hidden_size", "layers": "num_hidden_layers", "patch_size": "patch_size"}
GATED_MATRICES, PLAIN_MATRICES = 3, 2  # of a block's perceptron


class Architecture(Protocol):
    """The cost-relevant sizes of a network, without the layers after the last kept one."""

    @property
    def patch(self) -> int:
        """The sides of an input must be multiples of this, pixels."""

    @property
    def stride(self) -> int:
        """Pixels of the input per token along each side."""

    @property
    def layers(self) -> int:
        """Number of kept layers."""

    @property
    def channels(self) -> int:
        """Width of a token."""

    @property
    def width(self) -> int:
        """Width of a token inside the network."""

    def operations(self, height: int, width: int) -> float:
        """Multiplications and additions of the matrix products for an input of ``height x width`` pixels."""


@dataclass(frozen=True)
class Transformer:
    """A vision transformer.

    Attributes:
        prefix_tokens: class and register tokens.
        blocks: up to the last kept layer.
        block_weights: in the matrices of one block.
        depth: total number of blocks.
        text_channels: width of the vector of an image in the space of texts; 0 if there is none.
    """

    patch: int
    layers: int
    channels: int
    prefix_tokens: int
    width: int
    blocks: int
    block_weights: int
    depth: int
    text_channels: int = 0

    @property
    def stride(self) -> int:
        """One token per patch."""
        return self.patch

    def operations(self, height: int, width: int) -> float:
        """Two for each weight and token, and four for each channel and pair of tokens in attention."""
        tokens = (height // self.patch) * (width // self.patch) + self.prefix_tokens
        return self.blocks * (2.0 * self.block_weights * tokens + 4.0 * self.width * tokens**2)


@dataclass(frozen=True)
class ConvNeXt:
    """A ConvNeXt with four-fold wide perceptrons.

    Attributes:
        depths, widths: of its stages, up to the last kept one.
    """

    patch: int
    stride: int
    layers: int
    channels: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        """Width of the widest kept layer."""
        return self.channels

    def operations(self, height: int, width: int) -> float:
        """Two for each weight of a block and position on the grid of its stage."""
        return sum(
            2.0 * depth * (8 * channels**2 + KERNEL**2 * channels) * height * width / stage_stride(stage) ** 2
            for stage, (depth, channels) in enumerate(zip(self.depths, self.widths, strict=True))
        )


class ViT(NamedTuple):
    """A published size of vision transformers.

    Attributes:
        width: of a token.
        blocks: their number.
        weights: in the matrices of one block, in units of ``width ** 2``: 4 in attention and the rest in the
            perceptron, which is 12 for the usual one.
        projected: width of the vector of an image in the space of texts; 0 if there is none.
    """

    width: int
    blocks: int
    weights: float = 12
    projected: int = 0


SMALL, BASE, LARGE = ViT(384, 12), ViT(768, 12), ViT(1024, 24)
SO400M = ViT(1152, 27, weights=4 + 2 * 4304 / 1152, projected=1152)
VITS: Mapping[str, ViT] = MappingProxyType(
    {
        "dinov3-vits16": SMALL,
        "dinov3-vits16plus": ViT(384, 12, weights=16),
        "dinov3-vitb16": BASE,
        "dinov3-vitl16": LARGE,
        "dinov3-vith16plus": ViT(1280, 32, weights=16),
        "dinov3-vit7b16": ViT(4096, 40, weights=10),
        **{
            f"{family}-{size}": vit
            for family in ("dinov2", "dinov2-reg")
            for size, vit in (("small", SMALL), ("base", BASE), ("large", LARGE), ("giant", ViT(1536, 40)))
        },
        "dino-vits8": SMALL,
        "dino-vits16": SMALL,
        "dino-vitb8": BASE,
        "dino-vitb16": BASE,
        "clip-vitb16": ViT(768, 12, projected=512),
        "clip-vitl14": ViT(1024, 24, projected=768),
        "clip-vitl14-336": ViT(1024, 24, projected=768),
        "clip-vitb16-plus-240": ViT(896, 12, projected=640),
        "clip-vitb16-datacomp": ViT(768, 12, projected=512),
        "clip-vitl14-datacomp": ViT(1024, 24, projected=768),
        **{
            f"siglip2-{size}-{trained}": vit
            for trained in ("256", "384", "512", "naflex")
            for size, vit in (
                ("vitb16", BASE._replace(projected=768)),
                ("vitl16", LARGE._replace(projected=1024)),
                ("so400m16", SO400M),
            )
        },
        "tipsv2-vitb14": BASE._replace(projected=768),
        "tipsv2-vitl14": LARGE._replace(projected=1024),
        "tipsv2-so400m14": SO400M,
        "tipsv2-vitg14": ViT(1536, 40, projected=1536),
    }
)
# Depths and widths of the stages.
CONVNEXTS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {
        "dinov3-convnext-tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
        "dinov3-convnext-small": ((3, 3, 27, 3), (96, 192, 384, 768)),
        "dinov3-convnext-base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
        "dinov3-convnext-large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    }
)


def architecture_of(backbone: NetworkOptions) -> Architecture | None:
    """The sizes of a backbone's network; no weights are read, and no network connection is used.

    Returns:
        None for a model that is neither published nor in a local folder or the local cache, and for a ``.pth`` file,
        whose sizes are only known from its weights.

    Raises:
        ConfigError: a layer does not exist.
        ModelError: its name is invalid, or its ``config.json`` is missing, damaged or of an unknown family.
    """
    if facts := facts_of(backbone.model):
        return published(facts, backbone)
    folder = model_folder(backbone)
    if folder is None:
        return None
    # These import torch and transformers, which published models do not need.
    from zsad.models.checkpoint import family_in
    from zsad.models.config_files import timm_architecture
    from zsad.models.config_sense import sense_of_config

    if (architecture := timm_architecture(backbone.model, folder)) is not None:
        facts = facts_of_timm(architecture)
        return published(facts, backbone) if facts else None
    family, config = family_in(backbone.model, folder)
    with sense_of_config(backbone.model, folder):
        return _of_config(family, config, backbone)


def _of_config(family: Family[Any], config: PretrainedConfig, backbone: NetworkOptions) -> Architecture:
    """The sizes in a model's own ``config.json``."""
    chosen = family.chosen_layers(config, backbone.layers, projected=backbone.projected, name=backbone.model)
    patch = family.patch(config)
    if not isinstance(family, VisionTransformer):
        return _convnext(patch, chosen, config.depths, config.hidden_sizes)
    width = config.hidden_size
    return Transformer(
        patch=patch,
        layers=len(chosen),
        channels=family.channels(config, projected=backbone.projected),
        prefix_tokens=family.prefix_tokens(config),
        width=width,
        blocks=max(chosen) + 1,
        block_weights=4 * width**2 + _perceptron_weights(config),
        depth=family.layer_count(config),
        text_channels=family.text_channels(config, ImageTextOptions()) if family.text_paths else 0,
    )


def layout_of(backbone: NetworkOptions, network: Architecture) -> TokenLayout:
    """The token layout of a network."""
    rule = grid_rule(backbone, network)
    return TokenLayout(rule, _layer_names(backbone.layers, facts_of(backbone.model)), network.channels, backbone.debias)


def grid_rule(backbone: NetworkOptions, network: Architecture) -> GridRule:
    """The grid rule of a network's tokens over an image."""
    return GridRule.of_network(
        backbone.resolution, network.patch, network.stride, backbone.fit, backbone.tile, backbone.overlap
    )


def operations_for(backbone: NetworkOptions, network: Architecture, height: int, width: int) -> float:
    """Multiplications and additions for all inputs of an image: the image, its square, or its tiles."""
    rule = grid_rule(backbone, network)
    rows, columns = rule.seen_at_once(height, width)
    return rule.inputs(height, width) * network.operations(rows * network.stride, columns * network.stride)


@lru_cache
def assumed_architecture(backbone: NetworkOptions, megabytes: int) -> Architecture:
    """The sizes of a network: as published, as in its ``config.json``, or a ViT with the same number of weights.

    Unlike `architecture_of` it knows all models, imports neither torch nor transformers, and never fails.

    Args:
        megabytes: of the weights in float32.
    """
    if facts := facts_of(backbone.model):
        return published(facts, backbone)
    config = _config_in(Path(backbone.model))
    width = config.get("hidden_size") or assumed_width(megabytes)
    inner = config.get("intermediate_size") or 4 * width
    return Transformer(
        patch=config.get("patch_size", USUAL_PATCH),
        layers=len(backbone.layers),
        channels=width,
        prefix_tokens=1 + config.get("num_register_tokens", 0),
        width=width,
        blocks=config.get("num_hidden_layers", USUAL_BLOCKS),
        block_weights=4 * width**2 + 2 * width * inner,
        depth=config.get("num_hidden_layers", USUAL_BLOCKS),
        text_channels=config.get("projection_dim", width),
    )


def _config_in(folder: Path) -> Mapping[str, int]:
    """The integers in a local model's configuration, of its vision tower if it has two; may be empty."""
    try:
        content = _content(folder)
        tower = content.get("vision_config", content)
        sizes = _sizes_left_out(content) | tower | {name: content[name] for name in OF_BOTH_TOWERS if name in content}
        return {name: value for name, value in sizes.items() if type(value) is int}
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        return {}


def _sizes_left_out(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Sizes that a configuration omits or names differently; empty for most."""
    if (tower := TOWERS.get(content.get("vision_fn", ""))) is not None:
        width = content["embed_dim"]
        return {
            "hidden_size": width,
            "num_hidden_layers": tower.blocks,
            "intermediate_size": int(width * tower.ratio),
        }
    return DEFAULTS if str(content.get("model_type")).startswith("siglip") else {}


def _content(folder: Path) -> dict[str, Any]:
    """The content of ``config.json``; for open_clip, the sizes by their names in ``transformers``."""
    form = form_of(folder)
    content: dict[str, Any] = json.loads((folder / form.config).read_text(encoding="utf-8"))
    if form is not OPEN_CLIP:
        return content
    model = content["model_cfg"]
    sizes = {name: model["vision_cfg"].get(key) for key, name in OF_OPEN_CLIP.items()}
    return {"vision_config": sizes, "projection_dim": model.get("embed_dim")}


def _layer_names(layers: Sequence[int], facts: ModelFacts | None) -> tuple[str, ...] | None:
    """The names of the kept layers; None if some are counted from the end of an unknown number."""
    if facts is not None:
        return tuple(str(layer % layer_count(facts)) for layer in layers)
    return None if min(layers) < 0 else tuple(map(str, layers))


def layer_count(facts: ModelFacts) -> int:
    """Blocks, or stages of a ConvNeXt, of a published model."""
    name = facts.name.removesuffix("-timm")
    return len(CONVNEXTS[name][0]) if name in CONVNEXTS else VITS[name].blocks


def published(facts: ModelFacts, backbone: NetworkOptions) -> Architecture:
    """The sizes of a published model."""
    name = facts.name.removesuffix("-timm")
    if name in CONVNEXTS:
        depths, widths = CONVNEXTS[name]
        return _convnext(facts.patch, [layer % len(depths) for layer in backbone.layers], depths, widths)
    vit = VITS[name]
    return Transformer(
        patch=facts.patch,
        layers=len(backbone.layers),
        channels=vit.projected if backbone.projected else vit.width,
        prefix_tokens=facts.prefix_tokens,
        width=vit.width,
        blocks=max(layer % vit.blocks for layer in backbone.layers) + 1,
        block_weights=round(vit.weights * vit.width**2),
        depth=vit.blocks,
        text_channels=vit.projected,
    )


def _convnext(patch: int, chosen: Sequence[int], depths: Sequence[int], widths: Sequence[int]) -> ConvNeXt:
    stages = max(chosen) + 1
    return ConvNeXt(
        patch=patch,
        stride=stage_stride(min(chosen)),
        layers=len(chosen),
        channels=max(widths[stage] for stage in chosen),
        depths=tuple(depths[:stages]),
        widths=tuple(widths[:stages]),
    )


def _perceptron_weights(config: PretrainedConfig) -> int:
    """Weights of one block's perceptron; DINOv2's gated one has narrower but more matrices, and as many weights."""
    inner = getattr(config, "intermediate_size", None) or int(config.hidden_size * config.mlp_ratio)
    matrices = GATED_MATRICES if getattr(config, "use_gated_mlp", False) else PLAIN_MATRICES
    weights: int = matrices * config.hidden_size * inner
    return weights


def model_folder(backbone: NetworkOptions) -> Path | None:
    """The folder of a model that is on this machine."""
    local = Path(backbone.model)
    if local.exists():
        return local if local.is_dir() else None
    from huggingface_hub.errors import HFValidationError

    from zsad.models.hub import is_cached, locate

    try:
        if "/" in backbone.model and not is_cached(backbone.model, backbone.revision):
            return None
    except HFValidationError:
        pass
    # Only hub ids in the cache come here, so that no network connection is used; all others are rejected.
    return locate(backbone.model, backbone.revision).path


def facts_of_timm(architecture: str) -> ModelFacts | None:
    """The published model for an architecture's name in ``timm``, for any training data."""
    return next((facts for facts in MODELS.values() if facts.hub_id.split("/")[1].split(".")[0] == architecture), None)
