"""The test images that two runs have in common, with the same ground truth in both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from zsad.data.image_list import of_split
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.errors import DataError


class CommonImages(NamedTuple):
    """The labelled test images of a category that two runs have in common.

    Attributes:
        image_ids: sorted.
        of_first, of_second: number of labelled test images of each run.
    """

    image_ids: tuple[str, ...]
    of_first: int
    of_second: int

    @property
    def are_all(self) -> bool:
        """Whether neither run has another labelled test image."""
        return len(self.image_ids) == self.of_first == self.of_second


def common_images(first: Path, second: Path) -> CommonImages:
    """The labelled test images that two manifests of a category have in common.

    Raises:
        DataError: there are none; an image of the same name is another one; the labels or masks of one differ; or a
            manifest is missing or damaged.
    """
    one, other = (
        {record.image_id: record for record in of_split(read_manifest(path), "test")} for path in (first, second)
    )
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise DataError(f"{first} and {second} have no test image in common; compare runs on the same data set")
    pairs = [(one[image_id], other[image_id]) for image_id in shared]
    if different := [a.image_id for a, b in pairs if a.sha256 != b.sha256]:
        raise DataError(
            f"{_counted(different, len(shared))} another content in {second} than in {first}; compare runs on the same "
            "data set"
        )
    if different := [a.image_id for a, b in pairs if _truth(a) != _truth(b)]:
        raise DataError(
            f"{_counted(different, len(shared))} another label or mask in {second} than in {first}; run both on the "
            "same ground truth"
        )
    labelled = [{record.image_id for record in of_run.values() if record.label is not None} for of_run in (one, other)]
    common = tuple(sorted(labelled[0] & labelled[1]))
    if not common:
        raise DataError(f"no test image that {first} and {second} have in common is labelled; compare runs with labels")
    return CommonImages(common, *map(len, labelled))


def _truth(record: ImageRecord) -> tuple[int | None, str]:
    return record.label, record.mask_sha256


def _counted(image_ids: Sequence[str], whole: int) -> str:
    return f"{len(image_ids)} of {whole} common test images ({image_ids[0]}{', ...' if image_ids[1:] else ''}) have"
