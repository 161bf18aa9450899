"""The filter bank against slow, plain references: convolutions and means written as sums over pixels, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paths import load_script
from zsad.features import filter_bank
from zsad.features.base import Execution
from zsad.features.embedded import CLIP, CONSTANT_WEIGHT, Embedded, EmbeddedExtractor
from zsad.features.embedded_statistics import STATISTICS
from zsad.features.filter_bank import channel_names, filter_responses, kind, opponent_planes, pooled, wavelet_moduli

calibration = load_script("benchmarks/calibration.py")
SIZE = (48, 64)


@pytest.fixture
def image() -> np.ndarray:
    """Coarse and fine structure in every colour."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 200, (SIZE[0] // 8, SIZE[1] // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return (coarse + rng.integers(0, 56, (*SIZE, 3))).astype(np.uint8)


@pytest.fixture
def plane(image: np.ndarray) -> np.ndarray:
    return opponent_planes(image)[0]


def mirrored_index(index: int, size: int) -> int:
    """Where a pixel beyond the border is looked up: ``... 1 0 | 0 1 ... n-1 | n-1 n-2 ...``."""
    index %= 2 * size
    return index if index < size else 2 * size - 1 - index


def sum_around(plane: np.ndarray, row: int, column: int, weights: np.ndarray) -> complex:
    """Sum of ``weights[y, x] * plane[row - y, column - x]`` over offsets centred at zero."""
    radius, height, width = len(weights) // 2, *plane.shape
    total = 0j
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            pixel = plane[mirrored_index(row - y, height), mirrored_index(column - x, width)]
            total += weights[y + radius, x + radius] * float(pixel)
    return total


def gaussian(sigma: float, radius: int) -> np.ndarray:
    offsets = range(-radius, radius + 1)
    weights = np.array([[math.exp(-(x * x + y * y) / (2 * sigma * sigma)) for x in offsets] for y in offsets])
    return weights / weights.sum()


def morlet(degrees: int, wavelength: float, sigma: float, radius: int) -> np.ndarray:
    angle, frequency = math.radians(degrees), 2 * math.pi / wavelength
    envelope = gaussian(sigma, radius)
    offsets = range(-radius, radius + 1)
    wave = np.array(
        [[np.exp(1j * frequency * (x * math.cos(angle) + y * math.sin(angle))) for x in offsets] for y in offsets]
    )
    return envelope * (wave - (envelope * wave).sum())


@pytest.mark.parametrize("degrees", filter_bank.ORIENTATIONS)
@pytest.mark.parametrize("point", [(20, 30), (0, 0), (2, 61), (47, 63)])
def test_wavelet_moduli_equal_a_direct_convolution_also_at_the_border(
    plane: np.ndarray, degrees: int, point: tuple[int, int]
) -> None:
    expected = abs(sum_around(plane, *point, morlet(degrees, wavelength=3.0, sigma=1.5, radius=5)))
    assert wavelet_moduli(plane)[degrees][point] == pytest.approx(expected, abs=1e-6)


