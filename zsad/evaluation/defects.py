"""The defective pixels of a category: their scores are the thresholds at which everything else is counted.

They are few, so that they are kept in memory, as many as the budget allows. If there are more, every second, fourth,
eighth ... becomes the lower edge of a level, and all are counted by levels: a fixed-point scale whose error can be
stated (see `zsad.evaluation.enclosure`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np

from zsad.errors import DataError

if TYPE_CHECKING:
    from zsad.data.saturation import Region

BYTES_A_DEFECT = 100
MOST_INT32 = 1 << 31
SIGN = np.uint32(1 << 31)
NOT_FINITE = "an anomaly map has a NaN or an infinite value, which has no rank; score the category again"


class PixelImage(NamedTuple):
    """An image with the ground truth of every pixel.

    Attributes:
        anomaly_map: float32 ``[height, width]``.
        ground_truth: bool ``[height, width]``; None for a normal image, which has no defective pixel.
        defects: its defects with their saturation areas, where the data set has these.
    """

    anomaly_map: np.ndarray
    ground_truth: np.ndarray | None = None
    defects: Sequence[Region] = ()


class PixelImages(Protocol):
    """Images by their positions; one may be made when it is read."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, position: int, /) -> PixelImage | tuple[np.ndarray, np.ndarray | None]:
        """One of them, or its map and ground truth."""


def pixel_image(image: PixelImage | tuple[np.ndarray, np.ndarray | None]) -> PixelImage:
    """An image of `PixelImages`."""
    return image if isinstance(image, PixelImage) else PixelImage(*image)


class DefectivePixels(NamedTuple):
    """The defective pixels of one image, each array ``[pixel]``.

    Attributes:
        scores: float32.
        overlap: one over the area of the pixel's region: its contribution to the region's overlap.
        saturated: its contribution to the saturated overlaps of the image's defects; None if no defect has a saturation
            area.
        regions: 8-connected regions.
        defects: defects with a saturation area.
    """

    scores: np.ndarray
    overlap: np.ndarray
    saturated: np.ndarray | None
    regions: int
    defects: int


@dataclass(frozen=True)
class TypeCounts:
    """The defective pixels of one defect type, by threshold.

    Attributes:
        places: int ``[count]``, positions among the thresholds of the category, ascending.
        tied: int ``[count]``, pixels of each threshold.
        overlap, saturated: ``[count]``, sums over these pixels; no ``saturated`` without saturation areas.
        regions, defects: numbers.
    """

    places: np.ndarray
    tied: np.ndarray
    overlap: np.ndarray
    saturated: np.ndarray | None
    regions: int
    defects: int


@dataclass(frozen=True)
class Defects:
    """The defective pixels of a category.

    Attributes:
        thresholds: float32 ``[threshold]``, ascending: the distinct scores, or the lower edges of levels.
        highest: the greatest score.
        exact: whether these are the distinct scores.
        by_type: in order of first appearance.
        regions, defects: int ``[image]``, numbers.
        held: the defective pixels of images, by position, as far as they are in memory; see `release`.
    """

    thresholds: np.ndarray
    highest: np.float32
    exact: bool
    by_type: Mapping[str, TypeCounts]
    regions: np.ndarray
    defects: np.ndarray
    held: dict[int, DefectivePixels]

    def release(self, index: int, image: PixelImage) -> DefectivePixels | None:
        """Release the defective pixels of an image from memory and return them; None if it has none."""
        if not self.regions[index]:
            return None
        return self.held.pop(index, None) or defective_pixels(image)

    def together(self) -> TypeCounts:
        """All types as one."""
        if len(self.by_type) == 1:
            return next(iter(self.by_type.values()))
        shape = self.thresholds.size
        tied, overlap = np.zeros(shape, np.int64), np.zeros(shape)
        saturated = np.zeros(shape) if self.defects.any() else None
        for counts in self.by_type.values():
            tied[counts.places] += counts.tied
            overlap[counts.places] += counts.overlap
            if saturated is not None and counts.saturated is not None:
                saturated[counts.places] += counts.saturated
        return TypeCounts(np.arange(shape), tied, overlap, saturated, int(self.regions.sum()), int(self.defects.sum()))


