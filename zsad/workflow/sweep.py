"""The section ``sweep``: lists over parameters of methods and backbones become named entries, one a combination.

It is applied once, to the checked configuration; what reads the configuration afterwards sees plain entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from zsad.errors import ConfigError
from zsad.features.joint import JOINT
from zsad.refinement.registry import MODULATIONS
from zsad.registry import from_text
from zsad.scoring.registry import FUSIONS
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredBackbone, ConfiguredMethod
from zsad.workflow.sweep_values import MOST_METHODS, Choice, Swept, changed_method, configured_backbone, swept_entries

LONGEST_NAME = 150  # letters; names of files are longer by the refiner and what tells a file in the making

Assignment = Mapping[Swept, Choice]
"""The chosen combination of each swept entry, for one method or backbone."""


@dataclass(frozen=True)
class SweptEntries:
    """The methods that a sweep makes out of one.

    Attributes:
        method: the name under ``methods`` that they have in common.
        entries: by the name of each method, its values by column of ``metrics.csv``, e.g.
            ``{"memory_bank-shots4": {"memory_bank.shots": 4}}``.
    """

    method: str
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def columns(self) -> list[str]:
        """The columns of all entries, in order."""
        return list(dict.fromkeys(column for values in self.entries.values() for column in values))

    def only(self, names: Iterable[str]) -> SweptEntries:
        """The entries with these names."""
        kept = set(names)
        return SweptEntries(self.method, {name: values for name, values in self.entries.items() if name in kept})


class _Variant(NamedTuple):
    """One of the entries that replace a swept entry.

    Attributes:
        name: of the entry.
        of: the combinations that it has; empty where nothing of it is swept.
        entry: the entry itself.
    """

    name: str
    of: Assignment
    entry: Any


def expand_sweep(config: Config) -> tuple[Config, tuple[SweptEntries, ...]]:
    """The configuration with an entry for each combination, and the swept methods.

    ``published`` and ``exports.methods`` may name a swept method, which then stands for all of its entries.

    Raises:
        ConfigError: an entry or parameter that does not exist, a value that will not do, lists that do not go together,
            too many combinations, or names that collide.
    """
    swept = swept_entries(config)
    if not swept:
        return config, ()
    backbones = _backbone_variants(config, swept)
    methods = _MethodVariants(config, swept, backbones).all()
    _check_in_use(swept, methods)
    _check_classifiers(config, backbones, methods)
    split = {name: made for name, made in methods.items() if made[0].of}
    _check_number(split)
    _check_names("methods", methods)
    _check_names("backbones", {name: [_Variant(name, {}, None)] for name in config.backbones} | backbones)
    _check_columns(swept)
    entries = tuple(
        SweptEntries(name, {one.name: _columns(one.of) for one in variants}) for name, variants in split.items()
    )
    changed = {
        "backbones": _together(config.backbones, backbones),
        "methods": _together(config.methods, methods),
        "published": _published(config, split),
        "exports": _exports(config, split),
    }
    return config.model_copy(update=changed), entries


def swept_columns(swept: Iterable[SweptEntries], groups: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The values of methods by column of ``metrics.csv``.

    Args:
        groups: by method, the entry of the configuration that it is a seed of; any other method is its own group.
    """
    columns: dict[str, dict[str, Any]] = {}
    for one in swept:
        for name, values in one.entries.items():
            called = [name, *(method for method, group in groups.items() if group == name and method != name)]
            for column, value in values.items():
                columns.setdefault(column, {}).update(dict.fromkeys(called, value))
    return columns


def _joined(
    names: Sequence[str], variants: Mapping[str, Sequence[_Variant]]
) -> list[tuple[dict[Swept, Choice], list[str]]]:
    """All combinations of one entry of each name; entries that share a sweep take the same values of it."""
    ways: list[tuple[dict[Swept, Choice], list[str]]] = [({}, [])]
    for name in names:
        ways = [
            ({**have, **one.of}, [*taken, one.name])
            for have, taken in ways
            for one in variants.get(name, [_Variant(name, {}, None)])
            if all(have.get(swept, choice) == choice for swept, choice in one.of.items())
        ]
    return ways


def _called(name: str, of: Assignment, own: Swept | None) -> str:
    """The name of an entry.

    If a parameter is swept in two places, the name of the other entry precedes it.
    """
    parameters = Counter(path for choice in of.values() for path in choice.values)
    labels = [
        f"{swept.name}-{choice.label}"
        if swept != own and any(parameters[path] > 1 for path in choice.values)
        else choice.label
        for swept, choice in of.items()
    ]
    return "-".join((name, *labels))


