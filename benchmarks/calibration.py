"""The fixed statistics of the filter bank, computed from procedurally generated textures.

They use no photograph, and no test image: the features of an image depend only on that image.
``python benchmarks/calibration.py > zsad/features/embedded_statistics.py`` writes the stored table again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

import cv2
import numpy as np

from zsad.features.filter_bank import filter_responses, kind

SEED = 0
COUNT = 72
SIDE = 256  # pixels; densities below are for a texture of this size
STRIDE = 8

Pattern = Callable[[int, np.random.Generator], np.ndarray]


def cloud(side: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a power-law spectrum, from clouds to grain."""
    frequency_y, frequency_x = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    frequency = np.maximum(np.hypot(frequency_y, frequency_x), 1 / side)
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    return np.fft.irfft2(white * frequency ** -rng.uniform(0.3, 2.0), s=(side, side))


def brushed(side: int, rng: np.random.Generator) -> np.ndarray:
    """Short parallel streaks at any angle, as on brushed metal."""
    noise = rng.standard_normal((2 * side, 2 * side), dtype=np.float32)
    streaks = cv2.GaussianBlur(noise, (0, 0), sigmaX=rng.uniform(4, 20), sigmaY=rng.uniform(0.5, 2))
    turn = cv2.getRotationMatrix2D((side, side), rng.uniform(0, 180), 1)
    turned = cv2.warpAffine(streaks, turn, (2 * side, 2 * side))
    return turned[side // 2 : -(side // 2), side // 2 : -(side // 2)]


def weave(side: int, rng: np.random.Generator) -> np.ndarray:
    """Two crossed waves, slightly irregular, as in cloth or mesh."""
    y, x = np.mgrid[:side, :side]
    angle = rng.uniform(0, np.pi)
    period_u, period_v = rng.uniform(5, 40, size=2)
    irregular = rng.uniform(0, 0.5) * _standardised(cloud(side, rng))
    u = (x * np.cos(angle) + y * np.sin(angle)) / period_u
    v = (y * np.cos(angle) - x * np.sin(angle)) / period_v
    return np.sin(2 * np.pi * u + irregular) * np.sin(2 * np.pi * v + irregular)


def cells(side: int, rng: np.random.Generator) -> np.ndarray:
    """Distance to the nearest of random points, as in leather or foam."""
    elsewhere = np.ones(side * side, dtype=np.uint8)
    elsewhere[rng.choice(side * side, _count(40, 800, side, rng), replace=False)] = 0
    return cv2.distanceTransform(elsewhere.reshape(side, side), cv2.DIST_L2, cv2.DIST_MASK_5)


def spots(side: int, rng: np.random.Generator) -> np.ndarray:
    """Discs of many sizes, as in terrazzo or granulate."""
    plane = np.zeros((side, side), dtype=np.float32)
    for _ in range(_count(30, 400, side, rng)):
        centre = rng.integers(0, side, size=2).tolist()
        cv2.circle(plane, centre, int(rng.integers(1, 12)), rng.normal(), cv2.FILLED, cv2.LINE_AA)
    return plane


def facets(side: int, rng: np.random.Generator) -> np.ndarray:
    """Overlapping polygons: flat regions with straight edges and corners, as on objects."""
    plane = np.zeros((side, side), dtype=np.float32)
    for _ in range(_count(5, 30, side, rng)):
        corners = rng.integers(0, side, size=2) + rng.normal(scale=rng.uniform(8, 70), size=(rng.integers(3, 6), 2))
        cv2.fillPoly(plane, [np.rint(corners).astype(np.int32)], rng.normal(), cv2.LINE_AA)
    return plane


PATTERNS: tuple[Pattern, ...] = (cloud, brushed, weave, cells, spots, facets)


class Appearance(NamedTuple):
    """The light, colour and camera of a pattern; pixel values in [0, 1], lengths in pixels.

    Attributes:
        colour: mean of each colour channel.
        contrast: standard deviation of each colour channel.
        light: relative change of brightness across the image, along x and y.
        blur: sigma of the lens blur.
        noise: sigma of the sensor noise.
        saturation: 0 for a grey photograph, 1 for full colour.
    """

    colour: np.ndarray
    contrast: np.ndarray
    light: np.ndarray
    blur: float
    noise: float
    saturation: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A random appearance, from faint to strong contrast and from dim to bright."""
        angle = rng.uniform(0, 2 * np.pi)
        return cls(
            colour=rng.uniform(0.25, 0.75) + rng.normal(scale=0.08, size=3),
            contrast=np.exp(rng.uniform(np.log(0.02), np.log(0.25))) * (1 + rng.normal(scale=0.3, size=3)),
            light=rng.uniform(0, 0.4) * np.array([np.cos(angle), np.sin(angle)]),
            blur=rng.uniform(0.4, 1.2),
            noise=rng.uniform(0.003, 0.02),
            saturation=rng.uniform(0, 1),
        )


def photograph(pattern: np.ndarray, appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Render a pattern ``[height, width]`` of zero mean and unit deviation as uint8 RGB; ``rng`` gives the noise."""
    height, width = pattern.shape
    y, x = np.mgrid[:height, :width]
    light = 1 + appearance.light[0] * (x / width - 0.5) + appearance.light[1] * (y / height - 0.5)
    scene = (appearance.colour + pattern[..., None] * appearance.contrast) * light[..., None]
    image = cv2.GaussianBlur(scene, (0, 0), appearance.blur)
    image += rng.normal(scale=appearance.noise, size=image.shape)
    grey = image.mean(axis=2, keepdims=True)
    image = grey + appearance.saturation * (image - grey)
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def texture(side: int, pattern: Pattern, rng: np.random.Generator) -> np.ndarray:
    """One pattern ``[side, side]``, of zero mean and unit deviation."""
    return _standardised(pattern(side, rng))


def calibration_images() -> Iterator[np.ndarray]:
    """The textures behind the stored statistics, uint8 RGB ``[SIDE, SIDE, 3]``."""
    for index in range(COUNT):
        rng = np.random.default_rng([SEED, index])
        pattern = texture(SIDE, PATTERNS[index % len(PATTERNS)], rng)
        yield photograph(pattern, Appearance.draw(rng), rng)


def statistics() -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each kind of channel over all patches of `calibration_images`."""
    values: dict[str, list[np.ndarray]] = {}
    for image in calibration_images():
        for name, response in filter_responses(image, STRIDE).items():
            values.setdefault(kind(name), []).append(response.astype(np.float64))
    return {name: (_rounded(np.mean(responses)), _rounded(np.std(responses))) for name, responses in values.items()}


def _rounded(value: np.floating) -> float:
    # Beyond this digit lies rounding error, which differs between machines; adding zero turns -0.0 into 0.0.
    return round(float(value), 6) + 0.0


def _standardised(pattern: np.ndarray) -> np.ndarray:
    return (pattern - pattern.mean()) / pattern.std()


def _count(low: int, high: int, side: int, rng: np.random.Generator) -> int:
    return round(rng.uniform(low, high) * (side / SIDE) ** 2)


def _module() -> str:
    rows = "\n".join(f'    "{name}": {mean_and_deviation},' for name, mean_and_deviation in statistics().items())
    title = "Mean and standard deviation of each kind of filter response; made by `zsad.features.calibration`."
    return f'"""{title}"""\n\nSTATISTICS: dict[str, tuple[float, float]] = {{\n{rows}\n}}'


if __name__ == "__main__":
    print(_module())
