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
from zsad.inspecting.model_file import foreground_finder_of, name_of
from zsad.inspecting.reading import cores, pixels_of
from zsad.scoring.token_source import ForegroundMasks, MemoryTokens

if TYPE_CHECKING:
    from zsad.segmentation.foreground import ObjectMask

VIEW = "original"  # the view of test images for methods with references


class ReadPhotograph(NamedTuple):
    """A photograph after reading.

    Attributes:
        path: None for an array.
        prepared: input of the backbone.
        finder_input: input of the segmentation model that finds the object; None if the method does not need it.
    """

    path: Path | None
    prepared: Prepared
    finder_input: np.ndarray | None


class EncodedPhotograph(NamedTuple):
    """A photograph after encoding.

    Attributes:
        path: None for an array.
        halves: float16 ``[layer, row, column, channel]``, rounded as in a feature file.
        cls_tokens: float32 ``[layer, channel]``.
        height, width: of the upright photograph.
        foreground: mask of the object; None if the method does not need it.
    """

    path: Path | None
    halves: np.ndarray
    cls_tokens: np.ndarray
    height: int
    width: int
    foreground: ObjectMask | None


class PhotographEncoder:
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
        self._finder = foreground_finder_of(provenance, device)
        made_by = (provenance["references"].get("foreground") or {}).get("segmenter")
        if self._finder is not None and made_by and not is_same_model(made_by, self._finder.model):
            name, here = name_of(provenance["segmenter"]), described(self._finder.model)
            raise ModelError(_other_weights("segmentation model", name, described(made_by), here))

    def read(self, image: str | Path | np.ndarray) -> ReadPhotograph | Failure:
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
        return ReadPhotograph(path, prepared, self._finder.prepare(pixels) if self._finder else None)

    def encode(self, photographs: Iterable[ReadPhotograph | Failure]) -> Iterator[EncodedPhotograph | Failure]:
        """Encode photographs in order; those of equal shapes together."""
        batch: list[ReadPhotograph] = []
        for photograph in photographs:
            if batch and (isinstance(photograph, Failure) or not self._fits(photograph, batch)):
                yield from self._encoded(batch)
                batch = []
            if isinstance(photograph, Failure):
                yield photograph
            else:
                batch.append(photograph)
        if batch:
            yield from self._encoded(batch)

    def source(self, encoded: Sequence[EncodedPhotograph]) -> MemoryTokens:
        """Photographs as a token source for scorers."""
        names = [_name(each.path, place) for place, each in enumerate(encoded)]
        return MemoryTokens(
            [each.halves for each in encoded],
            np.stack([each.cls_tokens for each in encoded]),
            names,
            layers=self._encoder.layers,
            cls_source=self._encoder.cls_source,
            provenance=self._provenance,
            foreground=_masks([each.foreground for each in encoded if each.foreground is not None], names),
            path="the photographs",
        )

    def _fits(self, photograph: ReadPhotograph, batch: Sequence[ReadPhotograph]) -> bool:
        first = batch[0].prepared
        return photograph.prepared.shapes == first.shapes and len(batch) < self._encoder.capacity(first)

    def _encoded(self, batch: Sequence[ReadPhotograph]) -> Iterator[EncodedPhotograph | Failure]:
        for photograph, tokens in zip(
            batch, self._encoder.encode([photograph.prepared for photograph in batch]), strict=True
        ):
            height, width = photograph.prepared.height, photograph.prepared.width
            try:
                halves = to_halves(tokens.patch_tokens, str(photograph.path or "the photograph"))
                foreground = self._foreground(photograph)
            except DataError as error:
                if photograph.path is None:
                    raise
                yield Failure(photograph.path, error)
                continue
            yield EncodedPhotograph(photograph.path, halves, tokens.cls_tokens, height, width, foreground)

    def _foreground(self, photograph: ReadPhotograph) -> ObjectMask | None:
        if self._finder is None or photograph.finder_input is None:
            return None
        return self._finder.find(photograph.finder_input, photograph.prepared.height, photograph.prepared.width)


def _other_weights(kind: str, name: str, there: str, here: str) -> str:
    return (
        f"{kind} '{name}' has other weights than those that made the model ({there} in the model, {here} here); "
        "restore those weights, or run the workflow again to make the model again"
    )


def _name(path: Path | None, place: int) -> str:
    """The name of a photograph in messages: its path, unless it looks like the name of a rotated image."""
    return str(path) if path is not None and base_id(str(path)) == str(path) else str(place)


def _masks(masks: Sequence[ObjectMask], names: Sequence[str]) -> ForegroundMasks | None:
    if not masks:
        return None
    from zsad.inspecting.foreground_finder import MemoryMasks

    return MemoryMasks(masks, names)
