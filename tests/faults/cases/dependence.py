"""Lists of images and manifests that somebody changes, which a run neither believes nor keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cases.sound import FOLDER, IMAGES
from damages import HTML, cut, edited, in_turn, removed, written
from fault import Damage, Fault, Place, Sound, recover

IMAGE_LIST, MANIFEST, UNREADABLE = (f"results/t/tile/{name}.csv" for name in ("images", "manifest", "unreadable"))
PHOTOGRAPHS = "results/t/photographs"
CHANGED = "was changed after it was made"
IN_THE_DATA_SET = "labels come from the data set itself: correct them there; delete it and run again"


def with_lines(path: str, change: Callable[[list[str]], list[str]]) -> Damage:
    """Change the lines of a text; the first has the names of the columns."""

    def damage(place: Place) -> None:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        Path(path).write_text("\n".join(change(lines)) + "\n", encoding="utf-8")

    return damage


def meanwhile(name: str, path: str, damage: Damage, said: str, before: str, sound: Sound = IMAGES) -> Fault:
    """A table that is changed in the middle of a run; the sentence asks to delete it."""
    fix = in_turn(removed(path), recover)
    return Fault(name, sound, damage, rf"{path} {said}", fix=fix, before=before)


def afterwards(name: str, path: str, damage: Damage, sound: Sound = IMAGES) -> Fault:
    """A table that is changed after a run; the next makes it again, and keeps what was changed."""
    kept = Path(path).with_stem(f"{Path(path).stem}.changed")

    def then(place: Place) -> None:
        assert kept.exists()

    return Fault(name, sound, damage, tells=rf"^{path} {CHANGED}, and is put aside", finished=True, then=then)


OF_IMAGES = {
    "list of images with another split": edited(IMAGE_LIST, ",test,", ",train,"),
    "list of images with another size": edited(IMAGE_LIST, ",32,40,", ",40,32,"),
    "list of images that lacks a line": with_lines(IMAGE_LIST, lambda lines: [*lines[:3], *lines[4:]]),
    "list of images that lacks its end": with_lines(IMAGE_LIST, lambda lines: lines[:-2]),
    "list of images that lacks all lines": with_lines(IMAGE_LIST, lambda lines: lines[:1]),
    "list of images with a line twice": with_lines(IMAGE_LIST, lambda lines: [*lines, lines[-1]]),
    "list of images with two lines swapped": with_lines(
        IMAGE_LIST, lambda lines: [lines[0], *lines[2:0:-1], *lines[3:]]
    ),
    "list of images without digests": with_lines(IMAGE_LIST, lambda lines: [line.rpartition(",")[0] for line in lines]),
}
OF_LABELS = {
    "manifest with another label": edited(MANIFEST, ",test,0,good,", ",test,1,hole,"),
    "manifest with another type of defect": edited(MANIFEST, ",crack,", ",scratch,"),
    "manifest without masks": edited(MANIFEST, "images/tile/ground_truth/crack/0_mask.png", ""),
    "manifest sorted the other way": with_lines(MANIFEST, lambda lines: [lines[0], *lines[:0:-1]]),
    "manifest that is truncated": cut(MANIFEST, 0.7),
}

FAULTS: tuple[Fault, ...] = (
    *(meanwhile(name, IMAGE_LIST, damage, CHANGED, "extract_features") for name, damage in OF_IMAGES.items()),
    *(
        meanwhile(name, MANIFEST, damage, f"{CHANGED}; {IN_THE_DATA_SET}", "evaluate_scores")
        for name, damage in OF_LABELS.items()
    ),
    meanwhile(
        "list of images that is saved with other separators",
        IMAGE_LIST,
        edited(IMAGE_LIST, ",", ";"),
        "is not a valid list of images",
        "refine_masks",
    ),
    meanwhile(
        "list of unreadable images with a line more",
        f"{PHOTOGRAPHS}/unreadable.csv",
        with_lines(f"{PHOTOGRAPHS}/unreadable.csv", lambda lines: [*lines, "photographs/a.png,it is blurred"]),
        CHANGED,
        "check_images",
        FOLDER,
    ),
    afterwards("label corrected in the manifest", MANIFEST, OF_LABELS["manifest with another label"]),
    afterwards("manifest without a column", MANIFEST, edited(MANIFEST, ",sha256", ",sha")),
    afterwards("page of a web server in place of the manifest", MANIFEST, written(MANIFEST, HTML)),
    afterwards("line removed from the list of images", IMAGE_LIST, OF_IMAGES["list of images that lacks a line"]),
    afterwards("line added to the unreadable images", UNREADABLE, written(UNREADABLE, "path,reason,digest\na,b,c\n")),
)
