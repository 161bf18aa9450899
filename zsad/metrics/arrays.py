"""Checks of arrays that users pass in, one by one as they are read, and their conversion for the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from zsad.data.saturation import Region
from zsad.errors import ArrayError, nearest_hint
from zsad.evaluation import protocols
from zsad.evaluation.defects import PixelImage

NUMBERS = "biuf"  # kinds of dtypes: bool, whole numbers, floating point


class Arrays(Protocol):
    """A list or an array of arrays, or any object that returns the array of an image by position, repeatedly."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, position: int, /) -> ArrayLike:
        """The array of an image; it may be made or read at that time."""


Defect = tuple[ArrayLike, int]  # bool [height, width], and its saturation area in pixels


def image_arrays(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores, floating point ``[image]``, and labels, bool ``[image]``, of equally many images, one or more.

    Raises:
        ArrayError: they are anything else, or a score is not finite.
    """
    values = _vector(scores, "scores")
    flags = flags_of_images(labels, "label")
    require_as_many(values, "scores", flags, "labels")
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ArrayError(f"score {place} is {values[place]}, which has no rank; leave that image out or score it again")
    return values, flags


def flags_of_images(values: ArrayLike, name: str) -> np.ndarray:
    """A flag for each image, bool ``[image]``, from 1 and 0 or Booleans.

    Args:
        name: of one of them, e.g. ``"label"``.

    Raises:
        ArrayError: they are anything else.
    """
    array = _vector(values, f"{name}s")
    flags: np.ndarray = array == 1
    invalid = np.flatnonzero(~(flags | (array == 0)))
    if invalid.size:
        raise ArrayError(f"{name} {invalid[0]} is {array[invalid[0]]}, but it must be 1 for defective or 0 for normal")
    return flags


def require_as_many(some: Sized, what: str, others: Sized, of_others: str) -> int:
    """Check that both have the same length, and return the number of images, one or more.

    Raises:
        ArrayError: the numbers differ, or there is no image.
    """
    if len(some) != len(others):
        raise ArrayError(
            f"there are {len(some)} {what} and {len(others)} {of_others}; give one of each for every image"
        )
    if not len(some):
        raise ArrayError(f"there are no {what} and no {of_others}; give those of at least one image")
    return len(some)


def require_both(labels: np.ndarray) -> None:
    """Reject images that are all normal, or all defective.

    Raises:
        ArrayError: they are.
    """
    if labels.all() or not labels.any():
        kind = "normal" if labels.any() else "defective"
        raise ArrayError(f"none of the {len(labels)} images is {kind}, so nothing can be ranked; give images of both")


def protocol_named(name: str) -> protocols.Protocol:
    """The protocol by its name in the tables.

    Raises:
        ArrayError: there is no protocol of that name.
    """
    try:
        return protocols.read_protocol(str(name))
    except ValueError as error:
        raise ArrayError(
            f"there is no protocol '{name}'{nearest_hint(str(name), protocols.PROTOCOLS)}; {error}"
        ) from None


def require_masks(masks: Arrays, others: Arrays, what: str) -> int:
    """Check that every image has a mask and another array, and return the number of images.

    Raises:
        ArrayError: see `require_as_many`; or an argument has no length.
    """
    for arrays, name in ((others, what), (masks, "masks")):
        if not hasattr(arrays, "__len__") or not hasattr(arrays, "__getitem__"):
            raise ArrayError(
                f"the {name} are a {type(arrays).__name__}, which cannot be indexed by position; give a list, or an "
                "array [image, row, column]"
            )
        if isinstance(arrays, Mapping):
            raise ArrayError(f"the {name} are a mapping; give a list in the order of the images")
    return require_as_many(others, what, masks, "masks")


def mask_of(masks: Arrays, position: int) -> np.ndarray:
    """A mask as bool ``[height, width]``.

    Raises:
        ArrayError: it has another shape, or values other than 0 and 1.
    """
    mask = masks[position]
    if mask is None:
        raise ArrayError(
            f"mask {position} is None, so that its image size is not known; give np.zeros((height, width), bool) for a "
            "normal image"
        )
    return binary(mask, f"mask {position}")


def binary(mask: ArrayLike, name: str) -> np.ndarray:
    """A mask or prediction as bool ``[height, width]``; raises as `mask_of`."""
    array = _plane(mask, name, "[height, width]")
    if array.dtype == bool:
        return np.ascontiguousarray(array)
    marked = array == 1
    if not (marked | (array == 0)).all():
        value = array[~(marked | (array == 0))][0]
        raise ArrayError(f"{name} has the value {value}, but a mask is bool, or 0 and 1; give e.g. mask > 0")
    return np.ascontiguousarray(marked)


def map_of(maps: Arrays, position: int) -> np.ndarray:
    """A map as float32 ``[row, column]``.

    Raises:
        ArrayError: it has another shape, or a value that is not finite.
    """
    array = _plane(maps[position], f"map {position}", "[row, column]")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(values).all():
        raise ArrayError(
            f"map {position} has a NaN, or a value that is infinite or too large for float32, which has no rank; "
            "leave that image out or score it again"
        )
    return values


class MeasuredImages:
    """Maps with their ground truth, one at a time, resized to the resolution of the comparison.

    Args:
        maps: float ``[row, column]`` each, on any grid that covers its image edge to edge.
        masks: bool ``[height, width]`` each.
        defects: of each image, with their saturation areas; None without these.

    Attributes:
        marks: bool ``[image]``, whether the mask marks a pixel.

    Raises:
        ArrayError: the arrays are not as they must be; some errors are found only when an image is read.
    """

    def __init__(
        self,
        maps: Arrays,
        masks: Arrays,
        protocol: protocols.Protocol,
        defects: Sequence[Sequence[Defect]] | None = None,
    ) -> None:
        number = require_masks(masks, maps, "maps")
        if defects is not None and len(defects) != number:
            raise ArrayError(
                f"there are {len(defects)} lists of defects and {number} masks; give one of each for every image"
            )
        self._maps = maps
        self._masks = masks
        self._protocol = protocol
        self._defects = defects
        self.marks = np.array([mask_of(masks, position).any() for position in range(number)])

    def __len__(self) -> int:
        return len(self.marks)

    def __getitem__(self, position: int) -> PixelImage:
        if not 0 <= position < len(self):
            raise IndexError(position)
        mask = mask_of(self._masks, position)
        anomaly_map = self._protocol.anomaly_map(map_of(self._maps, position), *mask.shape)
        if not self.marks[position]:
            return PixelImage(anomaly_map)
        return PixelImage(anomaly_map, self._protocol.true_mask(mask), self._regions(position, mask))

    def _regions(self, position: int, mask: np.ndarray) -> list[Region]:
        if self._defects is None:
            return []
        regions = [
            _region(defect, mask, f"defect {number} of image {position}")
            for number, defect in enumerate(self._defects[position])
        ]
        return self._protocol.defects(regions)


def _region(defect: Defect, mask: np.ndarray, name: str) -> Region:
    if len(defect) != 2:
        raise ArrayError(f"{name} must be a pair: its pixels, bool [height, width], and its saturation area")
    pixels, area = defect
    marked = binary(pixels, name)
    if marked.shape != mask.shape:
        raise ArrayError(f"{name} has the shape {marked.shape} and its mask {mask.shape}; make them equal")
    if (marked & ~mask).any():
        raise ArrayError(f"{name} has pixels that its mask does not mark; a mask marks all defects of its image")
    if not 1 <= area <= np.count_nonzero(marked) or area != int(area):
        raise ArrayError(
            f"the saturation area of {name} is {area}, but it must be a number of its pixels, "
            f"1 to {np.count_nonzero(marked)}"
        )
    return Region("", marked, int(area))


def _array(values: Any, name: str) -> np.ndarray:
    if np.ma.is_masked(values):
        raise ArrayError(f"there are masked values in {name}; leave such images out, or fill the values")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ArrayError(f"{name} cannot be read as one array ({error}); give numbers of one shape") from None
    if array.size and array.dtype.kind not in NUMBERS:
        raise ArrayError(f"{name} must be numbers, not {array.dtype}; leave out images without numbers")
    return array


def _vector(values: Any, name: str) -> np.ndarray:
    array = _array(values, f"the {name}")
    if array.ndim != 1:
        raise ArrayError(f"the {name} have the shape {array.shape}, but must be [image], one number for each image")
    return array


def _plane(values: Any, name: str, form: str) -> np.ndarray:
    array = _array(values, name)
    if array.ndim != 2:
        raise ArrayError(f"{name} has the shape {array.shape}, but must be {form}; give one such array for each image")
    if not array.size:
        raise ArrayError(f"{name} has the shape {array.shape}, without a pixel; leave that image out")
    return array
