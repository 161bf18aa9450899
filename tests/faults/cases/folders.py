"""Folders that are missing, empty, somewhere else, or called what they must not be called."""

from __future__ import annotations

from pathlib import Path

from cases.images import warned
from cases.sound import FOLDER, IMAGES, TILE
from damages import draw_mask, emptied, in_turn, moved, nothing, removed, renamed_to_bytes, written
from fault import ALL, Fault, Place


def read_only(place: Place) -> None:
    """Allow nobody to write into the images; the owner of everything is not held up by that."""
    for path in (Path("images"), *Path("images").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def writable(place: Place) -> None:
    for path in (Path("images"), *Path("images").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


CATEGORIES = (
    Fault(
        "category without test images",
        IMAGES,
        emptied(f"{TILE}/test"),
        r"category 'tile' has no test images in images; add some or leave the category out",
    ),
    Fault(
        "no image to train on for the only method",
        IMAGES,
        removed(f"{TILE}/train"),
        r"no method can run; method 'memory_bank' is left out: it needs 2 normal .*'tile' has none; add",
        changes={"methods__mutual": None},
    ),
    Fault(
        "fewer images to train on than references for the only method",
        IMAGES,
        nothing,
        r"it needs 4 normal training images, .* 'tile' has 3; .* lower methods\.memory_bank\.params\.shots to 3",
        changes={"methods__memory_bank__params": {"shots": 4}, "methods__mutual": None},
    ),
    Fault(
        "one test image for what compares test images",
        IMAGES,
        removed(f"{TILE}/test/crack", f"{TILE}/test/good/1.jpg"),
        r"no method can run; method 'mutual' is left out: it compares at least 2 test images, .* 'tile' has 1",
        changes={"methods__memory_bank": None},
    ),
    Fault(
        "two test images for what compares test images",
        IMAGES,
        removed(f"{TILE}/test/crack/1.png", f"{TILE}/test/good/1.jpg"),
        loses=frozenset({"test/crack/1.png", "test/good/1.jpg"}),
    ),
    Fault(
        "category that does not exist",
        IMAGES,
        nothing,
        r"category 'tiles' does not exist in images; did you mean 'tile'\? \(there are: tile\)",
        changes={"dataset__categories": ["tiles"]},
    ),
    Fault(
        "category with braces",
        IMAGES,
        moved(TILE, "images/{tile}"),
        r"a category cannot be called '\{tile\}': .* rename its folder",
    ),
    Fault(
        "category in angle brackets",
        IMAGES,
        moved(TILE, "images/<tile>"),
        r"a category cannot be called '<tile>': .* rename its folder",
    ),
    Fault(
        "category called like a folder of results",
        IMAGES,
        moved(TILE, "images/tables"),
        r"a category cannot be called 'tables': .* rename its folder",
    ),
    Fault(
        "category with a line break",
        IMAGES,
        renamed_to_bytes(TILE, b"ti\nle"),
        r"the name 'ti\\nle' in images contains a line break; rename it",
    ),
)

ROOTS = (
    Fault(
        "root that does not exist",
        IMAGES,
        moved("images", "pictures"),
        r"the data set folder images does not exist; set dataset.root",
    ),
    Fault(
        "root that is a file",
        IMAGES,
        in_turn(moved("images", "pictures"), written("images", "no folder")),
        r"images is a file; set dataset.root",
    ),
    Fault(
        "root that is empty",
        IMAGES,
        emptied("images"),
        r"images has no folder with a 'test' folder in it, .*; set dataset.root to the folder of the categories",
    ),
    Fault(
        "root that is a single category",
        IMAGES,
        nothing,
        r"images/tile has no folder with .*; it looks like a single category: give its parent folder .*/images$",
        changes={"dataset__root": TILE},
    ),
    Fault(
        "root one folder too high",
        IMAGES,
        nothing,
        r"\. has no folder with .*; set dataset.root to images",
        changes={"dataset__root": "."},
    ),
    Fault("root that is read-only", IMAGES, read_only, fix=writable),
)

SLIPS = (
    Fault(
        "good test images called OK",
        IMAGES,
        moved(f"{TILE}/test/good", f"{TILE}/test/OK"),
        (
            r"tile/test/OK would be read as defects of type 'OK'; if the images are normal, rename it to 'good', or "
            r"set dataset\.params\.good to \[good, OK\]"
        ),
    ),
    Fault(
        "good training images called normal",
        IMAGES,
        moved(f"{TILE}/train/good", f"{TILE}/train/normal"),
        r"the training images in images/tile/train/normal would not be read, .* "
        r"dataset\.params\.good to \[good, normal\]",
    ),
    Fault(
        "test images in Test",
        IMAGES,
        moved(f"{TILE}/test", f"{TILE}/Test"),
        r"images/tile has 'Test' where 'test' is expected: rename it to 'test', or set dataset\.params\.test to 'Test'",
    ),
    Fault(
        "training images in Train",
        IMAGES,
        moved(f"{TILE}/train", f"{TILE}/Train"),
        r"the images in images/tile/Train would not be read, .* dataset\.params\.train to 'Train'",
    ),
    Fault(
        "masks in Ground_Truth",
        IMAGES,
        moved(f"{TILE}/ground_truth", f"{TILE}/Ground_Truth"),
        r"the masks in images/tile/Ground_Truth would not be read, .* dataset\.params\.ground_truth to 'Ground_Truth'",
    ),
    Fault(
        "several slips at once",
        IMAGES,
        in_turn(moved(f"{TILE}/train/good", f"{TILE}/train/OK"), moved(f"{TILE}/test/good", f"{TILE}/test/OK")),
        r"tile/train/OK would not be read, .*; and 1 more problem: run `zsad check`",
    ),
    Fault(
        "good images called OK, as the configuration says",
        IMAGES,
        moved(f"{TILE}/train/good", f"{TILE}/train/OK"),
        changes={"dataset__params": {"good": ["good", "OK"]}},
        alters=ALL,
    ),
    Fault(
        "no good image to test",
        IMAGES,
        removed(f"{TILE}/test/good"),
        loses=frozenset({"test/good/0.png", "test/good/1.jpg"}),
        then=lambda place: warned("no test image is good"),
    ),
    Fault(
        "masks among photographs without labels",
        FOLDER,
        lambda place: draw_mask("photographs/masks/a.png"),
        r"photographs/masks contains masks, .*; set dataset\.params\.leave_out to \['masks'\]",
    ),
)

CONFIGURATIONS = (
    Fault(
        "key that does not exist",
        IMAGES,
        nothing,
        r"unknown key 'rot' in 'dataset'; did you mean 'root'\?",
        changes={"dataset__rot": "images"},
    ),
    Fault(
        "layout that does not exist",
        IMAGES,
        nothing,
        r"'mvtek'.*; did you mean 'mvtec'\?",
        changes={"dataset__layout": "mvtek"},
    ),
    Fault(
        "layout of a user's own images without a root",
        IMAGES,
        nothing,
        r"dataset.layout 'mvtec' needs dataset.root, the folder of the images",
        changes={"dataset__root": None},
    ),
    Fault(
        "parameter that the layout does not have",
        IMAGES,
        nothing,
        r"dataset.params.*'split'",
        changes={"dataset__params": {"split": "1cls"}},
    ),
)

UNLABELLED = (
    Fault(
        "folder without images",
        FOLDER,
        emptied("photographs"),
        r"photographs and its sub-folders contain no image to inspect \(.*\); set dataset.root",
    ),
    Fault(
        "folder that does not exist",
        FOLDER,
        moved("photographs", "elsewhere"),
        r"the folder photographs does not exist; set dataset.root",
    ),
    Fault(
        "folder that is a table",
        FOLDER,
        written("parts.csv", "path\nphotographs/a.png\n"),
        r"parts\.csv is a file; set dataset.root to the folder of the images, or dataset.layout to 'csv'",
        changes={"dataset__root": "parts.csv"},
    ),
    Fault(
        "folder of references that does not exist",
        FOLDER,
        moved("good", "better"),
        r"the folder good does not exist; set dataset.params.references",
    ),
    Fault(
        "folder of references without images",
        FOLDER,
        emptied("good"),
        r"the folder of references good has no image \(.*\); put normal images there",
    ),
    Fault(
        "folder of references around the images to inspect",
        FOLDER,
        nothing,
        (
            r"the folder of references \. also contains the images to inspect in photographs; set "
            r"dataset.params.references"
        ),
        changes={"dataset__params": {"references": "."}},
    ),
    Fault(
        "link in a folder to the folder around it",
        FOLDER,
        lambda place: Path("photographs/line 2/all").symlink_to(".."),
    ),
)

FAULTS: tuple[Fault, ...] = (*CATEGORIES, *ROOTS, *SLIPS, *CONFIGURATIONS, *UNLABELLED)
