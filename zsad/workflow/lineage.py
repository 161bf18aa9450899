"""What a result depends on through what it is made from, as one more parameter of each rule.

Snakemake removes the output of a job before the job runs. If that fails, or is killed, after a parameter was changed,
nothing is left that remembers the parameter: what was made from the old output is there and newer than all its inputs,
and the next run would take it for current. So each job has a digest of the parameters of all jobs before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zsad.files.json_values import canonical_json
from zsad.workflow.snakemake_api import OwnRule, compared_parameters, inputs_of, is_result, known_later

if TYPE_CHECKING:
    from snakemake.rules import Rule

NAME = "lineage"
STAGE = "stage"


class Lineages:
    """The digests of what results are made from.

    Args:
        rules: all that make results; there may be more of them later. The names that another workflow gives them do
            not count.
    """

    def __init__(self, rules: Mapping[str, OwnRule]) -> None:
        self._rules = rules
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._known_of_paths: dict[str, str] = {}  # the same, for those who ask again: rules are many

    def parameter(self, rule: Rule) -> Callable[[Any], str]:
        """The parameter of a rule: a function of wildcards. Snakemake asks again once a checkpoint is done."""
        return lambda wildcards: known_later(lambda: self._of_inputs(rule, dict(wildcards.items())))

    def _of_inputs(self, rule: Rule, wildcards: Mapping[str, str]) -> str:
        """Hexadecimal; of all results that a job reads."""
        checkpoints = [own.rule for own in self._rules.values() if own.rule.is_checkpoint]
        inputs = inputs_of(rule, wildcards, checkpoints)
        results = {str(path) for path in inputs if is_result(path)}
        return _digest([self._of_result(path) for path in sorted(results)])

    def _of_result(self, path: str) -> str:
        """Of the parameters of the job that makes a result, and of all before it; empty for what no job makes."""
        if path in self._known_of_paths:
            return self._known_of_paths[path]
        maker = next((own for own in self._rules.values() if own.rule.is_producer(path)), None)
        if maker is None:
            return ""
        name, rule = maker
        wildcards = rule.get_wildcards(path)
        key = (name, tuple(sorted(wildcards.items())))
        if key not in self._known:
            own = [f"{param}={value}" for param, value in compared_parameters(rule, wildcards) if param != NAME]
            self._known[key] = _digest([name, *own, self._of_inputs(rule, wildcards)])
        self._known_of_paths[path] = self._known[key]
        return self._known[key]


def stage_parameter(name: str) -> Callable[[Any, Any], str]:
    """The parameter that tells a job which rule of this project it is, where another workflow calls it otherwise.

    Snakemake does not compare a parameter whose function is given the input: results of a module stay current when it
    is run by itself, and the other way round.
    """

    def stage(wildcards: Any, input: Any) -> str:  # Snakemake goes by these names
        return name

    return stage


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(canonical_json(list(texts)).encode()).hexdigest()
