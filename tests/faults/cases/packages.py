"""Data sets that come as Python packages: the package, its table of labels, and how many images are drawn from it."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cases.sound import SHORT
from damages import appended, draw, edited, nothing, removed, written
from fault import ALL, CHECK, Damage, Fault, Place, Sound
from file_server import FileServer

LABELS = "cells/labels.csv"
FIRST = "images/cell0001.png  0.0                 mono"
SMALL = {"train": 2, "good": 2, "defective": 2}


def _cells(server: FileServer) -> None:
    """Five good cells of either type, two defective ones, and one of which nobody is sure."""
    probabilities = [*["0.0"] * 5, "1.0", "1.0", "0.3333333333333333"]
    lines = []
    for index, (cell_type, probability) in enumerate(
        [(kind, p) for kind in ("mono", "poly") for p in probabilities], 1
    ):
        draw(f"cells/images/cell{index:04}.png", seed=index)
        lines.append(f"images/cell{index:04}.png  {probability:18}  {cell_type}\n")
    Path(LABELS).write_text("".join(lines))


def _textiles(server: FileServer) -> None:
    for kind, count in (("nominal", 5), ("local", 2), ("global", 2)):
        for index in range(count):
            draw(f"weaves/{kind}/textile_{index:04}.jpg", seed=len(kind) * 10 + index, quality=95)


CELLS = Sound("cells", _cells, {"layout": "elpv", "root": "cells", "categories": ["mono"]}, SHORT)
WEAVES = Sound("weaves", _textiles, {"layout": "textile", "root": "weaves"}, SHORT)
PACKAGED = Sound(
    "packaged cells", lambda server: None, {"layout": "elpv", "params": SMALL, "categories": ["poly"]}, SHORT
)


class _Version:
    """A package as it is installed, but of another version."""

    def __init__(self, name: str, version: str | None) -> None:
        self._found = distribution(name)
        self.metadata = Message()
        if version:
            self.metadata["Version"] = version

    def locate_file(self, path: str) -> object:
        return self._found.locate_file(path)


def absent(place: Place) -> None:
    """Have no package be installed."""

    def found(name: str) -> object:
        raise PackageNotFoundError(name)

    place.patched().setattr("zsad.data.packages.distribution", found)


def of_version(version: str | None) -> Damage:
    """Have every package be of a version; None for one whose metadata do not say."""
    return lambda place: place.patched().setattr(
        "zsad.data.packages.distribution", lambda name: _Version(name, version)
    )


def hollow(place: Place) -> None:
    """Have packages be installed without their files."""
    version = _Version("elpv-dataset", "1.0.0.post1")
    version.locate_file = lambda path: Path("site-packages", path)
    place.patched().setattr("zsad.data.packages.distribution", lambda name: version)


def with_carriage_returns_and_mark(place: Place) -> None:
    Path(LABELS).write_bytes(b"\xef\xbb\xbf" + Path(LABELS).read_bytes().replace(b"\n", b"\r\n"))


def encoded(name: str) -> Damage:
    return lambda place: Path(LABELS).write_bytes(Path(LABELS).read_text().encode(name))


PACKAGE = (
    Fault(
        "package that is not installed",
        PACKAGED,
        absent,
        (
            r"^ELPV comes as the Python package elpv-dataset, which is not installed .* `pip install "
            r'"zsad\[elpv\]"`, or set'
        ),
    ),
    Fault(
        "package without its images",
        PACKAGED,
        hollow,
        r"the package elpv-dataset 1\.0\.0\.post1 is installed without .*/elpv_dataset/data; install it again",
    ),
    Fault("package of another version", PACKAGED, of_version("9.9"), alters=CHECK),
)

TABLE = (
    Fault("cells without their table", CELLS, removed(LABELS), r"^cells has no table labels\.csv in it, as ELPV must"),
    Fault(
        "table of cells of no bytes",
        CELLS,
        written(LABELS, ""),
        r"^the table cells/labels\.csv lists no image; restore",
    ),
    Fault("table of cells in UTF-16", CELLS, encoded("utf-16"), r"labels\.csv is not text in UTF-8; restore"),
    Fault("table of cells by Windows", CELLS, with_carriage_returns_and_mark),
    Fault(
        "table of cells with a fourth column",
        CELLS,
        appended(LABELS, "images/cell0017.png 1.0 poly 3\n"),
        r"labels\.csv, line 17 has 4 columns",
    ),
    Fault(
        "table of cells with another type",
        CELLS,
        edited(LABELS, FIRST, "images/cell0001.png 0.0 mona"),
        r"labels\.csv, line 1: there is no cell type 'mona'; did you mean 'mono'\?; restore",
    ),
    Fault(
        "table of cells with a probability that is no number",
        CELLS,
        edited(LABELS, FIRST, "images/cell0001.png 0,5 mono"),
        r"labels\.csv, line 1: the probability '0,5' is not a number; restore",
    ),
    Fault(
        "table of cells with another probability",
        CELLS,
        edited(LABELS, FIRST, "images/cell0001.png 0.5 mono"),
        r"labels\.csv, line 1: the defect probability is 0\.5, not one of 0, 1/3, 2/3, 1; restore",
    ),
    Fault(
        "table of cells with a path out of its folder",
        CELLS,
        edited(LABELS, FIRST, "images/../../cell0001.png 0.0 mono"),
        (r"labels\.csv, line 1: the image images/../../cell0001\.png is outside the folder of the table; " r"restore"),
    ),
    Fault(
        "table of cells with one twice",
        CELLS,
        appended(LABELS, "images/./cell0001.png 1.0 mono\n"),
        r"labels\.csv, line 17: images/cell0001\.png is already in an earlier line",
    ),
    Fault(
        "cell that is not there",
        CELLS,
        removed("cells/images/cell0001.png"),
        r"labels\.csv lists images/cell0001\.png, but there is no image cells/images/cell0001\.png; restore it",
    ),
    Fault("cell that is left out and not there", CELLS, removed("cells/images/cell0008.png")),
    Fault(
        "label that was changed", CELLS, edited(LABELS, FIRST, FIRST.replace("0.0", "1.0")), alters=ALL, finished=True
    ),
    Fault(
        "table of cells that goes during a run",
        CELLS,
        removed(LABELS),
        r"the table cells/labels\.csv does not exist; restore",
        before="build_manifest",
    ),
)

DRAWS = (
    Fault(
        "more good cells than there are",
        CELLS,
        nothing,
        r"^dataset\.params\.train: 3 and dataset\.params\.good: 3 ask for more good images of .* 'mono' than the 5 in",
        changes={"dataset__params": {"train": 3, "good": 3}},
    ),
    Fault(
        "more defective cells than there are",
        CELLS,
        nothing,
        r"^dataset\.params\.defective: 3 asks for more defective images of .* than the 2 in cells; lower it",
        changes={"dataset__params": {"defective": 3}},
    ),
    Fault(
        "more defective textiles than there are of a kind",
        WEAVES,
        nothing,
        r"^dataset\.params\.defective: 5 asks for more .* 'textile', 3 of each type, than the 2 in weaves; lower it",
        changes={"dataset__params": {"defective": 5}},
    ),
    Fault(
        "draw of nothing",
        CELLS,
        nothing,
        r"^dataset\.params: good and defective are both 0, so that there would be no test images",
        changes={"dataset__params": {"good": 0, "defective": 0}},
    ),
    Fault(
        "draw by an unknown parameter",
        WEAVES,
        nothing,
        r"^dataset\.params: unknown parameter 'defectiv'; did you mean 'defective'\?",
        changes={"dataset__params": {"defectiv": 2}},
    ),
    Fault(
        "textiles without a kind of defect",
        WEAVES,
        removed("weaves/global"),
        (r"^weaves/global has no images, but the simulated textiles have images in each of nominal, " r"local, global"),
    ),
    Fault(
        "textiles without good ones",
        WEAVES,
        removed("weaves/nominal"),
        r"^weaves has no folder 'nominal' beside 'local' and 'global'",
    ),
)

FAULTS = (*PACKAGE, *TABLE, *DRAWS)
