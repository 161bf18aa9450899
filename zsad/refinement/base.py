"""Interface of refiners: from an image and its anomaly map to a binary mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zsad.refinement.prompted import PromptedImage
from zsad.registry import Choice


class Refinement(NamedTuple):
    """A defect mask and the records of its regions.

    Attributes:
        mask: bool ``[height, width]``.
        regions: one JSON object for each connected component of the thresholded map, at least with ``box``
            (``[left, top, right, bottom]``, pixels, right and bottom exclusive), ``score`` (its greatest map value),
            ``accepted`` (whether the refined outline replaced the component's own), ``reason`` (why it did not, with
            figures; empty if it did) and ``cause`` (the same in fixed words, for counting).
    """

    mask: np.ndarray
    regions: Sequence[Mapping[str, Any]]


class Refiner(Choice):
    """Base class of refiners, which outline defects; a subclass is one method in one file, its fields its parameters.

    Class attributes:
        reference: source of the method.
        uses_segmenter: whether it prompts a segmentation model.
    """

    reference: ClassVar[str]
    uses_segmenter: ClassVar[bool] = False

    @property
    def uses_foreground(self) -> bool:
        """Whether it uses masks of the foreground object."""
        return False

    def crop_parameters(self) -> dict[str, Any] | None:
        """Parameters of the windows that it needs at full resolution; None if there are none."""
        return None

    @abstractmethod
    def refine(
        self,
        image: np.ndarray,
        anomaly_map: np.ndarray,
        threshold: float,
        prompted: PromptedImage | None = None,
    ) -> Refinement:
        """Outline the defects of one image that is called defective; other images get empty masks without this call.

        Args:
            image: uint8 RGB ``[height, width, 3]``.
            anomaly_map: float32 ``[height, width]``, at the image's resolution, with unmarked regions lowered to the
                threshold (`zsad.maps.standing_out`).
            threshold: the image's pixel threshold, in the unit of the map; greater values are marked.
            prompted: the image under a segmentation model, if the refiner uses one.
        """
