"""Methods that are trained on an auxiliary data set: which one, and whether what they are given agrees with that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zsad.errors import ConfigError, DataError
from zsad.files.learned import read_facts, read_learned
from zsad.scoring.base import Scorer
from zsad.scoring.data_set_name import is_data_set_name
from zsad.scoring.trained import TrainedScorer
from zsad.workflow.entries import MethodEntry
from zsad.workflow.schema import Config


def with_origin(scorer: Scorer, name: str, config: Config, where: str) -> Scorer:
    """A scorer that says which data set it learns from: the auxiliary one, or that which its weights were learned from.

    Args:
        name: of the scorer.
        where: its place in the configuration, for messages.

    Raises:
        ConfigError: there is no such data set, it is called otherwise, or the weights are absent, damaged, or of
            another method.
    """
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return scorer
    if scorer.weights is not None:
        return scorer.model_copy(update={"trained_on": _origin_of_weights(scorer, Path(scorer.weights), where)})
    auxiliary = config.auxiliary
    if auxiliary is None:
        raise ConfigError(
            f"{where}: scorer '{name}' learns from the defects of another data set, and there is none; state it in the "
            f"section 'auxiliary', or give the file of an earlier training as {where}.params.weights"
        )
    if scorer.trained_on not in (None, auxiliary.data_set_name):
        raise ConfigError(
            f"{where}.params.trained_on is '{scorer.trained_on}', and the data set of the section 'auxiliary' is "
            f"'{auxiliary.data_set_name}'; leave trained_on out, or set auxiliary.name"
        )
    return scorer.model_copy(update={"trained_on": auxiliary.data_set_name})


def what_it_learns(scorer: Scorer) -> dict[str, Any]:
    """The attributes of a method's entry that say what it learns from another data set; none of most scorers."""
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return {}
    sets = scorer.training_sets() if scorer.weights is None else {}
    return {"training_sets": sets, "trained_on": scorer.trained_on or ""}


def check_weights(methods: Iterable[MethodEntry]) -> None:
    """Refuse files of weights whose tensors are damaged, which the facts alone do not show.

    Raises:
        ConfigError: there is one.
    """
    for method in methods:
        if method.learns_elsewhere and not method.is_trained:
            try:
                read_learned(Path(method.learned_files["weights"]))
            except DataError as error:
                raise ConfigError(f"{method.where}.params.weights: {error}") from None


def _origin_of_weights(scorer: TrainedScorer, path: Path, where: str) -> str:
    """The name of the data set that weights were learned from.

    Raises:
        ConfigError: see `with_origin`.
    """
    try:
        facts = read_facts(path)
    except DataError as error:
        raise ConfigError(f"{where}.params.weights: {error}") from None
    if reason := scorer.foreign_weights(facts):
        raise ConfigError(
            f"{where}.params.weights: {path} {reason}; give weights that fit the other parameters, or change these"
        )
    trained_on = facts.get("trained_on")
    if not isinstance(trained_on, str) or not is_data_set_name(trained_on):
        raise ConfigError(
            f"{where}.params.weights: {path} does not say which data set it was learned from; give the file of another "
            "training"
        )
    return trained_on
