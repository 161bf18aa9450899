"""Several backbones in one method: their names, and the files that are joined."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from cases.results import flipped, full
from cases.sound import IMAGES
from damages import cut, in_turn, nothing, removed
from fault import Damage, Fault, Place, recover

TWO = {"family": "embedded", "params": {"resolution": 64}}
JOINED = replace(
    IMAGES,
    name="joined backbones",
    changes={
        **IMAGES.changes,
        "backbone": ["embedded", "two"],
        "backbones__two": TWO,
        "methods": {"memory_bank": {"scorer": "memory_bank", "params": {"shots": 2}}},
    },
)
FOLDER = "results/t/tile/features"
FIRST, SECOND, JOINT = (f"{FOLDER}/{name}/test.original.h5" for name in ("embedded", "two", "embedded-two"))
ANEW = r".*; it was removed, and the next run makes it again$"


def nothing_made(place: Place) -> None:
    """It is said before the work."""
    assert not list(Path().glob(f"{FOLDER}/**/*.h5"))


def refused(name: str, said: str, **changes: Any) -> Fault:
    """What makes no joint."""
    return Fault(name, JOINED, nothing, said, changes=changes, then=nothing_made)


def made_anew(name: str, damage: Damage, said: str) -> Fault:
    """A file that is joined, or the joint itself, is damaged in a finished run."""
    return Fault(name, JOINED, damage, said + ANEW, finished=True, fix=recover)


def copied(source: str, target: str) -> Damage:
    """Put a result in the place of another, newer than what is made from it."""

    def damage(place: Place) -> None:
        shutil.copy(source, target)

    return damage


FAULTS: tuple[Fault, ...] = (
    refused(
        "joint of a backbone that does not exist",
        r"^methods\.memory_bank: backbone 'tow' is neither an entry of 'backbones'.*did you mean 'two'\?",
        backbone=["embedded", "tow"],
    ),
    refused("joint of one backbone", r"^methods\.memory_bank: a joint needs a list of at least two", backbone=["two"]),
    refused(
        "joint with a weight too many",
        r"^backbones\.both\.params: weights = .* is not valid: there are 2 members but 3 weights$",
        backbone="both",
        backbones__both={"family": "joint", "params": {"members": ["embedded", "two"], "weights": [1, 1, 2]}},
    ),
    made_anew("joined file with a flipped bit", flipped(SECOND, 0.4), re.escape(SECOND)),
    made_anew("joined file that was cut off", cut(FIRST, 0.5), re.escape(FIRST)),
    made_anew("joint with a flipped bit", flipped(JOINT, 0.4), re.escape(JOINT)),
    Fault(
        "joined file of other images",
        JOINED,
        copied(f"{FOLDER}/two/references-k2-seed0.rotations.h5", SECOND),
        rf"{SECOND} and {FIRST} do not show the same images; delete both and run again",
        finished=True,
        fix=in_turn(removed(FIRST), removed(SECOND), recover),
    ),
    replace(full("joint of features", JOINT, 8000, "join_features"), sound=JOINED),
)
