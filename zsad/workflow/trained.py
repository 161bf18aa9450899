"""Methods that are trained on an auxiliary data set: which one, and whether what they are given agrees with that."""

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
        return _with_origin_of_weights(scorer, Path(scorer.weights), where)
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


def check_weights(methods: Iterable[MethodEntry], backbones: Mapping[str, BackboneEntry]) -> None:
    """Refuse weights that are damaged, tell of no images, or were learned by another backbone, as far as is known.

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
                    f"{method.where}.params.weights: backbone '{asked.name}' is not the one that {path} was learned by "
                    f"({odd}); give the method that one, or train it anew"
                )


@contextmanager
def _told_of(where: str) -> Iterator[None]:
    """Within, a file that cannot be read is told of as what somebody gave, which no run makes anew."""
    try:
        yield
    except DamagedFileError as error:
        raise ConfigError(
            f"{where}.params.weights: {error.path} {error.fault}; get the file again, or train the method anew"
        ) from None
    except DataError as error:
        raise ConfigError(f"{where}.params.weights: {error}") from None


def _with_origin_of_weights(scorer: TrainedScorer, path: Path, where: str) -> TrainedScorer:
    """A scorer that says what the weights that it reads were learned from, and by which parameters.

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
            f"{where}.params.weights: {path} does not say which data set it was learned from; give the file of another "
            "training"
        )
    return scorer.model_copy(update={"trained_on": trained_on})
