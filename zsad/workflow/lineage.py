"""What a result depends on through what it is made from, as one more parameter of each rule.

Snakemake removes the output of a job before the job runs. If that fails, or is killed, after a parameter was changed,
nothing is left that remembers the parameter: what was made from the old output is there and newer than all its inputs,
and the next run would take it for current. So each job has a digest of the parameters of all jobs before it. This reads
the rules of Snakemake 9 (`snakemake.rules.Rule`).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snakemake.common.tbdstring import TBDString
from snakemake.exceptions import IncompleteCheckpointException

from zsad.files.json_values import canonical_json

if TYPE_CHECKING:
    from snakemake.rules import Rule

NAME = "lineage"
RESULTS = "results/"


class Lineages:
    """The digests of what results are made from.

    Args:
        rules: all that make results.
        named: makes what functions of rules are given from the values of wildcards.
    """

    def __init__(self, rules: Iterable[Rule], named: Callable[[Mapping[str, str]], Any]) -> None:
        self._rules = list(rules)
        self._checkpoints = [rule for rule in self._rules if rule.is_checkpoint]
        self._named = named
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}

    def parameter(self, rule: Rule) -> Callable[[Any], str]:
        """The parameter of a rule: a function of wildcards. Snakemake asks again once a checkpoint is done."""

        def lineage(wildcards: Any) -> str:
            try:
                return self._of_inputs(rule, dict(wildcards.items()))
            except IncompleteCheckpointException:
                unknown: str = TBDString()
                return unknown

        return lineage

    def _of_inputs(self, rule: Rule, wildcards: Mapping[str, str]) -> str:
        """Hexadecimal; of all results that a job reads."""
        inputs, *_ = rule.expand_input(wildcards)
        for checkpoint in self._checkpoints:  # which stands among the inputs for those that are not known yet
            if waiting := next((path for path in inputs if checkpoint.is_producer(path)), None):
                raise IncompleteCheckpointException(checkpoint, waiting)
        results = {str(path) for path in inputs if str(path).startswith(RESULTS)}
        return _digest([self._of_result(path) for path in sorted(results)])

    def _of_result(self, path: str) -> str:
        """Of the parameters of the job that makes a result, and of all before it; empty for what no job makes."""
        rule = next((rule for rule in self._rules if rule.is_producer(path)), None)
        if rule is None:
            return ""
        wildcards = rule.get_wildcards(path)
        key = (rule.name, tuple(sorted(wildcards.items())))
        if key not in self._known:
            own = list(self._compared(rule, wildcards))
            self._known[key] = _digest([rule.name, *own, self._of_inputs(rule, wildcards)])
        return self._known[key]

    def _compared(self, rule: Rule, wildcards: Mapping[str, str]) -> Iterator[str]:
        """The values of the parameters that Snakemake compares: those that depend on no input."""
        for name, value in sorted(rule.params.items()):
            if name == NAME:
                continue
            if not callable(value):
                yield f"{name}={value}"
            elif len(inspect.signature(value).parameters) == 1:
                yield f"{name}={value(self._named(wildcards))}"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(canonical_json(list(texts)).encode()).hexdigest()
