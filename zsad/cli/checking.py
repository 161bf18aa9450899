"""The check of a configuration and its images."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.columns import aligned
from zsad.errors import DataError
from zsad.errors.sections import DATASET
from zsad.files.json_values import value_in_words
from zsad.files.tracked import check_workflow_folder
from zsad.workflow.settings import WORKFLOW_PATH, Settings, load
from zsad.workflow.workplace import check_cache, check_folders, check_writable

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.data.inspection import Inspection


def check(options: argparse.Namespace) -> int:
    """Print what the configuration asks for and what its images are like; 1 if a run would stop at them."""
    if Path("Snakefile").is_file():  # a clone that this command is not of, but the run is
        check_workflow_folder(Path.cwd())
    settings = load(*options.configfile, dataset=_guessed(options.folder) if options.folder else {})
    _print_configuration(settings)
    _tell_of_words(settings, whole=options.words)
    check_cache()
    for data in settings.data_sets:
        check_folders(data.name)
        check_writable(data.name)
    settings.check_models()
    kinds_stop = _tell_of_kinds(settings)
    looked_at = [data for data in settings.data_sets if _can_be_looked_at(data)]
    if not looked_at:
        _tell_of_clone()
        return int(kinds_stop)
    from zsad.data.inspection_table import entry_lines, inspection_text
    from zsad.resources.feature_files import expected_cost

    found = {data.name: _inspections(settings, data, full=options.full) for data in looked_at}
    shared = [*_shared_images(looked_at), *(_images_of_weights(settings) if settings.data in looked_at else [])]
    print()
    for data in looked_at:
        _tell_of_missing(data)
    under_test = found.pop(settings.dataset, [])
    learned_from = [inspection for inspections in found.values() for inspection in inspections]
    print(inspection_text(under_test, expected_cost(settings, under_test, learned_from), found))
    if shared:
        lines = [line for sentence in shared for line in entry_lines("problem", sentence)]
        print("\n" + "\n".join(["seen before", *lines]))
    _tell_of_clone()
    is_stopped = any(inspection.problems for inspection in (*under_test, *learned_from))
    return int(kinds_stop or is_stopped or bool(shared))


def sweep_lines(settings: Settings) -> list[str]:
    """The methods of a sweep, a line each with the values of its parameters; no line without a sweep."""
    lines = []
    for swept in settings.swept:
        rows = [
            ["method", *swept.columns],
            *(
                [name, *(value_in_words(values[column]) if column in values else "" for column in swept.columns)]
                for name, values in swept.entries.items()
            ),
        ]
        lines.append(f"swept      {swept.method}: {len(swept.entries)} methods")
        lines += [f"  {line}" for line in aligned(rows, swept.columns)]
    return lines


def _can_be_looked_at(data: Dataset) -> bool:
    """Whether there are images of a data set; it is said if they are drawn by the run.

    Raises:
        DataError: they must be downloaded first.
    """
    if data.is_demo and not data.root.exists():
        which = "" if data.section == DATASET else f" '{data.name}', which methods learn from"
        print(f"\nThe run draws the images of the demo set{which}; until then there is none to check.")
        return False
    if data.is_here:
        return True
    is_by_hand = data.facts is not None and data.facts.is_by_hand
    fetch = f"`zsad download {data.layout_name}`" + (" says how to fetch it by hand" if is_by_hand else "")
    raise DataError(
        f"{data.layout_name} is not in {data.root} yet; "
        + (fetch if is_by_hand else f"fetch it ({fetch}, or the run does)")
        + f", or set {data.section}.root to where it is"
    )


def _inspections(settings: Settings, data: Dataset, *, full: bool) -> list[Inspection]:
    """What the images of each wanted category are like."""
    from zsad.data.inspection import inspect_category

    return [
        inspect_category(
            data.layout,
            data.root,
            category,
            full=full,
            facts=data.facts,
            package=str(data.package or ""),
            policy=data.unreadable,
            bounds=settings.image_bounds(data.name),
            refusals=settings.suitability(data.name).refusals(category),
        )
        for category in data.categories
    ]


def _tell_of_missing(data: Dataset) -> None:
    """Print which categories a data set was published with that are not here."""
    from zsad.data.inspection import missing_categories

    if data.facts and (missing := missing_categories(data.facts, data.layout.categories(data.root))):
        print(f"{data.facts.title} was also published with {', '.join(missing)}, of which nothing is here\n")


def _shared_images(data_sets: Sequence[Dataset]) -> list[str]:
    """That images under test are also learned from; nothing if none is."""
    if len(data_sets) < 2:
        return []
    from zsad.data.check_unseen import more_of, shared_files

    under_test, learned_from = (list(data.image_paths()) for data in data_sets)
    shared = shared_files(under_test, learned_from)
    if not shared:
        return []
    first, copy = shared[0]
    return [f"{first} is under test, and {copy}, which is to be learned from, is the same image{more_of(shared)}"]


def _images_of_weights(settings: Settings) -> list[str]:
    """That images under test are among those that somebody's weights were learned from, for each such file."""
    from zsad.data.check_unseen import files_learned_from, learned_images, more_of
    from zsad.files.learned import read_facts

    read = (entry for entry in settings.methods.values() if entry.learns_elsewhere and not entry.is_trained)
    found = []
    for path in dict.fromkeys(Path(entry.learned_files["weights"]) for entry in read):
        shared = files_learned_from(settings.data.image_paths(), learned_images(read_facts(path), path))
        if shared:
            found.append(f"{shared[0]} is under test, and {path} was learned from the same image{more_of(shared)}")
    return found


