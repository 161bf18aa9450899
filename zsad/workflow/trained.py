"""Methods that are trained on an auxiliary data set: determine it, and check given weights against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsad.data.check_unseen import learned_images
from zsad.errors import ConfigError, DamagedFileError, DataError
from zsad.files.learned import read_facts, read_learned
from zsad.scoring.base import Scorer
from zsad.scoring.data_set_name import is_data_set_name
from zsad.scoring.same_features import BACKBONE, difference
from zsad.scoring.trained import FEATURES, TrainedScorer
from zsad.workflow.entries import BackboneEntry, MethodEntry
from zsad.workflow.schema import Config


def with_origin(scorer: Scorer, name: str, config: Config, where: str) -> Scorer:
    """Set the data set that a scorer learns from: the auxiliary one, or that of its weights.

    Args:
        name: of the scorer.
        where: its place in the configuration, for messages.

    Raises:
        ConfigError: there is no such data set, its name differs, or the weights are missing, damaged, or of another
            method.
    """
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return scorer
    if scorer.weights is not None:
        return _with_origin_of_weights(scorer, Path(scorer.weights), where)
    auxiliary = config.auxiliary
    if auxiliary is None:
        raise ConfigError(
            f"{where}: scorer '{name}' learns from the defects of another data set, but there is none; add it as the "
            f"section 'auxiliary', or give the file of an earlier training as {where}.params.weights"
        )
    if scorer.trained_on not in (None, auxiliary.data_set_name):
        raise ConfigError(
            f"{where}.params.trained_on is '{scorer.trained_on}', but the data set of the section 'auxiliary' is "
            f"'{auxiliary.data_set_name}'; remove trained_on, or set auxiliary.name"
        )
    return scorer.model_copy(update={"trained_on": auxiliary.data_set_name})


def what_it_learns(scorer: Scorer) -> dict[str, Any]:
    """The attributes of a method's entry about learning from another data set; empty for most scorers."""
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        return {}
    sets = scorer.training_sets() if scorer.weights is None else {}
    return {"training_sets": sets, "trained_on": scorer.trained_on or ""}


def check_weights(methods: Iterable[MethodEntry], backbones: Mapping[str, BackboneEntry]) -> None:
    """Reject weights that are damaged, do not name their images, or belong to another backbone, as far as known.

    Raises:
        ConfigError: there is one.
    """
    for method in methods:
        if method.learns_elsewhere and not method.is_trained:
            path, asked = Path(method.learned_files["weights"]), backbones[method.backbone]
            with _told_of(method.where):
                facts = read_learned(path).facts
                learned_images(facts, path)
            learned_by = facts.get(FEATURES)
            known = learned_by.get(BACKBONE) if isinstance(learned_by, Mapping) else None
            if odd := difference({BACKBONE: asked.params}, {BACKBONE: known}):
                raise ConfigError(
                    f"{method.where}.params.weights: backbone '{asked.name}' is not the one that {path} was learned "
                    f"with ({odd}); give the method that one, or train it again"
                )


@contextmanager
def _told_of(where: str) -> Iterator[None]:
    """In the block, report an unreadable file as given by the user, since no run makes it."""
    try:
        yield
    except DamagedFileError as error:
        raise ConfigError(
            f"{where}.params.weights: {error.path} {error.fault}; get the file again, or train the method again"
        ) from None
    except DataError as error:
        raise ConfigError(f"{where}.params.weights: {error}") from None


def _with_origin_of_weights(scorer: TrainedScorer, path: Path, where: str) -> TrainedScorer:
    """Set a scorer's training data set and parameters from its weights.

    Raises:
        ConfigError: see `with_origin`.
    """
    with _told_of(where):
        facts = read_facts(path)
    try:
        scorer = scorer.as_learned(facts)
    except ConfigError as error:
        raise ConfigError(f"{where}.params.weights: {path} is of another version of zsad ({error})") from None
    if reason := scorer.foreign_weights(facts):
        raise ConfigError(
            f"{where}.params.weights: {path} {reason}; give weights that fit the other parameters, or change these"
        )
    trained_on = facts.get("trained_on")
    if not isinstance(trained_on, str) or not is_data_set_name(trained_on):
        raise ConfigError(
            f"{where}.params.weights: {path} does not name the data set that it was learned from; give the file of "
            "another training"
        )
    return scorer.model_copy(update={"trained_on": trained_on})
