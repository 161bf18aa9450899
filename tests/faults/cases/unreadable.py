"""Images that cannot be decoded among many that can: they are left out and listed, or all named at the beginning."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from cases.sound import FOLDER, IMAGES, TABLE, TILE
from damages import HTML, cut, drawn, in_turn, linked, written
from fault import Damage, Fault, Place, Sound

PHOTOGRAPHS = "results/t/photographs"
SKIP = {"dataset__unreadable": "skip"}
STOP = {"dataset__unreadable": "stop"}


def listed(folder: str, *images: str) -> Callable[[Place], None]:
    """Just these images are listed with a reason each, in the list and in the check, which warns of them."""

    def then(place: Place) -> None:
        with Path(folder, "unreadable.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        check = json.loads(Path(folder, "check.json").read_text(encoding="utf-8"))
        assert [list(row) for row in rows] == [["path", "reason", "digest"]] * len(images)
        assert [row["path"].endswith(image) for row, image in zip(rows, images, strict=True)] == [True] * len(images)
        assert [image["image_id"] for image in check["unreadable"]] == list(images)
        assert [image["reason"] for image in check["unreadable"]] == [row["reason"] for row in rows]
        assert all(row["reason"] and "\n" not in row["reason"] for row in rows)
        assert any("left out" in warning and images[0] in warning for warning in check["warnings"])

    return then


def skipped(name: str, damage: Damage, *images: str, finished: bool = False) -> Fault:
    """Photographs of a folder that are left out, since nothing else is asked for."""
    then = listed(PHOTOGRAPHS, *images)
    return Fault(name, FOLDER, damage, loses=frozenset(images), then=then, finished=finished)


def spoilt(sound: Sound, name: str, image: str, folder: str, image_id: str) -> Fault:
    """An image of labelled ones that is left out on request."""
    return Fault(name, sound, cut(image, 0.5), changes=SKIP, loses=frozenset({image_id}), then=listed(folder, image_id))


SKIPPED = (
    skipped("photograph cut off", cut("photographs/b.jpg", 0.5), "b.jpg"),
    skipped("photograph cut off in a sub-folder", cut("photographs/line 2/c.png", 0.6), "line 2/c.png"),
    skipped("photograph of no bytes", written("photographs/a.png", b""), "a.png"),
    skipped("photograph that is a web page", written("photographs/a.png", HTML), "a.png"),
    skipped("photograph that is a link to nowhere", linked("photographs/a.png", "gone.png"), "a.png"),
    skipped("photograph that is cut off after a run", cut("photographs/a.png", 0.5), "a.png", finished=True),
    spoilt(IMAGES, "labelled image to be left out", f"{TILE}/test/crack/1.png", "results/t/tile", "test/crack/1.png"),
    spoilt(
        TABLE,
        "image of a table to be left out",
        "photographs/test/good/1.jpg",
        "results/t/lid",
        "photographs/test/good/1.jpg",
    ),
)

STOPPED = (
    Fault(
        "photograph cut off that must not be left out",
        FOLDER,
        cut("photographs/a.png", 0.5),
        r"photographs/a\.png cannot be read as an image \(.*or set dataset\.unreadable to 'skip'$",
        changes=STOP,
    ),
    Fault(
        "several photographs cut off, all named at once",
        FOLDER,
        in_turn(cut("photographs/a.png", 0.5), written("photographs/b.jpg", HTML), cut("good/1.png", 0.5)),
        r"^zsad: read_images: 3 images of photographs cannot be used: replace them, .*: "
        r"photographs/a\.png .*; photographs/b\.jpg .*web page.*; good/1\.png ",
        changes=STOP,
    ),
    Fault(
        "not one photograph that can be read",
        FOLDER,
        in_turn(*(written(f"photographs/{name}", b"") for name in ("a.png", "b.jpg", "line 2/c.png"))),
        (r"none of the 3 test images of category 'photographs' can be used; the first: photographs/a\.png " r".*empty"),
    ),
    Fault(
        "too few references that can be read",
        FOLDER,
        cut("good/1.png", 0.5),
        r"category 'photographs' has 1 training images, fewer than the 2 references requested; lower 'shots' to 1",
    ),
    Fault(
        "mask that cannot be read while images may be left out",
        IMAGES,
        cut(f"{TILE}/ground_truth/crack/1_mask.png", 0.5),
        r"ground_truth/crack/1_mask\.png cannot be read as an image",
        changes=SKIP,
    ),
    Fault(
        "photograph that changes after it was decoded",
        FOLDER,
        drawn("photographs/a.png"),
        r"photographs/a\.png has changed since it was listed; run again",
        before="extract_features",
    ),
    Fault(
        "photograph that becomes a web page after it was decoded",
        FOLDER,
        written("photographs/a.png", HTML),
        r"photographs/a\.png cannot be read as an image",
        before="check_images",
    ),
)

FAULTS: tuple[Fault, ...] = (*SKIPPED, *STOPPED)
