"""The whole configuration as one model: every key with its type, its default and what it means.

`config.yaml` and `schemas/config.schema.yaml` are written from it, see `zsad.workflow.written_config`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from zsad.errors import ConfigError
from zsad.errors.mistakes import mistake, not_text
from zsad.evaluation.options import EvaluationOptions
from zsad.features.execution import ExtractionOptions
from zsad.registry import Options
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.segmentation.foreground import ForegroundOptions
from zsad.sharing.options import SharingOptions
from zsad.workflow.sections import (
    ConfiguredBackbone,
    ConfiguredClassifier,
    ConfiguredMethod,
    ConfiguredModel,
    ConfiguredRefiner,
    ConfiguredSupport,
    DatasetOptions,
    ExportSection,
    PublishedRow,
    ReportSection,
    SweepSection,
    Threshold,
)
from zsad.workflow.value_types import Name, Reference, References, RefinerName


class Default(NamedTuple):
    """An entry that is there by default.

    Attributes:
        meaning: what it is, for readers of ``config.yaml``.
        entry: with the keys that stand there; the first of a section shows all.
    """

    meaning: str
    entry: Options


DEFAULT_ENTRIES: dict[str, dict[str, Default]] = {
    "backbones": {
        "embedded": Default(
            "a hand-crafted filter bank: no weights, the honest baseline",
            ConfiguredBackbone(family="embedded", params={}),
        ),
    },
    "methods": {
        "self_similarity": Default(
            "a patch against the other patches of its image",
            ConfiguredMethod(scorer="self_similarity", backbone=None, segmenter=None, params={}, seeds=None),
        ),
        "mirror_symmetry": Default("a patch against its mirror position", ConfiguredMethod(scorer="mirror_symmetry")),
        "flip_consistency": Default(
            "the features of an image against those of its mirror image, flipped back",
            ConfiguredMethod(scorer="flip_consistency"),
        ),
        "mutual": Default("every test image against all others, without labels", ConfiguredMethod(scorer="mutual")),
        "memory_bank": Default(
            "nearest neighbours in a few good reference images",
            ConfiguredMethod(scorer="memory_bank", params={"shots": 8, "seed": 0}),
        ),
    },
    "segmenters": {},
    "supports": {},
    "classifiers": {},
    "refiners": {
        "guided": Default(
            "edge-aware guided filter on the map", ConfiguredRefiner(refiner="guided", segmenter=None, params={})
        ),
        "grabcut": Default(
            "colour models of defect and surroundings, cut along edges", ConfiguredRefiner(refiner="grabcut")
        ),
    },
}


def _default(section: str) -> Callable[[], dict[str, Any]]:
    """What makes the default entries of a section, each time anew."""
    return lambda: {name: entry.model_copy(deep=True) for name, (_, entry) in DEFAULT_ENTRIES[section].items()}


class Config(Options):
    """The keys of config.yaml. What stands under `params` is checked against the parameters of the named part."""

    dataset: DatasetOptions = Field(
        default_factory=DatasetOptions, description="whose images are inspected, and where they are"
    )
    auxiliary: DatasetOptions | None = Field(
        None,
        description="another data set, with labels, that methods may learn from: the keys of `dataset`; null for none "
        "(see config/README.md)",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="where models and matrix products run: auto, cpu, cuda or mps; --sdm conda has a build for CUDA "
        "with cuda alone",
    )
    container: Reference = Field(
        "envs/zsad.sif",
        description="for --sdm apptainer: an image's path, from the workflow's folder, or its URL; build it with "
        "envs/zsad.def",
    )
    extraction: ExtractionOptions = Field(
        default_factory=ExtractionOptions,
        description="how features are extracted: it changes the speed alone, so that nothing is computed anew for it",
    )
    sharing: SharingOptions = Field(
        default_factory=SharingOptions,
        description="what several users and working folders have in common, so that it is fetched or computed once",
    )
    backbone: References = Field(
        "efficientnet-lite0",
        description="for methods that name none: an entry of `backbones`, or a model: see `zsad backbones`; a folder; "
        "a file; a list joins several",
    )
    backbones: dict[Name, ConfiguredBackbone | None] = Field(
        default_factory=_default("backbones"),
        description="named sources of patch features: family + params (see `zsad backbones`)",
    )
    scoring: ScoringOptions = Field(default_factory=ScoringOptions, description="how distances are computed")
    methods: dict[Name, ConfiguredMethod | None] = Field(
        default_factory=_default("methods"),
        description="named ways to score: scorer + backbone + params (see `zsad methods`); one scorer may stand under "
        "several names",
    )
    sweep: SweepSection = Field(
        default_factory=SweepSection,
        description="lists of values in place of single ones: an entry for each combination, e.g. memory_bank-shots4 "
        "(see docs/sweeps.md)",
    )
    image_score: ImageScoring = Field(
        default_factory=ImageScoring, description="from an anomaly map to one score for the image"
    )
    threshold: Threshold = Field(
        default_factory=Threshold,
        description="label-free: what the highest value of a region must exceed for its image to be called defective",
    )
    segmenter: Reference = Field(
        "sam-vit-b",
        description="for refiners and `foreground: sam`: an entry of `segmenters`, or a model: see `zsad segmenters`; "
        "a folder; a .pth file",
    )
    segmenters: dict[Name, ConfiguredModel | None] = Field(
        default_factory=_default("segmenters"),
        description="named promptable segmentation models: family + params, as backbones are; only what asks for one "
        "loads it",
    )
    foreground: ForegroundOptions = Field(
        default_factory=ForegroundOptions, description="what the part in an image is, by the segmenter"
    )
    refiners: dict[RefinerName, ConfiguredRefiner | None] = Field(
        default_factory=_default("refiners"),
        description="named ways to turn maps into masks: refiner + params; the plain thresholded map, `none`, is "
        "always measured",
    )
    supports: dict[Name, ConfiguredSupport | None] = Field(
        default_factory=_default("supports"),
        description="named labelled examples of kinds of defect, for classifiers: folder, or table",
    )
    classifiers: dict[Name, ConfiguredClassifier | None] = Field(
        default_factory=_default("classifiers"),
        description="named ways to tell which kind of defect an image shows, from a few labelled examples of each: "
        "classifier + backbone + embedding + support + params (see docs/classification.md)",
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions, description="how results are measured")
    published: dict[Name, PublishedRow | None] | None = Field(
        None,
        description="by method, the published figures that it is to meet: method + backbone + resolution (see `zsad "
        "published` and docs/published.md); null for none",
    )
    report: ReportSection = Field(default_factory=ReportSection, description="how the page and its pictures look")
    exports: ExportSection = Field(
        default_factory=ExportSection, description="files for other programs, which the target `exports` makes"
    )

    def plain(self) -> dict[str, Any]:
        """Every key with its value as plain data; of entries and what methods say of their own, what is given."""
        return {name: self._section(name) for name in type(self).model_fields}

    def _section(self, name: str) -> Any:
        value = getattr(self, name)
        if isinstance(value, Options):
            return value.model_dump()
        if isinstance(value, dict):
            return {key: entry and entry.model_dump(exclude_unset=True) for key, entry in value.items()}
        return value


def checked(config: Mapping[str, Any]) -> Config:
    """Check a merged configuration, and complete it by the defaults.

    A section of named entries (backbones, methods, ...) is what it is given as, if it is given.

    Raises:
        ConfigError: names the first wrong key, and the nearest valid one.
    """
    _check_keys(config)
    try:
        return Config.model_validate(dict(config))
    except ValidationError as error:
        raise ConfigError(mistake(error, config, Config)) from None


def default_config() -> dict[str, Any]:
    """What ``config.yaml`` says, as plain data."""
    return Config().plain()


def _check_keys(config: Any, place: str = "") -> None:
    """Refuse keys that YAML does not read as text, e.g. ``on``, ``1`` or a date.

    Raises:
        ConfigError: names the key.
    """
    if isinstance(config, Mapping):
        for key, value in config.items():
            if not isinstance(key, str):
                within = f" in '{place}'" if place else ""
                raise ConfigError(f"configuration: a key{within} {not_text(key)}")
            _check_keys(value, f"{place}.{key}" if place else key)
