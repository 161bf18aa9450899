"""The ground truth of a category's test images, as far as it is known before any image is opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zsad.data.layouts.item import Item


class KnownTruth(NamedTuple):
    """Which kinds of ground truth the test images of a category have.

    An image whose label only its mask gives (the label ``"mask"``) counts as both good and defective.

    Attributes:
        good, defective: whether any image has this label.
        masks: whether a defective one has a mask.
    """

    good: bool
    defective: bool
    masks: bool

    @property
    def is_labelled(self) -> bool:
        """Whether any image has a label."""
        return self.good or self.defective

    @property
    def ranks_images(self) -> bool:
        """Whether there are both normal and defective images, so that a ranking of images can be evaluated."""
        return self.good and self.defective


NO_TRUTH = KnownTruth(good=False, defective=False, masks=False)
WHOLE_TRUTH = KnownTruth(good=True, defective=True, masks=True)


def known_truth(items: Iterable[Item]) -> KnownTruth:
    """The known ground truth of listed images; training images do not count."""
    tests = [item for item in items if item.split == "test"]
    labels = {item.label for item in tests}
    return KnownTruth(
        good=bool(labels & {0, "mask"}),
        defective=1 in labels or any(item.label == "mask" and item.mask for item in tests),
        masks=any(item.label in (1, "mask") and item.mask for item in tests),
    )
