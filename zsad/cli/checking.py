"""The check of a configuration and its images."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zsad.errors import DataError
from zsad.files.tracked import check_workflow_folder
from zsad.workflow.settings import WORKFLOW_PATH, Settings, load
from zsad.workflow.workplace import check_cache, check_folders, check_writable


def check(options: argparse.Namespace) -> int:
    """Print what the configuration asks for and what its images are like; 1 if a run would stop at them."""
    if Path("Snakefile").is_file():  # a clone that this command is not of, but the run is
        check_workflow_folder(Path.cwd())
    settings = load(*options.configfile, dataset=_guessed(options.folder) if options.folder else {})
    _print_configuration(settings)
    _tell_of_words(settings, whole=options.words)
    check_cache()
    check_folders(settings.dataset)
    check_writable(settings.dataset)
    settings.check_models()
    data = settings.data
    kinds_stop = _tell_of_kinds(settings)
    if data.is_demo and not data.root.exists():
        print("\nThe run draws the images of the demo set; until then there is none to check.")
        _tell_of_clone()
        return int(kinds_stop)
    if not data.is_here:
        is_by_hand = data.facts is not None and data.facts.is_by_hand
        fetch = f"`zsad download {data.layout_name}`" + (" says how to fetch it by hand" if is_by_hand else "")
        raise DataError(
            f"{data.layout_name} is not in {data.root} yet; "
            + (fetch if is_by_hand else f"fetch it ({fetch}, or the run does)")
            + ", or set dataset.root to where it is"
        )
    from zsad.data.inspection import inspect_category, missing_categories
    from zsad.data.inspection_table import inspection_text
    from zsad.resources.feature_files import expected_cost

    inspections = [
        inspect_category(
            data.layout,
            data.root,
            category,
            full=options.full,
            facts=data.facts,
            package=str(data.package or ""),
            policy=data.unreadable,
            bounds=settings.image_bounds(),
            refusals=settings.suitability().refusals(category),
        )
        for category in data.categories
    ]
    print()
    if data.facts and (missing := missing_categories(data.facts, data.layout.categories(data.root))):
        print(f"{data.facts.title} was also published with {', '.join(missing)}, of which nothing is here\n")
    print(inspection_text(inspections, expected_cost(settings, inspections)))
    _tell_of_clone()
    return int(kinds_stop or any(inspection.problems for inspection in inspections))


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
    package = f", of {settings.data.package}" if settings.data.package else ""
    where = f"{settings.data.layout_name} layout in {settings.data.root}{package}"
    print(f"data set   {settings.dataset} ({where})")
    if settings.data.is_here:
        print(f"categories {', '.join(settings.categories)}")
    print(f"backbones  {', '.join(settings.backbones)}")
    print(f"methods    {', '.join(settings.methods)}")
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
