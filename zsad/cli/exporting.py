"""The command that exports existing results, without a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zsad.data.image_list import read_image_list
from zsad.errors import DataError
from zsad.exporting.export_results import ABOUT, TIMESTAMP, export_results, names_digest
from zsad.exporting.options import ExportOptions
from zsad.exporting.registry import FORMATS
from zsad.files.json_files import read_json
from zsad.names import NO_REFINER
from zsad.reporting.options import ReportOptions

DEFAULT_REFINER = "guided"
DEFAULT_FOLDER = Path("exports")


class Result(NamedTuple):
    """The scores of a category by a method, and the files that belong to them."""

    scores: Path

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.scores.stem

    @property
    def category(self) -> Path:
        """The folder of the category."""
        return self.scores.parent.parent

    @property
    def image_list(self) -> Path:
        """The list of images."""
        return self.category / "images.csv"

    @property
    def decisions(self) -> Path:
        """The file of decisions."""
        return self.category / "decisions" / self.scores.name

    def refiners(self) -> dict[str, Path]:
        """The existing masks, by the name of the refiner."""
        paths = sorted((self.category / "masks").glob("*.h5"))
        names = (path.stem.split(".", 1) for path in paths)
        found = zip(names, paths, strict=True)
        return {name[1]: path for name, path in found if len(name) == 2 and name[0] == self.method}

    def photograph(self, path: str) -> Path:
        """The path of a listed photograph: relative to the working folder, or to the folder that holds ``results``."""
        root = self.category.resolve().parents[2] if len(self.category.resolve().parents) > 2 else Path()
        return next((place for place in (Path(path), root / path) if place.exists()), Path(path))


def export(options: argparse.Namespace) -> None:
    """Write the exports of one score file, or of all that a folder of results holds, and print where they are.

    Raises:
        ConfigError: there is no such format or colour map.
        DataError: results, decisions, masks or photographs are missing, or the output folder holds something else.
    """
    formats = ExportOptions.build({"formats": options.formats} if options.formats else {}, where="zsad export").formats
    colormap = ReportOptions.build({"colormap": options.colormap}, where="zsad export").colormap
    results = find_results(options.results)
    planned = [(result, masks_of(result, options.refiner), place) for result, place in _places(results, options)]
    for result, _, folder in planned:
        require_replaceable(folder)
        _require_decisions(result)
        if any(FORMATS.load(name).needs_photographs for name in formats):
            _require_photographs(result)
    for result, (refiner, masks), folder in planned:
        export_results(
            image_list=result.image_list,
            scores=result.scores,
            decisions=result.decisions,
            masks=masks,
            formats=formats,
            colormap=colormap,
            folder=folder,
            title=f"{result.category.resolve().name} by {result.method}",
            provenance={"stage": "zsad export", "refiner": refiner},
            place_of=result.photograph,
        )
        print(f"{folder} ({'thresholded maps' if masks is None else f'masks by {refiner}'})", flush=True)


def find_results(place: Path) -> list[Result]:
    """Find the results in a place: a score file, the folder of a category or data set, or the folder of all results.

    Raises:
        DataError: there are none.
    """
    hint = "give results/<name>/<category>/scores/<method>.h5, or one of the folders above it"
    if place.is_file():
        if place.parent.name != "scores" or place.suffix != ".h5":
            raise DataError(f"{place} is not in the folder of the scores of a run; {hint}")
        return [Result(place)]
    if not place.is_dir():
        raise DataError(f"{place} does not exist; {hint}")
    inside = ("*.h5",) if place.name == "scores" else ("scores/*.h5", "*/scores/*.h5", "*/*/scores/*.h5")
    found = next((paths for pattern in inside if (paths := sorted(place.glob(pattern)))), [])
    if not found:
        raise DataError(f"{place} contains no scores (scores/*.h5); run `snakemake scores` first, or {hint}")
    return [Result(path) for path in found]


def masks_of(result: Result, refiner: str | None) -> tuple[str, Path | None]:
    """The refiner and its masks; if none is named, those of `DEFAULT_REFINER` if they exist.

    Raises:
        DataError: the named refiner has no masks.
    """
    there = result.refiners()
    wanted = refiner or (DEFAULT_REFINER if DEFAULT_REFINER in there else NO_REFINER)
    if wanted == NO_REFINER:
        return wanted, None
    if wanted not in there:
        names = ", ".join([*there, NO_REFINER])
        raise DataError(f"{result.scores} has no masks by '{wanted}'; run `snakemake masks`, or choose from: {names}")
    return wanted, there[wanted]


def require_replaceable(folder: Path) -> None:
    """Refuse to overwrite files that no export wrote, or that were changed since.

    Raises:
        DataError: the folder holds such files; the message names one.
    """
    fix = "move it away, or choose another folder with --out"
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise DataError(f"{folder} is a file, but the export needs a folder; {fix}")
    if not any(folder.iterdir()):
        return
    about = folder / ABOUT
    if not about.is_file():
        raise DataError(f"{folder} contains other files than an export, which would be lost; {fix}")
    if (folder / TIMESTAMP).exists():
        raise DataError(f"{folder} belongs to the workflow, which would not notice; choose another folder with --out")
    if read_json(about).get("names") != names_digest(folder):
        raise DataError(f"files in {folder} were added or removed after the export; {fix}")
    made = about.stat().st_mtime_ns
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path.lstat().st_mtime_ns > made:
            raise DataError(f"{path} was changed after the export; the changes would be lost; {fix}")


def _places(results: list[Result], options: argparse.Namespace) -> Iterator[tuple[Result, Path]]:
    """Yield the results with the output folder of each."""
    for result in results:
        if options.out is None:
            yield result, DEFAULT_FOLDER.joinpath(*result.category.resolve().parts[-2:], result.method)
        elif options.results.is_file():
            yield result, options.out.resolve()
        else:
            inside = result.category.resolve().relative_to(options.results.resolve().parent)
            yield result, options.out.resolve() / inside / result.method


def _require_decisions(result: Result) -> None:
    if not result.decisions.is_file():
        raise DataError(
            f"{result.scores} has no decisions ({result.decisions} is missing); run `snakemake decisions` first"
        )


def _require_photographs(result: Result) -> None:
    for record in read_image_list(result.image_list):
        if record.split == "test" and not result.photograph(record.path).exists():
            raise DataError(
                f"the photograph {record.path} is missing; run the command in the folder of the workflow, or leave "
                "the overlays out, e.g. --formats masks maps csv"
            )