def _tell_of_kinds(settings: Settings) -> bool:
    """Print what classifiers will be shown, as far as it is known; whether a run would stop at it."""
    if not settings.classifiers or not settings.data.is_here:
        return False
    from zsad.cli.kinds import tell_kinds

    told = tell_kinds(settings)
    print("\nexamples of kinds of defect")
    print("\n".join(told.lines))
    return told.stops


def _tell_of_words(settings: Settings, *, whole: bool) -> None:
    """Print what methods ask in words."""
    if not settings.asked_texts:
        return
    from zsad.cli.asking import asked_lines

    print("\nasked in words")
    print("\n".join(asked_lines(settings, whole=whole)))


def _tell_of_clone() -> None:
    if not (WORKFLOW_PATH.is_file() or Path(WORKFLOW_PATH.name).is_file()):
        print("\nA run needs the Snakefile and its rules, which this package does not hold: run it in a clone.")


def _guessed(folder: Path) -> Mapping[str, Any]:
    """The section ``dataset`` for a folder of which nothing else is known."""
    from zsad.data.guessing import guess_layout

    layout, root, categories = guess_layout(folder)
    return {"layout": layout, "root": root.as_posix(), "categories": categories or "all", "params": {}}


def _print_configuration(settings: Settings) -> None:
    for title, data in zip(("data set", "auxiliary"), settings.data_sets, strict=False):
        package = f", of {data.package}" if data.package else ""
        print(f"{title:<10} {data.name} ({data.layout_name} layout in {data.root}{package})")
        if data.is_here:
            print(f"categories {', '.join(data.categories)}")
    print(f"backbones  {', '.join(settings.backbones)}")
    print(f"methods    {', '.join(settings.methods)}")
    for line in sweep_lines(settings):
        print(line)
    if settings.trained_methods:
        print(f"trained    {', '.join(settings.trained_methods)}")
    for name, reason in settings.left_out.items():
        print(f"left out   {name}: {reason}")
    print(f"refiners   {', '.join(settings.refiners) or 'none'}")
    if settings.classifiers:
        print(f"kinds by   {', '.join(settings.classifiers)}")
    for name, method in settings.classifiers_left_out.items():
        print(f"left out   {name}: it reads the maps of '{method}', which is left out")
    if settings.segmenters:
        print(f"segmenters {', '.join(settings.segmenters)}")
    if settings.sharing.root:
        print(f"shared     {settings.sharing.described()}")
