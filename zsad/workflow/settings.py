"""The configuration: checked, completed, and taken apart into what each stage depends on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from zsad.data.bounds import Bounds
from zsad.data.dataset import Dataset
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, ModelError, nearest_hint
from zsad.evaluation.options import EvaluationOptions
from zsad.features.base import Backbone
from zsad.features.execution import ExtractionOptions
from zsad.features.joint import JOINT, Member, check_different, member_references
from zsad.features.registry import BACKBONES, completed, model_names, named
from zsad.files.tracked import check_workflow_folder
from zsad.grids import TokenLayout
from zsad.names import NO_REFINER, ORACLE
from zsad.refinement.base import Refiner
from zsad.refinement.modulation import Modulation
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.reporting.options import ReportOptions
from zsad.scoring.base import Method, Needs, Scorer
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS
from zsad.segmentation.catalogue import MODELS as SEGMENTATION_MODELS
from zsad.segmentation.catalogue import facts_of as segmenter_facts_of
from zsad.segmentation.foreground import ForegroundOptions
from zsad.segmentation.registry import SEGMENTERS
from zsad.segmentation.weights import local_files as segmenter_files
from zsad.segmentation.weights import weights_megabytes
from zsad.sharing.options import Sharing, SharingOptions
from zsad.workflow.configfiles import check_switched_off, defined_entries, read_configuration
from zsad.workflow.measurable import Measurable
from zsad.workflow.runnable import methods_left_out, sentences
from zsad.workflow.schema import checked, default_config
from zsad.workflow.suitability import Asked, Suitability

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOW_PATH = REPOSITORY / "Snakefile"  # is not there where the package is installed
DEFAULT_PATH = REPOSITORY / "config.yaml"
TORCH_SUFFIXES = (".pth", ".pt")


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone as configured: its family (see `BACKBONES`) and all its parameters.

    Attributes:
        members: the backbones whose features are joined; only a joint has any.
    """

    name: str
    family: str
    params: dict[str, Any]
    members: tuple[BackboneEntry, ...] = ()

    def stage_config(self) -> dict[str, Any]:
        """What the extraction of features, or their joining, depends on."""
        return {"family": self.family, "params": self.params}

    @cached_property
    def backbone(self) -> Backbone:
        """What all that must be known of it is asked of; nothing is loaded."""
        return BACKBONES.build(self.family, self.params)

    def shown(self) -> dict[str, Any]:
        """What `stage_config` says, for readers: members by name, as each has an entry of its own."""
        if not self.members:
            return self.stage_config()
        return {"family": self.family, "params": {**self.params, "members": [member.name for member in self.members]}}

    def known_layout(self) -> TokenLayout | None:
        """How its tokens will lie; see `zsad.features.base.Backbone.known_layout`."""
        return self.backbone.known_layout()

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes; None for a model of unknown size, 0 for none."""
        return self.backbone.weights_megabytes()

    def local_files(self) -> list[str]:
        """The files of a model on this machine that its tokens depend on, sorted."""
        return self.backbone.local_files()

    def check_files(self) -> None:
        """Look whether those files are there.

        Raises:
            ModelError: one is not, or they cannot be listed.
        """
        try:
            absent = next((path for path in self.local_files() if not Path(path).is_file()), None)
        except OSError as error:
            place, reason = error.filename or "a file", error.strerror or type(error).__name__
            raise ModelError(
                f"backbone '{self.name}': {place} of its model cannot be read ({reason}); make it readable, or correct "
                "the backbone's parameters"
            ) from None
        if absent is not None:
            raise ModelError(
                f"backbone '{self.name}': {absent} of its model does not exist; put it back, or correct the "
                "backbone's parameters"
            )


@dataclass(frozen=True)
class SegmenterEntry:
    """A promptable segmentation model as configured: its family (see `SEGMENTERS`) and all its parameters."""

    name: str
    family: str
    params: dict[str, Any]

    def stage_config(self) -> dict[str, Any]:
        """What embeddings depend on besides the images, and masks besides embeddings and prompts."""
        return {"family": self.family, "params": self.params}

    def local_files(self) -> list[str]:
        """The files of a model that lies in a local folder, sorted, or the single file that it is."""
        return segmenter_files(self.params["model"])

    def weights_megabytes(self) -> int | None:
        """Size of the weights, 10^6 bytes; None for a model of unknown size."""
        return weights_megabytes(self.params["model"])


@dataclass(frozen=True)
class MethodEntry:
    """A method as configured, complete: everything that its scores depend on besides what it reads.

    Attributes:
        backbone: name of its backbone; of a fusion those of its members.
        scoring: further sections that scores from features depend on: image_score, threshold, precision. Empty for a
            method that reads scores.
        feature_sets: the features that it reads, by role; none for a method that reads scores.
        foregrounds: the subsets of images whose part a segmenter must outline, by role; usually none.
        segmenter: which; empty if none.
        members: the methods whose scores it reads; only a fusion, or a modulation, has any.
        refiner: whose masks modulate the member's maps; empty but for a modulation.
        group: the entry of the configuration that it comes from, where that stands for several seeds; else empty.
        description: what the page says of it.
        needs: the images that it cannot do without; None for a method that reads scores.
    """

    name: str
    backbone: str
    scorer: str
    params: dict[str, Any]
    scoring: dict[str, Any]
    feature_sets: dict[str, FeatureSet]
    foregrounds: dict[str, str]
    segmenter: str
    members: tuple[str, ...]
    refiner: str
    group: str
    description: dict[str, str]
    needs: Needs | None = None

    @property
    def shots(self) -> int | None:
        """The references that it draws; None if it draws none, or takes all training images."""
        shots = self.params.get("shots")
        return shots if isinstance(shots, int) else None

    def stage_config(self) -> dict[str, Any]:
        """What the scores depend on, besides the features or the members' scores."""
        return {"scorer": self.scorer, "params": self.params, **self.scoring}


