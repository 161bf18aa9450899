"""Fusion: combine the scores of several methods on the same images, on one scale found without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from zsad.maps import at_image_size, informative_maps
from zsad.names import auxiliary_sets, setting_order, with_auxiliary, without_auxiliary
from zsad.scoring.base import Method
from zsad.scoring.scales import Scale, robust_scale, share_scale

BATCH = "zero-shot-batch"


class MemberScores(NamedTuple):
    """The scores of one method for the images of a category.

    Attributes:
        maps: float32 ``[row, column]``, one for each image; empty if the method does not localise.
        image_scores: float ``[image]``.
        own: whether the method computes image scores itself, not from its maps.
    """

    maps: Sequence[np.ndarray]
    image_scores: np.ndarray
    own: bool = False


class FusedScores(NamedTuple):
    """The scores of a fusion; the fields are those of `MemberScores`."""

    maps: list[np.ndarray]
    image_scores: np.ndarray


class Fusion(Method):
    """Combine the scores of other methods on a common scale.

    Each member's scores ``x`` are mapped by an increasing function ``z`` that is estimated only from the batch:

    - ``robust_z``: ``(x - median) / (upper deviation)``, of all patches of all test images, the deviation being that
      from the median to the 84.13 % quantile; most patches are normal, so that normal ones have about mean 0 and
      deviation 1. Image scores, which follow from the highest patches of a map, are mapped by the same function; those
      of a member that also scores whole images by a function estimated from them.
    - ``rank``: the share of all patches of the batch with a smaller score; that of all images for image scores. Only
      the order of a member's scores counts, not the size of differences.

    A score of the fusion is the weighted mean, or the greatest, of its members' ``z``. A member with a constant map of
    an image (e.g. an abstention, unless it also scores whole images) is left out for that image. Maps have the finest
    grid of the members. Members that do not localise contribute only to image scores, on the scale of their own image
    scores.

    Threshold rules use the scores of the fusion, as of any method that compares a batch.
    """

    summary: ClassVar[str] = "The scores of other methods, on a common scale, averaged."
    reference: ClassVar[str] = "This project's own combination of score normalisation and averaging."
    blind_to: ClassVar[str] = "what none of its methods sees; a method with an inverted ranking worsens the mean"

    methods: tuple[str, ...] = Field(description="Names of the methods whose scores are combined, at least two.")
    weights: tuple[float, ...] | None = Field(
        None, description="Weight of each method in a mean; null for equal weights."
    )
    scale: Literal["robust_z", "rank"] = Field("robust_z", description="How scores are brought to one scale.")
    combine: Literal["mean", "max"] = Field("mean", description="Weighted mean of the members, or the greatest.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.methods) < 2 or len(set(self.methods)) < len(self.methods):
            raise ValueError("a fusion needs at least two different methods")
        if self.weights is not None and len(self.weights) != len(self.methods):
            raise ValueError(f"there are {len(self.methods)} methods but {len(self.weights)} weights")
        if self.weights is not None and (min(self.weights) < 0 or sum(self.weights) == 0 or self.combine == "max"):
            raise ValueError("weights need combine: mean, and must not be negative or all zero")
        return self

    def setting_of(self, settings: Sequence[str]) -> str:
        """The setting of the fusion: that of the member that sees most, and the batch, which sets the scale.

        The auxiliary data sets of all members are always named.
        """
        own = [without_auxiliary(setting) or setting for setting in settings]
        names = [name for setting in settings for name in auxiliary_sets(setting)]
        return with_auxiliary(max([BATCH, *own], key=setting_order), names)

    def fused(self, members: Sequence[MemberScores]) -> FusedScores:
        """The scores of the fusion.

        Args:
            members: in the order of `methods`, of the same images.
        """
        weights = np.array(self.weights or [1.0] * len(members))[:, None]
        scales = [self._scales(member) for member in members]
        count = len(members[0].image_scores)
        of_maps = weights * np.array([_tells(member, count) for member in members])  # [member, image]
        of_scores = np.where([[member.own] for member in members], weights, of_maps)
        images = np.array(
            [of_images(member.image_scores) for member, (_, of_images) in zip(members, scales, strict=True)]
        )
        image_scores = np.array([self._combined(images[:, index], of_scores[:, index]) for index in range(count)])
        maps = [self._map(index, members, scales, of_maps[:, index]) for index in range(count)]
        return FusedScores(maps, image_scores)

    def _scales(self, member: MemberScores) -> tuple[Scale | None, Scale]:
        """The scales of a member's maps (None without maps) and image scores."""
        make = robust_scale if self.scale == "robust_z" else share_scale
        if not member.maps:
            return None, make(member.image_scores)
        informative = informative_maps(member.maps)
        of_maps = make(np.concatenate([anomaly_map.ravel() for anomaly_map in informative] or [np.zeros(1)]))
        is_of_maps = self.scale == "robust_z" and not member.own
        return of_maps, of_maps if is_of_maps else make(member.image_scores)

    def _map(
        self,
        index: int,
        members: Sequence[MemberScores],
        scales: Sequence[tuple[Scale | None, Scale]],
        weights: np.ndarray,
    ) -> np.ndarray:
        """The fused map of an image on the finest grid; empty where no member localises."""
        own = [
            (scale(member.maps[index]), weight)
            for member, (scale, _), weight in zip(members, scales, weights, strict=True)
            if scale is not None
        ]
        if not own:
            return np.empty((0, 0), dtype=np.float32)
        shape = max((anomaly_map.shape for anomaly_map, _ in own), key=np.prod)
        maps = np.array([at_image_size(anomaly_map, *shape) for anomaly_map, _ in own], dtype=np.float64)
        return self._combined(maps, np.array([weight for _, weight in own])).astype(np.float32)

    def _combined(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Combine over the first axis the members with a weight; 0 if none has one."""
        if not weights.any():
            return np.zeros(values.shape[1:])
        if self.combine == "max":
            highest: np.ndarray = values[weights > 0].max(axis=0)
            return highest
        mean: np.ndarray = np.tensordot(weights, values, axes=1) / weights.sum()
        return mean


def _tells(member: MemberScores, count: int) -> list[bool]:
    """For each image whether the member's map is not constant; always True for a member without maps."""
    if not member.maps:
        return [True] * count
    return [bool(anomaly_map.min() < anomaly_map.max()) for anomaly_map in member.maps]
