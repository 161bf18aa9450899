"""The resolved exports of a configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zsad.errors import ConfigError, nearest_hint
from zsad.workflow.entries import MethodEntry
from zsad.workflow.refiners import check_shown
from zsad.workflow.sections import ExportSection


@dataclass(frozen=True)
class Exports:
    """The exports.

    Attributes:
        methods: whose results are exported; an entry with several seeds stands for each of them.
        formats: names of `zsad.exporting.registry.FORMATS`.
        refiner: whose masks; ``"none"`` for the thresholded map.
    """

    methods: tuple[str, ...]
    formats: tuple[str, ...]
    refiner: str


def exports_of(
    given: ExportSection,
    methods: Mapping[str, MethodEntry],
    left_out: Collection[str],
    refiners: Collection[str],
    report_refiner: str,
) -> Exports:
    """Resolve the section.

    Args:
        methods: methods that can run.
        left_out: configured methods that cannot run; they are not exported.
        report_refiner: whose masks the page shows.

    Raises:
        ConfigError: a method or a refiner that does not exist.
    """
    refiner = report_refiner if given.refiner is None else given.refiner
    check_shown(refiner, refiners, "exports.refiner")
    groups = {name: entry.group or name for name, entry in methods.items()}
    known = {*methods, *groups.values(), *left_out}
    for name in given.methods or ():
        if name not in known:
            raise ConfigError(f"exports.methods: '{name}' is not among the methods{nearest_hint(name, known)}")
    wanted = known if given.methods is None else given.methods
    exported = tuple(name for name in methods if name in wanted or groups[name] in wanted)
    return Exports(exported, tuple(given.formats), refiner)
