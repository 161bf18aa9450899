"""The combinations of values of a sweep, checked, and the names of their entries.

The name of an entry is that of the method or backbone, followed by each parameter with its value, in the order in which
the scorer, or the family, has its parameters: ``memory_bank-shots4-k1``. It depends on the values of the entry alone:
further values add entries and rename none.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.features.joint import JOINT
from zsad.features.registry import BACKBONES, completed, find_family, model_names
from zsad.files.json_values import value_in_words
from zsad.refinement.registry import MODULATIONS
from zsad.registry import Options
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.workflow.methods import merged_threshold
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredMethod, SweptBackbone, SweptMethod, Threshold

MOST_METHODS = 100  # that a sweep makes in one run: comparisons are of all pairs, 100 of 15 categories are 10^6 rows
LONGEST_VALUE = 32  # letters in a name
_CLEAN = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_VALUE}}}")
_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")

Place = tuple[str, ...]
"""The place of a swept value in its entry, e.g. ``("params", "shots")``."""


class Choice(NamedTuple):
    """One combination of values of a swept entry.

    Attributes:
        label: its part of the name of the entry, e.g. ``"shots4-k1"``.
        values: by their places in the entry.
    """

    label: str
    values: Mapping[Place, Any]


@dataclass(frozen=True)
class Swept:
    """An entry of ``sweep``: the combinations that replace an entry of ``methods`` or ``backbones``."""

    section: str
    name: str
    choices: Sequence[Choice] = field(compare=False)

    def columns(self, choice: Choice) -> dict[str, Any]:
        """The values of a combination by column of ``metrics.csv``."""
        return {".".join((self.name, *_without_params(path))): value for path, value in choice.values.items()}


def swept_entries(config: Config) -> list[Swept]:
    """The entries of the section, methods first; values are checked here, so that a message names the sweep.

    Raises:
        ConfigError: an entry or parameter that does not exist, an invalid value, lists that cannot be combined,
            or too many combinations.
    """
    methods = ((name, sweep) for name, sweep in config.sweep.methods.items() if sweep is not None)
    backbones = ((name, sweep) for name, sweep in config.sweep.backbones.items() if sweep is not None)
    return [
        *(_swept_method(name, sweep, config) for name, sweep in methods),
        *(_swept_backbone(name, sweep, config) for name, sweep in backbones),
    ]


def _swept_method(name: str, sweep: SweptMethod, config: Config) -> Swept:
    where = f"sweep.methods.{name}"
    entries = {known for known, entry in config.methods.items() if entry is not None}
    entry = config.methods.get(name)
    if entry is None:
        raise ConfigError(f"{where}: there is no method '{name}'{nearest_hint(name, entries)}")
    scorer = _load_scorer(entry.scorer)
    lists: dict[Place, Sequence[Any]] = {
        **_lists(("params",), sweep.params, scorer, where),
        **({("backbone",): sweep.backbone} if sweep.backbone is not None else {}),
        **({("segmenter",): sweep.segmenter} if sweep.segmenter is not None else {}),
        **_lists(("image_score",), sweep.image_score, ImageScoring, where),
    }
    if sweep.threshold is not None:
        lists |= {("threshold", "rule"): sweep.threshold.rule} if sweep.threshold.rule is not None else {}
        lists |= {("threshold", "params", key): values for key, values in sorted(sweep.threshold.params.items())}
    choices = _choices(lists, sweep.combine, where)
    return Swept("methods", name, [_checked_method(entry, choice, config, name) for choice in choices])


def _swept_backbone(name: str, sweep: SweptBackbone, config: Config) -> Swept:
    where = f"sweep.backbones.{name}"
    family, params = configured_backbone(name, config, where)
    lists = _lists(("params",), sweep.params, BACKBONES.load(family), where)
    choices = _choices(lists, sweep.combine, where)
    if family == JOINT:  # whose members are not known yet
        return Swept("backbones", name, choices)

    def checked(choice: Choice) -> Choice:
        given = {path[-1]: value for path, value in choice.values.items()}

        def built(own: Mapping[str, Any], place: str) -> Options:
            return BACKBONES.build(family, completed(family, {**params, **own}), where=place)

        parameters = _built(built, given, f"{where}.params", f"backbones.{name}.params")
        return _as_read(choice, ("params",), parameters)

    return Swept("backbones", name, [checked(choice) for choice in choices])


def configured_backbone(name: str, config: Config, where: str) -> tuple[str, dict[str, Any]]:
    """Family and parameters of an entry of ``backbones``, or of a published model.

    Raises:
        ConfigError: there is none of that name.
    """
    entry = config.backbones.get(name)
    if entry is not None:
        return entry.family, entry.params
    if found := find_family(name):
        return found
    known = [*(known for known, other in config.backbones.items() if other is not None), *model_names()]
    raise ConfigError(
        f"{where}: '{name}' is neither an entry of 'backbones', nor a model of `zsad backbones`"
        f"{nearest_hint(name, known)}"
    )


def _load_scorer(name: str) -> type[Options]:
    return next((each for each in (FUSIONS, MODULATIONS) if name in each.names()), SCORERS).load(name)


def _lists(
    place: Place, given: Mapping[str, Sequence[Any]], options: type[Options], where: str
) -> dict[Place, Sequence[Any]]:
    """The lists of a section of an entry, in the order of its options.

    Raises:
        ConfigError: there is no such option.
    """
    known = list(options.model_fields)
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown parameter '{'.'.join((*place, key))}'{nearest_hint(key, known)}")
    return {(*place, key): given[key] for key in known if key in given}


def _choices(lists: Mapping[Place, Sequence[Any]], combine: str, where: str) -> list[Choice]:
    """All combinations of the lists, or of their first values, of their second values, and so on.

    Raises:
        ConfigError: there is no list, there are too many combinations or some twice, or lists of different lengths are
            to be paired.
    """
    if not lists:
        raise ConfigError(f"{where}: it has no list of values; add one, e.g. params: {{NAME: [1, 2]}}, or take it out")
    lengths = [len(values) for values in lists.values()]
    if combine == "zip" and len(set(lengths)) > 1:
        words = " and ".join(f"{'.'.join(_without_params(path))} has {len(values)}" for path, values in lists.items())
        raise ConfigError(f"{where}: combine: zip takes values in pairs, but {words}; make the lists equally long")
    number = lengths[0] if combine == "zip" else math.prod(lengths)
    if number > MOST_METHODS:
        counted = " x ".join(map(str, lengths))
        raise ConfigError(
            f"{where}: {counted} = {number} combinations are more than {MOST_METHODS}; shorten the lists, or sweep "
            "fewer parameters at a time"
        )
    rows = zip(*lists.values(), strict=True) if combine == "zip" else itertools.product(*lists.values())
    choices = [_choice(dict(zip(lists, row, strict=True))) for row in rows]
    labels = Counter(choice.label for choice in choices)
    twice = next((choice for choice in choices if labels[choice.label] > 1), None)
    if twice is not None:
        words = ", ".join(
            f"{'.'.join(_without_params(path))} {value_in_words(value)}" for path, value in twice.values.items()
        )
        raise ConfigError(f"{where}: {words} is listed twice, or its name would be that of another; remove one")
    return choices


def _choice(values: Mapping[Place, Any]) -> Choice:
    return Choice("-".join(_labelled("_".join(_without_params(path)), value) for path, value in values.items()), values)


def _labelled(parameter: str, value: Any) -> str:
    """A parameter with its value in a name: ``shots4``, ``fraction0_05``, ``draw_random``."""
    text = value_in_names(value)
    return f"{parameter}{text}" if re.match(r"-?\d", text) else f"{parameter}_{text}"


def value_in_names(value: Any) -> str:
    """A value in the letters of names: letters, digits, ``_`` and ``-``.

    A value that these cannot express, e.g. a path or a long text, is shortened and gets six digits of its SHA-256.
    """
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value).replace(".", "_").replace("+", "")
    if value is None or isinstance(value, (bool, int)):
        return value_in_words(value)
    text = "-".join(map(value_in_names, value)) if isinstance(value, (list, tuple)) else value
    if isinstance(text, str) and _CLEAN.fullmatch(text):
        return text
    whole = value_in_words(value)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    return "-".join(filter(None, (_IN_NAMES.sub("-", whole).strip("-")[: LONGEST_VALUE - 8].rstrip("-"), digest)))


def _without_params(path: Place) -> Place:
    return tuple(step for step in path if step != "params")


def _checked_method(entry: ConfiguredMethod, choice: Choice, config: Config, name: str) -> Choice:
    """The combination with its values as the scorer reads them.

    Raises:
        ConfigError: a value is invalid.
    """
    where = f"sweep.methods.{name}"
    changed = changed_method(entry, choice, where)
    registry = next((each for each in (FUSIONS, MODULATIONS) if entry.scorer in each.names()), SCORERS)

    def built(own: Mapping[str, Any], place: str) -> Options:
        return registry.build(entry.scorer, {**entry.params, **own}, where=place)

    given = {path[-1]: value for path, value in choice.values.items() if path[0] == "params"}
    if given:
        parameters = _built(built, given, f"{where}.params", f"methods.{name}.params")
        choice = _as_read(choice, ("params",), parameters)
    if changed.image_score is not None:
        choice = _as_read(choice, ("image_score",), changed.image_score)
    if any(path[0] == "threshold" for path in choice.values):
        rule, params = merged_threshold(config.threshold, changed.threshold)
        threshold = THRESHOLDS.build(rule, params, where=f"{where}.threshold.params")
        choice = _as_read(choice, ("threshold", "params"), threshold)
    return choice


def _built(
    built: Callable[[Mapping[str, Any], str], Options], given: Mapping[str, Any], where: str, entry: str
) -> Options:
    """Build the options with the swept values; errors of the entry itself name the entry instead of the sweep.

    Raises:
        ConfigError: a value is invalid.
    """
    try:
        return built(given, where)
    except ConfigError as error:
        built({}, entry)
        raise error from None


def _as_read(choice: Choice, place: Place, part: Options) -> Choice:
    """The combination with texts from the command line converted to their types, e.g. ``"4"`` to a number."""
    parameters = part.parameters()

    def read(path: Place, value: Any) -> Any:
        meant = parameters.get(path[-1]) if isinstance(value, str) and path[:-1] == place else value
        return value if isinstance(meant, str) else meant  # a path stays as it is written

    return _choice({path: read(path, value) for path, value in choice.values.items()})


def changed_method(entry: ConfiguredMethod, choice: Choice, where: str) -> ConfiguredMethod:
    """A method with the values of a combination.

    Raises:
        ConfigError: a value of ``image_score`` or ``threshold`` is invalid.
    """
    own: dict[str, Any] = {}
    for path, value in choice.values.items():
        place = own
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
    changed: dict[str, Any] = {key: own[key] for key in ("backbone", "segmenter") if key in own}
    if "params" in own:
        changed["params"] = {**entry.params, **own["params"]}
    if "image_score" in own:
        given = entry.image_score.model_dump(exclude_unset=True) if entry.image_score else {}
        changed["image_score"] = ImageScoring.build({**given, **own["image_score"]}, where=f"{where}.image_score")
    if "threshold" in own:
        given = entry.threshold.model_dump(exclude_unset=True) if entry.threshold else {}
        params = {**given.get("params", {}), **own["threshold"].get("params", {})}
        whole = {**given, **own["threshold"], "params": params}
        changed["threshold"] = Threshold.build(whole, where=f"{where}.threshold")
    return entry.model_copy(update=changed)
