"""CLIP as OpenAI publishes it (Radford et al., ICML 2021), and as open_clip does (Cherti et al., CVPR 2023).

Source: https://github.com/openai/CLIP, ``clip/model.py``, and https://github.com/mlfoundations/open_clip,
``open_clip/model.py`` and ``open_clip/transformer.py``, whose tensors have the same names. The tensors give neither the
number of heads nor the activation: open_clip's folders state them in ``open_clip_config.json``, and single files
released by OpenAI or open_clip's authors are recognised by their content or name. Any other file needs an
``open_clip_config.json`` beside it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import torch
from transformers import CLIPConfig

from zsad.errors import ModelError
from zsad.models.colours import Normalisation
from zsad.models.conversion.converted import Converted, check_converted
from zsad.models.conversion.open_clip_config import Described, Sizes, read_config
from zsad.models.conversion.patches import head_count
from zsad.models.conversion.weights import OriginalWeights
from zsad.models.positions import Positions
from zsad.models.weight_files import OPEN_CLIP_CONFIG, config_beside

MARKS = ("visual.class_embedding", "visual.conv1.weight")
DROPPED = (
    r"(.*\.)?attn_mask",  # a buffer that old versions saved
    r"logit_bias",  # of SigLIP's loss
    r"input_resolution|context_length|vocab_size",  # OPENAI_NUMBERS
)
OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")  # besides the weights, only in OpenAI's files
OPENAI_RELEASE = re.compile(r"ViT-(B-32|B-16|L-14|L-14-336px)\.pt")  # in half precision, like all of them
# Separately released files have heads of 64 channels, CLIP's normalisation, and QuickGELU if their name says so:
# https://github.com/mlfoundations/open_clip/releases/tag/v0.2-weights and ``open_clip/pretrained.py``.
RELEASE = re.compile(r"vit_[bl]_\d+(_plus)?(_\d+)?(?P<quick>-quickgelu)?-laion(400m|2b)_e\d+-[0-9a-f]{8}\.pth?")
HEAD_WIDTH = 64
NORM_EPSILON = 1e-5  # torch's own, of every norm
POSITIONS: Positions = (
    "antialiased"  # open_clip's interpolation to another grid: bicubic, ``resize_pos_embed`` in ``model.py``
)
OPENAI_POSITIONS: Positions = "bicubic"  # OpenAI's code has none; this is that of its models in ``transformers``
ACTIVATIONS = {False: "gelu", True: "quick_gelu"}


class Part(NamedTuple):
    """The prefixes of a tower's blocks, in the file and in ``transformers``."""

    source: str
    target: str


IMAGE = Part("visual.transformer.resblocks.", "vision_model.encoder.layers.")
TEXT = Part("transformer.resblocks.", "text_model.encoder.layers.")


def from_file(weights: OriginalWeights) -> Converted:
    """Convert a single file from training or a release.

    Raises:
        ModelError: its activation is unknown; or a tensor is missing, unused, or of another shape.
    """
    file = weights.source
    if file is not None and (beside := config_beside(file)) is not None:
        return convert(weights, read_config(weights.name, beside))
    heads = (_heads(weights, "visual.class_embedding", 1), _heads(weights, "ln_final.weight", 1))
    if _is_openai(weights):
        sizes = sizes_of(weights, *heads)
        return _converted(weights, sizes, quick_gelu=True, normalisation=None, positions=OPENAI_POSITIONS)
    release = None if file is None else RELEASE.fullmatch(file.name)
    if release is None:
        raise ModelError(
            f"the weights of model '{weights.name}' are of open_clip, which do not state whether their activation is "
            f"GELU or QuickGELU; put the model's {OPEN_CLIP_CONFIG} beside the file (with model_cfg.quick_gelu), or "
            "give a released file its name back"
        )
    return _converted(weights, sizes_of(weights, *heads), quick_gelu=release["quick"] is not None, normalisation=None)


def _is_openai(weights: OriginalWeights) -> bool:
    """Whether weights are OpenAI's.

    Their archives contain three numbers besides. A file with only the state dict is recognised by half precision and
    the name of a release.
    """
    if all(key in weights for key in OPENAI_NUMBERS):
        return True
    is_half = weights.take("visual.conv1.weight").dtype == torch.float16
    return is_half and weights.source is not None and OPENAI_RELEASE.fullmatch(weights.source.name) is not None


def convert(weights: OriginalWeights, described: Described) -> Converted:
    """Convert the weights of a folder.

    Args:
        weights: of the folder.
        described: the content of its ``open_clip_config.json``.

    Raises:
        ModelError: the configuration is of another model; or a tensor is missing, unused, or of another shape.
    """
    expected = described.sizes
    found = sizes_of(weights, expected.image_heads, expected.text_heads)
    for field, value in expected._asdict().items():
        if (actual := getattr(found, field)) != value:
            raise ModelError(
                f"the {OPEN_CLIP_CONFIG} of model '{weights.name}' describes another model than its weights "
                f"({field.replace('_', ' ')} {value}, but they have {actual}); download both again"
            )
    return _converted(weights, found, quick_gelu=described.quick_gelu, normalisation=described.normalisation)


