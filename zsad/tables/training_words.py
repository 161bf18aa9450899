"""The column ``training`` of metrics.csv: a short description of the training of a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zsad.files.training_facts import single_trainings

DIGITS = 12  # of a SHA-256, enough to distinguish weights


def training_in_words(trainings: Iterable[Mapping[str, Any]]) -> str:
    """Describe trainings, e.g. ``"seed 0, 1000 steps, on visa, weights 3f9a1c0b2d4e"``; empty if there are none.

    For several trainings, as behind a mean over seeds or categories, the text has all seeds, the least and greatest
    number of steps if these differ, and the weights if all have the same.

    Args:
        trainings: of `zsad.files.training_facts`, one for each result; those of a fusion are listed by member.
    """
    by_member: dict[str, list[Mapping[str, Any]]] = {}
    for training in trainings:
        for member, single in single_trainings(training):
            by_member.setdefault(member, []).append(single)
    return "; ".join(
        f"{member}: {words}" if member else words
        for member, words in ((member, _together(singles)) for member, singles in by_member.items())
        if words
    )


def _together(trainings: Iterable[Mapping[str, Any]]) -> str:
    """Describe the trainings of one method."""
    known = list(trainings)
    parts = (
        _seeds(_whole(known, "seed")),
        _steps(_whole(known, "steps")),
        _same("on", known, "trained_on"),
        _same("weights", known, "weights_sha256")[: len("weights ") + DIGITS],
    )
    return ", ".join(filter(None, parts))


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else ""


def _steps(steps: list[int]) -> str:
    if not steps:
        return ""
    span = f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else f"{steps[0]}"
    return f"{span} step{'' if steps == [1] else 's'}"


def _whole(trainings: Iterable[Mapping[str, Any]], name: str) -> list[int]:
    """Each of the numbers once, in order."""
    return sorted({int(training[name]) for training in trainings if training.get(name) is not None})


def _same(word: str, trainings: list[Mapping[str, Any]], name: str) -> str:
    """The common text of all trainings; empty if they differ."""
    values = {str(training.get(name) or "") for training in trainings}
    return f"{word} {values.pop()}" if len(values) == 1 and "" not in values else ""
