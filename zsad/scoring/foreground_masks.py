"""Foreground masks of images with features: checks that none is missing, and their provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsad.data.subsets import base_id
from zsad.errors import DataError

if TYPE_CHECKING:
    from zsad.scoring.token_source import ForegroundMasks, TokenSource

FOREGROUND_KEYS = ("segmenter", "options")  # of the provenance of masks of the object


def check_masks(masks: ForegroundMasks, source: TokenSource) -> None:
    """Check that no image lacks a mask.

    Raises:
        DataError: some masks are missing.
    """
    missing = sorted(set(map(base_id, source.image_ids)) - set(masks.image_ids))
    if missing:
        raise DataError(
            f"{masks.path} has no masks of {len(missing)} images in {source.path}, first '{missing[0]}'; "
            "delete it and run again"
        )


def describe_masks(source: TokenSource) -> dict[str, Any]:
    """The origin of the masks of some images, for the provenance; empty if there are no masks."""
    if source.foreground is None:
        return {}
    return {"foreground": {key: source.foreground.provenance.get(key) for key in FOREGROUND_KEYS}}
