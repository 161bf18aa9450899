"""The resolved methods of a configuration: scorers, one per seed, and methods that read scores of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.names import ORACLE
from zsad.refinement.registry import MODULATIONS
from zsad.scoring.base import Method, Scorer
from zsad.scoring.references import REFERENCES, ReferenceScorer
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.workflow.entries import MethodEntry
from zsad.workflow.references import Models
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredMethod, Threshold
from zsad.workflow.texts import check_backbone, texts_entry
from zsad.workflow.trained import what_it_learns, with_origin

OF_MEMBERS = ("backbone", "segmenter", "image_score", "seeds")  # not for methods that read scores
OF_METHOD = (*OF_MEMBERS, "threshold")  # nor for modulations of a single method


def method_entries(config: Config, models: Models, refiners: Collection[str]) -> dict[str, MethodEntry]:
    """Scorers, with one entry per seed, then methods that read scores, in the configuration's order.

    Args:
        models: the backbones and segmenters of the methods are added here.
        refiners: the names of the refiners in use.

    Raises:
        ConfigError: a name does not exist or stands for two methods, or a parameter is wrong.
    """
    entries = {name: entry for name, entry in config.methods.items() if entry is not None}
    if ORACLE in entries:
        raise ConfigError(f"a method cannot be called '{ORACLE}', which is the upper bound in the tables; rename it")
    fusions = {name: entry for name, entry in entries.items() if entry.scorer in FUSIONS.names()}
    modulations = {name: entry for name, entry in entries.items() if entry.scorer in MODULATIONS.names()}
    methods: dict[str, MethodEntry] = {}
    for name, entry in entries.items():
        if name in fusions or name in modulations:
            continue
        for single, params in _with_seeds(name, entry):
            if single in methods or (single != name and single in entries):
                raise ConfigError(f"methods: '{single}' stands for two methods; rename one of them")
            methods[single] = _scorer(single, entry, params, name, config, models)
    methods |= {name: _fusion(name, entry, methods, config.threshold) for name, entry in fusions.items()}
    return methods | {name: _modulation(name, entry, methods, refiners) for name, entry in modulations.items()}


def _scorer(
    name: str, entry: ConfiguredMethod, params: Mapping[str, Any], group: str, config: Config, models: Models
) -> MethodEntry:
    """A method that scores features.

    Args:
        group: the name of its entry, which may have several seeds.
    """
    where = f"methods.{group}"
    scorer = with_origin(SCORERS.build(entry.scorer, params, where=f"{where}.params"), entry.scorer, config, where)
    feature_sets = scorer.feature_sets()
    threshold = _threshold(
        entry,
        config.threshold,
        where,
        has_references=isinstance(scorer, ReferenceScorer),
        localises=scorer.localises,
    )
    foregrounds = _foregrounds(scorer)
    if not foregrounds and entry.segmenter is not None:
        raise ConfigError(f"{where}: its scorer has no 'foreground: sam', so that it needs no segmenter; remove it")
    texts = texts_entry(scorer)
    backbone = models.backbone(entry.backbone, where)
    if texts is not None:
        check_backbone(scorer, entry.scorer, models.backbones[backbone], where)
    own = entry.image_score.model_dump(exclude_unset=True) if entry.image_score else {}
    return MethodEntry(
        name=name,
        backbone=backbone,
        scorer=entry.scorer,
        params=scorer.parameters(),
        scoring={
            "image_score": config.image_score.model_copy(update=own).parameters(),
            "precision": config.scoring.precision,
        },
        feature_sets=feature_sets,
        foregrounds=foregrounds,
        segmenter=models.segmenter(entry.segmenter, where) if foregrounds else "",
        members=(),
        refiner="",
        group=group if group != name else "",
        description=_description(entry.scorer, scorer, scorer.setting),
        deciding=threshold,
        needs=scorer.needs(scores_references=THRESHOLDS.load(threshold["rule"]).needs_references),
        fitted_roles=tuple(role for role in scorer.fitted_roles if role in feature_sets),
        texts=texts,
        text_role=scorer.text_role,
        learned_files=scorer.learned_files(),
        **what_it_learns(scorer),
    )


def _threshold(
    entry: ConfiguredMethod, general: Threshold, where: str, *, has_references: bool, localises: bool
) -> dict[str, Any]:
    """The method's threshold rule and all its parameters.

    Args:
        has_references: whether scores of reference images are available to the rule.
        localises: whether maps are available to the rule.
    """
    name, params = merged_threshold(general, entry.threshold)
    place = f"{where}.threshold.params" if entry.threshold else "threshold.params"
    rule = THRESHOLDS.build(name, params, where=place)
    what = f"scorer '{entry.scorer}'"
    others = ", ".join(
        other
        for other in THRESHOLDS.names()
        if other != name and (has_references or not THRESHOLDS.load(other).needs_references)
    )
    if rule.needs_references and not has_references:
        raise ConfigError(
            f"{where}: threshold rule '{name}' needs reference images, but {what} has none of its own; "
            f"choose another under {where}.threshold: {others}"
        )
    if rule.needs_maps and not localises:
        raise ConfigError(
            f"{where}: threshold rule '{name}' needs maps, but {what} only scores images; "
            f"{f'{rule.without_maps}, or ' if rule.without_maps else ''}"
            f"choose another under {where}.threshold: {others}"
        )
    return {"rule": name, "params": rule.parameters()}


def merged_threshold(general: Threshold, own: Threshold | None) -> tuple[str, dict[str, Any]]:
    """Rule and parameters: a method's own override the general ones, if the rule is the same."""
    if own is None:
        return general.rule, general.params
    rule = own.rule if "rule" in own.model_fields_set else general.rule
    return rule, {**general.params, **own.params} if rule == general.rule else own.params


