"""Which method a file of weights is of, and how a configuration names the file, for whoever only has that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zsad.errors import ConfigError
from zsad.files.learned import read_facts
from zsad.scoring.registry import SCORERS
from zsad.scoring.trained import TrainedScorer


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
