"""The stage that reads every labelled example beside the data set once, before anything is computed from it."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from zsad.data.bounds import NO_BOUNDS, Bounds
from zsad.data.image_list import ListedImage, write_images
from zsad.data.kind_names import kind_named
from zsad.data.kinds import write_kinds
from zsad.data.layouts.base import GOOD
from zsad.data.readings import complaint, failed, read_all
from zsad.data.support_source import SupportSource, check_photographs
from zsad.errors import DataError

logger = logging.getLogger(__name__)


def read_support(
    *,
    source: SupportSource,
    category: str,
    images: Path,
    kinds: Path,
    threads: int = 1,
    bounds: Bounds = NO_BOUNDS,
    white: float | None = None,
) -> None:
    """Decode every labelled example for a category and list them.

    Args:
        source: their folder or table, with the kind of each.
        images: CSV, see `zsad.data.image_list`; all have the split ``test``.
        kinds: CSV, see `zsad.data.kinds`.
        threads: number of decoding threads, each with one image at a time.
        bounds: an image that exceeds them counts as unreadable.
        white: as for `zsad.data.images.read_image`.

    Raises:
        DataError: an image cannot be read, there are masks among them, or see `SupportSource.items`.
    """
    examples = source.items(category)
    readings = read_all([example.path for example in examples], threads, white, bounds)
    failures = failed(readings)
    for failure in failures:
        logger.warning("%s", failure.failure)
    if failures:
        raise DataError(complaint(failures, f"the labelled examples for {category}", can_skip=False))
    check_photographs(examples)
    write_images(
        images,
        [
            ListedImage(
                image_id=example.image_id,
                path=example.path.as_posix(),
                split="test",
                height=reading.height,
                width=reading.width,
                sha256=reading.sha256,
                white=white,
            )
            for example, reading in zip(examples, readings, strict=True)
        ],
    )
    write_kinds(kinds, {example.image_id: example.kind for example in examples})
    for called in sorted({example.called for example in examples if kind_named(example.called) != example.kind}):
        logger.info("%s: '%s' is read as the kind '%s'", category, called, GOOD)
    for kind, count in sorted(Counter(example.kind for example in examples).items()):
        logger.info("%s: %d labelled examples of %s", category, count, kind)
