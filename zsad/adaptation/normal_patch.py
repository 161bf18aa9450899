"""NSA: a patch of another normal image, blended in without a seam (Schlueter et al., ECCV 2022, section 3)."""

from __future__ import annotations

import cv2
import numpy as np

from zsad.adaptation.pasting import Edit, Generator, Other, random_place, random_size

AREAS = (0.02, 0.15)  # of the image
ASPECTS = (0.3, 3.3)
ZOOMS = (0.7, 1.3)
THINNEST = 5  # pixels of a side; a smaller patch has no interior to blend
RIM = 1  # pixels of the image around the patch, which blending starts from


def normal_patch(image: np.ndarray, other: Other | None, rng: Generator) -> Edit:
    """Resize a rectangle of another normal image and blend it in; see `zsad.adaptation.pasting.Recipe`.

    Blending is Poisson's (Perez et al., SIGGRAPH 2003): the patch keeps its gradients, and its border is the image's.
    Without another image, the patch is one of the image itself. In an image that is too small for blending, it is
    pasted without. Patches need not lie on the object, as the paper requires for some categories.
    """
    source = image if other is None else other()
    rows, columns = random_size(image, rng, AREAS, ASPECTS, RIM)
    zoom = float(rng.uniform(*ZOOMS))
    size = tuple(
        min(max(round(side / zoom), 1), bound) for side, bound in zip((rows, columns), source.shape, strict=False)
    )
    top, left = random_place(source.shape, (size[0], size[1]), rng)
    patch = source[top : top + size[0], left : left + size[1]]
    way = cv2.INTER_AREA if rows < size[0] else cv2.INTER_LINEAR
    patch = cv2.resize(np.ascontiguousarray(patch), (columns, rows), interpolation=way)
    inside = min(image.shape[0] - rows, image.shape[1] - columns) >= 2 * RIM and min(rows, columns) >= THINNEST
    top, left = random_place(image.shape, (rows, columns), rng, RIM if inside else 0)
    pixels = _blended(image, patch, top, left) if inside else patch
    return Edit(top, left, pixels, np.ones((rows, columns), dtype=bool), other is not None)


def _blended(image: np.ndarray, patch: np.ndarray, top: int, left: int) -> np.ndarray:
    """A patch blended into its surroundings, uint8 RGB of its shape."""
    rows, columns = patch.shape[:2]
    below = np.ascontiguousarray(image[top - RIM : top + rows + RIM, left - RIM : left + columns + RIM])
    above = cv2.copyMakeBorder(patch, RIM, RIM, RIM, RIM, cv2.BORDER_REPLICATE)
    where = np.zeros(below.shape[:2], np.uint8)
    where[RIM:-RIM, RIM:-RIM] = 255
    centre = (below.shape[1] // 2, below.shape[0] // 2)
    blended: np.ndarray = cv2.seamlessClone(above, below, where, centre, cv2.NORMAL_CLONE)
    return blended[RIM:-RIM, RIM:-RIM]
