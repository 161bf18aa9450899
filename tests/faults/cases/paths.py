"""Paths with signs that mean something to Snakemake, a shell or nobody, and paths that begin at home."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

from cases.sound import DOWNLOADED, FOLDER, IMAGES, TABLE, TILE
from damages import edited, in_turn, moved, nothing
from fault import ALL, CHECK, MANIFEST, Damage, Fault, Place

LISTS = tuple(f"{category}/images.csv" for category in ("tile", "photographs", "lid", "line"))
PATHS = (*MANIFEST, *LISTS, *CHECK)
ODD_NAMES = {
    f"{TILE}/train/good/0.png": f"{TILE}/train/good/{{0F8FAD5B-D9CB-469F-A165-70867728950E}}.png",
    f"{TILE}/train/good/1.png": f"{TILE}/train/good/ {{a,b+}} .png",
    f"{TILE}/test/good/0.png": f"{TILE}/test/good/{{category}}.png",
    f"{TILE}/test/good/1.jpg": f"{TILE}/test/good/<results>}}{{.jpg",
    f"{TILE}/test/crack/0.png": f"{TILE}/test/crack/{{{{x}}}}<b>.png",
    f"{TILE}/ground_truth/crack/0_mask.png": f"{TILE}/ground_truth/crack/{{{{x}}}}<b>_mask.png",
}
ODD_ROOTS = ("{a}/<logs>/images ", " 50%*?[1]\\n'\"; $(c) `d`", "s3:", "./~/images")


def at_home(place: Place) -> None:
    """Make the working directory the user's home folder."""
    place.around.enter_context(mock.patch.dict(os.environ, {"HOME": str(Path.cwd())}))


def homeless(place: Place) -> None:
    """A user without a home folder, as services have it."""
    place.around.enter_context(mock.patch("pathlib.Path.expanduser", side_effect=RuntimeError))


def tested(paths: Iterable[str]) -> frozenset[str]:
    """The names of those that are test images."""
    return frozenset(path.removeprefix(f"{TILE}/") for path in paths if path.startswith(f"{TILE}/test/"))


def into(path: str, folder: str) -> Damage:
    """Move a file or folder into a new place, the folders on the way being made."""

    def move(place: Place) -> None:
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        moved(path, folder)(place)

    return move


NAMES = (
    Fault(
        "images and masks with braces, brackets and spaces in their names",
        IMAGES,
        in_turn(*(moved(path, to) for path, to in ODD_NAMES.items())),
        loses=tested(ODD_NAMES),
        gains=tested(ODD_NAMES.values()),
        alters=ALL,
    ),
    *(
        Fault(
            f"images in '{root}'",
            IMAGES,
            into("images", root),
            changes={"dataset__root": root},
            alters=PATHS,
        )
        for root in ODD_ROOTS
    ),
    Fault(
        "references in braces",
        FOLDER,
        moved("good", "{good}"),
        changes={"dataset__params": {"references": "{good}"}},
        alters=PATHS,
    ),
    Fault(
        "table in angle brackets",
        TABLE,
        moved("table.csv", "<table>.csv"),
        changes={"dataset__root": ".", "dataset__params": {"table": "<table>.csv"}},
        alters=PATHS,
    ),
    *(
        Fault(
            f"folder of downloads called '{folder}'",
            DOWNLOADED,
            nothing,
            r"the folder of downloads .* has one of \{ \} < > in its path, .*; set dataset\.download_to to another",
            changes={"dataset__download_to": folder},
        )
        for folder in ("{published}", "data/<logs>", "a>b")
    ),
)

HOMES = (
    Fault(
        "root in the home folder",
        IMAGES,
        at_home,
        changes={"dataset__root": "~/images"},
        alters=PATHS,
    ),
    Fault(
        "references in the home folder",
        FOLDER,
        at_home,
        changes={"dataset__params": {"references": "~/good"}},
        alters=PATHS,
    ),
    Fault(
        "table in the home folder",
        TABLE,
        at_home,
        changes={"dataset__root": ".", "dataset__params": {"table": "~/table.csv"}},
        alters=PATHS,
    ),
    Fault(
        "image in the home folder in a table",
        TABLE,
        in_turn(at_home, edited("table.csv", "photographs/test/good/0.png", "~/photographs/test/good/0.png")),
        loses=frozenset({"photographs/test/good/0.png"}),
        gains=frozenset({"~/photographs/test/good/0.png"}),
    ),
    Fault(
        "root in the home folder of nobody",
        IMAGES,
        nothing,
        r"dataset: root = '~nobody-here/images' is not valid: user 'nobody-here' has no home folder on this machine",
        changes={"dataset__root": "~nobody-here/images"},
    ),
    Fault(
        "root in the home folder of a user without one",
        IMAGES,
        homeless,
        r"dataset: root = '~/images' is not valid: the user of this process has no home folder on this machine",
        changes={"dataset__root": "~/images"},
    ),
    Fault(
        "references in the home folder of nobody",
        FOLDER,
        nothing,
        r"dataset\.params: references = '~nobody-here' is not valid: user 'nobody-here' has no home folder",
        changes={"dataset__params": {"references": "~nobody-here"}},
    ),
    *(
        Fault(
            f"root with the variable {variable}",
            IMAGES,
            nothing,
            r"dataset: root = '\$.*' is not valid: it does not exist, and variables such as \$\S+ are not replaced in",
            changes={"dataset__root": f"{variable}/images"},
        )
        for variable in ("$HOME", "${SCRATCH}")
    ),
    Fault(
        "folder of downloads with a variable",
        DOWNLOADED,
        nothing,
        r"dataset: download_to = '\$SCRATCH/data' is not valid: it does not exist, and variables such as \$SCRATCH "
        "are not replaced",
        changes={"dataset__download_to": "$SCRATCH/data"},
    ),
    Fault(
        "image with a variable in a table",
        TABLE,
        edited("table.csv", "photographs/test/good/0.png", "$PHOTOS/0.png"),
        r"table\.csv, line 4: .*variables such as \$PHOTOS are not replaced",
    ),
)

FAULTS: tuple[Fault, ...] = (*NAMES, *HOMES)
