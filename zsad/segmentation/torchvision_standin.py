"""The few functions of torchvision that the package ``segment_anything`` imports, if torchvision is not usable.

The package imports torchvision for helpers that embedding and decoding do not use. So it should also work if
torchvision is absent, or was built for another PyTorch and fails on import. Only ``segment_anything`` gets the
stand-ins: they are registered only while it is imported, because other libraries (``transformers``) test for
torchvision to decide on their features.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
from PIL import Image

NEEDED = ("torchvision.ops.boxes", "torchvision.transforms.functional")


def segment_anything_modeling() -> ModuleType:
    """The module ``segment_anything.modeling``, with the real torchvision if it works, else with the stand-ins."""
    if "segment_anything.modeling" not in sys.modules and not _torchvision_is_whole():
        with _standing_in():
            importlib.import_module("segment_anything.modeling")
    return importlib.import_module("segment_anything.modeling")


def to_pil_image(pic: np.ndarray) -> Image.Image:
    """A uint8 array ``[height, width, 3]`` as an image of Pillow."""
    return Image.fromarray(pic)


def resize(img: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize an image of Pillow to ``(height, width)`` with torchvision's default, bilinear interpolation."""
    height, width = size
    return img.resize((width, height), Image.Resampling.BILINEAR)


def box_area(boxes: torch.Tensor) -> torch.Tensor:
    """Areas of boxes ``[box, 4]``, given as ``(left, top, right, bottom)``."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression within each category.

    Args:
        boxes: ``[box, 4]``, ``(left, top, right, bottom)``.
        scores: ``[box]``.
        idxs: the category of each box, ``[box]``.
        iou_threshold: a box is removed if its IoU with a better one of its category is greater.

    Returns:
        Indices of the boxes that are kept, the best first.
    """
    waiting = torch.argsort(scores, descending=True, stable=True)
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        rivals = (idxs[waiting] == idxs[best]) & (_iou(boxes[best], boxes[waiting]) > iou_threshold)
        waiting = waiting[~rivals]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64, device=boxes.device)


def _iou(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    near = torch.maximum(box[:2], others[:, :2])
    far = torch.minimum(box[2:], others[:, 2:])
    common = (far - near).clamp(min=0).prod(dim=1)
    return common / (box_area(box[None]) + box_area(others) - common)


def _torchvision_is_whole() -> bool:
    """Whether the needed functions can be imported; a failed attempt leaves no modules behind."""
    before = set(sys.modules)
    try:
        for name in NEEDED:
            importlib.import_module(name)
    except Exception:  # a torchvision that does not fit its PyTorch raises errors of many kinds
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        return False
    return True


@contextmanager
def _standing_in() -> Iterator[None]:
    boxes, functional = (ModuleType(name) for name in NEEDED)
    vars(boxes).update(batched_nms=batched_nms, box_area=box_area)
    vars(functional).update(resize=resize, to_pil_image=to_pil_image)
    packages = [ModuleType(name) for name in ("torchvision", "torchvision.ops", "torchvision.transforms")]
    names = [module.__name__ for module in (*packages, boxes, functional)]
    sys.modules.update(zip(names, (*packages, boxes, functional), strict=True))
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
