"""Which method a file of weights is of, and how a configuration names the file, for whoever only has that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zsad.errors import ConfigError
from zsad.features.registry import BACKBONES
from zsad.files.learned import read_facts
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import BACKBONE
from zsad.scoring.trained import FEATURES, TrainedScorer

ENTRY = "learned"  # of `backbones`, in the configuration that is written


def method_of_weights(weights: Path) -> str:
    """The method that learned them.

    Raises:
        ConfigError: this version has none of that name.
        DataError: the file is absent or damaged.
    """
    method = read_facts(weights).get("method")
    if method not in SCORERS.names():
        raise ConfigError(f"--weights {weights} is of the method '{method}', which this version of zsad does not have")
    return str(method)


def backbone_of_weights(weights: Path) -> dict[str, Any] | None:
    """The backbone that they were learned by, as an entry of ``backbones``; None if they do not tell.

    A family is known by the parameters that it has, of which no other has just the same.

    Raises:
        DataError: the file is absent or damaged.
    """
    features = read_facts(weights).get(FEATURES)
    params = features.get(BACKBONE) if isinstance(features, dict) else None
    if not isinstance(params, dict):
        return None
    families = (name for name in BACKBONES.names() if set(BACKBONES.load(name).model_fields) == set(params))
    family = next((name for name in families if BACKBONES.load(name).sees_images), None)
    return None if family is None else {"family": family, "params": params}


def params_of_weights(method: str, weights: Path | None) -> dict[str, Any]:
    """The parameters of a method that say what it has learned; none for one that learns from no other parts.

    Raises:
        ConfigError: weights are given for such a method, or none for another.
        DataError: the file is absent or damaged.
    """
    scorer = SCORERS.load(method)
    if not issubclass(scorer, TrainedScorer):
        if weights is None:
            return {}
        raise ConfigError(
            f"--weights is for methods that are trained on other parts, and '{method}' is none; leave it out"
        )
    if weights is None:
        if not scorer.model_construct().learns_elsewhere:
            return {}
        raise ConfigError(
            f"method '{method}' is trained on other parts; give what it has learned by --weights, e.g. "
            f"results/NAME/trained/{method}.safetensors of a run with a section 'auxiliary'"
        )
    known = read_facts(weights).get("params")
    learned_with = known if isinstance(known, dict) else {}
    fields = scorer.model_fields
    other = {name: value for name, value in learned_with.items() if name in fields and value != fields[name].default}
    return {**other, "weights": str(weights.expanduser().resolve())}
