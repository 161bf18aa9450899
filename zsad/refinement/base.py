"""What every refiner is: from an image and its anomaly map to a binary mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zsad.refinement.prompted import PromptedImage
from zsad.registry import Choice


class Refinement(NamedTuple):
    """A defect mask and how it came about.

    Attributes:
        mask: bool ``[height, width]``.
        regions: one JSON object for each connected component of the thresholded map, at least with ``box``
            (``[left, top, right, bottom]``, pixels, right and bottom exclusive), ``score`` (its greatest map value),
            ``accepted`` (whether the refined outline replaced the component's own), ``reason`` (why not, with figures;
            empty if it did) and ``cause`` (the same in fixed words, to be counted).
    """

    mask: np.ndarray
    regions: Sequence[Mapping[str, Any]]


class Refiner(Choice):
    """A way to outline defects; a subclass is one method in one file, its fields are the parameters.

    Class attributes:
        reference: where the method comes from.
        uses_segmenter: whether it prompts a segmentation model.
    """

    reference: ClassVar[str]
    uses_segmenter: ClassVar[bool] = False

    @property
    def uses_foreground(self) -> bool:
        """Whether it wants to know what the part is."""
        return False

    def crop_parameters(self) -> dict[str, Any] | None:
        """What the windows depend on that it wants to see at full resolution; None if there are none."""
        return None

    @abstractmethod
    def refine(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        prompted: PromptedImage | None = None,
    ) -> Refinement:
        """Outline the defects of one image that is called defective; of another the mask is empty, unasked.

        Args:
            image: uint8 RGB ``[height, width, 3]``.
            anomaly_map: float32 ``[height, width]``, at the image's resolution, with regions that do not stand out
                lowered to the threshold (`zsad.maps.standing_out`).
            threshold: the image's pixel threshold, in the unit of the map: what exceeds it is marked.
            prompted: the image under a segmentation model, if the refiner uses one.
        """