def _backbone_variants(config: Config, swept: Sequence[Swept]) -> dict[str, list[_Variant]]:
    """By name, the entries of swept backbones, and of backbones that join a swept one."""
    of_backbones = {each.name: each for each in swept if each.section == "backbones"}
    singles: dict[str, list[_Variant]] = {}
    joints: dict[str, ConfiguredBackbone] = {}
    for name in dict.fromkeys((*config.backbones, *of_backbones)):
        family, params = configured_backbone(name, config, "") if _is_there(name, config, of_backbones) else ("", {})
        if family == JOINT:
            joints[name] = ConfiguredBackbone(family=family, params=params)
        elif name in of_backbones:
            own = of_backbones[name]
            singles[name] = [
                _Variant(
                    _called(name, {own: choice}, own),
                    {own: choice},
                    ConfiguredBackbone(family=family, params={**params, **_params(choice)}),
                )
                for choice in own.choices
            ]
    variants = dict(singles)
    for name, entry in joints.items():
        made = list(_joint_variants(name, entry, of_backbones.get(name), singles))
        if made[0].of:
            variants[name] = made
    return variants


def _is_there(name: str, config: Config, swept: Mapping[str, Swept]) -> bool:
    """Whether a backbone is not switched off."""
    return config.backbones.get(name) is not None or name in swept


def _joint_variants(
    name: str, entry: ConfiguredBackbone, own: Swept | None, singles: Mapping[str, Sequence[_Variant]]
) -> Iterator[_Variant]:
    for choice in own.choices if own else [None]:
        params = {**entry.params, **(_params(choice) if choice else {})}
        members = _names(params.get("members"))
        for of, taken in _joined(members, singles):
            whole = {own: choice, **of} if own and choice else of
            joint = {**params, "members": taken} if of else params
            changed = ConfiguredBackbone(family=entry.family, params=joint)
            yield _Variant(_called(name, whole, own) if whole else name, whole, changed)


def _params(choice: Choice) -> dict[str, Any]:
    return {path[-1]: value for path, value in choice.values.items()}


def _names(value: Any) -> list[str]:
    """The names in a parameter that lists several entries; none if its value is no list."""
    value = from_text(value) if isinstance(value, str) else value
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple)) else []


class _MethodVariants:
    """The entries that replace each method; a method that reads others' scores has one for each of their entries."""

    def __init__(self, config: Config, swept: Sequence[Swept], backbones: Mapping[str, Sequence[_Variant]]) -> None:
        self._entries = {name: entry for name, entry in config.methods.items() if entry is not None}
        self._general = config.backbone
        self._swept = {each.name: each for each in swept if each.section == "methods"}
        self._backbones = backbones
        self._made: dict[str, list[_Variant]] = {}

    def all(self) -> dict[str, list[_Variant]]:
        """By name, in the order of the configuration; a method that is not swept is its own only entry."""
        return {name: self._of(name) for name in self._entries}

    def _of(self, name: str) -> list[_Variant]:
        if name not in self._made:
            entry = self._entries[name]
            self._made[name] = [_Variant(name, {}, entry)]  # for a reader of itself, which is refused later
            self._made[name] = list(self._variants(name, entry, self._swept.get(name)))
        return self._made[name]

    def _variants(self, name: str, entry: ConfiguredMethod, own: Swept | None) -> Iterator[_Variant]:
        for choice in own.choices if own else [None]:
            changed = changed_method(entry, choice, f"sweep.methods.{name}") if choice else entry
            for of, read in self._read(changed):
                whole = {own: choice, **of} if own and choice else of
                yield _Variant(_called(name, whole, own) if whole else name, whole, read)

    def _read(self, entry: ConfiguredMethod) -> Iterator[tuple[dict[Swept, Choice], ConfiguredMethod]]:
        """A method once for each entry of its backbone, or of the methods that it reads."""
        if entry.scorer in FUSIONS.names():
            members = _names(entry.params.get("methods"))
            for of, taken in _joined(members, self._of_members(members)):
                yield of, (_reading(entry, methods=taken) if of else entry)
        elif entry.scorer in MODULATIONS.names():
            members = _names([entry.params.get("method")])
            for of, taken in _joined(members, self._of_members(members)):
                yield of, (_reading(entry, method=taken[0]) if of else entry)
        else:
            backbone = entry.backbone or self._general
            single = isinstance(backbone, str)
            for of, taken in _joined([backbone] if isinstance(backbone, str) else backbone, self._backbones):
                asked = taken[0] if single else taken
                yield of, (entry.model_copy(update={"backbone": asked}) if of else entry)

    def _of_members(self, names: Iterable[str]) -> dict[str, list[_Variant]]:
        return {name: self._of(name) for name in names if name in self._entries}


