"""Read ``open_clip_config.json`` of a plain CLIP with two transformers.

Source: the classes ``CLIPVisionCfg`` and ``CLIPTextCfg`` of https://github.com/mlfoundations/open_clip,
``open_clip/model.py``, whose defaults are here; and ``open_clip/push_to_hf_hub.py``, which writes the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import DataError, ModelError
from zsad.files.json_values import read_foreign_json
from zsad.models.colours import Normalisation
from zsad.models.config_sense import MOST
from zsad.models.weight_files import OPEN_CLIP_CONFIG

IMAGE_DEFAULTS = {"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0, "patch_size": 16, "image_size": 224}
TEXT_DEFAULTS = {
    "layers": 12, "width": 512, "heads": 8, "mlp_ratio": 4.0, "context_length": 77, "vocab_size": 49408
}  # fmt: skip
# Keys without effect on a plain CLIP in use: for training, for other kinds of tower, or given by the weights.
UNREAD = frozenset(
    {
        *("embed_dim", "quick_gelu", "vision_cfg", "text_cfg"),  # read by name
        *("init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"),
        *("patch_dropout", "output_tokens", "pos_embed_type", "attn_pooler_queries", "attn_pooler_heads"),
        *("timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path"),
        *("hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "pad_id", "eos_id"),
    }
)
USUAL = {  # further keys with the values of a plain CLIP besides null, false and empty
    "pool_type": ("tok", "argmax"),
    "proj_type": ("linear",),
    "block_type": ("default",),
}


class Sizes(NamedTuple):
    """The sizes of a plain CLIP.

    Attributes:
        image_width, image_blocks, image_heads, image_hidden: of the image tower: channels of a token, blocks, heads of
            attention, channels inside the perceptrons.
        patch: side of a patch, pixels.
        grid: side of the square grid of positions, patches.
        text_width, text_blocks, text_heads, text_hidden: the same for the text tower.
        vocabulary: number of tokens.
        longest: most tokens of a text.
        projected: channels of the space of images and texts.
    """

    image_width: int
    image_blocks: int
    image_heads: int
    image_hidden: int
    patch: int
    grid: int
    text_width: int
    text_blocks: int
    text_heads: int
    text_hidden: int
    vocabulary: int
    longest: int
    projected: int


class Described(NamedTuple):
    """The content of the file.

    Attributes:
        sizes: of the model.
        quick_gelu: whether its activation is QuickGELU, which OpenAI's weights were trained with.
        normalisation: of pixels; None for CLIP's.
    """

    sizes: Sizes
    quick_gelu: bool
    normalisation: Normalisation | None


def read_config(name: str, path: Path) -> Described:
    """Read ``open_clip_config.json``.

    Args:
        name: of the model, for messages.
        path: of the file.

    Raises:
        ModelError: it does not exist, is damaged, or is of another kind of model.
    """
    try:
        content = read_foreign_json(path)
    except DataError as error:
        raise ModelError(f"model '{name}': {error}") from None
    file = _File(name)
    content = file.section({"": content}, "")
    model = file.section(content, "model_cfg")
    image, text = (file.section(model, key) for key in ("vision_cfg", "text_cfg"))
    for section, known in ((model, {}), (image, IMAGE_DEFAULTS), (text, TEXT_DEFAULTS)):
        file.check_plain(section, known)
    return Described(
        _sizes(file, model, {**IMAGE_DEFAULTS, **image}, {**TEXT_DEFAULTS, **text}),
        file.switch(model, "quick_gelu"),
        file.normalisation(content.get("preprocess_cfg")),
    )


def _sizes(file: _File, model: Mapping[str, Any], image: Mapping[str, Any], text: Mapping[str, Any]) -> Sizes:
    patch, side = file.count(image, "patch_size"), file.count(image, "image_size")
    width, head_width = file.count(image, "width"), file.count(image, "head_width")
    text_width, text_heads = file.count(text, "width"), file.count(text, "heads")
    for channels, parts, what in ((width, head_width, "head_width"), (text_width, text_heads, "heads")):
        if channels % parts:
            raise file.unusable(f"{what} {parts} does not divide width {channels}")
    if side < patch:
        raise file.unusable(f"image_size {side} is smaller than patch_size {patch}")
    return Sizes(
        image_width=width,
        image_blocks=file.count(image, "layers", MOST),
        image_heads=width // head_width,
        image_hidden=file.hidden(image),
        patch=patch,
        grid=side // patch,
        text_width=text_width,
        text_blocks=file.count(text, "layers", MOST),
        text_heads=text_heads,
        text_hidden=file.hidden(text),
        vocabulary=file.count(text, "vocab_size"),
        longest=file.count(text, "context_length"),
        projected=file.count(model, "embed_dim"),
    )


class _File:
    """The file; all its errors have one form."""

    def __init__(self, name: str) -> None:
        self._name = name

    def unusable(self, reason: str) -> ModelError:
        return ModelError(
            f"the {OPEN_CLIP_CONFIG} of model '{self._name}' is not usable ({reason}); fix it, or download the model "
            "again"
        )

    def section(self, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        section = content.get(key)
        if not isinstance(section, dict):
            raise self.unusable(f"it has no {key}" if key else "it is not an object")
        return section

    def check_plain(self, section: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        for key, value in section.items():
            if key not in known and key not in UNREAD and value and value not in USUAL.get(key, ()):
                raise ModelError(
                    f"model '{self._name}' is not a plain CLIP of two transformers ({key} is {value!r:.60} in its "
                    f"{OPEN_CLIP_CONFIG}), which is not supported; choose one such as clip-vitb16-plus-240"
                )

    def count(self, section: Mapping[str, Any], key: str, most: int = 2**31 - 1) -> int:
        value = section.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.unusable(f"{key} is {value!r:.60}, not a whole number above 0")
        return value

    def hidden(self, section: Mapping[str, Any]) -> int:
        ratio = section["mlp_ratio"]
        if not _is_number(ratio) or not 0 < ratio <= MOST:
            raise self.unusable(f"mlp_ratio is {ratio!r:.60}, not a number above 0")
        return int(section["width"] * ratio)

    def switch(self, section: Mapping[str, Any], key: str) -> bool:
        value = section.get(key, False)
        if not isinstance(value, bool):
            raise self.unusable(f"{key} is {value!r:.60}, neither true nor false")
        return value

    def normalisation(self, section: Any) -> Normalisation | None:
        if section is None:
            return None
        if not isinstance(section, dict):
            raise self.unusable("its preprocess_cfg is not an object")
        mean, std = section.get("mean"), section.get("std")
        normalisation = Normalisation.of(mean, std)
        if normalisation is None and (mean is not None or std is not None):
            raise self.unusable(f"mean {mean!r:.60} and std {std!r:.60} are not three numbers each, or a std is 0")
        return normalisation


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