def region_areas(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 8-connected regions of a mask.

    Args:
        mask: bool ``[height, width]``.

    Returns:
        For each set pixel, in row-major order, the index of its region (int ``[set pixel]``), and each region's area in
        pixels (int ``[region]``).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    # Most of a mask is empty, and labelling takes longer than finding the marked rows and columns.
    box = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(box.view(np.uint8), connectivity=8)
    return labels[box] - 1, statistics[1:, cv2.CC_STAT_AREA]


def defective_pixels(image: PixelImage) -> DefectivePixels | None:
    """The defective pixels of an image; None if it has none.

    Raises:
        DataError: the score of one is not finite.
    """
    if image.ground_truth is None or not image.ground_truth.any():
        return None
    region, areas = region_areas(image.ground_truth)
    scores = image.anomaly_map[image.ground_truth].astype(np.float32, copy=False)
    if not np.isfinite(scores).all():
        raise DataError(NOT_FINITE)
    return DefectivePixels(scores, 1.0 / areas[region], _saturated(image), areas.size, len(image.defects))


def gather_defects(images: PixelImages, types: Sequence[str | None], most: int) -> Defects:
    """Gather the defective pixels of a category.

    Args:
        images: read one at a time, only those with a type; twice, if they hold more than ``most`` pixels.
        types: ``[image]``, defect type; None for a normal image.
        most: defective pixels that may be held, 1 or more.

    Raises:
        DataError: the score of a defective pixel is not finite.
    """
    names = list(dict.fromkeys(name for name in types if name is not None))
    regions, defects = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    held = _Held(names, most)
    of_images: dict[int, DefectivePixels] = {}
    for index, name, pixels in _with_types(images, types):
        regions[index], defects[index] = pixels.regions, pixels.defects
        held.add(name, pixels)
        of_images[index] = pixels
        if not held.is_complete:
            of_images.clear()
    if held.is_complete:
        thresholds, by_type = held.counted()
    else:
        thresholds = held.levels()
        by_type = _counted_by_levels(images, types, names, thresholds)
    of_type = {name: [index for index, other in enumerate(types) if other == name] for name in names}
    return Defects(
        thresholds=thresholds,
        highest=held.highest,
        exact=held.is_complete,
        by_type={
            name: TypeCounts(*counts, int(regions[of_type[name]].sum()), int(defects[of_type[name]].sum()))
            for name, counts in by_type.items()
        },
        regions=regions,
        defects=defects,
        held=of_images,
    )


_Counts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


class _Held:
    """Defective pixels: all of them or, if there are too many, a sample of the scores.

    Args:
        names: defect types.
        most: pixels that may be held.
    """

    def __init__(self, names: Sequence[str], most: int) -> None:
        self._names = {name: number for number, name in enumerate(names)}
        self._most = most
        self._stride = 1
        self._count = 0
        self._has_areas = False
        self._chunks: list[_Chunk] = []
        self._lowest, self.highest = np.float32(np.inf), np.float32(-np.inf)

    @property
    def is_complete(self) -> bool:
        return self._stride == 1

    def add(self, name: str, pixels: DefectivePixels) -> None:
        self._lowest = min(self._lowest, pixels.scores.min())
        self.highest = max(self.highest, pixels.scores.max())
        number = np.full(pixels.scores.size, self._names[name], np.int16)
        self._has_areas = self._has_areas or pixels.defects > 0
        chunk = _Chunk(pixels.scores, pixels.overlap, pixels.saturated, number)
        self._keep(chunk if self.is_complete else _Chunk(chunk.scores[:: self._stride]))

    def _keep(self, chunk: _Chunk) -> None:
        self._chunks.append(chunk)
        self._count += chunk.size
        while self._count > self._most:
            self._stride *= 2
            self._chunks = [_Chunk(np.concatenate([chunk.scores for chunk in self._chunks])[::2])]
            self._count = self._chunks[0].size

    def counted(self) -> tuple[np.ndarray, dict[str, _Counts]]:
        """The distinct scores, and by type: places, tied, overlap, saturated."""
        scores = self._joined("scores", np.float32)
        order = _ascending(scores)
        scores = scores[order]
        is_first = np.diff(scores, prepend=np.float32(-np.inf)) != 0
        place = np.cumsum(is_first, dtype=np.int32)
        place -= 1
        number = self._joined("number", np.int16)[order] if len(self._names) > 1 else None
        overlap = self._joined("overlap", float)[order]
        saturated = self._joined("saturated", float)[order] if self._has_areas else None
        counts = {}
        for name, wanted in self._names.items():
            mine = slice(None) if number is None else np.flatnonzero(number == wanted)
            places = place[mine]
            first = np.flatnonzero(np.diff(places, prepend=-1))
            counts[name] = (
                places[first],
                np.diff(first, append=places.size),
                _sums(overlap[mine], first),
                None if saturated is None else _sums(saturated[mine], first),
            )
        return scores[is_first], counts

    def _joined(self, name: str, dtype: type) -> np.ndarray:
        """One attribute of all chunks, which are without it from then on; zeros where a chunk has none."""
        parts: list[np.ndarray] = [np.zeros(0, dtype)]
        for chunk in self._chunks:
            part = getattr(chunk, name)
            parts.append(np.zeros(chunk.size, dtype) if part is None else part)
            setattr(chunk, name, None)
        return np.concatenate(parts)

    def levels(self) -> np.ndarray:
        """Lower edges of levels, fewer with more types, each of which is counted separately."""
        edges = np.unique(self._joined("scores", np.float32))
        edges = edges[:: max(1, -(-edges.size * (len(self._names) + 2) // (3 * self._most)))]
        return np.unique(np.append(edges, self._lowest))


class _Chunk:
    """Defective pixels of one image; see `DefectivePixels`."""

    def __init__(
        self,
        scores: np.ndarray,
        overlap: np.ndarray | None = None,
        saturated: np.ndarray | None = None,
        number: np.ndarray | None = None,
    ) -> None:
        self.size = scores.size
        self.scores = scores
        self.overlap = overlap
        self.saturated = saturated
        self.number = number


def _ascending(scores: np.ndarray) -> np.ndarray:
    """The order in which finite scores, float32, ascend, equal ones as they stand; int32 or int64.

    Scores and positions are sorted as whole numbers in one, which takes a third of the time of an ``argsort``.
    """
    if scores.size >= MOST_INT32:
        return np.argsort(scores, kind="stable")
    bits = np.ascontiguousarray(scores).view(np.uint32)
    packed = np.where(bits & SIGN, ~bits, bits | SIGN).astype(np.uint64)  # rises with the score
    packed <<= 32
    packed |= np.arange(scores.size, dtype=np.uint64)
    packed.sort()
    return packed.astype(np.uint32).view(np.int32)


def _sums(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Sums of runs that begin at ``first``."""
    return np.add.reduceat(values, first) if first.size else np.zeros(0)


def _counted_by_levels(
    images: PixelImages, types: Sequence[str | None], names: Sequence[str], levels: np.ndarray
) -> dict[str, _Counts]:
    dense = {name: (np.zeros(levels.size, np.int64), np.zeros(levels.size), np.zeros(levels.size)) for name in names}
    for _, name, pixels in _with_types(images, types):
        level = np.searchsorted(levels, pixels.scores, side="right") - 1
        tied, overlap, saturated = dense[name]
        np.add.at(tied, level, 1)
        np.add.at(overlap, level, pixels.overlap)
        if pixels.saturated is not None:
            np.add.at(saturated, level, pixels.saturated)
    counts: dict[str, _Counts] = {}
    for name in names:
        tied, overlap, saturated = dense.pop(name)
        places = np.flatnonzero(tied)
        counts[name] = (places, tied[places], overlap[places], saturated[places])
    return counts


def _with_types(images: PixelImages, types: Sequence[str | None]) -> Iterator[tuple[int, str, DefectivePixels]]:
    """The defective pixels of each image that has any, with its position and type."""
    for index, name in enumerate(types):
        if name is not None and (pixels := defective_pixels(pixel_image(images[index]))) is not None:
            yield index, name, pixels


def _saturated(image: PixelImage) -> np.ndarray | None:
    """The contribution of each defective pixel, in row-major order, to the saturated overlaps.

    Of a defect with saturation area ``s`` the ``s`` pixels of highest score add ``1 / s`` each, and the others nothing:
    then the sum over the pixels at or above any threshold is ``min(found / s, 1)``.
    """
    if not image.defects:
        return None
    gains = np.zeros(image.anomaly_map.shape)
    for defect in image.defects:
        places = np.flatnonzero(defect.pixels)
        scores = image.anomaly_map.ravel()[places]
        highest = places[np.argsort(-scores, kind="stable")[: defect.saturation_area]]
        gains.ravel()[highest] += 1.0 / defect.saturation_area
    return gains[image.ground_truth]
