"""CutPaste: a patch of the image pasted elsewhere (Li et al., CVPR 2021, section 3.1)."""

from __future__ import annotations

import numpy as np

from zsad.adaptation.pasting import Edit, Generator, Other, jitter, random_place, random_size

AREAS = (0.02, 0.15)  # of the image
ASPECTS = (0.3, 3.3)
JITTER = 0.1


def cutpaste(image: np.ndarray, other: Other | None, rng: Generator) -> Edit:
    """Cut a rectangle out, change its colours a little and paste it elsewhere; see `zsad.adaptation.pasting.Recipe`."""
    size = random_size(image, rng, AREAS, ASPECTS)
    top, left = random_place(image.shape, size, rng)
    cut = image[top : top + size[0], left : left + size[1]]
    return Edit(*random_place(image.shape, size, rng), jitter(cut, rng, JITTER), np.ones(size, dtype=bool))
