"""Digests of all earlier parameters that a result depends on, as one more parameter of each rule.

Snakemake removes the output of a job before the job runs. If the job fails, or is killed, after a parameter was
changed, no record of the parameter is left: results made from the old output exist and are newer than all their inputs,
so that the next run would treat them as current. So each job has a digest of the parameters of all jobs before it.
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
    """The digests of the jobs behind results.

    Args:
        rules: all rules that make results; more may be added later. Names given by another workflow do not count.
    """

    def __init__(self, rules: Mapping[str, OwnRule]) -> None:
        self._rules = rules
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._known_of_paths: dict[str, str] = {}  # the same, cached for the many rules that ask again

    def parameter(self, rule: Rule) -> Callable[[Any], str]:
        """The parameter of a rule: a function of wildcards. Snakemake calls it again after a checkpoint."""
        return lambda wildcards: known_later(lambda: self._of_inputs(rule, dict(wildcards.items())))

    def _of_inputs(self, rule: Rule, wildcards: Mapping[str, str]) -> str:
        """Digest of all results that a job reads, hexadecimal."""
        checkpoints = [own.rule for own in self._rules.values() if own.rule.is_checkpoint]
        inputs = inputs_of(rule, wildcards, checkpoints)
        results = {str(path) for path in inputs if is_result(path)}
        return _digest([self._of_result(path) for path in sorted(results)])

    def _of_result(self, path: str) -> str:
        """Digest of the parameters of the job that makes a result, and of all jobs before it; empty for other files."""
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
    """The parameter with a job's rule name in this project, if another workflow gives the rule another name.

    Snakemake does not compare a parameter whose function takes the input: results of a module stay current when it is
    run by itself, and vice versa.
    """

    def stage(wildcards: Any, input: Any) -> str:  # Snakemake requires these names
        return name

    return stage


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(canonical_json(list(texts)).encode()).hexdigest()
