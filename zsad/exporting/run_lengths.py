"""Masks as run lengths in the format of COCO: exact, with holes and several parts (`pycocotools.mask` reads them).

The pixels are taken column by column. The counts of background and region alternate, background first. The compressed
form writes each count (from the third on, its difference to the last but one) in groups of five bits, each as a letter
from ``0`` on; the sixth bit shows that more groups follow. This is the format of the COCO API (Lin et al., 2014).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, 48


def run_lengths(pixels: np.ndarray, place: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """The counts of a mask of ``size`` (height, width) that is empty except for ``pixels``.

    Args:
        pixels: bool ``[row, column]``.
        place: ``(x, y)`` of their left upper corner in the mask.
    """
    (x, y), (height, width) = place, size
    bordered = np.zeros((pixels.shape[1], pixels.shape[0] + 2), dtype=np.int8)
    bordered[:, 1:-1] = pixels.T
    steps = np.diff(bordered, axis=1)
    columns, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    offset = (x + columns) * height + y
    borders = np.stack([offset + starts, offset + ends], axis=1).ravel()
    # A run that ends where the next one starts continues from the bottom of a column to the top of the next.
    joined = np.flatnonzero(borders[1:-1:2] == borders[2::2])
    borders = np.delete(borders, np.concatenate([2 * joined + 1, 2 * joined + 2]))
    counts = np.diff(np.concatenate([[0], borders, [height * width]]))
    return [int(count) for count in (counts[:-1] if counts[-1] == 0 else counts)]


def compressed(counts: Iterable[int]) -> str:
    """Counts as text."""
    letters: list[str] = []
    before = [0, 0]
    for place, count in enumerate(counts):
        rest = count - before[0] if place > 2 else count
        before = [before[1], count]
        more = True
        while more:
            group, rest = rest & 0x1F, rest >> _BITS
            more = rest != (-1 if group & _SIGN else 0)
            letters.append(chr(_FIRST + (group | (_MORE if more else 0))))
    return "".join(letters)
