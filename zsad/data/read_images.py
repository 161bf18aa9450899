"""The stage that reads every image of a category once, before anything is computed from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from zsad.data.bounds import NO_BOUNDS, Bounds
from zsad.data.image_list import of_split, write_images
from zsad.data.layouts.base import Layout
from zsad.data.layouts.item import Item
from zsad.data.readings import (
    SKIP,
    STOP,
    Policy,
    Reading,
    all_unreadable,
    complaint,
    failed,
    read_all,
    write_unreadable,
)
from zsad.errors import DataError

logger = logging.getLogger(__name__)


def read_images(
    layout: Layout,
    root: Path,
    category: str,
    output: Path,
    unreadable: Path,
    *,
    policy: Policy = STOP,
    threads: int = 1,
    bounds: Bounds = NO_BOUNDS,
) -> None:
    """Decode every image of a category and list them.

    Args:
        output: CSV, see `zsad.data.image_list`.
        unreadable: CSV of the images that are left out, with the reason for each; empty with ``"stop"``.
        policy: how unreadable images are treated.
        threads: number of decoding threads, each with one image at a time.
        bounds: an image that exceeds them counts as unreadable.

    Raises:
        DataError: an image cannot be read and must not be left out, no test image remains, or see `Layout.listed`.
    """
    items = layout.items(root, category)
    readings, failures = _read(items, category, policy, threads, layout.white, bounds)
    _require_test_images(items, failures, category)
    images = layout.listed(root, category, readings)
    write_images(output, images)
    write_unreadable(unreadable, failures)
    counts = ", ".join(f"{len(of_split(images, split))} for {split}" for split in ("train", "test"))
    logger.info("%s: %d images, %s", category, len(images), counts)


def read_training(
    layout: Layout,
    root: Path,
    category: str,
    output: Path,
    *,
    policy: Policy = STOP,
    threads: int = 1,
    bounds: Bounds = NO_BOUNDS,
) -> None:
    """Decode the training images of a category and list them, as `read_images` does, independent of the test images.

    Args:
        output, policy, threads, bounds: as for `read_images`.

    Raises:
        DataError: an image cannot be read and must not be left out, or see `Layout.usable`.
    """
    items = of_split(layout.items(root, category), "train")
    readings, _ = _read(items, category, policy, threads, layout.white, bounds)
    images = layout.usable(root, category, readings)
    write_images(output, images)
    logger.info("%s: %d training images", category, len(images))


def _read(
    items: Sequence[Item], category: str, policy: Policy, threads: int, white: float | None, bounds: Bounds
) -> tuple[list[Reading], list[Reading]]:
    """The readings of readable images, and of unreadable ones.

    Raises:
        DataError: an image cannot be read and must not be left out.
    """
    readings = read_all([item.path for item in items], threads, white, bounds)
    failures = failed(readings)
    for failure in failures:
        logger.warning("left out: %s" if policy == SKIP else "%s", failure.failure)
    if failures and policy == STOP:
        raise DataError(complaint(failures, category))
    return [reading for reading in readings if not reading.failure], failures


def _require_test_images(items: Sequence[Item], failures: Sequence[Reading], category: str) -> None:
    why = {failure.path: failure.failure for failure in failures}
    tests = [item.path for item in items if item.split == "test"]
    if tests and all(path in why for path in tests):
        raise DataError(all_unreadable(len(tests), category, why[tests[0]]))
