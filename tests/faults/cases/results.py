"""Results that are damaged, mixed up, or cannot be written."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from cases.sound import IMAGES, LABELLED
from damages import HTML, appended, cut, edited, emptied, files_up_to, in_turn, linked, removed, written
from fault import Damage, Fault, Place, recover
from zsad.files.digests import append_digests

FOLDER = "results/t/tile"
IMAGE_LIST = f"{FOLDER}/images.csv"
MANIFEST = f"{FOLDER}/manifest.csv"
FEATURES = f"{FOLDER}/features/embedded/test.original.h5"
SCORES = f"{FOLDER}/scores/mutual.h5"
DECISIONS = f"{FOLDER}/decisions/mutual.h5"
OF_BANK = f"{FOLDER}/decisions/memory_bank.h5"
MODEL = f"{FOLDER}/models/memory_bank.h5"
MASKS = f"{FOLDER}/masks/mutual.grabcut.h5"
CHECK = f"{FOLDER}/check.json"
TABLE = "results/t/tables/metrics.csv"
METRICS = f"{FOLDER}/metrics/mutual.json"
DRAWS = f"{FOLDER}/draws/mutual.h5"
KINDS = f"{FOLDER}/classification/nearest.h5"
SPLIT = f"{FOLDER}/splits/nearest.csv"


def damaged(name: str, path: str, damage: Damage, said: str) -> Fault:
    """A finished run of which a result is damaged; it is removed, and the same command makes it again."""
    said = f"{said}.*; it was removed, and the next run makes it again$"
    return Fault(name, IMAGES, damage, said, finished=True, fix=recover)


def wrong(name: str, path: str, damage: Damage, said: str) -> Fault:
    """A finished run of which a result does not belong to the others; the sentence asks to delete it."""
    return Fault(name, IMAGES, damage, said, finished=True, fix=in_turn(removed(path), recover))


def flipped(path: str, *shares: float) -> Damage:
    """Change a bit at shares of a file's length."""

    def damage(place: Place) -> None:
        content = bytearray(Path(path).read_bytes())
        for share in shares:
            content[int(share * len(content))] ^= 1
        Path(path).write_bytes(content)

    return damage


def digit_changed(path: str) -> Damage:
    """Change the first digit behind a decimal point in a text."""

    def damage(place: Place) -> None:
        text = Path(path).read_text(encoding="utf-8")
        Path(path).write_text(
            re.sub(r"(?<=\.)\d", lambda digit: str((int(digit[0]) + 1) % 10), text, count=1), encoding="utf-8"
        )

    return damage


def hostile(path: str, change: Callable[[h5py.File], None]) -> Damage:
    """Change a file by HDF5 itself, and give it digests that agree."""

    def damage(place: Place) -> None:
        with h5py.File(path, "r+") as file:
            change(file)
        append_digests(Path(path))

    return damage


def linked_elsewhere(name: str) -> Callable[[h5py.File], None]:
    """Have a dataset lie in another file."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink(Path(SCORES).absolute(), "/image_score")

    return change


def in_raw_file(name: str) -> Callable[[h5py.File], None]:
    """Have the bytes of a dataset lie in a file that is no HDF5."""

    def change(file: h5py.File) -> None:
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, shape, kind, external=[(__file__, 0, 1 << 20)])

    return change


def assembled(name: str) -> Callable[[h5py.File], None]:
    """Have a dataset be assembled from another file."""

    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(file[name].shape, file[name].dtype)
        layout[:] = h5py.VirtualSource(Path(SCORES).absolute(), "image_score", file[name].shape)
        del file[name]
        file.create_virtual_dataset(name, layout)

    return change


def pickled(name: str) -> Callable[[h5py.File], None]:
    """Have the bytes of a pickled object in place of an array."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=np.void(pickle.dumps({"weights": [1.0]})))

    return change


def of_other_parameters(file: h5py.File) -> None:
    """Have a model say that it is of more references than are asked for."""
    provenance = json.loads(file.attrs["provenance"])
    provenance["scorer"]["params"]["shots"] += 1
    file.attrs["provenance"] = json.dumps(provenance)


def piped(path: str) -> Damage:
    """Put a pipe that nobody writes to in the place of a file."""

    def damage(place: Place) -> None:
        Path(path).unlink()
        os.mkfifo(path)

    return damage


def full(what: str, path: str, size: int, script: str) -> Fault:
    """A disk that runs full while a result is written."""
    said = rf"{path} cannot be written \(File too large\); raise the limit for the size of files .* and run again"
    return Fault(f"disk that runs full under the {what}", IMAGES, files_up_to(size), said, fix=recover, before=script)


def copied(source: str, path: str) -> Damage:
    """Put a result in the place of another one."""
    return lambda place: shutil.copy(source, path)


def of_fewer_images(path: str) -> Damage:
    """Scores or decisions of which the last image is missing, as if they were of an earlier manifest."""

    def change(file: h5py.File) -> None:
        for name in list(file):
            content = file[name][:-1]
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, data=content, dtype=kind)

    return hostile(path, change)