@dataclass(frozen=True)
class RefinerEntry:
    """A refiner as configured: its kind (see `REFINERS`) and all its parameters.

    Attributes:
        segmenter: the model that it prompts; empty if it needs none.
        foreground: whether it asks what the part is.
        crops: what its crops depend on besides images, scores and the segmenter; None if it makes none.
    """

    name: str
    refiner: str
    params: dict[str, Any]
    segmenter: str = ""
    foreground: bool = False
    crops: dict[str, Any] | None = None

    def stage_config(self) -> dict[str, Any]:
        """What the masks depend on, besides images, scores and the segmenter."""
        return {"refiner": self.refiner, "params": self.params}


class Settings:
    """A valid configuration.

    Args:
        config: the merged configuration, as Snakemake or `load` gives it; what is missing is as `default_config` has
            it, but a section of named entries (methods, ...) that is given holds those alone.
        files: what it was merged from besides `config.yaml`, to refuse that an entry is switched off which none of
            them defines; None to let that pass.
        left_out: methods that another process has found unable to run, and why; None to find out here. Jobs are told,
            so that they agree with the process that started them, whatever has become of the images since.

    Attributes:
        config: the same, checked and complete, as plain data.
        sharing: what is shared with other users, and where.
        data: the data set.
        backbones, segmenters, methods, refiners: entries by name, only those that are in use.
        measurable: what the truth of the data set allows to measure.
        left_out: methods that are configured and cannot run for lack of images, by name, and why; a clause each.

    Raises:
        ConfigError: an unknown key, a wrong value, a name that does not exist, a path that Snakemake cannot use, or no
            method that can run.
        DataError: the data set's folder is absent or has no category.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        files: Sequence[Mapping[str, Any]] | None = None,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        check_workflow_folder(REPOSITORY)
        self.config = checked(config).plain()
        if files is not None:
            check_switched_off(self.config, defined_entries([_default(), *files]))
        self.sharing = _sharing(self.config)
        self.data = Dataset(self.config["dataset"], self.sharing.downloads)
        self.data.check()
        self.backbones: dict[str, BackboneEntry] = {}
        self.scoring = ScoringOptions.build(self.config["scoring"], where="scoring")
        self.segmenters: dict[str, SegmenterEntry] = {}
        self.foreground = ForegroundOptions.build(self.config["foreground"], where="foreground")
        self.refiners = {name: self._refiner(name, entry) for name, entry in _entries(self.config, "refiners")}
        self.methods = self._methods()
        if not self.methods:
            raise ConfigError("no method is configured; add one under 'methods'")
        self.left_out = dict(self._unable() if left_out is None else left_out)
        self._leave_out()
        self.measurable = Measurable(self.data, localises=any(map(self._localises, self.methods)))
        self.extraction = ExtractionOptions.build(self.config["extraction"], where="extraction")
        self.evaluation = EvaluationOptions.build(self.config["evaluation"], where="evaluation")
        report = dict(self.config["report"])
        self.report_refiner: str = report.pop("refiner")
        if self.report_refiner not in (*self.refiners, NO_REFINER):
            hint = nearest_hint(self.report_refiner, [*self.refiners, NO_REFINER])
            raise ConfigError(f"report.refiner '{self.report_refiner}' is not among the refiners{hint}")
        self.report = ReportOptions.build(report, where="report")

    @property
    def dataset(self) -> str:
        """Name of the data set, first folder under ``results/``."""
        return self.data.name

    @property
    def categories(self) -> list[str]:
        """Names of the categories, in order; see `Dataset.categories`."""
        return self.data.categories

    def check_models(self) -> None:
        """Compare what is asked of the models of backbones with what they are, as far as this machine knows them.

        Raises:
            ConfigError: a resolution, tile or layer that a model does not have.
            ModelError: a model on this machine is damaged, incomplete, or of an unknown family.
        """
        for entry in self.backbones.values():
            entry.backbone.check_model()
            entry.check_files()
            self._check_patches(entry)

    def _check_patches(self, entry: BackboneEntry) -> None:
        """Refuse a backbone that computes too many patches even for a square image.

        Raises:
            ConfigError: it does.
        """
        layout, most = entry.known_layout(), self.data.bounds.max_patches
        if layout is None or (patches := layout.rule.computed(1, 1)) <= most:
            return
        asked = {key: entry.params.get(key) for key in ("resolution", "tile", "overlap")}
        given = ", ".join(f"{key} {value}" for key, value in asked.items() if value)
        lower = "resolution or overlap" if asked["overlap"] else "resolution"
        raise ConfigError(
            f"backbone '{entry.name}'{f' with {given}' if given else ''} computes {patches} patches for a square "
            f"image, more than dataset.max_patches {most} allows; "
            f"{f'lower its {lower}' if given else 'change its parameters'}, or raise dataset.max_patches"
        )

    def image_bounds(self) -> Bounds:
        """What images are held to: the bounds of the data set, and those that follow from the backbones."""
        # A joint computes no patches beside those of its members.
        grids = {name: layout.rule for name, layout in self._layouts.items() if not layout.members}
        return Bounds.of(self.data.bounds, grids)

    @cached_property
    def _layouts(self) -> dict[str, TokenLayout]:
        """How the tokens of the backbones lie that are known before they are loaded."""
        layouts = {name: entry.known_layout() for name, entry in self.backbones.items()}
        return {name: layout for name, layout in layouts.items() if layout is not None}

    def suitability(self) -> Suitability:
        """The methods that score features, as far as it is known which images they refuse."""
        methods = {
            name: Asked(
                entry.scorer,
                entry.params,
                entry.backbone,
                THRESHOLDS.load(entry.scoring["threshold"]["rule"]).needs_references,
            )
            for name, entry in self.methods.items()
            if not entry.members
        }
        return Suitability(methods, self._layouts)

    @property
    def feature_sets(self) -> list[tuple[str, FeatureSet]]:
        """Backbone and images of all features that the methods read, or that those are joined from, once and sorted."""
        return sorted(
            {
                (backbone, features)
                for method in self.methods.values()
                for features in method.feature_sets.values()
                for backbone in (method.backbone, *(member.name for member in self.backbones[method.backbone].members))
            }
        )

    @property
    def oracle_segmenters(self) -> list[str]:
        """The segmenters of refiners, whose ceiling is measured with boxes from the ground truth."""
        return list(dict.fromkeys(entry.segmenter for entry in self.refiners.values() if entry.segmenter))

    def _localises(self, method: str) -> bool:
        """Whether a method says where a defect is; what reads scores does if any of those does."""
        entry = self.methods[method]
        return any(map(self._localises, entry.members)) if entry.members else SCORERS.load(entry.scorer).localises

    def threshold_in_words(self, method: str) -> str:
        """The rule behind a method's thresholds with its parameters, e.g. ``"robust_tail (z 5)"``."""
        entry = self.methods[method]
        if entry.refiner:
            return self.threshold_in_words(entry.members[0])
        if entry.members:
            return f"combined from those of {', '.join(entry.members)}"
        rule = entry.scoring["threshold"]
        given = ", ".join(f"{name} {value:g}" for name, value in rule["params"].items() if value is not None)
        return f"{rule['rule']} ({given})" if given else rule["rule"]

    def resolved(self) -> dict[str, Any]:
        """Everything that the results depend on, with every default filled in; for the page."""
        return {
            "dataset": self.data.resolved(),
            "backbones": {name: entry.shown() for name, entry in self.backbones.items()},
            "methods": {
                name: {"backbone": entry.backbone, **_segmenter_of(entry), **entry.stage_config()}
                for name, entry in self.methods.items()
            },
            **({"left_out": self.left_out} if self.left_out else {}),
            "segmenters": {name: entry.stage_config() for name, entry in self.segmenters.items()},
            "foreground": self.foreground.parameters(),
            "refiners": {name: entry.stage_config() | _segmenter_of(entry) for name, entry in self.refiners.items()},
            "evaluation": self.evaluation.parameters(),
            "report": {"refiner": self.report_refiner, **self.report.parameters()},
        }

    def _unable(self) -> dict[str, str]:
        """Methods that cannot run for lack of images, and why."""
        if not any(entry.needs and entry.needs != Needs() for entry in self.methods.values()) or not self.data.is_here:
            return {}
        counts = {category: self.data.counts(category) for category in self.categories}
        known = {category: count for category, count in counts.items() if count is not None}
        return methods_left_out(self.methods, known, more_references=self.data.more_references)

    def _leave_out(self) -> None:
        """Take out the methods that cannot run, and what only they use.

        Raises:
            ConfigError: none is left.
        """
        self.methods = {name: entry for name, entry in self.methods.items() if name not in self.left_out}
        if not self.methods:
            raise ConfigError(f"no method can run; {'; '.join(sentences(self.left_out))}")
        users = [*self.methods.values(), *self.refiners.values()]
        segmenters = {entry.segmenter for entry in users}
        backbones = {entry.backbone for entry in self.methods.values()}
        backbones |= {member.name for name in backbones & {*self.backbones} for member in self.backbones[name].members}
        self.segmenters = {name: entry for name, entry in self.segmenters.items() if name in segmenters}
        self.backbones = {name: entry for name, entry in self.backbones.items() if name in backbones}

    def _methods(self) -> dict[str, MethodEntry]:
        """Scorers, each with as many entries as it has seeds, then what reads scores, in the configuration's order."""
        entries = dict(_entries(self.config, "methods"))
        if ORACLE in entries:
            raise ConfigError(f"a method cannot be called '{ORACLE}', as a ceiling is in the tables; rename it")
        fusions = [name for name, entry in entries.items() if entry["scorer"] in FUSIONS.names()]
        modulations = [name for name, entry in entries.items() if entry["scorer"] in MODULATIONS.names()]
        methods: dict[str, MethodEntry] = {}
        for name, entry in entries.items():
            if name not in (*fusions, *modulations):
                for single, params in _with_seeds(name, entry):
                    if single in methods or (single != name and single in entries):
                        raise ConfigError(f"methods: '{single}' stands for two methods; rename one of them")
                    methods[single] = self._method(single, entry, params, group=name if single != name else "")
        methods |= {name: self._fusion(name, entries[name], methods) for name in fusions}
        return methods | {name: self._modulation(name, entries[name], methods) for name in modulations}

    def _method(self, name: str, entry: Mapping[str, Any], params: Mapping[str, Any], group: str) -> MethodEntry:
        where = f"methods.{group or name}"
        scorer = SCORERS.build(entry["scorer"], params, where=f"{where}.params")
        threshold = self._threshold(scorer, entry, where)
        foregrounds = _foregrounds(scorer, threshold["rule"])
        if not foregrounds and entry.get("segmenter") is not None:
            raise ConfigError(f"{where}: its scorer has no 'foreground: sam' that a segmenter is for; leave it out")
        image_score = {**self.config["image_score"], **entry.get("image_score", {})}
        return MethodEntry(
            name=name,
            backbone=self._backbones_of(entry.get("backbone") or self.config["backbone"], where),
            scorer=entry["scorer"],
            params=scorer.parameters(),
            scoring={
                "image_score": ImageScoring.build(image_score, where="image_score").parameters(),
                "threshold": threshold,
                "precision": self.scoring.precision,
            },
            feature_sets=scorer.feature_sets(),
            foregrounds=foregrounds,
            segmenter=self._segmenter(entry.get("segmenter"), where) if foregrounds else "",
            members=(),
            refiner="",
            group=group,
            description=_description(entry["scorer"], scorer, scorer.setting),
            needs=scorer.needs(scores_references=THRESHOLDS.load(threshold["rule"]).needs_references),
        )

    def _threshold(self, scorer: Scorer, entry: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The method's threshold rule and all its parameters."""
        threshold = _merged_threshold(self.config["threshold"], entry.get("threshold") or {})
        if "rule" not in threshold:
            raise ConfigError(f"threshold.rule is missing{nearest_hint('', THRESHOLDS.names())}")
        own = "threshold" in entry
        place = f"{where}.threshold.params" if own else "threshold.params"
        rule = THRESHOLDS.build(threshold["rule"], threshold.get("params"), where=place)
        name, others = threshold["rule"], ", ".join(other for other in THRESHOLDS.names() if other != threshold["rule"])
        if rule.needs_references and not isinstance(scorer, ReferenceScorer):
            raise ConfigError(
                f"{where}: threshold rule '{name}' looks at reference images, and scorer '{entry['scorer']}' has none; "
                f"choose another under {where}.threshold: {others}"
            )
        if rule.needs_maps and not scorer.localises:
            raise ConfigError(
                f"{where}: threshold rule '{name}' looks at maps, and scorer '{entry['scorer']}' scores images alone; "
                f"{f'{rule.without_maps}, or ' if rule.without_maps else ''}"
                f"choose another under {where}.threshold: {others}"
            )
        return {"rule": name, "params": rule.parameters()}

    def _fusion(self, name: str, entry: Mapping[str, Any], methods: Mapping[str, MethodEntry]) -> MethodEntry:
        where = f"methods.{name}"
        _check_no_sections(entry, where, "a fusion", "its methods")
        fusion = FUSIONS.build(entry["scorer"], entry.get("params"), where=f"{where}.params")
        for member in fusion.methods:
            if member not in methods:
                hint = nearest_hint(member, methods)
                raise ConfigError(f"{where}: '{member}' is no method with scores of its own{hint}")
        members = [methods[member] for member in fusion.methods]
        return MethodEntry(
            name=name,
            backbone="+".join(dict.fromkeys(member.backbone for member in members)),
            scorer=entry["scorer"],
            params=fusion.parameters(),
            scoring={},
            feature_sets={},
            foregrounds={},
            segmenter="",
            members=fusion.methods,
            refiner="",
            group="",
            description=_description(
                entry["scorer"], fusion, fusion.setting_of([member.description["setting"] for member in members])
            ),
        )

    def _modulation(self, name: str, entry: Mapping[str, Any], methods: Mapping[str, MethodEntry]) -> MethodEntry:
        where = f"methods.{name}"
        _check_no_sections(entry, where, "a modulation", "its method")
        modulation: Modulation = MODULATIONS.build(entry["scorer"], entry.get("params"), where=f"{where}.params")
        if modulation.method not in methods:
            hint = nearest_hint(modulation.method, methods)
            raise ConfigError(f"{where}: '{modulation.method}' is no method with scores of its own{hint}")
        if modulation.refiner not in self.refiners:
            hint = nearest_hint(modulation.refiner, self.refiners)
            raise ConfigError(f"{where}: '{modulation.refiner}' is not among the refiners{hint}")
        member = methods[modulation.method]
        return MethodEntry(
            name=name,
            backbone=member.backbone,
            scorer=entry["scorer"],
            params=modulation.parameters(),
            scoring={},
            feature_sets={},
            foregrounds={},
            segmenter="",
            members=(modulation.method,),
            refiner=modulation.refiner,
            group="",
            description=_description(entry["scorer"], modulation, member.description["setting"]),
        )

    def _refiner(self, name: str, entry: Mapping[str, Any]) -> RefinerEntry:
        where = f"refiners.{name}"
        refiner: Refiner = REFINERS.build(entry["refiner"], entry.get("params"), where=f"{where}.params")
        if not refiner.uses_segmenter and entry.get("segmenter") is not None:
            raise ConfigError(f"{where}: refiner '{entry['refiner']}' prompts no segmenter; leave 'segmenter' out")
        return RefinerEntry(
            name=name,
            refiner=entry["refiner"],
            params=refiner.parameters(),
            segmenter=self._segmenter(entry.get("segmenter"), where) if refiner.uses_segmenter else "",
            foreground=refiner.uses_foreground,
            crops=refiner.crop_parameters(),
        )

    def _segmenter(self, reference: str | None, where: str) -> str:
        """Resolve a name, hub id, folder or file to an entry of ``self.segmenters``; return the entry's name."""
        reference = reference or self.config["segmenter"]
        configured = dict(_entries(self.config, "segmenters"))
        if reference in configured:
            name, family, params = reference, configured[reference]["family"], configured[reference].get("params") or {}
        elif facts := segmenter_facts_of(reference):
            name, family, params = _slug(facts.name), facts.family, {"model": facts.name}
        elif "/" in reference or Path(reference).exists():
            is_pth = Path(reference).suffix in TORCH_SUFFIXES
            name, family, params = (
                _slug(reference),
                "segment_anything" if is_pth else "transformers",
                {"model": reference},
            )
        else:
            hint = nearest_hint(reference, [*configured, *SEGMENTATION_MODELS])
            raise ConfigError(
                f"{where}: segmenter '{reference}' is neither an entry of 'segmenters', nor a model of "
                f"`zsad segmenters`, nor a hub id (owner/name), nor a folder or file that exists{hint}"
            )
        segmenter = SEGMENTERS.build(family, params, where=f"segmenters.{name}.params")
        entry = SegmenterEntry(name=name, family=family, params=segmenter.parameters())
        if self.segmenters.setdefault(name, entry) != entry:
            raise ConfigError(f"two segmenters would both be called '{name}'; give them names under 'segmenters'")
        return name

    def _backbones_of(self, reference: str | list[str], where: str) -> str:
        """Resolve what stands under ``backbone``: a backbone, an entry that joins several, or a list of them."""
        if not isinstance(reference, str):
            name = "-".join(map(_slug, member_references({"members": reference}, where)))
            return self._joint(name, {"members": reference}, where)
        if params := self._joint_params(reference):
            return self._joint(reference, params, f"backbones.{reference}.params")
        return self._backbone(reference, where)

    def _joint(self, name: str, params: Mapping[str, Any], where: str) -> str:
        """Enter a joint, after its members, in ``self.backbones``; return its name."""
        references = member_references(params, where)
        for reference in references:
            if self._joint_params(reference):
                raise ConfigError(f"{where}: '{reference}' is a joint itself; name its members in its place")
        entries = [self.backbones[self._backbone(reference, where)] for reference in references]
        members = [Member(name=entry.name, **entry.stage_config()) for entry in entries]
        check_different(members, where)
        joint = BACKBONES.build(JOINT, {**params, "members": members}, where=where)
        entry = BackboneEntry(name, JOINT, joint.parameters(), tuple(entries))
        if self.backbones.setdefault(name, entry) != entry:
            raise ConfigError(f"two backbones would both be called '{name}'; give them names under 'backbones'")
        return name

    def _joint_params(self, reference: str) -> dict[str, Any] | None:
        """The parameters of an entry of ``backbones`` that is a joint, as written; None for any other name."""
        entry = dict(_entries(self.config, "backbones")).get(reference)
        if entry is None or entry["family"] != JOINT:
            return None
        return {"members": None, **(entry.get("params") or {})}

    def _backbone(self, reference: str, where: str) -> str:
        """Resolve a name, hub id or folder to an entry of ``self.backbones``; return the entry's name."""
        configured = dict(_entries(self.config, "backbones"))
        if reference in configured:
            name, family, params = reference, configured[reference]["family"], configured[reference].get("params") or {}
        elif found := named(reference):
            name, (family, params) = _slug(reference), found
        else:
            hint = nearest_hint(reference, [*configured, *model_names()])
            raise ConfigError(
                f"{where}: backbone '{reference}' is neither an entry of 'backbones', nor a model of `zsad backbones`, "
                f"nor a hub id (owner/name), nor a folder or file that exists{hint}"
            )
        backbone = BACKBONES.build(family, completed(family, params), where=f"backbones.{name}.params")
        entry = BackboneEntry(name=name, family=family, params=backbone.parameters())
        if self.backbones.setdefault(name, entry) != entry:
            raise ConfigError(f"two backbones would both be called '{name}'; give them names under 'backbones'")
        return name


def load(*overrides: Path, dataset: Mapping[str, Any] | None = None) -> Settings:
    """Merge the given files into the default, as Snakemake's ``--configfile`` does.

    In a checkout, the default is its ``config.yaml`` as it stands there; of an installed package, `default_config`.

    Args:
        dataset: keys of the section ``dataset``, to be merged last.

    Raises:
        ConfigError: a file is absent or no YAML mapping, or its content is not valid.
    """
    contents = [read_configuration(path) for path in overrides]
    merged: dict[str, Any] = {}
    for content in (_default(), *contents, {"dataset": dict(dataset or {})}):
        update_config(merged, content)
    return Settings(merged, files=contents)


@cache
def _default() -> dict[str, Any]:
    """What files are merged into."""
    return read_configuration(DEFAULT_PATH) if WORKFLOW_PATH.is_file() else default_config()


def default_sharing() -> Sharing:
    """What the default alone says of sharing, for commands that read no further configuration.

    Raises:
        ConfigError: the shared folder is absent.
    """
    return _sharing(checked(_default()).plain())


def _sharing(config: Mapping[str, Any]) -> Sharing:
    return Sharing(SharingOptions.build(config["sharing"], where="sharing"))


def _entries(config: Mapping[str, Any], section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, entry) for name, entry in config[section].items() if entry is not None)


