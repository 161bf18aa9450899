"""The tokens of a backbone and its own cost estimates, without loading it or importing torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zsad.errors import ZsadError
from zsad.features.base import Backbone
from zsad.resources.workload import Images, Size
from zsad.scoring.cost import TokenCount

if TYPE_CHECKING:
    from zsad.workflow.entries import BackboneEntry


def is_network(entry: BackboneEntry) -> bool:
    """Whether a backbone profits from several threads or a GPU; a joint backbone does if a member does."""
    return entry.backbone.is_network or any(map(is_network, entry.members))


def tokens_of(entry: BackboneEntry, images: Images) -> TokenCount:
    """The tokens that a backbone computes for some images; each counts like the one with the largest grid."""
    layout = entry.backbone.assumed_layout()
    patches = max(patches_of(entry, size) for size in images.shapes)
    return TokenCount(images.number, patches, layout.depth, layout.channels)


def patches_of(entry: BackboneEntry, size: Size) -> int:
    """The patches of one image of a size."""
    return math.prod(entry.backbone.assumed_layout().rule.size(size.height, size.width))


def operations_of(entry: BackboneEntry, images: Images) -> float | None:
    """Multiplications and additions for some images; None if they do not dominate the time."""
    total = 0.0
    for size in images.sizes:
        operations = entry.backbone.assumed_operations(size.height, size.width)
        if operations is None:
            return None
        total += size.images * operations
    return total


def working_bytes(entry: BackboneEntry, size: Size) -> float:
    """Peak memory for one image of a size; a usual value if the model is invalid."""
    try:
        return entry.backbone.working_bytes(size.height, size.width)
    except (ZsadError, OSError):  # the check and the job report the error
        return Backbone.working_bytes(entry.backbone, size.height, size.width)
