"""The command that checks a configuration and its images."""

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
    """Print the configuration and the properties of its images; return 1 if a run would stop because of them."""
    if Path("Snakefile").is_file():  # the run uses this clone, even if the command is installed elsewhere
        check_workflow_folder(Path.cwd())
    settings = load(*options.configfile, dataset=_dataset_section(options.folder) if options.folder else {})
    _print_configuration(settings)
    _print_prompts(settings, whole=options.words)
    check_cache()
    for data in settings.data_sets:
        check_folders(data.name)
        check_writable(data.name)
    settings.check_models()
    kinds_stop = _print_examples(settings)
    checked = [data for data in settings.data_sets if _has_images(data)]
    if not checked:
        _print_clone_hint()
        return int(kinds_stop)
    from zsad.data.inspection_table import entry_lines, inspection_text
    from zsad.resources.feature_files import expected_cost

    found = {data.name: _inspections(settings, data, full=options.full) for data in checked}
    shared = [*_shared_images(checked), *(_images_of_weights(settings) if settings.data in checked else [])]
    print()
    for data in checked:
        _print_missing(data)
    under_test = found.pop(settings.dataset, [])
    auxiliary = [inspection for inspections in found.values() for inspection in inspections]
    print(inspection_text(under_test, expected_cost(settings, under_test, auxiliary), found))
    if shared:
        lines = [line for sentence in shared for line in entry_lines("problem", sentence)]
        print("\n" + "\n".join(["images in both training and test data", *lines]))
    _print_clone_hint()
    is_stopped = any(inspection.problems for inspection in (*under_test, *auxiliary))
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


def _has_images(data: Dataset) -> bool:
    """Whether the images of a data set exist; print a line if the run will generate them.

    Raises:
        DataError: they must be downloaded first.
    """
    if data.is_demo and not data.root.exists():
        which = "" if data.section == DATASET else f" '{data.name}' (for training)"
        print(f"\nThe run generates the images of the demo set{which}; until then there are none to check.")
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
    """Check the images of each selected category."""
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


def _print_missing(data: Dataset) -> None:
    """Print the categories of the published data set that are missing here."""
    from zsad.data.inspection import missing_categories

    if data.facts and (missing := missing_categories(data.facts, data.layout.categories(data.root))):
        print(f"{data.facts.title} was also published with {', '.join(missing)}; missing here\n")


def _shared_images(data_sets: Sequence[Dataset]) -> list[str]:
    """A sentence if test images are also training images; an empty list if none is."""
    if len(data_sets) < 2:
        return []
    from zsad.data.check_unseen import more_of, shared_files

    under_test, learned_from = (list(data.image_paths()) for data in data_sets)
    shared = shared_files(under_test, learned_from)
    if not shared:
        return []
    first, copy = shared[0]
    return [f"{first} is under test, and {copy}, which is for training, is the same image{more_of(shared)}"]


def _images_of_weights(settings: Settings) -> list[str]:
    """A sentence for each file of weights that was trained on test images."""
    from zsad.data.check_unseen import files_learned_from, learned_images, more_of
    from zsad.files.learned import read_facts

    read = (entry for entry in settings.methods.values() if entry.learns_elsewhere and not entry.is_trained)
    found = []
    for path in dict.fromkeys(Path(entry.learned_files["weights"]) for entry in read):
        shared = files_learned_from(settings.data.image_paths(), learned_images(read_facts(path), path))
        if shared:
            found.append(f"{shared[0]} is under test, and {path} was trained on the same image{more_of(shared)}")
    return found


def _print_examples(settings: Settings) -> bool:
    """Print the labelled examples of classifiers, as far as they are known; return whether a run would stop."""
    if not settings.classifiers or not settings.data.is_here:
        return False
    from zsad.cli.kinds import report_examples

    report = report_examples(settings)
    print("\nexamples of defect types")
    print("\n".join(report.lines))
    return report.stops


def _print_prompts(settings: Settings, *, whole: bool) -> None:
    """Print the text prompts of the methods."""
    if not settings.asked_texts:
        return
    from zsad.cli.asking import prompt_lines

    print("\ntext prompts")
    print("\n".join(prompt_lines(settings, whole=whole)))


def _print_clone_hint() -> None:
    if not (WORKFLOW_PATH.is_file() or Path(WORKFLOW_PATH.name).is_file()):
        print("\nA run needs the Snakefile and its rules, which are not in this package: run it in a clone.")


def _dataset_section(folder: Path) -> Mapping[str, Any]:
    """The section ``dataset`` for a folder whose layout is guessed."""
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
        print(f"classifier {', '.join(settings.classifiers)}")
    for name, method in settings.classifiers_left_out.items():
        print(f"left out   {name}: it uses the maps of '{method}', which is left out")
    if settings.segmenters:
        print(f"segmenters {', '.join(settings.segmenters)}")
    if settings.sharing.root:
        print(f"shared     {settings.sharing.described()}")