def _with_seeds(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and parameters of a method's entry for each of its ``seeds``, which take the place of ``params.seed``."""
    params = dict(entry.get("params") or {})
    if entry.get("seeds") is None:
        yield name, params
        return
    for seed in entry["seeds"]:
        yield f"{name}-seed{seed}", {**params, "seed": seed}


def _merged_threshold(general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The threshold of a method: its own on top of the general one, whose parameters are those of the general rule."""
    params = dict(own.get("params") or {})
    if own.get("rule", general.get("rule")) == general.get("rule"):
        params = {**(general.get("params") or {}), **params}
    return {**general, **own, "params": params}


def _description(scorer: str, method: Method, setting: str) -> dict[str, str]:
    said = {"summary": method.summary, "reference": method.reference, "blind_to": method.blind_to}
    return {"scorer": scorer, **said, "setting": setting}


def _segmenter_of(entry: MethodEntry | RefinerEntry) -> dict[str, str]:
    return {"segmenter": entry.segmenter} if entry.segmenter else {}


def _check_no_sections(entry: Mapping[str, Any], where: str, what: str, source: str) -> None:
    """Refuse sections that a method takes from those whose scores it reads."""
    for section in ("backbone", "segmenter", "image_score", "threshold", "seeds"):
        if entry.get(section) is not None:
            raise ConfigError(f"{where}: {what} takes its {section} from {source}; leave '{section}' out")


def _foregrounds(scorer: Scorer, threshold_rule: str) -> dict[str, str]:
    """The subsets whose part must be outlined for a scorer, by role: those whose images it scores."""
    if not scorer.wants_foreground:
        return {}
    roles = ["test", *(["references"] if THRESHOLDS.load(threshold_rule).needs_references else [])]
    return {role: features.subset for role, features in scorer.feature_sets().items() if role in roles}


def _slug(reference: str) -> str:
    """A file name for a hub id (owner and name), or a folder or file (its last part)."""
    text = Path(reference).resolve().name if Path(reference).exists() else reference
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "backbone"
