"""Errors that no stage thinks of: of the system, of libraries, of models and of the program itself."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import zsad.files.atomic
import zsad.scoring.score_images
from cases.sound import IMAGES
from checkpoint_fuzz import write
from damages import in_turn, linked, removed, written
from fault import Damage, Fault, Place, recover

LOG = Path("results/log/job.log")
SCORES = r"results/t/tile/scores/mutual\.h5"
MODEL: dict[str, Any] = {
    "backbones": {"embedded": {"family": "transformers", "params": {"model": "model", "resolution": 32}}}
}


def fails_with(error: Callable[[], BaseException], *, inodes: int = 100) -> Damage:
    """A disk that takes no more files to the end; with ``inodes`` left for others."""

    def raise_it(*_: object) -> None:
        raise error()

    def damage(place: Place) -> None:
        patch = place.patched()
        patch.setattr(zsad.files.atomic.os, "fsync", raise_it)
        free = SimpleNamespace(f_files=100, f_favail=inodes, f_bavail=100, f_flag=0)
        patch.setattr(zsad.files.atomic.os, "statvfs", lambda _: free)

    return damage


def of_system(number: int) -> Callable[[], OSError]:
    """An error of the system, which does not name the file."""
    return lambda: OSError(number, os.strerror(number))


def scoring(act: Callable[[], Any]) -> Damage:
    """Something that goes wrong amid the scoring."""
    return lambda place: place.patched().setattr(zsad.scoring.score_images, "ScoreWriter", lambda *_, **__: act())


def raised(error: BaseException) -> Callable[[], None]:
    """Raise an error."""

    def act() -> None:
        raise error

    return act


def model(**changes: Any) -> Damage:
    """A folder of a model whose ``config.json`` is changed."""

    def damage(place: Place) -> None:
        folder = write("dinov2", Path("model"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")

    return damage


def has_traceback(place: Place) -> None:
    """The log of the job tells the programmers more than the sentence tells the user."""
    lines = LOG.read_text(encoding="utf-8").splitlines()
    assert "Traceback (most recent call last):" in lines
    assert " ERROR zsad.workflow.job: unexpected error " in lines[-1]


def in_place(name: str, damage: Damage, path: str, said: str, **options: Any) -> Fault:
    """Something that is in the place of a folder of results."""
    return Fault(name, IMAGES, damage, said, fix=in_turn(removed(path), recover), **options)


def amid(name: str, damage: Damage, said: str, script: str = "score_images", **options: Any) -> Fault:
    """Something that goes wrong in the middle of a run, and passes."""
    return Fault(name, IMAGES, damage, said, fix=recover, before=script, **options)


FAULTS: tuple[Fault, ...] = (
    in_place("file in place of the results", written("results", "mine"), "results", r"results, .* is a file; move it"),
    in_place(
        "results that are a link to nowhere",
        linked("results", "nowhere"),
        "results",
        r"results, .* a link to nowhere, ",
    ),
    in_place(
        "results that link to themselves", linked("results", "results"), "results", r"results, .* link to results, "
    ),
    in_place(
        "file in place of a category's results",
        written("results/t/tile", "mine"),
        "results/t/tile",
        r"results/t/tile cannot be read or written",
    ),
    in_place(
        "file in place of the logs",
        written("results/log", "mine"),
        "results/log",
        r"read_images: results/log cannot be read or written \(File exists\); move away",
    ),
    amid(
        "file system without an inode left",
        fails_with(of_system(errno.ENOSPC), inodes=0),
        rf"{SCORES} cannot be written \(no inode left on its file system\); delete files there, however small",
    ),
    amid(
        "quota that is used up", fails_with(of_system(errno.EDQUOT)), rf"{SCORES} cannot be written .*free some of your"
    ),
    amid("disk that fails", fails_with(of_system(errno.EIO)), rf"{SCORES} cannot be read or written .*its disk failed"),
    amid("network disk that is lost", fails_with(of_system(errno.ESTALE)), rf"{SCORES} .*its network disk has lost it"),
    amid("too many open files", fails_with(of_system(errno.EMFILE)), rf"{SCORES} .*raise the limit for open files"),
    amid("array larger than the memory", scoring(lambda: np.empty(2**59)), r"too little memory \(Unable to allocate 4"),
    amid(
        "package that is not installed",
        scoring(raised(ModuleNotFoundError("No module named 'scipy'", name="scipy"))),
        r"the package scipy is not installed here .*`pip install scipy`",
    ),
    amid(
        "bug in the program",
        scoring(raised(AttributeError("never thought of"))),
        r"unexpected error \(AttributeError: never thought of\); .* the traceback in results/log/job\.log, on ",
        then=has_traceback,
    ),
    Fault(
        "model of quantised weights",
        IMAGES,
        model(quantization_config={"quant_method": "gptq", "bits": 4}),
        r"the weights of model 'model' are quantised \(quantization_config in model/config\.json: gptq\)",
        changes=MODEL,
    ),
    Fault(
        "model of a width of gigabytes",
        IMAGES,
        model(hidden_size=2**20),
        r"config\.json of model 'model' describes a larger network than its weights",
        changes=MODEL,
    ),
    Fault("model without patches", IMAGES, model(patch_size=0), r"the patch size is 0, not a whole", changes=MODEL),
)
