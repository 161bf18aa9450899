"""The training of each method whose scores depend on learned weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zsad.data.subsets import synthetic_subset
from zsad.files.training_facts import NOTES, TRAINING, single_trainings, training_notes
from zsad.reporting.contents import Contents, Section
from zsad.reporting.evaluations import Evaluation, key_of
from zsad.reporting.settings_in_words import setting_meaning
from zsad.tables.training_words import training_in_words


def section(contents: Contents) -> Section | None:
    """Every trained method; None if there is none."""
    trained = trained_methods(contents)
    return Section("training.html.jinja", {"methods": trained}, "training", "Training") if trained else None


def trained_methods(contents: Contents) -> dict[str, dict[str, Any]]:
    """Facts about each trained method, by display name, over all categories."""
    found: dict[str, list[Evaluation]] = {}
    for result in contents.results:
        if result.get(TRAINING):
            found.setdefault(contents.names[key_of(result)], []).append(result)
    return {name: _describe(results) | {"made": _made_images(contents, results[0])} for name, results in found.items()}


def _made_images(contents: Contents, result: Evaluation) -> str:
    """The subset of synthetic images that a method is trained on; empty if there are none."""
    method = contents.configuration.get("methods", {}).get(result["method"], {})
    params = method.get("params", {})
    if params.get("learns_from") != "synthetic":
        return ""
    return synthetic_subset(params["shots"], params["seed"], params["synthetic_images"], params["recipes"])


def trained_on_references(contents: Contents) -> list[str]:
    """The methods that are trained on references of the objects under test, by display name."""
    return list(
        dict.fromkeys(
            contents.names[key_of(result)]
            for result in contents.results
            for _, single in single_trainings(result.get(TRAINING) or {})
            if not single.get("trained_on")
        )
    )


def trained_here_on(results: Iterable[Evaluation]) -> list[str]:
    """The data sets with labelled defects that methods are trained on in this run, sorted."""
    singles = (single for result in results for _, single in single_trainings(result.get(TRAINING) or {}))
    return sorted({str(single["trained_on"]) for single in singles if single.get("trained_on")})


def _describe(results: list[Evaluation]) -> dict[str, Any]:
    trainings = [result[TRAINING] for result in results]
    singles = [single for training in trainings for _, single in single_trainings(training)]
    key = key_of(results[0])
    return {
        "setting": key.setting,
        "meaning": setting_meaning(key.setting),
        "words": training_in_words(trainings),
        "parameters": sorted({int(single["parameters"]) for single in singles if single.get("parameters") is not None}),
        "once": len({str(single.get("weights_sha256")) for single in singles}) == 1,
        "categories": len(results),
        NOTES: list(dict.fromkeys(note for training in trainings for note in training_notes(training))),
    }
