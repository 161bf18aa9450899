"""Load the text tower of a model, by the type in its configuration."""

from __future__ import annotations

from collections.abc import Callable

from zsad.errors import ModelError
from zsad.models.catalogue import facts_of
from zsad.models.checkpoint import FoundCheckpoint, locate_checkpoint
from zsad.models.texts import clip, dinotxt, siglip, tipsv2
from zsad.models.texts.base import TextEncoder, TextModel

__all__ = ["TOWERS", "TextModel", "load_texts"]

REMEDY = "choose a model of images and texts, such as clip-vitl14-336"
TextLoader = Callable[[TextModel, FoundCheckpoint, str], TextEncoder]

# By the `model_type` of config.json. The modules are imported instead of named, since the tracing of code, which
# decides what runs again after a change, follows imports.
TOWERS: dict[str, TextLoader] = {
    "clip": clip.load_texts,
    "clip_text_model": clip.load_texts,  # the text tower, saved alone
    "dinov3_vit": dinotxt.load_texts,
    "siglip": siglip.SiglipTexts.load,
    "siglip_text_model": siglip.SiglipTexts.load,
    "siglip2": siglip.SiglipTexts.load,
    "siglip2_text_model": siglip.SiglipTexts.load,
    "tipsv2": tipsv2.Tipsv2Texts.load,
    "tipsv2_text_model": tipsv2.Tipsv2Texts.load,
}


def load_texts(wanted: TextModel, device: str) -> TextEncoder:
    """Load a text tower, and its tokenizer.

    Args:
        wanted: the model; ``head`` and ``tokenizer`` if its kind supports them.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: the options do not fit the model.
        ModelError: the model is missing, gated, damaged, or has no text tower or tokenizer.
    """
    facts = facts_of(wanted.model)
    if facts is not None and not facts.texts and wanted.head is None:  # no download is needed for this error
        raise ModelError(f"model '{wanted.model}', {facts.family}, has no texts; {REMEDY}")
    found = locate_checkpoint(wanted.model, wanted.revision)
    if not isinstance(found.model_type, str) or found.model_type not in TOWERS:
        raise ModelError(f"model '{wanted.model}' has type '{found.model_type!s:.60}', which has no texts; {REMEDY}")
    return TOWERS[found.model_type](wanted, found, device)
