"""Estimates of the rules in rules/decisions.smk: from scores to decisions."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN
from zsad.resources.run import Run
from zsad.resources.scoring import map_patches, scored_tokens
from zsad.scoring.references import REFERENCES

PATCH_BYTES, PATCH_SECONDS = 64, 1e-6  # per patch: read, kept, and sorted among all others
IMAGE_SECONDS = 2e-3  # per image: finding its map in a file


def decide_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the maps of all test images, and those of a method's references."""
    counts = [map_patches(run, names["method"], names["category"])]
    if run.settings.methods[names["method"]].fitted_roles:
        counts.append(scored_tokens(run, names)[REFERENCES])
    return _of_maps(sum(count.images for count in counts), sum(count.images * count.patches for count in counts))


def adopt_decisions(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the maps of a modulation, which are finer than those of its method."""
    maps = map_patches(run, names["method"], names["category"])
    finest = int(run.settings.methods[names["method"]].params["side"]) ** 2
    return _of_maps(maps.images, maps.images * max(maps.patches, finest))


def _of_maps(images: int, patches: int) -> Estimate:
    return PLAIN.plus(PATCH_BYTES * patches / 1e6, PATCH_SECONDS * patches + IMAGE_SECONDS * images)
