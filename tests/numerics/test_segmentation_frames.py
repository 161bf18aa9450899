"""How images, coordinates and masks get into a model's square and back, against the libraries and plain loops."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from closeness import assert_close
from zsad.segmentation.base import MASK_PROMPT_RANGE
from zsad.segmentation.frames import Frame, PaddedFrame, StretchedFrame
from zsad.segmentation.torchvision_standin import segment_anything_modeling

SIZES = [(50, 70), (90, 40), (64, 64), (13, 200), (1, 300), (301, 299)]
SIDE = 64


def photograph(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def resized_by_loops(grid: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The antialiased bilinear (triangle) filter, one axis after the other, in float64."""
    for axis, length in ((0, rows), (1, columns)):
        grid = np.moveaxis(grid, axis, 0)
        scale = grid.shape[0] / length
        reach = max(scale, 1.0)
        lines = []
        for place in range(length):
            centre = (place + 0.5) * scale
            weights = [max(1 - abs((source + 0.5 - centre) / reach), 0.0) for source in range(grid.shape[0])]
            lines.append(sum(weight * line for weight, line in zip(weights, grid, strict=True)) / sum(weights))
        grid = np.moveaxis(np.array(lines), 0, axis)
    return grid


def interpolated_by_loops(grid: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Plain bilinear interpolation between the centres of cells, without antialiasing, in float64."""
    for axis, length in ((0, rows), (1, columns)):
        grid = np.moveaxis(grid, axis, 0)
        lines = []
        for place in range(length):
            position = min(max((place + 0.5) * grid.shape[0] / length - 0.5, 0), grid.shape[0] - 1)
            first = math.floor(position)
            second, share = min(first + 1, grid.shape[0] - 1), position - first
            lines.append((1 - share) * grid[first] + share * grid[second])
        grid = np.moveaxis(np.array(lines), 0, axis)
    return grid


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 1])
def test_a_padded_image_is_resized_as_segment_anything_does(size: tuple[int, int]) -> None:
    segment_anything_modeling()
    from segment_anything.utils.transforms import ResizeLongestSide

    image = photograph(*size)
    np.testing.assert_array_equal(PaddedFrame(SIDE).resized(image), ResizeLongestSide(SIDE).apply_image(image))


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 1])
def test_a_padded_square_is_what_the_processor_of_transformers_makes(size: tuple[int, int]) -> None:
    frame, image = PaddedFrame(SIDE), photograph(*size)
    processor = SamImageProcessorPil(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}, return_tensors="pt"
    )
    expected = processor(image)["pixel_values"][0]
    square = frame.pixels([frame.resized(image)], "cpu")[0]
    assert_close(square, expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_stretched_image_fills_the_square(size: tuple[int, int]) -> None:
    frame = StretchedFrame(SIDE, mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2))
    image = photograph(*size)
    resized = resized_by_loops(image.astype(np.float64), SIDE, SIDE)
    expected = (resized / 255 - (0.5, 0.4, 0.3)) / (0.5, 0.25, 0.2)
    square = frame.pixels([frame.resized(image)], "cpu")[0].permute(1, 2, 0)
    np.testing.assert_allclose(square, expected, atol=1.01 / 255 / 0.2)  # Pillow rounds to whole grey levels, twice


def test_images_of_different_shapes_share_a_batch() -> None:
    frame = PaddedFrame(SIDE)
    resized = [frame.resized(photograph(*size)) for size in SIZES]
    together = frame.pixels(resized, "cpu")
    assert together.shape == (len(SIZES), 3, SIDE, SIDE)
    for square, image in zip(together, resized, strict=True):
        torch.testing.assert_close(square, frame.pixels([image], "cpu")[0], rtol=0, atol=0)


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 1])
def test_coordinates_are_those_of_segment_anything(size: tuple[int, int]) -> None:
    segment_anything_modeling()
    from segment_anything.utils.transforms import ResizeLongestSide

    height, width = size
    points = np.array([(0, 0), (width, height), (width / 3, height / 7), (width - 1, 0)])
    expected = ResizeLongestSide(SIDE).apply_coords(points, size)
    np.testing.assert_allclose(PaddedFrame(SIDE).coordinates(points, *size), expected, rtol=1e-6)


@pytest.mark.parametrize("frame", [PaddedFrame(SIDE), StretchedFrame(SIDE)])
@pytest.mark.parametrize("size", SIZES)
def test_the_far_corner_of_an_image_is_that_of_what_it_fills(size: tuple[int, int], frame: Frame) -> None:
    rows, columns = frame.resized(photograph(*size)).shape[:2]
    assert max(rows, columns) == SIDE
    corner = frame.coordinates(np.array([size[1], size[0]]), *size)
    np.testing.assert_allclose(corner, (columns, rows), rtol=1e-6)


@pytest.mark.parametrize("grid", [(5, 7), (50, 70), (32, 32), (1, 1)])
@pytest.mark.parametrize("size", [(50, 70), (90, 40), (64, 64)])
def test_a_mask_prompt_covers_what_the_image_fills_and_is_lowest_elsewhere(
    size: tuple[int, int], grid: tuple[int, int]
) -> None:
    mask = np.random.default_rng(0).normal(size=grid) * 3
    side = 32
    square = PaddedFrame(SIDE).mask_prompt(mask, *size, side).numpy()
    rows, columns = (max(round(length * side / max(size)), 1) for length in size)
    assert_close(square[:rows, :columns], resized_by_loops(mask, rows, columns))
    outside = np.ones((side, side), bool)
    outside[:rows, :columns] = False
    assert (square[outside] == -MASK_PROMPT_RANGE).all()
    stretched = StretchedFrame(SIDE).mask_prompt(mask, *size, side)
    assert_close(stretched, resized_by_loops(mask, side, side))


@pytest.mark.parametrize("size", SIZES)
def test_logits_come_back_by_way_of_the_square_without_its_padding(size: tuple[int, int]) -> None:
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    frame = PaddedFrame(SIDE)
    rows, columns = frame.resized(photograph(*size)).shape[:2]
    upscaled = frame.upscaled(logits, *size)
    assert upscaled.shape == (2, 3, *size)
    square = interpolated_by_loops(logits[1, 2].numpy().astype(np.float64), SIDE, SIDE)
    assert_close(upscaled[1, 2], interpolated_by_loops(square[:rows, :columns], *size))


@pytest.mark.parametrize("size", SIZES)
def test_logits_of_a_stretched_square_come_back_at_once(size: tuple[int, int]) -> None:
    logits = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = interpolated_by_loops(logits[0, 1].numpy().astype(np.float64), *size)
    assert_close(StretchedFrame(SIDE).upscaled(logits, *size)[0, 1], expected)


def test_resizing_can_be_sent_to_other_processes_without_the_network() -> None:
    frame, image = StretchedFrame(SIDE), photograph(50, 70)
    sent = pickle.dumps(frame.resized)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent)(image), frame.resized(image))