def turned_round(file: h5py.File) -> None:
    """Have every verdict be the contrary."""
    file["decided"][:] = 1 - file["decided"][:]


def of_lower_peaks(file: h5py.File) -> None:
    """Have images that are called good be further below the threshold than their scores say."""
    file["peak"][:] = np.float32(file["peak"][:] - (1 - file["decided"][:]))


def not_a_number(file: h5py.File) -> None:
    """Have the threshold of an image be none."""
    file["region"][0] = np.nan


def above_the_region(file: h5py.File) -> None:
    """Have less marked than stands out."""
    file["pixel"][0] = np.float32(file["region"][0] + 1)


def another_kind_nearest(file: h5py.File) -> None:
    """Have the nearest example of each kind be of another one."""
    nearest = file["nearest"][:]
    file["nearest"][:] = np.where(nearest < 0, nearest, 1 - nearest)


def of_kinds(fault: Fault) -> Fault:
    """A fault of a run that names the kinds of defects."""
    return replace(fault, sound=LABELLED)


DAMAGED = (
    damaged("features cut off", FEATURES, cut(FEATURES, 0.5), rf"{FEATURES} is not a readable HDF5 file"),
    damaged("features of no bytes", FEATURES, written(FEATURES, b""), rf"{FEATURES} is not a readable HDF5 file"),
    damaged("page in place of features", FEATURES, written(FEATURES, HTML), rf"{FEATURES} is not a readable HDF5"),
    damaged("scores in place of features", FEATURES, copied(SCORES, FEATURES), rf"{FEATURES} is not a feature file"),
    damaged("model cut off", MODEL, cut(MODEL, 0.5), rf"{MODEL} is not a readable HDF5 file"),
    damaged("model of no bytes", MODEL, written(MODEL, b""), rf"{MODEL} is not a readable HDF5 file"),
    damaged("features in place of a model", MODEL, copied(FEATURES, MODEL), rf"{MODEL} is not a model file"),
    damaged("scores cut off", SCORES, cut(SCORES, 0.9), rf"{SCORES} is not a readable HDF5 file"),
    wrong(
        "scores of other images than the manifest",
        SCORES,
        of_fewer_images(SCORES),
        rf"{SCORES} and {MANIFEST} do not hold the same test images \(.*\); delete {SCORES} and run again",
    ),
    damaged("decisions cut off", DECISIONS, cut(DECISIONS, 0.5), rf"{DECISIONS} is not a readable HDF5 file"),
    damaged("decisions of no bytes", DECISIONS, written(DECISIONS, b""), rf"{DECISIONS} is not a readable HDF5 file"),
    damaged("page in place of decisions", DECISIONS, written(DECISIONS, HTML), rf"{DECISIONS} is not a readable HDF5"),
    damaged(
        "scores in place of decisions", DECISIONS, copied(SCORES, DECISIONS), rf"{DECISIONS} is not a decision file"
    ),
    damaged("decisions in place of scores", SCORES, copied(DECISIONS, SCORES), rf"{SCORES} is not a score file"),
    wrong(
        "decisions of another method",
        DECISIONS,
        copied(OF_BANK, DECISIONS),
        rf"{DECISIONS} was made from other scores than those in {SCORES} .*; delete {DECISIONS} and run again",
    ),
    wrong(
        "peaks that are not those of the scores",
        DECISIONS,
        hostile(DECISIONS, of_lower_peaks),
        rf"{DECISIONS} was made from other scores than those in {SCORES} .*; delete {DECISIONS} and run again",
    ),
    wrong(
        "decisions on fewer images",
        DECISIONS,
        of_fewer_images(DECISIONS),
        (
            rf"{DECISIONS} and {SCORES} do not contain the same images in the same order; delete "
            rf"{DECISIONS} and run again"
        ),
    ),
    damaged("masks cut off", MASKS, cut(MASKS, 0.5), rf"{MASKS} is not a readable HDF5 file"),
    damaged("metrics cut off", METRICS, cut(METRICS, 0.5), rf"{METRICS} is not valid JSON"),
    damaged("draws cut off", DRAWS, cut(DRAWS, 0.5), rf"{DRAWS} is not a readable HDF5 file"),
    damaged("scores in place of draws", DRAWS, copied(SCORES, DRAWS), rf"{DRAWS} is not a draws file"),
    damaged(
        "metrics of something else", METRICS, written(METRICS, "{}"), rf"{METRICS} is not a result of this version"
    ),
)

UNWRITABLE = (
    full("list of images", IMAGE_LIST, 300, "read_images"),
    full("manifest", MANIFEST, 300, "build_manifest"),
    full("check", CHECK, 300, "check_images"),
    full("features", FEATURES, 8000, "extract_features"),
    full("model", MODEL, 8000, "fit_method"),
    full("scores", SCORES, 5000, "score_images"),
    full("decisions", DECISIONS, 1000, "decide_images"),
    full("draws", DRAWS, 1000, "evaluate_scores"),
    full("metrics", METRICS, 20_000, "evaluate_scores"),
    full("masks", MASKS, 2000, "refine_masks"),
    full("tables", TABLE, 200, "collect_tables"),
)

