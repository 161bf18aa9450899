"""A bank of hand-crafted filters: orientation, contrast, colour and brightness of an image, on a patch grid.

First-order wavelet moduli, as in a scattering transform (Bruna and Mallat, "Invariant scattering convolution networks",
PAMI 2013, section 2), with Morlet wavelets at six orientations and three octaves, and rectified and signed differences
of Gaussians (DoG) and local means of grey and two opponent colours.

Every filter uses the image mirrored at its border, between pixels, and every sample is centred on its patch. So the
border is not anomalous, and the responses of a mirrored image are the mirrored responses, including orientations.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

LEVELS = 3  # octaves; each halves the image
ORIENTATIONS = (0, 30, 60, 90, 120, 150)  # degrees, direction of the wave
WAVELENGTH = 3.0  # pixels of a level, so 3, 6 and 12 pixels of the image
ENVELOPE_SIGMA = 1.5  # pixels of a level
DOG_SIGMAS = (1.0, 1.6)  # pixels of a level
POOLING_SIGMA = 3.0  # pixels of the image, like the two below
CONTRAST_SIGMA = 4.0
SURROUND_SIGMA = 12.0
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
EXPOSURE = 0.45  # mean brightness that every image is scaled to, of 1
GREATEST_GAIN = 4.0  # so that the noise of a black image is not amplified too much


def filter_responses(image: np.ndarray, stride: int) -> dict[str, np.ndarray]:
    """Every channel of the bank, by name.

    Args:
        image: uint8 RGB ``[height, width, 3]``; both sides are multiples of ``stride``.
        stride: side of a patch, pixels; 4 or 8.

    Returns:
        float32 ``[height / stride, width / stride]`` for each channel. Rectified channels are square roots, which makes
        their long-tailed distributions more similar to a normal one.
    """
    grey, red_green, blue_yellow = opponent_planes(image)
    responses: dict[str, np.ndarray] = {}
    plane = grey
    for level in range(LEVELS):
        if level:
            plane = _halved(plane)
        for orientation, modulus in wavelet_moduli(plane).items():
            responses[f"wavelet_{level}/{orientation}"] = np.sqrt(pooled(modulus, level, stride))
        difference = _blurred(plane, DOG_SIGMAS[0]) - _blurred(plane, DOG_SIGMAS[1])
        responses[f"dog_rectified_{level}"] = np.sqrt(pooled(np.abs(difference), level, stride))
        responses[f"dog_signed_{level}"] = pooled(difference, level, stride)
    for name, colour in (("red_green", red_green), ("blue_yellow", blue_yellow)):
        contrast = np.abs(colour - _blurred(colour, CONTRAST_SIGMA))
        responses[f"contrast_{name}"] = np.sqrt(pooled(contrast, 0, stride))
    for name, colour in (("grey", grey), ("red_green", red_green), ("blue_yellow", blue_yellow)):
        mean = pooled(colour, 0, stride)
        responses[f"mean_{name}"] = mean
        responses[f"centre_surround_{name}"] = mean - _blurred(mean, SURROUND_SIGMA / stride)
    return responses


def kind(channel: str) -> str:
    """Name of a channel without its orientation: channels of one kind share their statistics."""
    return channel.partition("/")[0]


@cache
def channel_names() -> tuple[str, ...]:
    """Names of all channels, in the order of `filter_responses`."""
    return tuple(filter_responses(np.zeros((8, 8, 3), dtype=np.uint8), stride=8))


def opponent_planes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey, red minus green, and blue minus yellow, of the image at equal exposure; float32 ``[height, width]``.

    One gain for all channels brings the mean brightness to `EXPOSURE`: lamps and exposure times differ between
    photographs, and all responses grow with the light. Hues are kept.
    """
    gain = min(EXPOSURE / max(float(image.mean()) / 255, 1e-6), GREATEST_GAIN)
    red, green, blue = cv2.split(image.astype(np.float32) * np.float32(gain / 255))
    grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey, red - green, blue - (red + green) / 2


def wavelet_moduli(plane: np.ndarray) -> dict[int, np.ndarray]:
    """Modulus of the response to a Morlet wavelet at each orientation: a Gabor quadrature pair without its mean.

    The wavelet is ``g(x, y) (exp(i k (x cos a + y sin a)) - c)`` with a Gaussian ``g`` of unit sum and the ``c`` that
    makes its sum zero. It separates into products of a filter along x and one along y, and the angles ``a`` and
    ``180 - a`` share them.

    Args:
        plane: float32 ``[height, width]``.

    Returns:
        float32 ``[height, width]`` for each of `ORIENTATIONS`.
    """
    radius = math.ceil(3 * ENVELOPE_SIGMA)
    offset = np.arange(-radius, radius + 1)
    envelope = np.exp(-(offset**2) / (2 * ENVELOPE_SIGMA**2))
    envelope /= envelope.sum()
    mean = _filtered(plane, envelope, envelope)
    moduli = {}
    for angle in (angle for angle in ORIENTATIONS if angle <= 90):
        phase_x = offset * (2 * math.pi / WAVELENGTH * math.cos(math.radians(angle)))
        phase_y = offset * (2 * math.pi / WAVELENGTH * math.sin(math.radians(angle)))
        cos_x, sin_x = envelope * np.cos(phase_x), envelope * np.sin(phase_x)
        cos_y, sin_y = envelope * np.cos(phase_y), envelope * np.sin(phase_y)
        even = _filtered(plane, cos_x, cos_y) - np.float32(cos_x.sum() * cos_y.sum()) * mean
        even_cross = _filtered(plane, sin_x, sin_y)
        odd, odd_cross = _filtered(plane, sin_x, cos_y), _filtered(plane, cos_x, sin_y)
        moduli[angle] = _modulus(even - even_cross, odd + odd_cross)
        moduli[(180 - angle) % 180] = _modulus(even + even_cross, odd - odd_cross)
    return {angle: moduli[angle] for angle in ORIENTATIONS}


def pooled(plane: np.ndarray, level: int, stride: int) -> np.ndarray:
    """Weighted mean around each patch: a Gaussian, then the mean over the patch; together of `POOLING_SIGMA`.

    Args:
        plane: float32 ``[height, width]`` at ``level`` (0 is the image, each further level has half its size).
        stride: side of a patch, pixels of the image.

    Returns:
        float32 ``[row, column]``.
    """
    side = stride >> level
    patch_variance = (side**2 - 1) / 12
    smooth = _blurred(plane, math.sqrt((POOLING_SIGMA / 2**level) ** 2 - patch_variance))
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    means: np.ndarray = smooth.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return means


def _modulus(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    # The last bit of cv2.magnitude depends on the memory address of its result.
    modulus: np.ndarray = np.sqrt(real * real + imaginary * imaginary)
    return modulus


def _halved(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    return cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def _blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def _filtered(plane: np.ndarray, along_x: np.ndarray, along_y: np.ndarray) -> np.ndarray:
    return cv2.sepFilter2D(plane, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_REFLECT)
