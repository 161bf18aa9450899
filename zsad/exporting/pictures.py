"""Make and write pictures of an image at its own size."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from zsad.data.pixels import strips
from zsad.errors import DataError
from zsad.errors.system import system_sentence
from zsad.reporting.overlays import PREDICTION_COLOUR, ColourScale, outlined

_OPACITY = 0.6  # of the highest values of a map on a photograph; the lowest are invisible
_LINE = 800  # pixels of the longer side for each pixel of a line's width


def mask_picture(mask: np.ndarray) -> np.ndarray:
    """uint8 ``[height, width]``: defective 255, normal 0."""
    return mask.astype(np.uint8) * 255


def heat_map(anomaly_map: np.ndarray, scale: ColourScale) -> np.ndarray:
    """uint8 RGB ``[height, width, 3]``: a map at its image's size, in the colours of its category."""
    picture = np.empty((*anomaly_map.shape, 3), np.uint8)
    for rows in strips(*anomaly_map.shape):
        picture[rows] = scale.paint(anomaly_map[rows])
    return picture


def overlay(photograph: np.ndarray, anomaly_map: np.ndarray, mask: np.ndarray, scale: ColourScale) -> np.ndarray:
    """uint8 RGB ``[height, width, 3]``: a photograph with its map as a heat map, and the outline of its mask.

    The opacity of the heat map grows with the square of the value, so that normal areas stay visible.
    """
    picture = np.empty_like(photograph)
    for rows in strips(*anomaly_map.shape):
        values = anomaly_map[rows]
        opacity = (_OPACITY * scale.shares(values) ** 2).astype(np.float32)[..., None]
        picture[rows] = np.rint(photograph[rows] * (1 - opacity) + scale.paint(values) * opacity).astype(np.uint8)
    width = max(1, round(max(mask.shape) / _LINE))
    return outlined(picture, mask, PREDICTION_COLOUR, width)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a PNG whole or not at all, grey or RGB, 8 bits a channel; folders are made.

    Raises:
        DataError: it cannot be written.
    """
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".png", ordered)
    if not done:
        raise DataError(f"{path} cannot be written as PNG; leave its format out of the exports")
    write_bytes(path, content.tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Write one of many small files, whole or not at all; folders are made.

    Raises:
        DataError: it cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        sentence = system_sentence(error, path)
        if sentence is None:
            raise
        raise DataError(sentence) from None
    finally:
        temporary.unlink(missing_ok=True)