def test_a_wave_excites_the_wavelet_of_its_own_direction_most() -> None:
    y, x = np.mgrid[:48, :48]
    for degrees in filter_bank.ORIENTATIONS:
        angle = math.radians(degrees)
        wave = np.sin(2 * math.pi / filter_bank.WAVELENGTH * (x * math.cos(angle) + y * math.sin(angle)))
        strength = {name: modulus.mean() for name, modulus in wavelet_moduli(wave.astype(np.float32)).items()}
        assert max(strength, key=lambda name: strength[name]) == degrees


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_pooling_is_the_mean_over_the_patch_of_a_gaussian_mean(plane: np.ndarray, stride: int, level: int) -> None:
    side = stride // 2**level
    sigma = math.sqrt((3.0 / 2**level) ** 2 - (side**2 - 1) / 12)
    weights = gaussian(sigma, radius=math.ceil(6 * sigma))
    found = pooled(plane, level, stride)
    assert found.shape == (SIZE[0] // side, SIZE[1] // side)
    for row, column in ((0, 0), (2, 3), (found.shape[0] - 1, 1)):
        block = [
            sum_around(plane, row * side + y, column * side + x, weights).real for y in range(side) for x in range(side)
        ]
        assert found[row, column] == pytest.approx(np.mean(block), abs=2e-4)


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_pooling_has_the_same_width_at_every_level_and_stride(stride: int, level: int) -> None:
    side, centre = 128 >> level, 64 >> level
    spread = []
    for offset in range(-48, 48):
        impulse = np.zeros((side, side), dtype=np.float32)
        impulse[:, centre + offset if 0 <= centre + offset < side else 0] = 1
        spread.append(pooled(impulse, level, stride)[0, (64 // stride)])
    position = (np.arange(-48, 48) + 0.5) * 2**level
    inside = np.array([0 <= centre + offset < side and abs(offset) * 2**level < 24 for offset in range(-48, 48)])
    weight = np.array(spread)[inside]
    mean = (weight * position[inside]).sum() / weight.sum()
    deviation = math.sqrt((weight * (position[inside] - mean) ** 2).sum() / weight.sum())
    # A patch's centre is half a patch after its first pixel, and each column of a level spans 2 ** level pixels.
    assert mean == pytest.approx(stride / 2, abs=1e-3)
    assert deviation == pytest.approx(filter_bank.POOLING_SIGMA, abs=0.05)


def test_colour_planes_are_luma_and_two_oppositions() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [51, 102, 204]]], dtype=np.uint8)
    grey, red_green, blue_yellow = (plane / (0.45 * 255 / pixels.mean()) for plane in opponent_planes(pixels))
    np.testing.assert_allclose(grey[0], [0.299, 0.587, 0.114, 1, 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8], atol=1e-6)
    np.testing.assert_allclose(red_green[0], [1, -1, 0, 0, -0.2], atol=1e-6)
    np.testing.assert_allclose(blue_yellow[0], [-0.5, -0.5, 1, 0, 0.5], atol=1e-6)


def test_tokens_are_standardised_clipped_and_normalised_responses(image: np.ndarray) -> None:
    extractor = Embedded(resolution=48).load(Execution("cpu"))
    tokens = extractor.extract(image)
    responses = filter_responses(image, 8)
    assert tokens.patch_tokens.shape == (1, 6, 8, len(responses) + 1)
    for row, column in ((0, 0), (3, 5), (5, 7)):
        expected = []
        for name, response in responses.items():
            mean, deviation = STATISTICS[name.split("/")[0]]
            expected.append(min(max((float(response[row, column]) - mean) / deviation, -CLIP), CLIP))
        expected.append(CONSTANT_WEIGHT * math.sqrt(len(responses)))
        norm = math.sqrt(sum(value**2 for value in expected))
        np.testing.assert_allclose(tokens.patch_tokens[0, row, column], np.array(expected) / norm, atol=1e-5)
    np.testing.assert_allclose(tokens.cls_tokens[0], tokens.patch_tokens[0].mean(axis=(0, 1)), atol=1e-6)


@pytest.mark.parametrize("flipped_axis", [0, 1])
@pytest.mark.parametrize("stride", [4, 8])
def test_the_features_of_a_mirrored_image_are_the_mirrored_features(
    image: np.ndarray, stride: int, flipped_axis: int
) -> None:
    extractor = Embedded(resolution=48, stride=stride).load(Execution("cpu"))
    names = channel_names()
    partner = [*(names.index(mirrored_channel(name)) for name in names), len(names)]
    tokens = extractor.extract(image).patch_tokens[0]
    of_mirrored = extractor.extract(np.flip(image, flipped_axis)).patch_tokens[0]
    np.testing.assert_allclose(of_mirrored, np.flip(tokens, flipped_axis)[..., partner], atol=1e-5)


def mirrored_channel(name: str) -> str:
    base, _, degrees = name.partition("/")
    return f"{base}/{(180 - int(degrees)) % 180}" if degrees else name


@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_constant_image_has_finite_features_that_are_the_same_everywhere(value: int) -> None:
    tokens = (
        Embedded(resolution=64).load(Execution("cpu")).extract(np.full((40, 50, 3), value, dtype=np.uint8)).patch_tokens
    )
    assert np.isfinite(tokens).all()
    # Where a response is zero, the square root makes 1e-4 of a rounding error of 1e-8.
    np.testing.assert_allclose(tokens, np.broadcast_to(tokens[:, :1, :1], tokens.shape), atol=1e-3)


def test_the_border_of_an_even_texture_does_not_stand_out() -> None:
    image = np.random.default_rng(7).integers(90, 166, (256, 256, 3), dtype=np.uint8)
    tokens = Embedded().load(Execution("cpu")).extract(image).patch_tokens[0]
    typical = tokens.mean(axis=(0, 1)) / np.linalg.norm(tokens.mean(axis=(0, 1)))
    distance = 1 - tokens @ typical
    border = np.ones(distance.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    assert distance[border].mean() < 1.5 * distance[~border].mean()


def test_exposure_changes_nothing(image: np.ndarray) -> None:
    dark = image // 8 * 2
    bright = dark * 3
    assert bright.max() <= 255
    for name, response in filter_responses(dark, 8).items():
        np.testing.assert_allclose(filter_responses(bright, 8)[name], response, atol=1e-5)


def test_the_noise_of_a_black_image_is_not_blown_up() -> None:
    noise = np.random.default_rng(0).integers(0, 2, (48, 48, 3), dtype=np.uint8)
    assert opponent_planes(noise)[0].max() <= 4 / 255 + 1e-6
    assert np.isfinite(opponent_planes(np.zeros_like(noise))[0]).all()


def test_a_small_defect_changes_the_features_around_it_and_nowhere_else(image: np.ndarray) -> None:
    spoilt = np.kron(np.ones((3, 3, 1), dtype=np.uint8), image)  # 144 x 192
    extractor = Embedded(resolution=144).load(Execution("cpu"))
    before = extractor.extract(spoilt).patch_tokens[0]
    spoilt[70:74, 70:74] = 255
    change = np.linalg.norm(extractor.extract(spoilt).patch_tokens[0] - before, axis=-1)
    assert np.unravel_index(change.argmax(), change.shape) in {(8, 8), (9, 9), (8, 9), (9, 8)}
    assert change[:, 16:].max() < 0.01 * change.max()


def test_the_stored_statistics_are_those_of_the_generated_textures() -> None:
    regenerated = calibration.statistics()
    assert list(regenerated) == list(STATISTICS)
    assert set(STATISTICS) == {kind(name) for name in channel_names()}
    for name, stored in STATISTICS.items():
        np.testing.assert_allclose(regenerated[name], stored, rtol=1e-3, atol=1e-5, err_msg=name)


def test_repeated_extractions_are_equal_to_the_last_bit(image: np.ndarray) -> None:
    first, *others = (Embedded(resolution=64).load(Execution("cpu")).extract(image) for _ in range(10))
    assert isinstance(Embedded().load("cuda"), EmbeddedExtractor)
    for other in others:
        np.testing.assert_array_equal(first.patch_tokens, other.patch_tokens)
