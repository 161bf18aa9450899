"""Turn photographs into the tokens of a feature file, for a model that was fitted to such a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsad.data.subsets import base_id
from zsad.errors import DataError, ModelError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.files.features import to_halves
from zsad.inspecting.encoder import Encoder, Prepared, described, is_same_model
from zsad.inspecting.inspection import Failure
from zsad.inspecting.model_file import name_of, part_finder_of
from zsad.inspecting.reading import cores, pixels_of
from zsad.scoring.token_source import ForegroundMasks, MemoryTokens

if TYPE_CHECKING:
    from zsad.segmentation.foreground import ObjectMask

VIEW = "original"  # the view of test images for methods with references


class Looked(NamedTuple):
    """A photograph after reading.

    Attributes:
        path: None for an array.
        prepared: input of the backbone.
        for_part: input of the segmentation model that finds the object; None if the method does not need it.
    """

    path: Path | None
    prepared: Prepared
    for_part: np.ndarray | None


class Seen(NamedTuple):
    """A photograph after encoding.

    Attributes:
        path: None for an array.
        halves: float16 ``[layer, row, column, channel]``, rounded as in a feature file.
        cls_tokens: float32 ``[layer, channel]``.
        height, width: of the upright photograph.
        part: mask of the object; None if the method does not need it.
    """

    path: Path | None
    halves: np.ndarray
    cls_tokens: np.ndarray
    height: int
    width: int
    part: ObjectMask | None


class Sight:
    """The backbone of a model, and the segmentation model that finds the object if the method needs it.

    Args:
        provenance: of the model file.
        white: of the references, see `zsad.data.images.read_image`.

    Raises:
        ConfigError: the device does not exist.
        ModelError: the weights are missing, or differ from those that made the model.
    """

    def __init__(self, provenance: Mapping[str, Any], backbone: Backbone, device: str, white: float | None) -> None:
        name = name_of(provenance["backbone"])
        self._encoder = Encoder(name, backbone, Execution(device=device, threads=cores()))
        if not self._encoder.has_made(provenance["model"]):
            raise ModelError(_other_weights("backbone", name, described(provenance["model"]), self._encoder.described))
        self._provenance = {"model": provenance["model"], "view": VIEW}
        self._white = white
        self._finder = part_finder_of(provenance, device)
        made_by = (provenance["references"].get("foreground") or {}).get("segmenter")
        if self._finder is not None and made_by and not is_same_model(made_by, self._finder.model):
            name, here = name_of(provenance["segmenter"]), described(self._finder.model)
            raise ModelError(_other_weights("segmentation model", name, described(made_by), here))

    def look(self, image: str | Path | np.ndarray) -> Looked | Failure:
        """Read a photograph; a failure if the file cannot be read.

        Raises:
            DataError: it is an array that is not a photograph.
        """
        path = None if isinstance(image, np.ndarray) else Path(image)
        try:
            pixels = pixels_of(image, self._white)
            prepared = self._encoder.prepare(pixels, path or "the photograph")
        except DataError as error:
            if path is None:
                raise
            return Failure(path, error)
        return Looked(path, prepared, self._finder.prepare(pixels) if self._finder else None)

    def seen(self, looks: Iterable[Looked | Failure]) -> Iterator[Seen | Failure]:
        """Encode photographs in order; those of equal shapes together."""
        batch: list[Looked] = []
        for look in looks:
            if batch and (isinstance(look, Failure) or not self._fits(look, batch)):
                yield from self._encoded(batch)
                batch = []
            if isinstance(look, Failure):
                yield look
            else:
                batch.append(look)
        if batch:
            yield from self._encoded(batch)

    def source(self, seen: Sequence[Seen]) -> MemoryTokens:
        """Photographs as a token source for scorers."""
        names = [_name(each.path, place) for place, each in enumerate(seen)]
        return MemoryTokens(
            [each.halves for each in seen],
            np.stack([each.cls_tokens for each in seen]),
            names,
            layers=self._encoder.layers,
            cls_source=self._encoder.cls_source,
            provenance=self._provenance,
            foreground=_masks([each.part for each in seen if each.part is not None], names),
            path="the photographs",
        )

    def _fits(self, look: Looked, batch: Sequence[Looked]) -> bool:
        first = batch[0].prepared
        return look.prepared.shapes == first.shapes and len(batch) < self._encoder.capacity(first)

    def _encoded(self, batch: Sequence[Looked]) -> Iterator[Seen | Failure]:
        for look, tokens in zip(batch, self._encoder.encode([look.prepared for look in batch]), strict=True):
            height, width = look.prepared.height, look.prepared.width
            try:
                halves = to_halves(tokens.patch_tokens, str(look.path or "the photograph"))
                part = self._part(look)
            except DataError as error:
                if look.path is None:
                    raise
                yield Failure(look.path, error)
                continue
            yield Seen(look.path, halves, tokens.cls_tokens, height, width, part)

    def _part(self, look: Looked) -> ObjectMask | None:
        if self._finder is None or look.for_part is None:
            return None
        return self._finder.part(look.for_part, look.prepared.height, look.prepared.width)


def _other_weights(kind: str, name: str, there: str, here: str) -> str:
    return (
        f"{kind} '{name}' has other weights than those that made the model ({there} in the model, {here} here); "
        "restore those weights, or run the workflow again to make the model again"
    )


def _name(path: Path | None, place: int) -> str:
    """The name of a photograph in messages: its path, unless it looks like the name of a rotated image."""
    return str(path) if path is not None and base_id(str(path)) == str(path) else str(place)


def _masks(parts: Sequence[ObjectMask], names: Sequence[str]) -> ForegroundMasks | None:
    if not parts:
        return None
    from zsad.inspecting.part_masks import MemoryMasks

    return MemoryMasks(parts, names)
