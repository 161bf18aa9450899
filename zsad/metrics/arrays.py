"""Arrays as people have them, checked one by one as they are asked for, in the form that the evaluation takes."""

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
    """A list or an array of arrays, or whatever gives one array an image by its position, more than once."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, position: int, /) -> ArrayLike:
        """That of an image; it may be made or read at that time."""


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
    """What is said of each image, bool ``[image]``, from numbers 1 and 0 or truth values.

    Args:
        name: of one of them, e.g. ``"label"``.

    Raises:
        ArrayError: they are anything else.
    """
    array = _vector(values, f"{name}s")
    flags: np.ndarray = array == 1
    odd = np.flatnonzero(~(flags | (array == 0)))
    if odd.size:
        raise ArrayError(f"{name} {odd[0]} is {array[odd[0]]}, but it must be 1 for defective or 0 for good")
    return flags


def require_as_many(some: Sized, what: str, others: Sized, of_others: str) -> int:
    """The number of images, one or more, for each of which there is one of both.

    Raises:
        ArrayError: the numbers differ, or there is no image.
    """
    if len(some) != len(others):
        raise ArrayError(f"there are {len(some)} {what} and {len(others)} {of_others}; give one of each an image")
    if not len(some):
        raise ArrayError(f"there are no {what} and no {of_others}; give those of at least one image")
    return len(some)


def require_both(labels: np.ndarray) -> None:
    """Refuse images that are all good, or all defective.

    Raises:
        ArrayError: they are.
    """
    if labels.all() or not labels.any():
        kind = "good" if labels.any() else "defective"
        raise ArrayError(f"none of the {len(labels)} images is {kind}, so nothing can be ranked; give images of both")


def protocol_named(name: str) -> protocols.Protocol:
    """How pixels are compared, by the name that stands in every table.

    Raises:
        ArrayError: there is none of that name.
    """
    try:
        return protocols.read_protocol(str(name))
    except ValueError as error:
        raise ArrayError(
            f"there is no protocol '{name}'{nearest_hint(str(name), protocols.PROTOCOLS)}; {error}"
        ) from None


def require_masks(masks: Arrays, others: Arrays, what: str) -> int:
    """The number of images, for each of which there is a mask and another array.

    Raises:
        ArrayError: as of `require_as_many`, or something has no number of images at all.
    """
    for arrays, name in ((others, what), (masks, "masks")):
        if not hasattr(arrays, "__len__") or not hasattr(arrays, "__getitem__"):
            raise ArrayError(
                f"the {name} are a {type(arrays).__name__}, of which none can be asked for by its position; "
                "give a list, or an array [image, row, column]"
            )
        if isinstance(arrays, Mapping):
            raise ArrayError(f"the {name} are given by name; give a list in the order of the images")
    return require_as_many(others, what, masks, "masks")


def truth_of(masks: Arrays, position: int) -> np.ndarray:
    """A mask as bool ``[height, width]``.

    Raises:
        ArrayError: it has another shape, or values other than 0 and 1.
    """
    mask = masks[position]
    if mask is None:
        raise ArrayError(
            f"mask {position} is None, so that the size of its image is not known; "
            "give np.zeros((height, width), bool) for a good image"
        )
    return binary(mask, f"mask {position}")


def binary(mask: ArrayLike, name: str) -> np.ndarray:
    """A mask or prediction as bool ``[height, width]``; raises as `truth_of`."""
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
    """Maps with their truth, one at a time, brought to the resolution at which they are compared.

    Args:
        maps: float ``[row, column]`` each, on any grid that covers its image edge to edge.
        masks: bool ``[height, width]`` each.
        defects: of each image, with their saturation areas; None without these.

    Attributes:
        marks: bool ``[image]``, whether the mask marks a pixel.

    Raises:
        ArrayError: the arrays are not as they must be; some is found out only when an image is asked for.
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
            raise ArrayError(f"there are {len(defects)} lists of defects and {number} masks; give one of each an image")
        self._maps = maps
        self._masks = masks
        self._protocol = protocol
        self._defects = defects
        self.marks = np.array([truth_of(masks, position).any() for position in range(number)])

    def __len__(self) -> int:
        return len(self.marks)

    def __getitem__(self, position: int) -> PixelImage:
        if not 0 <= position < len(self):
            raise IndexError(position)
        mask = truth_of(self._masks, position)
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
        raise ArrayError(f"{name} has the shape {marked.shape} and its mask {mask.shape}; make them alike")
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
        raise ArrayError(f"nothing is known of the masked values of {name}; leave such images out, or fill them")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ArrayError(f"{name} cannot be read as one array ({error}); give numbers of one shape") from None
    if array.size and array.dtype.kind not in NUMBERS:
        raise ArrayError(f"{name} must be numbers, not {array.dtype}; leave out images that have none")
    return array


def _vector(values: Any, name: str) -> np.ndarray:
    array = _array(values, f"the {name}")
    if array.ndim != 1:
        raise ArrayError(f"the {name} have the shape {array.shape}, but must be [image], one number an image")
    return array


def _plane(values: Any, name: str, form: str) -> np.ndarray:
    array = _array(values, name)
    if array.ndim != 2:
        raise ArrayError(f"{name} has the shape {array.shape}, but must be {form}; give one such array an image")
    if not array.size:
        raise ArrayError(f"{name} has the shape {array.shape} and so no pixel; leave that image out")
    return array
