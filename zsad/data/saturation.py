"""The single defects of MVTec LOCO AD, and how much of each must be found: its saturation area.

A logical anomaly has no unique outline: a missing pushpin may be marked in any of many places. So the authors mark all
pixels that may be called anomalous, and count a defect as completely found once the number of found pixels reaches its
saturation area (the saturated per-region overlap, sPRO):

    sPRO(prediction P, defect A with saturation area s) = min(|P and A| / s, 1)

Each mask file is one defect, whose non-zero pixels have one value; ``defects_config.json`` has an entry per value::

    {"defect_name": "missing_pushpin", "pixel_value": 255, "saturation_threshold": 6300, "relative_saturation": false}

An absolute threshold is a number of pixels at the image's own resolution, a relative one a share of the defect.

References:
    Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond Dents and Scratches: Logical Constraints in Unsupervised
    Anomaly Detection and Localization, IJCV 130, 2022, section 4; and the authors' evaluation code, ``src/image.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from zsad.data.masks import mask_files, read_mask
from zsad.errors import DataError
from zsad.errors.mistakes import reason_of

CONFIG_NAME = "defects_config.json"


class DefectKind(BaseModel):
    """One defect type of ``defects_config.json``.

    Attributes:
        defect_name: e.g. ``"missing_pushpin"``.
        pixel_value: of its pixels in a mask, in 1..255.
        saturation_threshold: pixels, or a share in (0, 1] of the defect's area.
        relative_saturation: whether it is a share.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    defect_name: str
    pixel_value: Annotated[int, Field(ge=1, le=255)]
    saturation_threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    relative_saturation: bool

    @model_validator(mode="after")
    def _check_unit(self) -> DefectKind:
        if self.relative_saturation and self.saturation_threshold > 1:
            raise ValueError("a relative saturation_threshold is in (0, 1]")
        if not self.relative_saturation and not self.saturation_threshold.is_integer():
            raise ValueError("an absolute saturation_threshold is a whole number of pixels")
        return self

    def saturation_area(self, area: int) -> int:
        """How many pixels of a defect must be found, rounded down as the authors' code does, and at least one.

        Args:
            area: of the defect, in pixels, at least 1.
        """
        if self.relative_saturation:
            return max(int(self.saturation_threshold * area), 1)  # the authors' code computes 0 / 0 for 0 pixels
        return min(int(self.saturation_threshold), area)


@dataclass(frozen=True, eq=False)
class Region:
    """One defect of an image: a channel of its ground truth.

    Attributes:
        defect_name: its type.
        pixels: bool ``[height, width]``, at least one of them set. Regions of an image may overlap.
        saturation_area: how many of its pixels must be found, in 1..number of them.
    """

    defect_name: str
    pixels: np.ndarray
    saturation_area: int


KINDS = TypeAdapter(list[DefectKind])


def read_defect_kinds(config: Path) -> dict[int, DefectKind]:
    """Read the defect types by the value of their pixels.

    Raises:
        DataError: it does not exist, is invalid, or has two entries for one value.
    """
    fix = "put back the file that comes with the data set"
    try:
        kinds = KINDS.validate_json(config.read_bytes())
    except OSError as error:
        raise DataError(
            f"{config} cannot be read ({error.strerror}), but defines the masks' pixel values; {fix}"
        ) from None
    except ValidationError as error:
        raise DataError(
            f"{config} is not a list of defects with saturation thresholds: {_reason(error)}; {fix}"
        ) from None
    by_value = {kind.pixel_value: kind for kind in kinds}
    if len(by_value) < len(kinds):
        raise DataError(f"{config} has two entries with the same pixel_value; {fix}")
    return by_value


def read_regions(mask: Path, height: int, width: int, config: Path) -> list[Region]:
    """Read the defects of an image, in the order of their files.

    Args:
        mask: folder of the image's masks, one file per defect; or the only file.
        height, width: pixels of the image.
        config: the category's ``defects_config.json``.

    Raises:
        DataError: a file is unreadable, differs from the image in size, or is not a single defect of the configuration.
    """
    kinds = read_defect_kinds(config)
    files = mask_files(mask)
    if not files:
        raise DataError(f"the mask folder {mask} contains no images; put back its files or delete it")
    return [_region(file, read_mask(file, height, width), kinds, config) for file in files]


def _region(file: Path, pixels: np.ndarray, kinds: Mapping[int, DefectKind], config: Path) -> Region:
    value = _only_value(file)
    if value not in kinds:
        known = ", ".join(map(str, sorted(kinds)))
        raise DataError(
            f"the mask {file} has the pixel value {value}, which {config} does not list (there are: {known}); "
            "use the two files of one version of the data set"
        )
    return Region(kinds[value].defect_name, pixels, kinds[value].saturation_area(int(pixels.sum())))


def _only_value(file: Path) -> int:
    """The one value of the non-zero pixels of a mask that is known to be readable."""
    with Image.open(file) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise DataError(f"the mask {file} has colour, but its pixel value identifies the defect; save it as grey")
    values = np.unique(pixels)
    values = values[values != 0]
    if len(values) != 1:
        found = ", ".join(map(str, values[:5])) or "none"
        raise DataError(f"the mask {file} must mark one defect with one non-zero pixel value, not: {found}; replace it")
    return int(values[0])


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    where = " ".join(f"entry {step + 1}" if isinstance(step, int) else str(step) for step in first["loc"])
    return f"{where}: {reason_of(first)}" if where else reason_of(first)
