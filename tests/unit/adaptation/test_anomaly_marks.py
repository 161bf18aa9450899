"""What a method that learns is told of its images: labels, and how much of each patch is anomalous."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from zsad.adaptation.marks import ManifestMarks, MemoryMarks, area_means
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.masks import mask_sha256
from zsad.errors import DataError


def plain_means(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means over cells that may cut pixels, pixel by pixel."""
    height, width = values.shape

    def overlaps(pixels: int, cells: int) -> np.ndarray:
        """How much of each pixel lies in each cell, ``[cell, pixel]``, in pixels."""
        edges = np.arange(cells + 1) * pixels / cells
        low, high = np.maximum(edges[:-1, None], np.arange(pixels)), np.minimum(edges[1:, None], np.arange(pixels) + 1)
        return np.clip(high - low, 0, None)

    return overlaps(height, rows) @ values @ overlaps(width, columns).T / (height / rows * width / columns)


@pytest.mark.parametrize("grid", [(4, 6), (5, 7), (1, 1), (12, 18)])
def test_means_over_patches_are_those_of_their_pixels(grid: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random((12, 18)).astype(np.float32)
    np.testing.assert_allclose(area_means(values, *grid), plain_means(values, *grid), atol=1e-5)


def test_patches_that_are_smaller_than_pixels_take_the_pixel_around_them() -> None:
    values = np.array([[0, 1], [1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(area_means(values, 6, 4), np.kron(values, np.ones((3, 2))))


def test_of_a_normal_image_nothing_is_anomalous_and_without_a_mask_its_anomalous_pixels_are_unknown() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    marks = MemoryMarks([0, 1, 1, 1], [None, mask, None, np.zeros_like(mask)], [("a",), ("b", "c"), (), ()])
    np.testing.assert_array_equal(marks.shares(0, 2, 3), np.zeros((2, 3)))
    np.testing.assert_array_equal(marks.shares(1, 2, 1), [[1], [0]])
    assert marks.shares(2, 2, 2) is None
    assert marks.shares(3, 2, 2) is None  # nothing is marked
    assert marks.made_from == [("a",), ("b", "c"), (), ()]
    assert MemoryMarks([0], [None]).made_from == [()]
    with pytest.raises(DataError, match="1 labels and 2 masks"):
        MemoryMarks([0], [None, None])


def test_where_nothing_is_marked_the_anomalous_pixels_are_unknown() -> None:
    blank = np.zeros((4, 4), bool)
    marks = MemoryMarks([1, 0], [blank, blank])
    assert marks.shares(0, 2, 2) is None
    np.testing.assert_array_equal(marks.shares(1, 2, 2), np.zeros((2, 2)))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Of an image with a mask, one without, a normal one, and one of which nobody knows."""
    mask = np.zeros((8, 8), np.uint8)
    mask[4:, 4:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    path = (tmp_path / "mask.png").as_posix()

    def record(name: str, label: int | None, mask_path: str = "") -> ImageRecord:
        known: dict[str, Any] = {"defect_type": "", "height": 8, "width": 8, "sha256": ""}
        digest = mask_sha256(mask_path) if mask_path else ""
        return ImageRecord(name, name, "test", label, mask_path=mask_path, mask_sha256=digest, **known)

    rows = [record("a.png", 1, path), record("b.png", 1), record("c.png", 0), record("d.png", None)]
    write_manifest(tmp_path / "manifest.csv", rows)
    return tmp_path / "manifest.csv"


def test_a_manifest_is_read_in_the_order_of_the_images(manifest: Path) -> None:
    marks = ManifestMarks(manifest, ["c.png", "a.png", "b.png"], {"a.png": ("x.png", "y.png")})
    assert marks.labels == [0, 1, 1]
    assert marks.made_from == [("c.png",), ("x.png", "y.png"), ("b.png",)]
    assert not marks.shares(0, 2, 2).any()
    np.testing.assert_array_equal(marks.shares(1, 2, 2), [[0, 0], [0, 1]])
    assert marks.shares(2, 2, 2) is None


@pytest.mark.parametrize(("name", "said"), [("e.png", "does not list e.png"), ("d.png", "d.png has no label in")])
def test_an_image_that_is_not_listed_or_labelled_is_refused(manifest: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ManifestMarks(manifest, ["a.png", name])


def test_a_mask_that_was_changed_is_noticed_when_it_is_read(manifest: Path) -> None:
    marks = ManifestMarks(manifest, ["a.png"])
    cv2.imwrite(str(manifest.parent / "mask.png"), np.full((8, 8), 255, np.uint8))
    with pytest.raises(DataError, match="has changed"):
        marks.shares(0, 2, 2)
