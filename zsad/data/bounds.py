"""Bounds of what an image may look like: how long for its width, and how many patches a backbone makes of it.

A strip of a few pixels' width is resized to the resolution of a backbone like any image, and its length with it: one
row of 3000 pixels would be 192 000 patches for a backbone that makes 64 of its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from pydantic import Field

from zsad.grids import GridRule
from zsad.registry import Options


class BoundOptions(Options):
    """The bounds in the section ``dataset`` of the configuration."""

    max_aspect: float = Field(
        50.0,
        ge=1,
        description="longer side of an image over its shorter side; what exceeds it counts as an image that cannot be "
        "decoded",
    )
    max_patches: int = Field(
        65536,
        ge=1,
        description="patches that a backbone computes for an image, at most; what exceeds it counts likewise",
    )


class Bounds(NamedTuple):
    """What images are held to.

    Attributes:
        max_aspect, max_patches: see `BoundOptions`; None for any.
        grids: how backbones lay their patches, by name; those of which no image within ``max_aspect`` has too many
            may be left out.
    """

    max_aspect: float | None = None
    max_patches: int | None = None
    grids: Mapping[str, GridRule] = MappingProxyType({})

    @classmethod
    def of(cls, options: BoundOptions, grids: Mapping[str, GridRule]) -> Self:
        """The bounds for some backbones, without those that an image within ``max_aspect`` cannot pass."""
        longest = 10**6, round(10**6 * options.max_aspect) + 1
        tight = {name: rule for name, rule in grids.items() if rule.computed(*longest) > options.max_patches}
        return cls(options.max_aspect, options.max_patches if tight else None, tight)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """What `stage_config` gave."""
        grids = {name: GridRule(*rule) for name, rule in config["grids"].items()}
        return cls(config["max_aspect"], config["max_patches"], grids)

    def stage_config(self) -> dict[str, Any]:
        """As plain JSON types, for the steps that look at images."""
        grids = {name: list(rule) for name, rule in self.grids.items()}
        return {"max_aspect": self.max_aspect, "max_patches": self.max_patches, "grids": grids}

    def failure(self, path: Path | str, height: int, width: int) -> str:
        """Why an image of ``height x width`` pixels is out of bounds, a sentence; empty if it is not."""
        aspect = max(height, width) / min(height, width)
        if self.max_aspect is not None and aspect > self.max_aspect:
            return (
                f"{path} has {width} x {height} pixels, so that one side is {round(aspect, 3):.12g} times the other, "
                f"more than dataset.max_aspect {self.max_aspect:g} allows; cut it into several images, raise "
                "dataset.max_aspect or take it out of the folder"
            )
        if self.max_patches is not None:
            for name, rule in self.grids.items():
                if (patches := rule.computed(height, width)) > self.max_patches:
                    return too_many_patches(path, height, width, name, patches, self.max_patches)
        return ""


NO_BOUNDS = Bounds()


def too_many_patches(path: Path | str, height: int, width: int, backbone: str, patches: int, most: int) -> str:
    """The sentence for an image of which a backbone would compute too many patches."""
    return (
        f"{path} has {width} x {height} pixels, for which backbone '{backbone}' computes {patches} patches, more than "
        f"dataset.max_patches {most} allows; cut it into several images, lower the backbone's resolution or the "
        "overlap of its tiles, raise dataset.max_patches or take the image out of the folder"
    )
