"""The whole configuration as one model: every key with its type, default and meaning.

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
    """A default entry.

    Attributes:
        meaning: its description in ``config.yaml``.
        entry: with the keys written there; the first of a section shows all.
    """

    meaning: str
    entry: Options


DEFAULT_ENTRIES: dict[str, dict[str, Default]] = {
    "backbones": {
        "embedded": Default(
            "a hand-crafted filter bank without weights, as a baseline",
            ConfiguredBackbone(family="embedded", params={}),
        ),
    },
    "methods": {
        "self_similarity": Default(
            "a patch compared with the other patches of its image",
            ConfiguredMethod(scorer="self_similarity", backbone=None, segmenter=None, params={}, seeds=None),
        ),
        "mirror_symmetry": Default(
            "a patch compared with its mirror position", ConfiguredMethod(scorer="mirror_symmetry")
        ),
        "flip_consistency": Default(
            "the features of an image compared with those of its mirror image, flipped back",
            ConfiguredMethod(scorer="flip_consistency"),
        ),
        "mutual": Default(
            "every test image compared with all others, without labels", ConfiguredMethod(scorer="mutual")
        ),
        "memory_bank": Default(
            "nearest neighbours in a few normal reference images",
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
    """A function that creates new default entries of a section."""
    return lambda: {name: entry.model_copy(deep=True) for name, (_, entry) in DEFAULT_ENTRIES[section].items()}


class Config(Options):
    """The keys of config.yaml. The values under `params` are checked against the parameters of the named component."""

    dataset: DatasetOptions = Field(
        default_factory=DatasetOptions, description="the images to inspect, and their folder"
    )
    auxiliary: DatasetOptions | None = Field(
        None,
        description="another labelled data set for training methods: the keys of `dataset`; null for none "
        "(see config/README.md)",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="where models and matrix products run: auto, cpu, cuda or mps; --sdm conda installs a build for "
        "CUDA only with cuda",
    )
    container: Reference = Field(
        "envs/zsad.sif",
        description="for --sdm apptainer: the container's path, relative to the workflow's folder, or its URL; build "
        "it with envs/zsad.def",
    )
    extraction: ExtractionOptions = Field(
        default_factory=ExtractionOptions,
        description="how features are extracted: it only changes the speed, so that nothing is computed again",
    )
    sharing: SharingOptions = Field(
        default_factory=SharingOptions,
        description="what several users and working folders share, so that it is downloaded or computed once",
    )
    backbone: References = Field(
        "efficientnet-lite0",
        description="for methods without their own: an entry of `backbones`, or a model: see `zsad backbones`; a "
        "folder; a file; a list joins several",
    )
    backbones: dict[Name, ConfiguredBackbone | None] = Field(
        default_factory=_default("backbones"),
        description="named sources of patch features: family + params (see `zsad backbones`)",
    )
    scoring: ScoringOptions = Field(default_factory=ScoringOptions, description="how distances are computed")
    methods: dict[Name, ConfiguredMethod | None] = Field(
        default_factory=_default("methods"),
        description="named methods: scorer + backbone + params (see `zsad methods`); one scorer may have several names",
    )
    sweep: SweepSection = Field(
        default_factory=SweepSection,
        description="lists of values in place of single ones: an entry for each combination, e.g. memory_bank-shots4 "
        "(see docs/sweeps.md)",
    )
    image_score: ImageScoring = Field(
        default_factory=ImageScoring, description="how an anomaly map becomes one score for the image"
    )
    threshold: Threshold = Field(
        default_factory=Threshold,
        description="label-free: the threshold for the highest value of a region, above which its image is defective",
    )
    segmenter: Reference = Field(
        "sam-vit-b",
        description="for refiners and `foreground: sam`: an entry of `segmenters`, or a model: see `zsad segmenters`; "
        "a folder; a .pth file",
    )
    segmenters: dict[Name, ConfiguredModel | None] = Field(
        default_factory=_default("segmenters"),
        description="named promptable segmentation models: family + params, like backbones; loaded only if used",
    )
    foreground: ForegroundOptions = Field(
        default_factory=ForegroundOptions, description="how the segmenter finds the object in an image"
    )
    refiners: dict[RefinerName, ConfiguredRefiner | None] = Field(
        default_factory=_default("refiners"),
        description="named refiners of maps into masks: refiner + params; the plain thresholded map, `none`, is "
        "always measured",
    )
    supports: dict[Name, ConfiguredSupport | None] = Field(
        default_factory=_default("supports"),
        description="named labelled examples of defect types, for classifiers: folder, or table",
    )
    classifiers: dict[Name, ConfiguredClassifier | None] = Field(
        default_factory=_default("classifiers"),
        description="named classifiers of the defect type of an image, from a few labelled examples of each type: "
        "classifier + backbone + embedding + support + params (see docs/classification.md)",
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions, description="how results are measured")
    published: dict[Name, PublishedRow | None] | None = Field(
        None,
        description="by method, the published figures to compare with: method + backbone + resolution (see `zsad "
        "published` and docs/published.md); null for none",
    )
    report: ReportSection = Field(default_factory=ReportSection, description="how the page and its pictures look")
    exports: ExportSection = Field(
        default_factory=ExportSection, description="files for other programs, made by the target `exports`"
    )

    def plain(self) -> dict[str, Any]:
        """Every key with its value as plain data; for entries and methods' own sections, only the given keys."""
        return {name: self._section(name) for name in type(self).model_fields}

    def _section(self, name: str) -> Any:
        value = getattr(self, name)
        if isinstance(value, Options):
            return value.model_dump()
        if isinstance(value, dict):
            return {key: entry and entry.model_dump(exclude_unset=True) for key, entry in value.items()}
        return value


def validate_config(config: Mapping[str, Any]) -> Config:
    """Check a merged configuration, and complete it with the defaults.

    A section of named entries (backbones, methods, ...) replaces the default section, if it is given.

    Raises:
        ConfigError: names the first wrong key, and the nearest valid one.
    """
    _check_keys(config)
    try:
        return Config.model_validate(dict(config))
    except ValidationError as error:
        raise ConfigError(mistake(error, config, Config)) from None


def default_config() -> dict[str, Any]:
    """The contents of ``config.yaml``, as plain data."""
    return Config().plain()


def _check_keys(config: Any, place: str = "") -> None:
    """Reject keys that YAML does not read as text, e.g. ``on``, ``1`` or a date.

    Raises:
        ConfigError: names the key.
    """
    if isinstance(config, Mapping):
        for key, value in config.items():
            if not isinstance(key, str):
                within = f" in '{place}'" if place else ""
                raise ConfigError(f"configuration: a key{within} {not_text(key)}")
            _check_keys(value, f"{place}.{key}" if place else key)
