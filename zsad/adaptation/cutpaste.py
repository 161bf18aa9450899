"""CutPaste: a patch of the image pasted elsewhere (Li et al., CVPR 2021, section 3.1)."""

from __future__ import annotations

import numpy as np

from zsad.adaptation.pasting import Draws, Edit, Other, drawn_place, drawn_size, jittered

AREAS = (0.02, 0.15)  # of the image
ASPECTS = (0.3, 3.3)
JITTER = 0.1


def cutpaste(image: np.ndarray, other: Other | None, draws: Draws) -> Edit:
    """Cut a rectangle out, change its colours a little and paste it elsewhere; see `zsad.adaptation.pasting.Recipe`."""
    size = drawn_size(image, draws, AREAS, ASPECTS)
    top, left = drawn_place(image.shape, size, draws)
    cut = image[top : top + size[0], left : left + size[1]]
    return Edit(*drawn_place(image.shape, size, draws), jittered(cut, draws, JITTER), np.ones(size, dtype=bool))
