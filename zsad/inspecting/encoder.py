"""From photographs to the tokens that a feature file of them would hold, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.data.bounds import BoundOptions, Bounds, too_many_patches
from zsad.data.readings import reason_of
from zsad.errors import DataError
from zsad.features.base import Backbone, Extractor
from zsad.features.execution import Execution
from zsad.features.joined_tokens import joined, joined_vectors
from zsad.grids import JOINT_LAYER

MEND = "cut it into several photographs"
FEWER = "cut it into several photographs, or choose a model of a backbone with a lower resolution"


class Prepared(NamedTuple):
    """A photograph as the networks take it.

    Attributes:
        views: uint8 ``[height, width, 3]``, one array an extractor.
        height, width: of the photograph itself, upright.
    """

    views: list[np.ndarray]
    height: int
    width: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the arrays; photographs of equal shapes may be encoded together."""
        return [view.shape for view in self.views]


class Encoded(NamedTuple):
    """The tokens of one photograph.

    Attributes:
        patch_tokens: ``[layer, row, column, channel]``, float16 or float32.
        cls_tokens: float32 ``[layer, channel]``.
    """

    patch_tokens: np.ndarray
    cls_tokens: np.ndarray


class Encoder:
    """A backbone that is loaded, or all members of a joint.

    Attributes:
        layers: names of the layers.
        cls_source: what the class tokens are.
        models: what each backbone is: id, revision, SHA-256 of the weights; as feature files say it.

    Raises:
        ConfigError, ModelError: see `Backbone.load`.
    """

    def __init__(self, name: str, backbone: Backbone, execution: Execution) -> None:
        self._names, self._extractors, self._shares = _loaded(name, backbone, execution)
        first = self._extractors[0]
        sources = dict.fromkeys(extractor.cls_source for extractor in self._extractors)
        self.layers = first.layers if self._shares is None else [JOINT_LAYER]
        self.cls_source = " and ".join(sources)
        self.models = [extractor.model for extractor in self._extractors]

    def prepare(self, image: np.ndarray, path: str | Path) -> Prepared:
        """Resize uint8 RGB ``[height, width, 3]`` for every extractor.

        Raises:
            DataError: the photograph is a strip, or of so many patches, that the workflow would not take it either.
        """
        height, width = image.shape[:2]
        self._check_bounds(path, height, width)
        return Prepared([extractor.prepare(image) for extractor in self._extractors], height, width)

    def capacity(self, prepared: Prepared) -> int:
        """How many such photographs to encode at a time."""
        return min(
            extractor.capacity(*view.shape[:2])
            for extractor, view in zip(self._extractors, prepared.views, strict=True)
        )

    def encode(self, photographs: Sequence[Prepared]) -> list[Encoded]:
        """The tokens of photographs of equal shapes.

        Raises:
            ModelError: the device has too little memory for one of them.
        """
        waiting = [
            extractor.begin([photograph.views[place] for photograph in photographs])
            for place, extractor in enumerate(self._extractors)
        ]
        tokens = [wait() for wait in waiting]
        if self._shares is None:
            (own,) = tokens
            return [Encoded(*each) for each in zip(*own, strict=True)]
        return [
            Encoded(
                joined([_as_stored(member.patch_tokens[place]) for member in tokens], self._shares),
                joined_vectors([member.cls_tokens[place] for member in tokens], self._shares),
            )
            for place in range(len(photographs))
        ]

    def has_made(self, model: Mapping[str, Any]) -> bool:
        """Whether features were made by the weights that are here.

        What counts is the SHA-256 of the weights or, where there is none, the id and the revision: a folder may have
        been moved, and the number format may be that of another machine.

        Args:
            model: the entry ``model`` of the provenance of the features.
        """
        if self._shares is None:
            made_by = [model]
        else:
            members = model.get("members", {})
            made_by = [members.get(name, {}) for name in self._names]
        return [_identity(each) for each in made_by] == [_identity(each) for each in self.models]

    def _check_bounds(self, path: str | Path, height: int, width: int) -> None:
        options = BoundOptions()
        if failure := Bounds(options.max_aspect).failure(path, height, width):
            raise DataError(f"{reason_of(failure)}; {MEND}")
        for name, extractor in zip(self._names, self._extractors, strict=True):
            if (patches := extractor.computed_patches(height, width)) > options.max_patches:
                failure = too_many_patches(path, height, width, name, patches, options.max_patches)
                raise DataError(f"{reason_of(failure)}; {FEWER}")


def _loaded(
    name: str, backbone: Backbone, execution: Execution
) -> tuple[list[str], list[Extractor], list[float] | None]:
    """Names and extractors, and of a joint what each member counts for."""
    if backbone.sees_images:
        return [name], [backbone.load(execution)], None
    from zsad.features.joint import Joint

    if not isinstance(backbone, Joint):
        raise TypeError(f"{type(backbone).__name__} sees no images and is no joint")
    names = [member.name for member in backbone.members]
    return names, [member.backbone().load(execution) for member in backbone.members], backbone.shares


def _as_stored(tokens: np.ndarray) -> np.ndarray:
    """As the feature file of a member holds them: joined are rounded tokens."""
    with np.errstate(over="ignore"):
        return tokens.astype(np.float16)


def _identity(model: Mapping[str, Any]) -> object:
    if weights := model.get("weights_sha256"):
        return sorted(weights.values()) if isinstance(weights, Mapping) else weights
    return model.get("id"), model.get("revision")
