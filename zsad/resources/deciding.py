"""Rules of rules/decisions.smk: from scores to what is called defective."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.estimate import Estimate
from zsad.resources.libraries import STATISTICS
from zsad.resources.run import Run
from zsad.resources.scoring import map_patches, scored_tokens
from zsad.scoring.references import REFERENCES

PATCH_BYTES, PATCH_SECONDS = 96, 1e-6  # a patch: read, kept, and sorted among all others
IMAGE_SECONDS = 2e-3  # an image: its map found in a file


def decide_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """The maps of all test images, and of the references of a method that has some."""
    tests = map_patches(run, names["method"], names["category"])
    counts = [tests]
    if run.settings.methods[names["method"]].fitted_roles:
        counts.append(scored_tokens(run, names)[REFERENCES])
    patches = sum(count.images * count.patches for count in counts)
    images = sum(count.images for count in counts)
    return STATISTICS.plus(PATCH_BYTES * patches / 1e6, PATCH_SECONDS * patches + IMAGE_SECONDS * images)
