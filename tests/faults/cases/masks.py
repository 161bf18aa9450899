"""Masks that are broken, missing, or do not fit their images."""

from __future__ import annotations

import numpy as np

from cases.images import bomb, unreadable, warned
from cases.sound import IMAGES, TILE
from damages import HTML, cut, draw_mask, emptied, in_turn, linked, new_folder, removed, saved, written
from fault import CHECK, EVALUATION, MANIFEST, Fault, Place

MASK = f"{TILE}/ground_truth/crack/0_mask.png"
UNITED = f"{TILE}/ground_truth/crack/0"


def second_of_another_size(place: Place) -> None:
    """Two masks in a folder, one of which does not fit."""
    removed(MASK)(place)
    draw_mask(f"{UNITED}/0.png")
    draw_mask(f"{UNITED}/1.png", size=(32, 39))


CHANGED = rf"the mask {MASK} has changed since it was listed; run again"
MISFIT = rf"the mask {MASK} is 20 x 16 pixels but its image is 40 x 32"
SMALL = np.full((16, 20), 255, np.uint8)
MOVED = np.pad(np.full((8, 8), 255, np.uint8), ((20, 4), (20, 12)))

FAULTS: tuple[Fault, ...] = (
    Fault("mask of another size", IMAGES, saved(MASK, SMALL), MISFIT),
    Fault("mask turned by 90 degrees", IMAGES, saved(MASK, np.zeros((40, 32), np.uint8)), r"is 32 x 40 pixels"),
    Fault(
        "one of several masks of another size",
        IMAGES,
        second_of_another_size,
        rf"the mask {UNITED}/1\.png is 39 x 32 pixels but its image is 40 x 32",
    ),
    Fault("mask cut off", IMAGES, cut(MASK, 0.6), unreadable(MASK)),
    Fault("mask of no bytes", IMAGES, written(MASK, b""), unreadable(MASK)),
    Fault("page of a web server saved as mask", IMAGES, written(MASK, HTML), unreadable(MASK)),
    Fault("mask of 50000 x 50000 pixels in a few bytes", IMAGES, written(MASK, bomb(50_000)), rf"{MASK} .*50[ _]?000"),
    Fault("link in place of a mask that leads nowhere", IMAGES, linked(MASK, "gone.png"), rf"{MASK}"),
    Fault(
        "folder of masks with none in it",
        IMAGES,
        in_turn(removed(MASK), new_folder(UNITED)),
        rf"the mask folder {UNITED} contains no images",
    ),
    Fault(
        "mask that marks nothing",
        IMAGES,
        saved(MASK, np.zeros((32, 40), np.uint8)),
        alters=(*CHECK, *MANIFEST, *EVALUATION),
        then=lambda place: warned("mask that marks no pixel", "test/crack/0.png"),
    ),
    Fault(
        "mask that marks all",
        IMAGES,
        saved(MASK, np.full((32, 40), 255, np.uint8)),
        alters=(*CHECK, *MANIFEST, *EVALUATION),
        then=lambda place: warned("inverted", "test/crack/0.png"),
    ),
    Fault(
        "defective image without a mask",
        IMAGES,
        removed(MASK),
        alters=(*CHECK, *MANIFEST, *EVALUATION),
        then=lambda place: warned("without a mask", "test/crack/0.png"),
    ),
    Fault(
        "folder of masks that is empty",
        IMAGES,
        emptied(f"{TILE}/ground_truth/crack"),
        alters=(*CHECK, *MANIFEST, *EVALUATION),
        then=lambda place: warned("2 defective images without a mask"),
    ),
    Fault(
        "mask that goes between check and metrics",
        IMAGES,
        removed(MASK),
        rf"the image {MASK} does not exist",
        before="evaluate_scores",
    ),
    Fault("mask that shrinks between check and metrics", IMAGES, saved(MASK, SMALL), CHANGED, before="evaluate_masks"),
    Fault("mask that moves between check and metrics", IMAGES, saved(MASK, MOVED), CHANGED, before="evaluate_scores"),
)
