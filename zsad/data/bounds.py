"""Limits on the shape of an image: its aspect ratio and the number of patches that a backbone computes for it.

A strip of a few pixels' width is resized to the resolution of a backbone like any image, and its length grows with it:
one row of 3000 pixels would give 192 000 patches with a backbone that computes 64 for a usual image.
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
        description="longer side of an image over its shorter side; a greater ratio counts as unreadable",
    )
    max_patches: int = Field(
        65536,
        ge=1,
        description="most patches that a backbone may compute for an image; an image with more counts as unreadable",
    )


class Bounds(NamedTuple):
    """The limits that images are checked against.

    Attributes:
        max_aspect, max_patches: see `BoundOptions`; None for no limit.
        grids: how backbones lay out their patches, by name; a backbone may be left out if no image within
            ``max_aspect`` has too many patches.
    """

    max_aspect: float | None = None
    max_patches: int | None = None
    grids: Mapping[str, GridRule] = MappingProxyType({})

    @classmethod
    def of(cls, options: BoundOptions, grids: Mapping[str, GridRule]) -> Self:
        """The limits for some backbones, without backbones whose limit no image within ``max_aspect`` can exceed."""
        longest = 10**6, round(10**6 * options.max_aspect) + 1
        tight = {name: rule for name, rule in grids.items() if rule.computed(*longest) > options.max_patches}
        return cls(options.max_aspect, options.max_patches if tight else None, tight)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild the limits from the output of `stage_config`."""
        grids = {name: GridRule(*rule) for name, rule in config["grids"].items()}
        return cls(config["max_aspect"], config["max_patches"], grids)

    def stage_config(self) -> dict[str, Any]:
        """The limits as plain JSON types, for the steps that read images."""
        grids = {name: list(rule) for name, rule in self.grids.items()}
        return {"max_aspect": self.max_aspect, "max_patches": self.max_patches, "grids": grids}

    def failure(self, path: Path | str, height: int, width: int) -> str:
        """One sentence on why an image of ``height x width`` pixels exceeds the limits; empty if it does not."""
        aspect = max(height, width) / min(height, width)
        if self.max_aspect is not None and aspect > self.max_aspect:
            return (
                f"{path} has {width} x {height} pixels, so that one side is {round(aspect, 3):.12g} times the other, "
                f"more than dataset.max_aspect {self.max_aspect:g} allows; cut it into several images, raise "
                "dataset.max_aspect or remove it from the folder"
            )
        if self.max_patches is not None:
            for name, rule in self.grids.items():
                if (patches := rule.computed(height, width)) > self.max_patches:
                    return too_many_patches(path, height, width, name, patches, self.max_patches)
        return ""


NO_BOUNDS = Bounds()


def too_many_patches(path: Path | str, height: int, width: int, backbone: str, patches: int, most: int) -> str:
    """The message for an image with too many patches for a backbone."""
    return (
        f"{path} has {width} x {height} pixels, for which backbone '{backbone}' computes {patches} patches, more than "
        f"dataset.max_patches {most} allows; cut it into several images, lower the backbone's resolution or the "
        "overlap of its tiles, raise dataset.max_patches or remove the image from the folder"
    )
