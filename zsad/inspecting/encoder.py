"""Encode photographs into the tokens of a feature file, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsad.data.bounds import BoundOptions
from zsad.errors import DataError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.features.joined_tokens import joined, joined_vectors
from zsad.grids import JOINT_LAYER

if TYPE_CHECKING:
    from zsad.features.joint import Joint


class Prepared(NamedTuple):
    """A photograph prepared for the networks.

    Attributes:
        views: uint8 ``[height, width, 3]``, one array for each extractor.
        height, width: of the upright photograph itself.
    """

    views: list[np.ndarray]
    height: int
    width: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the arrays; photographs of equal shapes may be encoded together."""
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
    """A loaded backbone, or all members of a joint backbone.

    Attributes:
        layers: names of the layers.
        cls_source: origin of the class tokens.
        models: id, revision and SHA-256 of the weights of each backbone, as in feature files.

    Raises:
        ConfigError, ModelError: see `Backbone.load`.
    """

    def __init__(self, name: str, backbone: Backbone, execution: Execution) -> None:
        backbones, joint = loaded_backbones(name, backbone), _joint(backbone)
        self._names, self._shares = list(backbones), None if joint is None else joint.shares
        self._extractors = [each.load(execution) for each in backbones.values()]
        first = self._extractors[0]
        sources = dict.fromkeys(extractor.cls_source for extractor in self._extractors)
        self.layers = first.layers if self._shares is None else [JOINT_LAYER]
        self.cls_source = " and ".join(sources)
        self.models = [extractor.model for extractor in self._extractors]

    def prepare(self, image: np.ndarray, path: str | Path) -> Prepared:
        """Resize uint8 RGB ``[height, width, 3]`` for every extractor.

        Raises:
            DataError: the photograph is too narrow or has too many patches; the workflow would not accept it either.
        """
        height, width = image.shape[:2]
        self._check_bounds(path, height, width)
        return Prepared([extractor.prepare(image) for extractor in self._extractors], height, width)

    def capacity(self, prepared: Prepared) -> int:
        """The number of such photographs to encode together."""
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
        """Whether features were made with the present weights; see `is_same_model`.

        Args:
            model: the entry ``model`` of the provenance of the features.
        """
        if self._shares is None:
            made_by = [model]
        else:
            members = model.get("members", {})
            made_by = [members.get(name, {}) for name in self._names]
        return all(map(is_same_model, made_by, self.models))

    @property
    def described(self) -> str:
        """A description of the present weights that distinguishes them from others, for a message."""
        return " and ".join(described(model) for model in self.models)

    def _check_bounds(self, path: str | Path, height: int, width: int) -> None:
        most = BoundOptions()
        size = f"{path} has {width} x {height} pixels"
        if max(height, width) > most.max_aspect * min(height, width):
            raise DataError(
                f"{size}: one side is more than {most.max_aspect:g} times the other; cut it into several photographs"
            )
        for name, extractor in zip(self._names, self._extractors, strict=True):
            if (patches := extractor.computed_patches(height, width)) > most.max_patches:
                raise DataError(
                    f"{size}, which give {patches} patches with backbone '{name}', more than {most.max_patches}; "
                    "cut it into several photographs, or use a model of a backbone with a lower resolution"
                )


def loaded_backbones(name: str, backbone: Backbone) -> dict[str, Backbone]:
    """The backbones that see images, by name: the backbone itself, or the members of a joint backbone."""
    joint = _joint(backbone)
    return {name: backbone} if joint is None else {member.name: member.backbone() for member in joint.members}


def _joint(backbone: Backbone) -> Joint | None:
    """The backbone as a joint backbone; None if it is not one."""
    if backbone.sees_images:
        return None
    from zsad.features.joint import Joint

    if not isinstance(backbone, Joint):
        raise TypeError(f"{type(backbone).__name__} sees no images and is not a joint backbone")
    return backbone


def _as_stored(tokens: np.ndarray) -> np.ndarray:
    """Tokens rounded as in the feature file of a member, because rounded tokens are joined."""
    with np.errstate(over="ignore"):
        return tokens.astype(np.float16)


def is_same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two models, as the provenance of results describes them, have the same weights.

    The SHA-256 of the weights counts or, if there is none, the id and the revision: a folder may have been moved, and
    the number format may be that of another machine.
    """
    return _identity(one) == _identity(other)


def _identity(model: Mapping[str, Any]) -> object:
    if weights := model.get("weights_sha256"):
        return sorted(weights.values()) if isinstance(weights, Mapping) else weights
    return model.get("id"), model.get("revision")


def described(model: Mapping[str, Any]) -> str:
    """A description that distinguishes a model from others, for a message."""
    if members := model.get("members"):
        return " and ".join(described(members[name]) for name in sorted(members))
    if weights := model.get("weights_sha256"):
        digests = sorted(weights.values()) if isinstance(weights, Mapping) else [str(weights)]
        return f"SHA-256 {', '.join(digest[:12] for digest in digests)}"
    return f"{model.get('id')}, revision {model.get('revision') or 'unknown'}"
