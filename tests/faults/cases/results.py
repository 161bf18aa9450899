"""Results that are damaged, mixed up, or cannot be written."""

from __future__ import annotations

import shutil

import h5py

from cases.sound import IMAGES
from damages import HTML, cut, files_up_to, in_turn, removed, written
from fault import Damage, Fault, Place, recover

FOLDER = "results/t/tile"
IMAGE_LIST = f"{FOLDER}/images.csv"
MANIFEST = f"{FOLDER}/manifest.csv"
FEATURES = f"{FOLDER}/features/embedded/test.original.h5"
SCORES = f"{FOLDER}/scores/mutual.h5"
MASKS = f"{FOLDER}/masks/mutual.grabcut.h5"
CHECK = f"{FOLDER}/check.json"
TABLE = "results/t/tables/metrics.csv"
METRICS = f"{FOLDER}/metrics/mutual.json"
DRAWS = f"{FOLDER}/draws/mutual.h5"


def damaged(name: str, path: str, damage: Damage, said: str) -> Fault:
    """A finished run of which a result is damaged; the sentence asks to delete it."""
    return Fault(name, IMAGES, damage, said, finished=True, mend=in_turn(removed(path), recover))


def full(what: str, path: str, size: int, script: str) -> Fault:
    """A disk that runs full while a result is written."""
    said = rf"{path} cannot be written \(File too large\); raise the limit for the size of files .* and run again"
    return Fault(f"disk that runs full under the {what}", IMAGES, files_up_to(size), said, mend=recover, before=script)


def copied(source: str, path: str) -> Damage:
    """Put a result in the place of another one."""
    return lambda place: shutil.copy(source, path)


def of_fewer_images(place: Place) -> None:
    """Scores of which the last image is missing, as if they were of an earlier manifest."""
    with h5py.File(SCORES, "r+") as file:
        for name in list(file):
            content = file[name][:-1]
            kind = file[name].dtype
            del file[name]
            file.create_dataset(name, data=content, dtype=kind)


DAMAGED = (
    damaged("features cut off", FEATURES, cut(FEATURES, 0.5), rf"{FEATURES} is not a readable HDF5 file"),
    damaged("features of no bytes", FEATURES, written(FEATURES, b""), rf"{FEATURES} is not a readable HDF5 file"),
    damaged("page in place of features", FEATURES, written(FEATURES, HTML), rf"{FEATURES} is not a readable HDF5"),
    damaged("scores in place of features", FEATURES, copied(SCORES, FEATURES), rf"{FEATURES} is no feature file"),
    damaged("scores cut off", SCORES, cut(SCORES, 0.9), rf"{SCORES} is not a readable HDF5 file"),
    damaged(
        "scores of other images than the manifest",
        SCORES,
        of_fewer_images,
        rf"{SCORES} and {MANIFEST} do not hold the same test images \(.*\); delete {SCORES} and run again",
    ),
    damaged("masks cut off", MASKS, cut(MASKS, 0.5), rf"{MASKS} is not a readable HDF5 file"),
    damaged("metrics cut off", METRICS, cut(METRICS, 0.5), rf"{METRICS} is not valid JSON"),
    damaged("draws cut off", DRAWS, cut(DRAWS, 0.5), rf"{DRAWS} is not a readable HDF5 file"),
    damaged("scores in place of draws", DRAWS, copied(SCORES, DRAWS), rf"{DRAWS} is no file of draws"),
    damaged("metrics of something else", METRICS, written(METRICS, "{}"), rf"{METRICS} is no evaluation"),
)

UNWRITABLE = (
    full("list of images", IMAGE_LIST, 300, "read_images"),
    full("manifest", MANIFEST, 300, "build_manifest"),
    full("check", CHECK, 300, "check_images"),
    full("features", FEATURES, 8000, "extract_features"),
    full("scores", SCORES, 5000, "score_images"),
    full("draws", DRAWS, 1000, "evaluate_scores"),
    full("metrics", METRICS, 20_000, "evaluate_scores"),
    full("masks", MASKS, 2000, "refine_masks"),
    full("tables", TABLE, 200, "collect_tables"),
)

FAULTS: tuple[Fault, ...] = (*DAMAGED, *UNWRITABLE)