def _fusion(name: str, entry: ConfiguredMethod, methods: Mapping[str, MethodEntry], general: Threshold) -> MethodEntry:
    where = f"methods.{name}"
    _check_no_sections(entry, OF_MEMBERS, where, "a fusion", "its methods")
    fusion = FUSIONS.build(entry.scorer, entry.params, where=f"{where}.params")
    members = [_member(member, methods, where) for member in fusion.methods]
    setting = fusion.setting_of([member.description["setting"] for member in members])
    localises = any(SCORERS.load(member.scorer).localises for member in members)
    threshold = _threshold(entry, general, where, has_references=False, localises=localises)
    return _reader(name, members, entry.scorer, fusion, setting, deciding=threshold)


def _modulation(
    name: str, entry: ConfiguredMethod, methods: Mapping[str, MethodEntry], refiners: Collection[str]
) -> MethodEntry:
    where = f"methods.{name}"
    _check_no_sections(entry, OF_METHOD, where, "a modulation", "its method")
    modulation = MODULATIONS.build(entry.scorer, entry.params, where=f"{where}.params")
    member = _member(modulation.method, methods, where)
    if modulation.refiner not in refiners:
        hint = nearest_hint(modulation.refiner, refiners)
        raise ConfigError(f"{where}: '{modulation.refiner}' is not among the refiners{hint}")
    return _reader(name, [member], entry.scorer, modulation, member.description["setting"], refiner=modulation.refiner)


def _member(name: str, methods: Mapping[str, MethodEntry], where: str) -> MethodEntry:
    if name not in methods:
        raise ConfigError(f"{where}: '{name}' is not a method with its own scores{nearest_hint(name, methods)}")
    return methods[name]


def _reader(
    name: str,
    members: Collection[MethodEntry],
    scorer: str,
    part: Method,
    setting: str,
    *,
    refiner: str = "",
    deciding: Mapping[str, Any] | None = None,
) -> MethodEntry:
    """A method that reads scores of others instead of features."""
    return MethodEntry(
        name=name,
        backbone="+".join(dict.fromkeys(member.backbone for member in members)),
        scorer=scorer,
        params=part.parameters(),
        scoring={},
        feature_sets={},
        foregrounds={},
        segmenter="",
        members=tuple(member.name for member in members),
        refiner=refiner,
        group="",
        description=_description(scorer, part, setting),
        deciding=dict(deciding or {}),
    )


def _with_seeds(name: str, entry: ConfiguredMethod) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and parameters of a method's entry for each of its ``seeds``, which replace ``params.seed``."""
    if entry.seeds is None:
        yield name, entry.params
        return
    for seed in entry.seeds:
        yield f"{name}-seed{seed}", {**entry.params, "seed": seed}


def _description(scorer: str, method: Method, setting: str) -> dict[str, str]:
    said = {"summary": method.summary, "reference": method.reference, "blind_to": method.blind_to}
    return {"scorer": scorer, **said, "setting": setting}


def _check_no_sections(entry: ConfiguredMethod, sections: Collection[str], where: str, what: str, source: str) -> None:
    """Reject sections that a method takes from the methods whose scores it reads."""
    for section in sections:
        if getattr(entry, section) is not None:
            raise ConfigError(f"{where}: {what} takes its {section} from {source}; remove '{section}'")


def _foregrounds(scorer: Scorer) -> dict[str, str]:
    """The subsets whose foreground must be segmented for a scorer, by role: those whose images it scores.

    Each reference is scored by a fit to the others, whatever the threshold rule; a single one has no others.
    """
    if not scorer.wants_foreground:
        return {}
    roles = ["test", *([REFERENCES] if isinstance(scorer, ReferenceScorer) and scorer.shots != 1 else [])]
    return {role: features.subset for role, features in scorer.feature_sets().items() if role in roles}
