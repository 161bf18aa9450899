"""Several backbones as one: their features side by side, joined from the files of each.

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
    """The tokens of several backbones side by side, each brought to unit length, so that none drowns.

    With ``c_m`` the cosine similarity of two patches by member ``m`` (of its layers the mean, as scorers take it), and
    weights ``w_m``, that of the joined tokens is ``sum(w_m c_m) / sum(w_m)``. They lie on the finest grid of the
    members, to which the others are resampled. In the configuration, ``members`` are named as in ``backbone``; here,
    they are complete.
    """

    summary: ClassVar[str] = "Several backbones side by side; their features are joined and not computed again."
    is_network: ClassVar[bool] = False  # to join takes none
    sees_images: ClassVar[bool] = False

    members: tuple[Member, ...] = Field(
        description="two or more other backbones: entries of `backbones`, models, folders or files"
    )
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="weight of each member in the cosine similarity of the joined tokens; null for equal weights"
    )

    @model_validator(mode="after")  # whose refusal shows no value: members are complete here
    def _of_patches(self) -> Self:
        if odd := next((member.name for member in self.members if member.params.get("path") == WINDOWS), None):
            raise ValueError(
                f"'{odd}' describes windows beside patches, which cannot be joined; join one with `path: plain`"
            )
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
        """What each member counts for in the cosine similarity; their sum is 1."""
        weights = self.weights or (1.0,) * len(self.members)
        return [weight / sum(weights) for weight in weights]

    def known_layout(self) -> TokenLayout | None:
        """How its tokens will lie, where that is known of all members."""
        return _joined([member.backbone().known_layout() for member in self.members])

    def layout_here(self) -> TokenLayout | None:
        """The same with what members say that have been downloaded."""
        return _joined([member.backbone().layout_here() for member in self.members])

    def assumed_layout(self) -> TokenLayout:
        """The layouts that are assumed of the members, joined."""
        return assumed_joined_layout([member.backbone().assumed_layout() for member in self.members])

    def seconds_an_image(self, height: int, width: int) -> float:
        """Seconds to join the tokens of one image, of which the members' are there already."""
        layout = self.assumed_layout()
        tokens = [
            np.ones((member.depth, *member.rule.size(height, width), member.channels), np.float16)
            for member in layout.members
        ]
        start = time.perf_counter()
        joined(tokens, self.shares).astype(np.float16)
        return time.perf_counter() - start

    def load(self, execution: Execution) -> Extractor:
        """Refuse: only its members see images.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("a joint of backbones extracts nothing itself; extract the features of its members")


def _joined(layouts: Sequence[TokenLayout | None]) -> TokenLayout | None:
    """None where one is not known."""
    known = [layout for layout in layouts if layout is not None]
    return joined_layout(known) if len(known) == len(layouts) else None


def member_references(params: Mapping[str, Any], where: str) -> list[str]:
    """What the members of a joint are called in the configuration, paths written out.

    Args:
        where: the place in the configuration, for messages.

    Raises:
        ConfigError: there are fewer than two, or one is no text.
    """
    members = params.get("members")
    if not isinstance(members, (list, tuple)) or len(members) < 2:
        raise ConfigError(
            f"{where}: a joint needs a list of at least two backbones as its members, e.g. [embedded, dinov2-small]"
        )
    for place, member in enumerate(members, 1):
        if not isinstance(member, str) or not member:
            raise ConfigError(
                f"{where}: member {place} of the joint is {member!r}, which is no name; give the name of a backbone, "
                "in quotes if YAML reads it as something else"
            )
    try:
        return [expanded(member) for member in members]
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def check_different(members: Sequence[Member], where: str) -> None:
    """Refuse a joint in which a backbone stands twice, under one name or under two.

    Raises:
        ConfigError: it does.
    """
    for one, other in combinations(members, 2):
        if one.name == other.name:
            raise ConfigError(f"{where}: a joint needs different members, and '{one.name}' is there twice; drop one")
        if (one.family, one.params) == (other.family, other.params):
            raise ConfigError(
                f"{where}: a joint needs different members, and '{one.name}' and '{other.name}' are the same backbone "
                "with the same parameters; drop one"
            )
