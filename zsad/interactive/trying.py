"""Methods tried on images and tokens in memory, by the code of the workflow but without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.images import read_image
from zsad.errors import ArrayError, ConfigError, nearest_hint
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.features.registry import BACKBONES, completed, model_names, named
from zsad.features.views import variants
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import MemoryTokens, TokenSource

Image = str | Path | np.ndarray
Given = TokenSource | Sequence[np.ndarray] | np.ndarray


def extract(
    images: Iterable[Image],
    backbone: str | Backbone,
    params: Mapping[str, Any] | None = None,
    *,
    view: str = "original",
    image_ids: Sequence[str] | None = None,
    device: str = "auto",
) -> MemoryTokens:
    """The patch and class tokens of images, in memory; those of thousands belong into a file, by the workflow.

    Args:
        images: files, or arrays uint8 ``[height, width]`` (grey) or ``[height, width, 3]`` (RGB).
        backbone: one of those that ``zsad backbones`` lists, e.g. ``"embedded"`` or ``"efficientnet-lite0"``, a hub id
            or a path; or a backbone itself.
        params: of the backbone, e.g. ``{"resolution": 128}``.
        view: how images are shown, e.g. ``"rotations"``, at eight angles each, as for references of ``memory_bank``, or
            ``"hflip"``, mirrored, as for ``flip_consistency``.
        image_ids: names of the images; by default the paths, and positions of arrays.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        What `score` takes.

    Raises:
        ArrayError: there is no image, an array is no image, or there is another number of names than of images.
        ConfigError: there is no such backbone, parameter or view.
        DataError: an image cannot be read.
        ModelError: the weights are absent, or the device has too little memory.
    """
    images = [images] if isinstance(images, str | Path) else list(images)
    if not images:
        raise ArrayError("there are no images to extract features from; give one or more")
    names = list(map(_name, images, range(len(images)))) if image_ids is None else list(image_ids)
    if len(names) != len(images):
        raise ArrayError(f"there are {len(images)} images and {len(names)} names of them; give one of each")
    made = variants(view)
    extractor = _backbone(backbone, params).load(Execution(device=device))
    tokens, shown = [], []
    for name, image in zip(names, images, strict=True):
        pixels = _pixels(image, name)
        for variant in made:
            tokens.append(extractor.extract(variant.of(pixels)))
            shown.append(name + variant.suffix)
    return MemoryTokens(
        [of_image.patch_tokens for of_image in tokens],
        np.stack([of_image.cls_tokens for of_image in tokens]),
        shown,
        extractor.layers,
        cls_source=extractor.cls_source,
        provenance={"view": view, "model": extractor.model},
        path="tokens in memory",
    )


def score(
    scorer: str | Scorer,
    params: Mapping[str, Any] | None = None,
    *,
    image_score: Mapping[str, Any] | None = None,
    compute: Compute | None = None,
    **tokens: Given,
) -> list[ImageScore]:
    """Score images by one method, as the workflow would with the same tokens.

    Args:
        scorer: one of those that ``zsad methods`` lists, e.g. ``"mutual"``; or a scorer of one's own.
        params: of the scorer, e.g. ``{"k": 3}``.
        image_score: as ``image_score`` in ``config.yaml``, e.g. ``{"aggregate": "max"}``: how a map is smoothed and
            summed up to the score of its image.
        compute: device, memory and number format; by default the CPU, 1 GB and float32.
        tokens: by role: ``test``, the images to be scored; with references ``references``, as they are to be compared
            with, at eight angles if that is wanted; and others that a method reads, such as ``mirrored``. Each is what
            `extract` or `zsad.read_features` gave, or a list of arrays ``[layer, row, column, channel]``.

    Returns:
        For each test image, in order, its map, float32 ``[row, column]`` on its patch grid (None from a method that
        does not localise), its score, and a note, usually empty.

    Raises:
        ArrayError: a role is missing or not known, or tokens do not go together.
        ConfigError: there is no such scorer, parameter or layer.
        DataError: too few images for the method, or tokens that are not usable.

    >>> rng = np.random.default_rng(0)
    >>> good, test = rng.normal(size=(2, 1, 4, 4, 8)), rng.normal(size=(3, 1, 4, 4, 8))
    >>> found = score("memory_bank", {"k": 3}, test=list(test), references=list(good))
    >>> [one.index for one in found], found[0].anomaly_map.shape
    ([0, 1, 2], (4, 4))
    """
    method = _scorer(scorer, params)
    scoring = ImageScoring.build(image_score, where="image_score")
    sources = {role: _source(given, role) for role, given in tokens.items()}
    _check_together(method, sources)
    found = sorted(method.score(sources, compute or Compute()), key=lambda one: one.index)
    if [one.index for one in found] != list(range(len(sources["test"]))):
        raise ValueError(f"the scorer scored the images {[one.index for one in found]}, not each once")
    taken = [_with_score(one, scoring) for one in found]
    scores = method.rescored(np.array([one.image_score for one in taken], np.float64), sources)
    return [replace(one, image_score=float(value)) for one, value in zip(taken, scores, strict=True)]


def _name(image: Image, position: int) -> str:
    return str(position) if isinstance(image, np.ndarray) else str(image)


def _pixels(image: Image, name: str) -> np.ndarray:
    """uint8 RGB ``[height, width, 3]`` of a file or an array."""
    if isinstance(image, str | Path):
        return read_image(image)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in ((), (3,)):
        raise ArrayError(
            f"image {name} is {array.dtype} of shape {array.shape}, but must be uint8 [height, width] or "
            "[height, width, 3]; bring its values to 0..255 first, by the same scale in all images"
        )
    return np.ascontiguousarray(array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2))


def _backbone(backbone: str | Backbone, params: Mapping[str, Any] | None) -> Backbone:
    if isinstance(backbone, Backbone):
        if params:
            raise ConfigError("a backbone that is made already has its parameters; leave out params")
        return backbone
    family, known = (backbone, {}) if backbone in BACKBONES.names() else named(backbone) or ("", {})
    if not family:
        raise ConfigError(
            f"there is no backbone '{backbone}'{nearest_hint(backbone, [*BACKBONES.names(), *model_names()])}"
        )
    if not BACKBONES.load(family).sees_images:
        raise ConfigError(f"backbone '{backbone}' joins the features of others and sees no image; name one of these")
    return BACKBONES.build(family, completed(family, {**known, **(params or {})}), where=f"backbone '{backbone}'")


def _scorer(scorer: str | Scorer, params: Mapping[str, Any] | None) -> Scorer:
    if isinstance(scorer, str):
        return SCORERS.build(scorer, params)
    if params:
        raise ConfigError("a scorer that is made already has its parameters; leave out params")
    return scorer


def _source(given: Given, role: str) -> TokenSource:
    if isinstance(given, np.ndarray | Sequence):
        return MemoryTokens(list(given), path=f"the tokens of '{role}'")
    return given


def _check_together(scorer: Scorer, sources: Mapping[str, TokenSource]) -> None:
    """Refuse tokens of other roles than the scorer reads, of several backbones, or of other images than the test's."""
    wanted = scorer.feature_sets()
    for role in [*wanted, *sources]:
        if role not in sources or role not in wanted:
            fault = "is missing" if role in wanted else "is not among them"
            raise ArrayError(
                f"{type(scorer).__name__} reads tokens by the names {', '.join(wanted)}, and '{role}' {fault}"
            )
    test = sources["test"]
    for role, source in sources.items():
        if (source.layers, source.channels) != (test.layers, test.channels):
            raise ArrayError(
                f"the tokens of '{role}' have the layers {', '.join(source.layers)} of {source.channels} channels and "
                f"those of 'test' {', '.join(test.layers)} of {test.channels}; extract both by the same backbone"
            )
        if wanted[role].subset == "test" and not np.array_equal(source.grid_sizes, test.grid_sizes):
            raise ArrayError(
                f"'{role}' must show the images of 'test', but the patch grids differ; give the same images"
            )
    if scorer.wants_foreground and test.foreground is None:
        raise ArrayError(
            f"{type(scorer).__name__} with foreground: sam needs masks of the part; give MemoryTokens(foreground=...), "
            "or another foreground"
        )


def _with_score(found: ImageScore, scoring: ImageScoring) -> ImageScore:
    """With the map as it is stored, and the score that follows from it."""
    if found.anomaly_map is None:
        return found
    anomaly_map = scoring.smoothed(found.anomaly_map)
    return replace(found, anomaly_map=anomaly_map, image_score=scoring.image_score(anomaly_map))
