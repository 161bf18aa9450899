"""Labelled examples of kinds of defect: drawn from the test images, or in a folder beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

from cases.sound import LABELLED
from damages import cut, draw_mask, drawn, emptied, in_turn, nothing, removed
from fault import Damage, Fault, Place

TESTS = "images/tile/test"
SHOWN = "examples/crack/0.png"


def copied_to(path: str, to: str) -> Damage:
    """A second copy of a file, by another name."""

    def damage(place: Place) -> None:
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)

    return damage


def without_labels(place: Place) -> None:
    """A table that says of no test image what it is."""
    names = sorted(path.relative_to("images").as_posix() for path in Path(TESTS).rglob("*.*"))
    Path("images/manifest.csv").write_text("\n".join(["path", *names]) + "\n", encoding="utf-8")


FROM_TESTS = (
    Fault(
        "a kind with fewer test images than are to be drawn",
        LABELLED,
        removed(f"{TESTS}/crack/2.png"),
        r"'tile' has too few labelled test images for 1 shot, 1 for calibration and 1 to classify a kind: 2 of 'crack'",
    ),
    Fault(
        "only one kind",
        LABELLED,
        nothing,
        r"only the kind 'crack' is left to classify in 'tile' \(left out: good\); a classifier needs at least two "
        "kinds",
        changes={"classifiers__nearest__good": False},
    ),
    Fault(
        "no shots",
        LABELLED,
        nothing,
        r"item 1 of classifiers\.nearest\.shots = 0 is not valid: input should be 'all', or it must be at least 1",
        changes={"classifiers__nearest__shots": [0]},
    ),
    Fault(
        "a test image under two kinds",
        LABELLED,
        copied_to(f"{TESTS}/crack/0.png", f"{TESTS}/good/7.jpg"),
        r"the test image test/crack/0\.png of kind 'crack' and the test image test/good/7\.jpg of kind 'good' are the "
        r"same image; correct one of the two kinds",
    ),
    Fault(
        "kinds of test images that differ only by case alone",
        LABELLED,
        in_turn(*(drawn(f"{TESTS}/Crack/{index}.png", seed=40 + index) for index in range(3))),
        (r"the kinds 'Crack' \(.*\) and 'crack' \(.*\) differ only by case, spaces or the form of their " r"letters"),
    ),
    Fault(
        "a kind to be left out that there is nowhere",
        LABELLED,
        nothing,
        r"classifiers\.nearest\.leave_out names 'rust', which is not a kind of any category; choose from: crack, good",
        changes={"classifiers__nearest__leave_out": ["rust"]},
    ),
    Fault(
        "test images without a label",
        LABELLED,
        without_labels,
        r"has no labels",
        changes={"dataset__layout": "csv"},
    ),
)

BESIDE = (
    Fault(
        "an example that is a test image",
        LABELLED,
        copied_to(SHOWN, f"{TESTS}/good/7.jpg"),
        r"the labelled example crack/0\.png and the test image test/good/7\.jpg are the same image, .* remove one",
    ),
    Fault(
        "examples of no kind", LABELLED, emptied("examples"), r"the folder examples of labelled examples is empty; add"
    ),
    Fault(
        "masks among the examples",
        LABELLED,
        lambda place: draw_mask("examples/crack/0_mask.png"),
        (
            r"examples/crack/0_mask\.png seem to be masks of the images beside them, and would be read as "
            r"examples; move"
        ),
    ),
    Fault(
        "an example that is cut off",
        LABELLED,
        cut(SHOWN, 0.6),
        r"examples/crack/0\.png cannot be read as an image \(.*\); replace it or remove it from the folder$",
    ),
)

FAULTS: tuple[Fault, ...] = (*FROM_TESTS, *BESIDE)
