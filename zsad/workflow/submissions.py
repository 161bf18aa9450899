"""Limits of the LSF plugin for Snakemake: it makes a folder with all wildcards of a submission, and quotes no path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zsad.data.subsets import synthetic_named
from zsad.errors import ConfigError
from zsad.files.user_paths import shell_sign

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.data.subsets import FeatureSet
    from zsad.workflow.entries import MethodEntry
    from zsad.workflow.settings import Settings

LONGEST = 255  # bytes of a file name
PREPARED = ("read_images", "build_manifest", "check_images")
DRAWN = {True: ("draw_gallery", "draw_plots"), False: ("draw_gallery", "draw_histograms")}  # with curves, or without


def check_folder_names(settings: Settings, name_of: Callable[[str], str] = str) -> None:
    """Check that the plugin can make its folders, to avoid an error of the operating system during the run.

    Args:
        name_of: returns the name of a rule in this run, which another workflow may change.

    Raises:
        ConfigError: names of a data set, category, backbone, method and so on are too long together, or a category's
            name contains a shell character.
    """
    for category in [category for data in settings.data_sets for category in data.categories]:
        if sign := shell_sign(category):
            raise ConfigError(
                f"the category '{category}' has {sign!r} in its name, which the shell that submits to LSF would "
                "misread; rename its folder"
            )
    for name in folder_names(settings, name_of):
        if (length := len(name.encode())) > LONGEST:
            raise ConfigError(
                f"names are too long for LSF, whose plugin makes a folder '{name}' of {length} characters, where "
                f"{LONGEST} are allowed; give the data set (dataset.name), the backbone (an entry of 'backbones') or "
                "the method a shorter one"
            )


def check_places(working: Path, workflow: Path) -> None:
    """Check that the shell that submits to LSF reads the folders' names correctly.

    Raises:
        ConfigError: it would misread them, and jobs would start elsewhere or not at all.
    """
    for what, folder in (("working folder", working), ("folder of the workflow", workflow)):
        if sign := shell_sign(folder):
            raise ConfigError(
                f"the {what} {folder} has {sign!r} in its path, which the shell that submits to LSF would misread; "
                "move or rename it"
            )


def folder_names(settings: Settings, name_of: Callable[[str], str] = str) -> Iterator[str]:
    """The longest folder name of each submission, by category; see `submission` in rules/cluster.smk."""
    for wildcards in _submitted(settings):
        yield _folder_name({name_of(step): names for step, names in wildcards.items()})


def _submitted(settings: Settings) -> Iterator[dict[str, dict[str, str]]]:
    """The steps of submissions with their wildcards."""
    for method in settings.trained_methods:
        yield {"train_method": {"dataset": settings.dataset, "method": method}}
    for data, feature_sets in settings.read_features:
        for category in data.categories:
            yield from _computed(settings, data, category, feature_sets)
    for category in settings.categories:
        place = {"dataset": settings.dataset, "category": category}
        yield {"draw_thumbnails": place}
        for backbone, prompts in settings.asked_texts:
            yield {"encode_texts": {**place, "backbone": backbone, "prompts": prompts}}
        for support in settings.supports:
            yield {"draw_support_thumbnails": {**place, "support": support}}
        for name, entry in settings.classifiers.items():
            yield {"evaluate_classes": {**place, "classifier": name}}
            if entry.scores_support:
                yield {"score_support": {**place, "support": entry.support, "method": entry.method}}
        for method in settings.methods:
            of_method = {**place, "method": method}
            if settings.methods[method].learns_elsewhere:
                yield {"check_unseen": of_method}
            yield dict.fromkeys(_scoring_steps(settings.methods[method]), of_method)
            gallery, plots = DRAWN[settings.measurable.has_curves(category)]
            yield {gallery: of_method, plots: place}
            yield {"export_results": of_method}
            for refiner in settings.refiners:
                yield {"evaluate_masks": {**of_method, "refiner": refiner}}


def _computed(
    settings: Settings, data: Dataset, category: str, feature_sets: Iterable[tuple[str, FeatureSet]]
) -> Iterator[dict[str, dict[str, str]]]:
    """The steps up to the features of a category, of the data set under test or the auxiliary one."""
    place = {"dataset": data.name, "category": category}
    yield dict.fromkeys((*(("make_demo",) if data.is_demo else ()), *PREPARED), place)
    for backbone, features in feature_sets:
        if synthetic_named(features.subset):
            yield {"make_synthetic": {**place, "subset": features.subset}}
        step = "join_features" if settings.backbones[backbone].members else "extract_features"
        yield {step: {**place, "backbone": backbone, **features._asdict()}}


def _scoring_steps(entry: MethodEntry) -> tuple[str, str]:
    """The two steps in the submission of a method's scores."""
    if entry.refiner:
        return "modulate_scores", "adopt_decisions"
    return "fuse_scores" if entry.members else "score_images", "decide_images"


def _folder_name(wildcards: Mapping[str, Mapping[str, str]]) -> str:
    """The folder that `snakemake_executor_plugin_lsf.Executor.run_job` (0.3.3) makes for a group."""
    return "..".join(f"{step}__{name}={value}" for step, names in wildcards.items() for name, value in names.items())
