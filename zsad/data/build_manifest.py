"""The stage that writes the manifest of a category: its images, labels and masks."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from zsad.data.image_list import read_image_list
from zsad.data.layouts.base import Layout
from zsad.data.manifest import ImageRecord, write_manifest

logger = logging.getLogger(__name__)


def build_manifest(layout: Layout, root: Path, category: str, listed: Path, output: Path) -> None:
    """Write a category's manifest; log its image counts and the defects without a mask. No image is opened.

    Args:
        listed: the list of images, see `zsad.data.image_list`.
        output: CSV, see `zsad.data.manifest`.

    Raises:
        DataError: see `Layout.records`.
    """
    records = layout.records(root, category, read_image_list(listed))
    write_manifest(output, records)
    for (split, defect), count in sorted(Counter((record.split, record.defect_type) for record in records).items()):
        logger.info("%s: %d images %s/%s", category, count, split, defect or "unlabelled")
    without = _without_mask(records)
    if without:
        logger.warning(
            "%s: %d defective images have no mask and are left out of the pixel metrics, e.g. %s",
            category, len(without), without[0].image_id,
        )  # fmt: skip


def _without_mask(records: list[ImageRecord]) -> list[ImageRecord]:
    return [record for record in records if record.label == 1 and not record.mask_path]