NOISE = bytes(range(256)) * 40
FLIPPED = {
    "features": FEATURES,
    "model": MODEL,
    "scores": SCORES,
    "decisions": DECISIONS,
    "masks": MASKS,
    "draws": DRAWS,
}
CHANGED = (
    *(
        damaged(f"bit of {what} flipped at {share:.0%}", path, flipped(path, share), rf"{path} is (damaged|not a read)")
        for what, path in FLIPPED.items()
        for share in (0.0, 0.3, 0.6, 0.9)
    ),
    damaged("digests of scores flipped", SCORES, flipped(SCORES, 0.999), rf"{SCORES} is not a readable HDF5 file"),
    damaged("two bits of features flipped", FEATURES, flipped(FEATURES, 0.4, 0.7), rf"{FEATURES} is damaged"),
    damaged("noise in place of masks", MASKS, written(MASKS, NOISE), rf"{MASKS} is not a readable HDF5 file"),
    damaged("something behind the scores", SCORES, appended(SCORES, "more"), rf"{SCORES} is not a readable HDF5"),
    damaged("digit of metrics changed", METRICS, digit_changed(METRICS), rf"{METRICS} is damaged or was edited"),
    damaged("category of metrics changed", METRICS, edited(METRICS, '"tile"', '"tire"'), rf"{METRICS} is damaged or"),
    damaged("metrics without digest", METRICS, edited(METRICS, '"digest"', '"other"'), rf"{METRICS} is not a result"),
    damaged("list in place of metrics", METRICS, written(METRICS, "[]"), rf"{METRICS} is not a result of this"),
    damaged("brackets in place of metrics", METRICS, written(METRICS, "[" * 9999), rf"{METRICS} is not valid JSON"),
    damaged("features linked elsewhere", FEATURES, hostile(FEATURES, linked_elsewhere("cls_tokens")), "is a link"),
    damaged("model linked elsewhere", MODEL, hostile(MODEL, linked_elsewhere("fit/patch_tokens")), "is a link"),
    damaged("evidence of a model linked elsewhere", MODEL, hostile(MODEL, linked_elsewhere("evidence")), "is a link"),
    damaged("model in a raw file", MODEL, hostile(MODEL, in_raw_file("fit/patch_tokens")), "is in another file"),
    damaged("model assembled", MODEL, hostile(MODEL, assembled("fit/grid_size")), "is in another file"),
    damaged("pickle in a model", MODEL, hostile(MODEL, pickled("fit/patch_tokens")), "is not an array of numbers"),
    damaged("model of another method", MODEL, hostile(MODEL, of_other_parameters), "is the model of another method"),
    damaged("verdicts turned round", DECISIONS, hostile(DECISIONS, turned_round), "not match its thresholds"),
    damaged("no number for a threshold", DECISIONS, hostile(DECISIONS, not_a_number), "thresholds are not numbers"),
    damaged("thresholds in disorder", DECISIONS, hostile(DECISIONS, above_the_region), "contradict each other"),
    damaged("decisions linked elsewhere", DECISIONS, hostile(DECISIONS, linked_elsewhere("peak")), "is a link"),
    damaged("pickle in decisions", DECISIONS, hostile(DECISIONS, pickled("region")), "is not a readable"),
    damaged("masks in a raw file", MASKS, hostile(MASKS, in_raw_file("mask_score")), "is in another file"),
    damaged("scores assembled", SCORES, hostile(SCORES, assembled("seconds")), "seconds is in another file"),
    wrong("pipe in place of features", FEATURES, piped(FEATURES), rf"{FEATURES} is a pipe, not a regular file"),
    wrong("pipe in place of decisions", DECISIONS, piped(DECISIONS), rf"{DECISIONS} is a pipe, not a regular file"),
    Fault(
        "device in place of scores",
        IMAGES,
        linked(SCORES, "/dev/zero"),
        rf"{SCORES} is a device, not a regular file; move it away and run again",
        before="decide_images",
        fix=in_turn(removed(SCORES), recover),
    ),
    wrong("folder in place of masks", MASKS, emptied(MASKS), rf"{MASKS} is a folder, not a regular file"),
)

NAMED = tuple(
    of_kinds(fault)
    for fault in (
        damaged("classification cut off", KINDS, cut(KINDS, 0.6), rf"{KINDS} is not a readable HDF5 file"),
        damaged("nearest examples mixed up", KINDS, hostile(KINDS, another_kind_nearest), "exemplar has another kind"),
        wrong(
            "split of another classifier",
            SPLIT,
            copied(f"{FOLDER}/splits/beside.csv", SPLIT),
            rf"{SPLIT} is not a split of the images in {FEATURES} \(it names examples of 'shelf'\); delete both",
        ),
        full("classification", KINDS, 2000, "classify_images"),
    )
)

FAULTS: tuple[Fault, ...] = (*DAMAGED, *CHANGED, *UNWRITABLE, *NAMED)
