"""The data stage: the demo set's files and the manifest of a category."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from pathlib import Path

from zsad.data.demo import DemoOptions, make_category, planned_files
from zsad.data.image_list import read_images
from zsad.data.layouts.base import Layout
from zsad.data.manifest import ImageRecord, write_manifest
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


def build_manifest(layout: Layout, root: Path, category: str, listed: Path, output: Path) -> None:
    """Write a category's manifest; log what was found and which defects have no mask. No image is opened.

    Args:
        listed: the list of images, see `zsad.data.image_list`.
        output: CSV, see `zsad.data.manifest`.

    Raises:
        DataError: see `Layout.records`.
    """
    records = layout.records(root, category, read_images(listed))
    write_manifest(output, records)
    for (split, defect), count in sorted(Counter((record.split, record.defect_type) for record in records).items()):
        logger.info("%s: %d images %s/%s", category, count, split, defect or "unlabelled")
    without = _without_mask(records)
    if without:
        logger.warning(
            "%s: %d defective images have no mask and stay out of the pixel metrics, e.g. %s",
            category, len(without), without[0].image_id,
        )  # fmt: skip


def _without_mask(records: list[ImageRecord]) -> list[ImageRecord]:
    return [record for record in records if record.label == 1 and not record.mask_path]
