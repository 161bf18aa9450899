"""The facts about a training that accompany its results in models, scores, evaluations and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from zsad.files.learned import weights_sha256

if TYPE_CHECKING:
    from zsad.files.learned import Learned

TRAINING: Final = "training"  # its key in provenance and evaluations
MEMBERS: Final = "members"  # key of the trainings of several methods, by their names
NOTES: Final = "notes"  # key of sentences on what could not be learned
_TOLD = ("seed", "steps", "loss", "held_out", "parameters", "trained_on", NOTES)


def training_of(learned: Learned) -> dict[str, Any]:
    """The facts about learned weights.

    ``"seed"``, ``"steps"``, ``"loss"`` (at the end), ``"held_out"`` (the loss on held-out data), ``"parameters"``
    (their number), ``"trained_on"``, ``"notes"``, as far as known, and ``"weights_sha256"`` from
    `zsad.files.learned.weights_sha256`.
    """
    told = {name: learned.facts[name] for name in _TOLD if learned.facts.get(name) not in (None, [])}
    return {**told, "weights_sha256": weights_sha256(learned.tensors)}


def trainings_together(trainings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The facts about scores that combine several methods; empty if none of these was trained."""
    trained = {name: dict(training) for name, training in trainings.items() if training}
    return {MEMBERS: trained} if trained else {}


def single_trainings(training: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each training behind a result, with the name of the member that was trained; empty for the method itself."""
    members = training.get(MEMBERS)
    if not isinstance(members, Mapping):
        if training:
            yield "", training
        return
    for name, inner in members.items():
        for within, single in single_trainings(inner):
            yield within or name, single


def training_notes(training: Mapping[str, Any]) -> list[str]:
    """Remarks on what could not be learned, a sentence each, without repetitions."""
    notes = (str(note) for _, single in single_trainings(training) for note in single.get(NOTES, ()))
    return list(dict.fromkeys(notes))
