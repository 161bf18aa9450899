"""Read the normalisation of pixels from the files beside a checkpoint's weights.

Every family has usual values, but a checkpoint may have been trained with others: DINOv3 on satellite images has its
own means and standard deviations, and Google's plain vision transformers are centred at 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import DataError, ModelError
from zsad.files.json_values import read_foreign_json
from zsad.models.colours import OTHER_COLOURS, SATELLITE, SATELLITE_FILES, Normalisation, is_number
from zsad.models.weight_files import CONFIG, PREPROCESSOR, PROCESSOR

BRIGHTEST = 255  # of the values of a pixel
FACTOR_TOLERANCE = 1e-6  # relative; the files have 0.00392156862745098 for 1 / 255
UNCHANGED = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
OF_TIMM = "pretrained_cfg"  # the key of mean and standard deviation in timm's ``config.json``
RELEASE = "its release"  # the source of facts known by a model's name


class Stated(NamedTuple):
    """The stated normalisation of a checkpoint's pixels.

    Attributes:
        normalisation: of pixels in [0, 1].
        source: the file that states it, or `RELEASE`.
    """

    normalisation: Normalisation
    source: str

    def described(self) -> dict[str, Any]:
        """The facts as JSON."""
        mean, std = map(list, self.normalisation)
        return {"mean": mean, "std": std, "source": self.source}


def stated_normalisation(name: str, source: Path) -> Stated | None:
    """The normalisation of a checkpoint's pixels by its name, or by the files in its folder or beside its file.

    Args:
        name: of the model.
        source: its folder, or its single file.

    Returns:
        None if it is not stated.

    Raises:
        ModelError: a file is damaged, or states an impossible normalisation.
    """
    if (known := OTHER_COLOURS.get(name)) is not None:
        return Stated(known, RELEASE)
    folder = source if source.is_dir() else source.parent
    for file, keys in ((PREPROCESSOR, ()), (PROCESSOR, ("image_processor",)), (CONFIG, (OF_TIMM,))):
        if file == CONFIG and source.is_file():
            continue  # that of another model
        if (folder / file).is_file() and (stated := _read(name, folder / file, keys)) is not None:
            return Stated(stated, file)
    if source.is_file() and SATELLITE_FILES.search(source.name):
        return Stated(SATELLITE, RELEASE)
    return None


def _read(name: str, path: Path, keys: tuple[str, ...]) -> Normalisation | None:
    """The normalisation in a file, under nested keys."""
    try:
        content = read_foreign_json(path)
    except (DataError, OSError) as error:
        raise ModelError(f"model '{name}': {error}") from None
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        if keys:
            return None
        raise _unusable(name, path, "it is not an object")
    if keys == (OF_TIMM,):
        content = {"image_mean": content.get("mean"), "image_std": content.get("std")}
    reading = _Reading(name, path, content)
    return reading.normalisation()


class _Reading:
    """The settings of an image processor of ``transformers``, in which null means not set."""

    def __init__(self, name: str, path: Path, content: Mapping[str, Any]) -> None:
        self._name, self._path = name, path
        self._content = {key: value for key, value in content.items() if value is not None}

    def normalisation(self) -> Normalisation | None:
        """Mean and standard deviation, including the file's factor before them.

        A processor multiplies values of 0 to 255 with its factor, then subtracts the mean and divides by the standard
        deviation; here values are in [0, 1], so that mean and standard deviation include the deviation of the factor
        from 1 / 255.
        """
        factor = self._factor()
        if not self._switch("do_normalize"):
            chosen: Normalisation | None = UNCHANGED
        else:
            chosen = self._chosen()
            if chosen is None and factor != 1:
                raise _unusable(self._name, self._path, "it has a factor of pixels but no image_mean and image_std")
        if chosen is None or factor == 1:
            return chosen
        (mean, std) = ([value / factor for value in values] for values in chosen)
        scaled = Normalisation.of(mean, std)
        if scaled is None:
            raise _unusable(
                self._name, self._path, f"a factor of pixels of {factor / BRIGHTEST:g} makes them all equal"
            )
        return scaled

    def _chosen(self) -> Normalisation | None:
        mean, std = (self._content.get(key) for key in ("image_mean", "image_std"))
        if mean is None and std is None:
            return None
        chosen = Normalisation.of(_for_each_colour(mean), _for_each_colour(std))
        if chosen is None:
            reason = (
                f"image_mean {mean!r:.60} and image_std {std!r:.60} are not three numbers each, or a deviation is 0"
            )
            raise _unusable(self._name, self._path, reason)
        return chosen

    def _factor(self) -> float:
        """The scale of values relative to [0, 1] before normalisation."""
        factor = self._content.get("rescale_factor", 1 / BRIGHTEST)
        if not is_number(factor) or not factor > 0:
            raise _unusable(self._name, self._path, f"rescale_factor is {factor!r:.60}, not a number above 0")
        if not self._switch("do_rescale"):
            factor = 1
        scale = BRIGHTEST * float(factor)
        return 1.0 if math.isclose(scale, 1, rel_tol=FACTOR_TOLERANCE) else scale

    def _switch(self, key: str) -> bool:
        value = self._content.get(key, True)
        if not isinstance(value, bool):
            raise _unusable(self._name, self._path, f"{key} is {value!r:.60}, neither true nor false")
        return value


def _for_each_colour(value: Any) -> Any:
    """A single number applies to all three."""
    return [value] * 3 if isinstance(value, (int, float)) else value


def _unusable(name: str, path: Path, reason: str) -> ModelError:
    return ModelError(
        f"the {path.name} of model '{name}' is not usable ({reason}, in {path.parent}); fix it, or download the model "
        "again"
    )
