"""Find the method of a file of trained weights, and its entries in a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zsad.errors import ConfigError
from zsad.features.registry import BACKBONES
from zsad.files.learned import read_facts
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import BACKBONE
from zsad.scoring.trained import FEATURES, TrainedScorer

ENTRY = "learned"  # entry of `backbones` in the written configuration


def method_of_weights(weights: Path) -> str:
    """The method of the weights.

    Raises:
        ConfigError: this version has no method of that name.
        DataError: the file is missing or damaged.
    """
    method = read_facts(weights).get("method")
    if method not in SCORERS.names():
        raise ConfigError(f"--weights {weights} is of the method '{method}', which this version of zsad does not have")
    return str(method)


def backbone_of_weights(weights: Path) -> dict[str, Any] | None:
    """The backbone of the weights, as an entry of ``backbones``; None if it is unknown.

    The family follows from its set of parameters, which is different for each family.

    Raises:
        DataError: the file is missing or damaged.
    """
    features = read_facts(weights).get(FEATURES)
    params = features.get(BACKBONE) if isinstance(features, dict) else None
    if not isinstance(params, dict):
        return None
    families = (name for name in BACKBONES.names() if set(BACKBONES.load(name).model_fields) == set(params))
    family = next((name for name in families if BACKBONES.load(name).sees_images), None)
    return None if family is None else {"family": family, "params": params}


def params_of_weights(method: str, weights: Path | None) -> dict[str, Any]:
    """The parameters of a method that name its trained weights; empty for methods without such weights.

    Raises:
        ConfigError: weights are given for such a method, or missing for another.
        DataError: the file is missing or damaged.
    """
    scorer = SCORERS.load(method)
    if not issubclass(scorer, TrainedScorer):
        if weights is None:
            return {}
        raise ConfigError(
            f"--weights is for methods that are trained on other objects, and '{method}' is not; leave it out"
        )
    if weights is None:
        if not scorer.model_construct().learns_elsewhere:
            return {}
        raise ConfigError(
            f"method '{method}' is trained on other objects; give its trained weights with --weights, e.g. "
            f"results/NAME/trained/{method}.safetensors of a run with a section 'auxiliary'"
        )
    known = read_facts(weights).get("params")
    learned_with = known if isinstance(known, dict) else {}
    fields = scorer.model_fields
    other = {name: value for name, value in learned_with.items() if name in fields and value != fields[name].default}
    return {**other, "weights": str(weights.expanduser().resolve())}