def sizes_of(weights: OriginalWeights, image_heads: int, text_heads: int) -> Sizes:
    """The sizes of the model by its tensors.

    Raises:
        ModelError: a tensor is missing, or has an impossible shape.
    """
    image_width, _, patch, columns = weights.shape("visual.conv1.weight", 4)
    if patch != columns:
        raise weights.wrong_shape("visual.conv1.weight", "a square kernel")
    longest, text_width = weights.shape("positional_embedding", 2)
    return Sizes(
        image_width=image_width,
        image_blocks=weights.count(IMAGE.source),
        image_heads=image_heads,
        image_hidden=_hidden(weights, IMAGE),
        patch=patch,
        grid=weights.grid_side("visual.positional_embedding", 0),
        text_width=text_width,
        text_blocks=weights.count(TEXT.source),
        text_heads=text_heads,
        text_hidden=_hidden(weights, TEXT),
        vocabulary=weights.shape("token_embedding.weight", 2)[0],
        longest=longest,
        projected=weights.shape("visual.proj", 2)[1],
    )


def config_of(sizes: Sizes, *, quick_gelu: bool, positions: Positions = POSITIONS) -> CLIPConfig:
    """The configuration of ``transformers`` for a model of these sizes."""
    shared: dict[str, Any] = {"hidden_act": ACTIVATIONS[quick_gelu], "layer_norm_eps": NORM_EPSILON}
    return CLIPConfig(
        projection_dim=sizes.projected,
        vision_config=shared
        | {
            "hidden_size": sizes.image_width,
            "num_hidden_layers": sizes.image_blocks,
            "num_attention_heads": sizes.image_heads,
            "intermediate_size": sizes.image_hidden,
            "patch_size": sizes.patch,
            "image_size": sizes.grid * sizes.patch,
            "projection_dim": sizes.projected,
            "position_interpolation": positions,
        },
        text_config=shared
        | {
            "hidden_size": sizes.text_width,
            "num_hidden_layers": sizes.text_blocks,
            "num_attention_heads": sizes.text_heads,
            "intermediate_size": sizes.text_hidden,
            "vocab_size": sizes.vocabulary,
            "max_position_embeddings": sizes.longest,
            "projection_dim": sizes.projected,
            # A text ends at its token with the highest number; it must also be the tokenizer's last one.
            "bos_token_id": sizes.vocabulary - 2,
            "eos_token_id": sizes.vocabulary - 1,
            "pad_token_id": sizes.vocabulary - 1,
        },
    )


def _converted(
    weights: OriginalWeights,
    sizes: Sizes,
    *,
    quick_gelu: bool,
    normalisation: Normalisation | None,
    positions: Positions = POSITIONS,
) -> Converted:
    weights.drop(DROPPED)
    state = {
        "logit_scale": _number(weights, "logit_scale"),
        "vision_model.embeddings.class_embedding": weights.take("visual.class_embedding"),
        "vision_model.embeddings.patch_embedding.weight": weights.take("visual.conv1.weight"),
        "vision_model.embeddings.position_embedding.weight": weights.take("visual.positional_embedding"),
        "visual_projection.weight": _transposed(weights, "visual.proj"),
        "text_model.embeddings.token_embedding.weight": weights.take("token_embedding.weight"),
        "text_model.embeddings.position_embedding.weight": weights.take("positional_embedding"),
        "text_projection.weight": _transposed(weights, "text_projection"),
        **weights.module("visual.ln_pre", "vision_model.pre_layrnorm"),
        **weights.module("visual.ln_post", "vision_model.post_layernorm"),
        **weights.module("ln_final", "text_model.final_layer_norm"),
    }
    for part, blocks in ((IMAGE, sizes.image_blocks), (TEXT, sizes.text_blocks)):
        for block in range(blocks):
            state |= _block(weights, f"{part.source}{block}", f"{part.target}{block}")
    config = config_of(sizes, quick_gelu=quick_gelu, positions=positions)
    converted = check_converted(config, state, weights)
    return converted._replace(normalisation=normalisation)


def _block(weights: OriginalWeights, source: str, target: str) -> dict[str, torch.Tensor]:
    projections = [f"{target}.self_attn.{part}_proj" for part in "qkv"]
    state = {
        f"{projection}.{kind}": part
        for kind in ("weight", "bias")
        for projection, part in zip(projections, weights.parts(f"{source}.attn.in_proj_{kind}", 3), strict=True)
    }
    return state | {
        **weights.module(f"{source}.attn.out_proj", f"{target}.self_attn.out_proj"),
        **weights.module(f"{source}.ln_1", f"{target}.layer_norm1"),
        **weights.module(f"{source}.ln_2", f"{target}.layer_norm2"),
        **weights.module(f"{source}.mlp.c_fc", f"{target}.mlp.fc1"),
        **weights.module(f"{source}.mlp.c_proj", f"{target}.mlp.fc2"),
    }


def _heads(weights: OriginalWeights, key: str, axes: int) -> int:
    return head_count(weights.shape(key, axes)[-1], HEAD_WIDTH, weights)


def _hidden(weights: OriginalWeights, part: Part) -> int:
    return weights.shape(f"{part.source}0.mlp.c_fc.weight", 2)[0]


def _transposed(weights: OriginalWeights, key: str) -> torch.Tensor:
    weights.shape(key, 2)
    return weights.take(key).T.contiguous()


def _number(weights: OriginalWeights, key: str) -> torch.Tensor:
    """A tensor of one number, which some versions save with an axis."""
    tensor = weights.take(key)
    if tensor.numel() != 1:
        raise weights.wrong_shape(key, "a single number")
    return tensor.reshape(())
