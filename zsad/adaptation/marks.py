"""Labels and masks for methods that learn; never those of the data set under test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from zsad.data.manifest import read_manifest
from zsad.data.masks import read_mask
from zsad.errors import DataError


class Marks(Protocol):
    """Labels and masks of images, in the order of their features."""

    @property
    def labels(self) -> Sequence[int]:
        """1 for an anomalous image, 0 for a normal one."""

    @property
    def made_from(self) -> Sequence[tuple[str, ...]]:
        """Identifiers of the images that each was made from; its own identifier unless it is synthetic."""

    def shares(self, index: int, rows: int, columns: int) -> np.ndarray | None:
        """The anomalous share of each cell of a grid over the image, float32 ``[row, column]`` in 0...1.

        None for an anomalous image whose anomalous pixels are unknown, because it has no mask or an empty one; all zero
        for a normal image.
        """


class MemoryMarks:
    """Marks in memory.

    Args:
        labels: one for each image.
        masks: bool ``[height, width]`` each; None for a normal image, or if unknown.
        made_from: see `Marks`; None if no image is synthetic.
    """

    def __init__(
        self,
        labels: Sequence[int],
        masks: Sequence[np.ndarray | None],
        made_from: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        if len(labels) != len(masks):
            raise DataError(f"{len(labels)} labels and {len(masks)} masks were given; give as many of each")
        self.labels = list(labels)
        self.made_from = list(made_from) if made_from is not None else [() for _ in labels]
        self._masks = list(masks)

    def shares(self, index: int, rows: int, columns: int) -> np.ndarray | None:
        """See `Marks.shares`."""
        return shares_of(self.labels[index], self._masks[index], rows, columns)


class ManifestMarks:
    """Marks from a manifest; each mask is read on demand.

    Args:
        manifest: of an auxiliary data set, or of synthetic images.
        image_ids: images; all must be labelled.
        made_from: see `Marks`; None if no image is synthetic.

    Raises:
        DataError: the manifest lacks an image, or its label.
    """

    def __init__(
        self, manifest: Path, image_ids: Sequence[str], made_from: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        records = {record.image_id: record for record in read_manifest(manifest)}
        if absent := next((image_id for image_id in image_ids if image_id not in records), None):
            raise DataError(f"{manifest} does not list {absent}; delete both files and run again")
        self._records = [records[image_id] for image_id in image_ids]
        if unknown := next((record.image_id for record in self._records if record.label is None), None):
            raise DataError(f"{unknown} has no label in {manifest}; leave it out, or label it")
        self.labels = [int(record.label or 0) for record in self._records]
        self.made_from = [(made_from or {}).get(image_id, (image_id,)) for image_id in image_ids]

    def shares(self, index: int, rows: int, columns: int) -> np.ndarray | None:
        """See `Marks.shares`."""
        record = self._records[index]
        mask = None
        if record.label == 1 and record.mask_path:
            mask = read_mask(record.mask_path, record.height, record.width, record.mask_sha256)
        return shares_of(self.labels[index], mask, rows, columns)


def shares_of(label: int, mask: np.ndarray | None, rows: int, columns: int) -> np.ndarray | None:
    """The share of each cell that a mask covers; see `Marks.shares`."""
    if label == 0:
        return np.zeros((rows, columns), dtype=np.float32)
    if mask is None or not mask.any():
        return None
    return area_means(mask.astype(np.float32), rows, columns)


def area_means(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of an image's pixels over the cells of a grid, float32 ``[row, column]``; cells may cut pixels."""
    height, width = values.shape
    if rows > height or columns > width:  # cells smaller than pixels take the value of their pixel
        values = cv2.resize(values, (max(columns, width), max(rows, height)), interpolation=cv2.INTER_NEAREST)
    means: np.ndarray = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    return means.astype(np.float32)
