"""Rule join_features of rules/features.smk: the features of several backbones side by side."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN
from zsad.resources.run import Run
from zsad.resources.tokens import tokens_of

VALUE_BYTES = 4 * 6  # a value of an image: as it is read, its unit vector on both grids, joined, and written
VALUE_SECONDS = 2e-8  # a value, reading and writing included
IMAGE_SECONDS = 1e-3  # an image: its places in the files


def join_features(run: Run, names: Mapping[str, str]) -> Estimate:
    """One image in memory; to read, resample and write its tokens takes the time."""
    images = run.images(names["category"], names["subset"], names["view"], names.get("dataset"))
    tokens = tokens_of(run.settings.backbones[names["backbone"]], images)
    return PLAIN.plus(
        VALUE_BYTES * tokens.image_values / 1e6, IMAGE_SECONDS * tokens.images + VALUE_SECONDS * tokens.values
    )