def _reading(entry: ConfiguredMethod, **params: Any) -> ConfiguredMethod:
    return entry.model_copy(update={"params": {**entry.params, **params}})


def _together(entries: Mapping[str, Any], variants: Mapping[str, Sequence[_Variant]]) -> dict[str, Any]:
    """A section in which each swept entry is replaced by its variants, in order."""
    made: dict[str, Any] = {}
    for name in dict.fromkeys((*entries, *variants)):
        if name in variants:
            made |= {one.name: one.entry for one in variants[name]}
        else:
            made[name] = entries[name]
    return made


def _columns(of: Assignment) -> dict[str, Any]:
    return {column: value for swept, choice in of.items() for column, value in swept.columns(choice).items()}


def _published(config: Config, split: Mapping[str, Sequence[_Variant]]) -> Any:
    """The published figures to meet; each entry of a swept method has those of the method."""
    if config.published is None:
        return None
    of_each = {one.name: row for name, row in config.published.items() for one in split.get(name, ())}
    return {**of_each, **{name: row for name, row in config.published.items() if name not in split}}


def _exports(config: Config, split: Mapping[str, Sequence[_Variant]]) -> Any:
    if config.exports.methods is None:
        return config.exports
    names = [
        called
        for name in config.exports.methods
        for called in ([one.name for one in split[name]] if name in split else [name])
    ]
    return config.exports.model_copy(update={"methods": names})


def _check_in_use(swept: Sequence[Swept], methods: Mapping[str, Sequence[_Variant]]) -> None:
    """Reject a swept backbone that no method uses."""
    used = {each for variants in methods.values() for one in variants for each in one.of}
    for each in swept:
        if each not in used:
            raise ConfigError(
                f"sweep.{each.section}.{each.name}: no method is on the backbone '{each.name}'; name it as "
                "'backbone', of all methods or of one, or take it out of the sweep"
            )


def _check_classifiers(
    config: Config, backbones: Mapping[str, Sequence[_Variant]], methods: Mapping[str, Sequence[_Variant]]
) -> None:
    """Reject classifiers that read a swept method or backbone."""
    for name, classifier in config.classifiers.items():
        if classifier is None:
            continue
        asked = classifier.backbone or config.backbone
        for backbone in [asked] if isinstance(asked, str) else asked:
            if backbone in backbones:
                raise _several(f"classifiers.{name}.backbone", backbone, backbones[backbone])
        method = classifier.method or ""
        if method in methods and methods[method][0].of:
            raise _several(f"classifiers.{name}.method", method, methods[method])


def _several(where: str, name: str, variants: Sequence[_Variant]) -> ConfigError:
    return ConfigError(
        f"{where}: '{name}' is swept and stands for several entries; name one of them, e.g. '{variants[0].name}'"
    )


def _check_number(split: Mapping[str, Sequence[_Variant]]) -> None:
    total = sum(map(len, split.values()))
    if total > MOST_METHODS:
        each = ", ".join(f"{name} {len(made)}" for name, made in split.items())
        raise ConfigError(
            f"sweep: {total} methods ({each}) are more than the {MOST_METHODS} of one run; shorten the lists, or sweep "
            "fewer parameters at a time"
        )


def _check_names(section: str, variants: Mapping[str, Sequence[_Variant]]) -> None:
    """Reject names that two entries have, or that are too long for files."""
    counts = Counter(one.name for made in variants.values() for one in made)
    for name, made in variants.items():
        for one in made:
            if one.of and counts[one.name] > 1:
                other = next(
                    (each for each in variants if each != name and one.name in {v.name for v in variants[each]}), name
                )
                raise ConfigError(
                    f"sweep: '{one.name}' would stand for two {section}, of '{name}' and of '{other}'; rename one of "
                    f"these under '{section}'"
                )
            if one.of and len(one.name) > LONGEST_NAME:
                raise ConfigError(
                    f"sweep: the name '{one.name}' has {len(one.name)} letters, more than the {LONGEST_NAME} that file "
                    f"names have room for; give '{name}' a shorter name under '{section}', or sweep fewer parameters"
                )


def _check_columns(swept: Sequence[Swept]) -> None:
    """Reject a method and a backbone with the same name and a common swept parameter: their columns would be equal."""
    columns = Counter(column for each in swept for column in each.columns(each.choices[0]))
    twice = next((column for column, count in columns.items() if count > 1), None)
    if twice is not None:
        name = next(each.name for each in swept if twice in each.columns(each.choices[0]))
        raise ConfigError(
            f"sweep: metrics.csv would have the column '{twice}' twice, as a method and a backbone are both called "
            f"'{name}'; rename one of them"
        )
