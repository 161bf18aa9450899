"""The ground truth of the test images: defective images and defective pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zsad.data.image_list import of_split
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.data.masks import read_mask
from zsad.data.saturation import Region, read_regions
from zsad.errors import DataError
from zsad.evaluation.defects import PixelImage
from zsad.evaluation.protocols import Protocol
from zsad.files.scores import ScoreReader

NAMES_IN_A_NOTE = 5
HELD_BYTES = 50_000_000  # of ground-truth masks that are kept, an eighth of a byte a pixel
IMAGES_ALONE = "The method scores images and gives no maps, so it has no pixel metrics."


def records_with_ground_truth(manifest: Path, image_ids: Sequence[str], result: Path) -> list[ImageRecord]:
    """The test images of a manifest with their ground truth, in the order of a result file.

    Args:
        image_ids: the images of the result file.
        result: the result file, named in the message.

    Raises:
        DataError: the file has other images than the manifest.
    """
    records = {record.image_id: record for record in of_split(read_manifest(manifest), "test")}
    unmatched = sorted(set(records) ^ set(image_ids))
    if unmatched:
        raise DataError(
            f"{result} and {manifest} do not hold the same test images ({_listed(unmatched)}); delete {result} and run "
            "again"
        )
    return [records[image_id] for image_id in image_ids]


def has_pixel_ground_truth(record: ImageRecord) -> bool:
    """Whether the ground truth of every pixel is known: the image is normal, or is defective and has a mask."""
    return record.label == 0 or (record.label == 1 and bool(record.mask_path))


def pixel_ground_truth(record: ImageRecord) -> np.ndarray:
    """The pixels of an image that are defective, bool ``[height, width]``; a normal image has none."""
    if record.label == 0:
        return np.zeros((record.height, record.width), dtype=bool)
    return read_mask(record.mask_path, record.height, record.width, record.mask_sha256)


class MapsWithGroundTruth:
    """The anomaly maps of a category, each with its ground truth, read one at a time; masks are read once if they fit.

    Args:
        scores: an open score file.
        records: the manifest's records, in the order of the score file.
        indices: positions of the images that have pixel ground truth.
        protocol: at which resolution.
        saturation: the data set's table of saturation areas, if it has one.

    Attributes:
        types: the defect type of each image; None for a normal one.
    """

    def __init__(
        self,
        scores: ScoreReader,
        records: Sequence[ImageRecord],
        indices: Sequence[int],
        protocol: Protocol,
        saturation: Path | None,
    ) -> None:
        self._scores = scores
        self._records = records
        self._indices = indices
        self._protocol = protocol
        self._saturation = saturation
        self._held: dict[int, np.ndarray] = {}
        self._held_bytes = 0
        self.types = [None if records[index].label == 0 else records[index].defect_type for index in indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> PixelImage:
        index = self._indices[position]
        record = self._records[index]
        anomaly_map = self._protocol.anomaly_map(self._scores.anomaly_map(index), record.height, record.width)
        if record.label == 0:
            return PixelImage(anomaly_map)
        return PixelImage(anomaly_map, self._mask(index, record), self._defects(record))

    def _mask(self, index: int, record: ImageRecord) -> np.ndarray:
        """The ground-truth mask; read again only if it was not kept."""
        height, width = self._protocol.size(record.height, record.width)
        if index in self._held:
            return np.unpackbits(self._held[index], count=height * width).view(bool).reshape(height, width)
        mask = self._protocol.true_mask(pixel_ground_truth(record))
        packed = np.packbits(mask)
        if self._held_bytes + packed.nbytes <= HELD_BYTES:
            self._held[index] = packed
            self._held_bytes += packed.nbytes
        return mask

    def _defects(self, record: ImageRecord) -> list[Region]:
        if self._saturation is None:
            return []
        return self._protocol.defects(
            read_regions(Path(record.mask_path), record.height, record.width, self._saturation)
        )


def counts(records: Sequence[ImageRecord]) -> dict[str, int]:
    """Normal, defective and unlabelled images, and the defective ones that have a mask."""
    return {
        "good": sum(record.label == 0 for record in records),
        "defective": sum(record.label == 1 for record in records),
        "unlabelled": sum(record.label is None for record in records),
        "with_mask": sum(record.label == 1 and bool(record.mask_path) for record in records),
    }


def ground_truth_notes(records: Sequence[ImageRecord]) -> list[str]:
    """Sentences about missing ground truth and its consequences for the metrics."""
    number = counts(records)
    if not number["good"] + number["defective"]:
        return ["No test image is labelled, so there are no metrics."]
    notes = []
    if number["unlabelled"]:
        notes.append(
            f"{number['unlabelled']} of {len(records)} test images are unlabelled and left out of the metrics."
        )
    if not number["defective"]:
        notes.append("No labelled test image is defective, so there are no ranking metrics.")
    elif not number["good"]:
        notes.append("Every labelled test image is defective, so there are no ranking metrics of images.")
    if number["defective"] and not number["with_mask"]:
        notes.append("No defective test image has a mask, so there are no pixel metrics.")
    elif number["with_mask"] < number["defective"]:
        without = [record.image_id for record in records if record.label == 1 and not record.mask_path]
        notes.append(
            f"{len(without)} of {number['defective']} defective test images have no mask and are left out of "
            f"the pixel metrics: {_listed(without)}."
        )
    return notes


def empty_mask_note(image_ids: Sequence[str]) -> list[str]:
    """The note, if any, on defective images whose mask marks no pixel."""
    if not image_ids:
        return []
    return [
        f"The masks of {len(image_ids)} defective test images are empty, so all their pixels count as normal: "
        f"{_listed(image_ids)}."
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_IN_A_NOTE])
    return shown if len(names) <= NAMES_IN_A_NOTE else f"{shown} and {len(names) - NAMES_IN_A_NOTE} more"
