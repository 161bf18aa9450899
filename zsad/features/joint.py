"""Joint backbones: the features of several backbones, concatenated from the files of each.

`zsad.features.join_features` joins them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from zsad.errors import ConfigError
from zsad.features.base import Backbone, Extractor
from zsad.features.execution import Execution
from zsad.features.joined_tokens import joined
from zsad.features.registry import BACKBONES
from zsad.files.user_paths import expanded
from zsad.grids import TokenLayout, assumed_joined_layout, joined_layout
from zsad.registry import Options

JOINT = "joint"  # the name of the family
WINDOWS = "windows"  # the path of a backbone that describes windows


class Member(Options):
    """A backbone whose features are joined with those of others; see `zsad.workflow.entries.BackboneEntry`."""

    name: str
    family: str
    params: dict[str, Any]

    def backbone(self) -> Backbone:
        """The backbone itself."""
        return BACKBONES.build(self.family, self.params)


class Joint(Backbone):
    """The concatenated tokens of several backbones, each scaled to unit length, so that none dominates.

    With ``c_m`` the cosine similarity of two patches by member ``m`` (the mean over its layers, as in scorers), and
    weights ``w_m``, that of the joined tokens is ``sum(w_m c_m) / sum(w_m)``. They are on the finest grid of the
    members, to which the others are resampled. In the configuration, ``members`` are named as in ``backbone``; here,
    they are resolved.
    """

    summary: ClassVar[str] = "Several backbones together; their features are joined, not computed again."
    is_network: ClassVar[bool] = False  # joining needs none
    sees_images: ClassVar[bool] = False

    members: tuple[Member, ...] = Field(
        description="two or more other backbones: entries of `backbones`, models, folders or files"
    )
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="weight of each member in the cosine similarity of the joined tokens; null for equal weights"
    )

    @model_validator(mode="after")  # whose error shows no value: members are resolved here
    def _of_patches(self) -> Self:
        if odd := next((member.name for member in self.members if member.params.get("path") == WINDOWS), None):
            raise ValueError(f"'{odd}' has tokens of windows, which cannot be joined; use one with `path: plain`")
        return self

    @field_validator("weights")
    @classmethod
    def _one_for_each(cls, weights: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        members = info.data.get("members", ())
        if weights is not None and len(weights) != len(members):
            raise ValueError(f"there are {len(members)} members but {len(weights)} weights")
        return weights

    @property
    def shares(self) -> list[float]:
        """Weight of each member in the cosine similarity; their sum is 1."""
        weights = self.weights or (1.0,) * len(self.members)
        return [weight / sum(weights) for weight in weights]

    def known_layout(self) -> TokenLayout | None:
        """The layout of its tokens, if it is known for all members."""
        return _joined([member.backbone().known_layout() for member in self.members])

    def layout_here(self) -> TokenLayout | None:
        """The layout of its tokens, also from downloaded members."""
        return _joined([member.backbone().layout_here() for member in self.members])

    def assumed_layout(self) -> TokenLayout:
        """The joined assumed layouts of the members."""
        return assumed_joined_layout([member.backbone().assumed_layout() for member in self.members])

    def seconds_an_image(self, height: int, width: int) -> float:
        """Seconds to join the existing tokens of one image."""
        layout = self.assumed_layout()
        tokens = [
            np.ones((member.depth, *member.rule.size(height, width), member.channels), np.float16)
            for member in layout.members
        ]
        start = time.perf_counter()
        joined(tokens, self.shares).astype(np.float16)
        return time.perf_counter() - start

    def load(self, execution: Execution) -> Extractor:
        """Always raise an error: only its members process images.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("a joint backbone extracts no features itself; extract the features of its members")


def _joined(layouts: Sequence[TokenLayout | None]) -> TokenLayout | None:
    """The joined layout; None if one is unknown."""
    known = [layout for layout in layouts if layout is not None]
    return joined_layout(known) if len(known) == len(layouts) else None


def member_references(params: Mapping[str, Any], where: str) -> list[str]:
    """The members of a joint as named in the configuration, with expanded paths.

    Args:
        where: the place in the configuration, for messages.

    Raises:
        ConfigError: there are fewer than two, or one is not a text.
    """
    members = params.get("members")
    if not isinstance(members, (list, tuple)) or len(members) < 2:
        raise ConfigError(
            f"{where}: a joint needs a list of at least two backbones as its members, e.g. [embedded, dinov2-small]"
        )
    for place, member in enumerate(members, 1):
        if not isinstance(member, str) or not member:
            raise ConfigError(
                f"{where}: member {place} of the joint is {member!r}, which is not a name; give the name of a "
                "backbone, in quotes if YAML reads it as something else"
            )
    try:
        return [expanded(member) for member in members]
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_different(members: Sequence[Member], where: str) -> None:
    """Reject a joint that contains a backbone twice, under the same name or another.

    Raises:
        ConfigError: it does.
    """
    for one, other in combinations(members, 2):
        if one.name == other.name:
            raise ConfigError(f"{where}: a joint needs different members, but '{one.name}' is listed twice; remove one")
        if (one.family, one.params) == (other.family, other.params):
            raise ConfigError(
                f"{where}: a joint needs different members, but '{one.name}' and '{other.name}' are the same backbone "
                "with the same parameters; remove one"
            )
