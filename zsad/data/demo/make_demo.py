"""The files of a category of the demo set, and their checksums."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from zsad.data.demo.generate import write_image, write_image_and_mask
from zsad.data.demo.plan import DemoOptions, defect_counts, planned_files
from zsad.files.atomic import write_text
from zsad.files.provenance import file_sha256

logger = logging.getLogger(__name__)


def make_demo(category: str, options: DemoOptions, checksums: Path) -> None:
    """Write a category of the demo set beside ``checksums``, and then ``checksums`` in the format of ``sha256sum``."""
    folder = checksums.with_suffix("")
    if folder.exists():
        shutil.rmtree(folder)  # images of other options would remain
    make_category(category, options, folder)
    lines = [f"{file_sha256(folder / name)}  {category}/{name}\n" for name in planned_files(category, options)]
    write_text(checksums, "".join(lines))
    logger.info("wrote %d files to %s", len(lines), folder)


def make_category(category: str, options: DemoOptions, folder: Path) -> None:
    """Write exactly the `planned_files` of a category into ``folder``, each completely or not at all.

    An image depends only on the seed, the size and its own path in the set, never on the other images.

    Raises:
        ConfigError: there is no such category.
    """
    counts = defect_counts(category, options)
    for index in range(options.train):
        write_image(folder, category, "train", index, options)
    for index in range(options.good):
        write_image(folder, category, "test", index, options)
    for kind, count in counts.items():
        for index in range(count):
            write_image_and_mask(folder, category, kind, index, options)
