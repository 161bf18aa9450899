"""The stage that samples the labelled images of a classifier: support, calibration images and queries."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from zsad.classification.draws import (
    DrawOptions,
    Labelled,
    Pool,
    draw_rows,
    remove_copies,
    require_apart,
    shown_kinds,
    unlabelled_rows,
)
from zsad.classification.splits import TEST, check_split, write_split
from zsad.data.image_list import of_split, read_image_list
from zsad.data.kind_names import require_usable
from zsad.data.kinds import kind_of, read_kinds
from zsad.data.manifest import read_manifest
from zsad.errors import DataError
from zsad.files.table_digest import RUN_AGAIN

logger = logging.getLogger(__name__)


def draw_support(
    *,
    manifest: Path | None,
    images: Path,
    labelled: Path | None,
    kinds: Path | None,
    source: str,
    options: DrawOptions,
    category: str,
    output: Path,
) -> None:
    """Sample, for each kind and seed, the support and calibration images of a classifier, and list its queries.

    Args:
        manifest: labels of the test images; only for ``source == "test"``.
        images: list of the test images, see `zsad.data.image_list`.
        labelled: list of the labelled examples beside the data set, for any other source.
        kinds: their labels, see `zsad.data.kinds`.
        source: ``"test"``, or the name of the support.
        category: for messages.
        output: CSV, see `zsad.classification.splits`; it has kinds only for images that are shown.

    Raises:
        ConfigError: see `DrawOptions.check` and `shown_kinds`.
        DataError: likewise, or the same image stands for two kinds, or is an example and a test image.
    """
    options.check(source)
    tests = [Labelled(TEST, image.image_id, "", image.sha256) for image in of_split(read_image_list(images), "test")]
    if source == TEST:
        pool = remove_copies(_with_truth(tests, _given(manifest, "manifest"), images, category))
    else:
        pool = remove_copies(_examples(_given(labelled, "labelled"), _given(kinds, "kinds"), source))
        require_apart([*pool.images, *pool.copies], tests)
    shown = shown_kinds(pool.images, options, source, category)
    candidates = pool.images if source == TEST else tests
    rows = []
    for seed in options.seeds:
        drawn = draw_rows(pool.images, shown.kinds, options, seed)
        taken = {(row.source, row.image_id) for row in drawn}
        queries = [image for image in candidates if (image.source, image.image_id) not in taken]
        rows += [*drawn, *unlabelled_rows(queries, "query", seed), *unlabelled_rows(pool.copies, "left_out", seed)]
    remarks = [*shown.remarks, *_on_copies(pool)]
    for remark in remarks:
        logger.warning("%s: %s", category, remark)
    check_split(rows)
    write_split(output, rows, remarks)
    logger.info("%s: kinds shown: %s", category, ", ".join(shown.kinds))


def _given(path: Path | None, name: str) -> Path:
    if path is None:
        raise ValueError(f"'{name}' must be given for this source")
    return path


def _with_truth(tests: Sequence[Labelled], manifest: Path, images: Path, category: str) -> list[Labelled]:
    """Test images with their kinds."""
    truth = {record.image_id: kind_of(record) for record in of_split(read_manifest(manifest), "test")}
    require_usable(filter(None, truth.values()), f"the test images of '{category}'")
    return _with_kinds(tests, truth, manifest, images)


def _examples(labelled: Path, kinds: Path, source: str) -> list[Labelled]:
    """Labelled examples that lie beside the data set."""
    images = [Labelled(source, image.image_id, "", image.sha256) for image in read_image_list(labelled)]
    return _with_kinds(images, read_kinds(kinds), kinds, labelled)


def _with_kinds(images: Sequence[Labelled], kinds: Mapping[str, str], table: Path, listed: Path) -> list[Labelled]:
    if kinds.keys() != {image.image_id for image in images}:
        raise DataError(f"{table} and {listed} are of different images; {RUN_AGAIN}")
    return [image._replace(kind=kinds[image.image_id]) for image in images]


def _on_copies(pool: Pool) -> list[str]:
    if not pool.copies:
        return []
    first = min(image.image_id for image in pool.copies)
    if len(pool.copies) == 1:
        return [f"{first} is not used: its content equals that of another image."]
    return [f"{len(pool.copies)} images are not used: their content equals that of others, e.g. {first}."]
