"""Extract tokens of images into memory, with the code of the workflow, but without a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import ArrayError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.features.views import variants
from zsad.inspecting.encoder import Encoder
from zsad.inspecting.reading import pixels_of
from zsad.interactive.parts import backbone_named
from zsad.scoring.token_source import MemoryTokens

RGB = 3  # channels
GREY_STACK = 3  # axes of a stack of grey images

Image = str | Path | np.ndarray


def extract(
    images: Iterable[Image],
    backbone: str | Backbone,
    params: Mapping[str, Any] | None = None,
    *,
    view: str = "original",
    image_ids: Sequence[str] | None = None,
    device: str = "auto",
) -> MemoryTokens:
    """Extract patch and class tokens of images into memory; for thousands of images, use the workflow and its files.

    Args:
        images: files, or arrays ``[height, width]`` (grey) or ``[height, width, 3]`` (RGB) of uint8 or uint16.
        backbone: one that ``zsad backbones`` lists, e.g. ``"embedded"`` or ``"efficientnet-lite0"``, a hub id or a
            path; or a backbone itself.
        params: parameters of the backbone, e.g. ``{"resolution": 128}``.
        view: transformation of the images, e.g. ``"rotations"`` (eight angles each, as for references of
            ``memory_bank``), or ``"hflip"`` (mirrored, as for ``flip_consistency``).
        image_ids: names of the images; by default the paths, and positions of arrays.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        Tokens for `score`.

    Raises:
        ArrayError: there is no image, or the number of names differs from that of images.
        ConfigError: there is no such backbone, parameter or view.
        DataError: an image cannot be read, is not a photograph, or is too narrow or too large for the workflow.
        ModelError: the weights are missing, or the device has too little memory.
    """
    given = listed(images)
    names = [_name(*each) for each in enumerate(given)] if image_ids is None else list(image_ids)
    if len(names) != len(given):
        raise ArrayError(f"there are {len(given)} images, but {len(names)} names; give one name for each image")
    made = variants(view)
    seen_by = backbone_named(backbone, params)
    name_of_backbone = backbone if isinstance(backbone, str) else type(backbone).__name__
    encoder = Encoder(name_of_backbone, seen_by, Execution(device))
    tokens, shown = [], []
    for name, image in zip(names, given, strict=True):
        pixels = pixels_of(image, None)
        for variant in made:
            tokens += encoder.encode([encoder.prepare(variant.of(pixels), f"image {name}")])
            shown.append(name + variant.suffix)
    return MemoryTokens(
        [of_image.patch_tokens for of_image in tokens],
        np.stack([of_image.cls_tokens for of_image in tokens]),
        shown,
        encoder.layers,
        cls_source=encoder.cls_source,
        provenance={"view": view, "backbone": seen_by.parameters(), **_models(encoder)},
        path="tokens in memory",
    )


def listed(images: Iterable[Image]) -> list[Image]:
    """Images as a list, one or more.

    Raises:
        ArrayError: there is none, or a single array is given instead of a list.
    """
    if isinstance(images, str | Path):
        return [images]
    if not isinstance(images, Iterable) or _is_one_image(images):
        what = f"an array of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ArrayError(f"the images are {what}; give a list of files or arrays, even for a single image")
    given = list(images)
    if not given:
        raise ArrayError("there are no images to extract features from; give one or more")
    return given


def _is_one_image(images: Iterable[Image]) -> bool:
    return isinstance(images, np.ndarray) and (images.ndim < GREY_STACK or images.shape[2:] == (RGB,))


def _name(position: int, image: Image) -> str:
    return str(image) if isinstance(image, str | Path) else str(position)


def _models(encoder: Encoder) -> dict[str, Any]:
    """The facts on the backbone in a feature file; empty for a joint backbone, which has no model of its own."""
    return {"model": encoder.models[0]} if len(encoder.models) == 1 else {}
