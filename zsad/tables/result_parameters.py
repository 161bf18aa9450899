"""The parameters of a method of a finished run, as flat names and values, from the provenance of its results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from zsad.files.hdf5 import read_provenance
from zsad.files.json_values import canonical_json
from zsad.tables.finished_run import FinishedRun

_SCORED_BY = ("scorer", "fusion", "image_scoring", "training", "number_format")
_MODEL = ("id", "revision", "dtype")
_SHORT = 12  # letters of a digest, enough to distinguish codes
_VERSIONS = ("zsad", "torch", "transformers", "numpy")


def result_parameters(run: FinishedRun, method: str) -> dict[str, Any]:
    """The parameters of a method of a run, e.g. ``{"backbone": "dinov2", "scorer.params.shots": 4}``.

    They are read from the first category; all categories have the same. Those of the backbone need its features, which
    may be deleted after a run. ``code.scores`` and ``code.evaluation`` are digests of the code that made the results;
    they differ if another commit changed that code.

    Args:
        method: one with an evaluation of its own; a mean over seeds has none.

    Raises:
        DataError: a result is missing or damaged.
    """
    category = run.categories[0]
    evaluation = run.evaluation(category, method)
    provenance = evaluation.get("provenance", {})
    scores, decisions = provenance.get("scores", {}), provenance.get("decisions", {})
    parameters: dict[str, Any] = {name: evaluation[name] for name in ("backbone", "setting", "protocol")}
    parameters |= {f"backbone.{name}": value for name, value in _flat(_backbone(run, category, evaluation))}
    model = scores.get("model", {})
    parameters |= dict(_flat({"model": {name: model.get(name) for name in _MODEL}}))
    parameters |= dict(_flat({name: scores[name] for name in _SCORED_BY if name in scores}))
    parameters |= dict(_flat({"threshold": decisions.get("threshold_rule", {})}))
    parameters |= dict(_flat({"evaluation": provenance.get("params", {}).get("options", {})}))
    for stage, recorded in (("scores", scores), ("evaluation", provenance)):
        if code := recorded.get("code"):
            parameters[f"code.{stage}"] = hashlib.sha256(canonical_json(code).encode()).hexdigest()[:_SHORT]
    versions = provenance.get("versions", {})
    return parameters | {f"version.{name}": versions[name] for name in _VERSIONS if name in versions}


def changed_parameters(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The parameters that differ, with both values; None for a missing one."""
    names = dict.fromkeys([*first, *second])
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}


def _backbone(run: FinishedRun, category: str, evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of the backbone, from the features of the test images; empty if these were deleted."""
    features = sorted((run.folder / category / "features" / str(evaluation["backbone"])).glob("test.*.h5"))
    return read_provenance(features[0]).get("backbone", {}) if features else {}


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a mapping, by its path of names, joined by dots."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{before}{name}.")
        elif item is not None:
            yield f"{before}{name}", item
