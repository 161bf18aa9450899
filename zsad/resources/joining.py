"""Estimate of the rule join_features in rules/features.smk, which concatenates the features of several backbones."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN
from zsad.resources.run import Run
from zsad.resources.tokens import tokens_of

VALUE_BYTES = 4 * 6  # per value of an image: as read, its unit vector on both grids, joined, and written
VALUE_SECONDS = 2e-8  # per value, reading and writing included
IMAGE_SECONDS = 1e-3  # per image: finding it in the files


def join_features(run: Run, names: Mapping[str, str]) -> Estimate:
    """One image in memory; reading, resampling and writing its tokens takes the time."""
    images = run.images(names["category"], names["subset"], names["view"], names.get("dataset"))
    tokens = tokens_of(run.settings.backbones[names["backbone"]], images)
    return PLAIN.plus(
        VALUE_BYTES * tokens.image_values / 1e6, IMAGE_SECONDS * tokens.images + VALUE_SECONDS * tokens.values
    )
