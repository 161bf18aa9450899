"""The data stage: the demo set's files and the manifest of a category."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from zsad.data.bounds import NO_BOUNDS, Bounds
from zsad.data.demo import DemoOptions, make_category, planned_files
from zsad.data.layouts.base import Item, Layout
from zsad.data.manifest import ImageRecord, write_manifest
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
from zsad.provenance import file_sha256
from zsad.store import write_text

logger = logging.getLogger(__name__)


def make_demo(category: str, options: DemoOptions, checksums: Path) -> None:
    """Write a category of the demo set beside ``checksums``, and then ``checksums`` in the format of ``sha256sum``."""
    folder = checksums.with_suffix("")
    if folder.exists():
        shutil.rmtree(folder)  # images of other options would stay behind
    make_category(category, options, folder)
    lines = [f"{file_sha256(folder / name)}  {category}/{name}\n" for name in planned_files(category, options)]
    write_text(checksums, "".join(lines))
    logger.info("wrote %d files to %s", len(lines), folder)


def build_manifest(
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
    """Decode every image of a category and write its manifest; log what was found and which defects have no mask.

    Args:
        output: CSV, see `zsad.data.manifest`.
        unreadable: CSV of the images that are left out, with the reason of each; of none with ``"stop"``.
        policy: what becomes of images that cannot be read.
        threads: that decode, each one image at a time.
        bounds: an image out of them counts as one that cannot be read.

    Raises:
        DataError: an image cannot be read and is not to be left out, no test image is left, or see `Layout.records`.
    """
    items = layout.items(root, category)
    readings = read_all([item.path for item in items], threads, layout.white, bounds)
    failures = failed(readings)
    for failure in failures:
        logger.warning("left out: %s" if policy == SKIP else "%s", failure.failure)
    if failures and policy == STOP:
        raise DataError(complaint(failures, category))
    _require_test_images(items, failures, category)
    records = layout.records(root, category, [reading for reading in readings if not reading.failure])
    write_manifest(output, records)
    write_unreadable(unreadable, failures)
    for (split, defect), count in sorted(Counter((record.split, record.defect_type) for record in records).items()):
        logger.info("%s: %d images %s/%s", category, count, split, defect or "unlabelled")
    without = _without_mask(records)
    if without:
        logger.warning(
            "%s: %d defective images have no mask and stay out of the pixel metrics, e.g. %s",
            category, len(without), without[0].image_id,
        )  # fmt: skip


def _require_test_images(items: Sequence[Item], failures: Sequence[Reading], category: str) -> None:
    why = {failure.path: failure.failure for failure in failures}
    tests = [item.path for item in items if item.split == "test"]
    if tests and all(path in why for path in tests):
        raise DataError(all_unreadable(len(tests), category, why[tests[0]]))


def _without_mask(records: list[ImageRecord]) -> list[ImageRecord]:
    return [record for record in records if record.label == 1 and not record.mask_path]
