"""The whole configuration as one model: every key with its type, its default and what it means.

`config.yaml` and `schemas/config.schema.yaml` are written from it, see `zsad.workflow.written_config`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from zsad.data.bounds import BoundOptions
from zsad.data.demo.plan import DemoOptions
from zsad.data.readings import Policy
from zsad.errors import ConfigError
from zsad.errors.mistakes import NAME, mistake, not_text
from zsad.evaluation.options import EvaluationOptions
from zsad.features.execution import ExtractionOptions
from zsad.files.user_paths import UserPath
from zsad.names import NO_REFINER
from zsad.registry import Part, from_text
from zsad.reporting.options import ReportOptions
from zsad.scoring.compute import ScoringOptions
from zsad.scoring.image_level import ImageScoring
from zsad.segmentation.foreground import ForegroundOptions
from zsad.sharing.options import SharingOptions

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
ALL = "all"


def _is_name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise PydanticCustomError(NAME, "use letters, digits, '_' and '-'")
    return name


def _is_refiner(name: str) -> str:
    if name == NO_REFINER:
        raise PydanticCustomError(NAME, "it stands for the thresholded map itself; choose another")
    return _is_name(name)


def _as_list(value: Any) -> Any:
    """What is not the word for all categories but text, as YAML reads it."""
    return from_text(value) if isinstance(value, str) and value.startswith("[") else value


def _is_all(word: Any) -> Any:
    if word != ALL:
        raise ValueError(f"it must be '{ALL}' or a list of names, e.g. [{word if isinstance(word, str) else 'ring'}]")
    return word


def _is_reference(value: Any) -> Any:
    if isinstance(value, (Mapping, type(None))):
        raise ValueError("it must be a name or a list of names")
    return value


def _is_no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a whole number")
    return value


def _are_different(items: list[Any]) -> list[Any]:
    twice = next((item for place, item in enumerate(items) if item in items[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice; drop one")
    return items


def _form(value: Any) -> str:
    """Which of two forms of a value is meant, so that one sentence says what is wrong with it, and not one for each."""
    return "list" if isinstance(value, (list, tuple)) else "word"


Name = Annotated[str, AfterValidator(_is_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})]
"""What names a folder of results, or stands in the names of files."""

RefinerName = Annotated[
    str,
    AfterValidator(_is_refiner),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$", "not": {"const": NO_REFINER}}),
]

Reference = Annotated[UserPath, StringConstraints(min_length=1)]
"""A path, or a name that may be one; never empty."""

References = Annotated[
    Annotated[Reference, BeforeValidator(_is_reference), Tag("word")]
    | Annotated[list[Reference], Field(min_length=1), Tag("list")],
    Discriminator(_form),
]
"""A backbone, or several that are joined."""

Categories = Annotated[
    Annotated[Literal["all"], BeforeValidator(_is_all), Tag("word")]
    | Annotated[list[str], Field(min_length=1), AfterValidator(_are_different), Tag("list")],
    Discriminator(_form),
    BeforeValidator(_as_list),
]

Seeds = Annotated[
    list[Annotated[int, Field(ge=0), BeforeValidator(_is_no_truth_value)]],
    Field(min_length=2),
    AfterValidator(_are_different),
]


class _Place(Part):
    """Whose images, and where they are."""

    layout: str = Field(
        "demo",
        description="whose images: demo (made here), a published data set (see `zsad datasets`), or your own: mvtec, "
        "folder or csv",
    )
    name: Name | None = Field(None, description="results go to results/<name>/; null for the name of the layout")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="what the layout leaves open, e.g. which of VisA's splits, or white: 4095 for 12 bits in 16-bit "
        "files (see `zsad datasets`)",
    )
    root: UserPath | None = Field(
        None,
        description="where the images are already (~/ is your home folder), read and never written to; null to have a "
        "published data set downloaded",
    )
    download_to: Reference | None = Field(
        None,
        description="where published data sets are downloaded to; null for data/ in the shared folder if any, else "
        "here",
    )
    categories: Categories = Field(ALL, description="all that are on the disk, or a list of names")
    unreadable: Policy | None = Field(
        None,
        description="images that cannot be decoded: stop, or skip (leave out and list); null for skip with "
        "`layout: folder`, else stop",
    )


class DatasetOptions(BoundOptions, _Place):
    """The section ``dataset``."""

    demo: DemoOptions = Field(
        default_factory=DemoOptions, description="the generated demo set; only for `layout: demo`"
    )


class Model(Part):
    """An entry of ``backbones`` or ``segmenters``."""

    family: str = Field(description="the family of the model")
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the family; the rest keep their defaults"
    )


class Backbone(Model):
    """An entry of ``backbones``."""

    family: str = Field(
        description="embedded; efficientnet_lite, resnet or transformers for networks; joint for several side by side "
        "(params: members, weights)"
    )


class Threshold(Part):
    """The section ``threshold``, and what a method says of its own."""

    rule: str = Field(
        "robust_tail",
        description="robust_tail, mebin, reference_quantile for methods with references, or fixed (see `zsad methods`)",
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="parameters of the rule; the rest keep their defaults; of fixed: {image: 0.8, pixel: 0.6}, or one "
        "of the two",
    )


class Method(Part):
    """An entry of ``methods``."""

    scorer: str = Field(description="which scorer")
    backbone: References | None = Field(None, description="which backbone; null for the one above")
    segmenter: UserPath | None = Field(
        None,
        description="which segmentation model outlines the part, for `foreground: sam`; null for the one below",
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the scorer; the rest keep their defaults"
    )
    seeds: Seeds | None = Field(
        None,
        description="several seeds, e.g. [0, 1, 2]: a run for each in place of params.seed, and mean and deviation in "
        "the tables",
    )
    image_score: ImageScoring | None = Field(None, description="what differs from `image_score` below")
    threshold: Threshold | None = Field(None, description="what differs from `threshold` below")


class Refiner(Part):
    """An entry of ``refiners``."""

    refiner: str = Field(description="which refiner: guided, grabcut, or sam (needs weights; see config/sam.yaml)")
    segmenter: UserPath | None = Field(
        None, description="which segmentation model it prompts, for sam; null for the one above"
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the refiner; the rest keep their defaults"
    )


class _Shown(Part):
    """Which of the results the page shows."""

    refiner: str = Field("guided", description="whose masks the page shows: a name of `refiners`, or none")


class ReportSection(ReportOptions, _Shown):
    """The section ``report``."""


DEFAULT_BACKBONES: dict[str, Any] = {"embedded": {"family": "embedded", "params": {}}}

# The first entry of a section shows all its keys.
DEFAULT_METHODS: dict[str, Any] = {
    "self_similarity": {
        "scorer": "self_similarity",
        "backbone": None,
        "segmenter": None,
        "params": {},
        "seeds": None,
    },
    "mirror_symmetry": {"scorer": "mirror_symmetry"},
    "flip_consistency": {"scorer": "flip_consistency"},
    "mutual": {"scorer": "mutual"},
    "memory_bank": {"scorer": "memory_bank", "params": {"shots": 8, "seed": 0}},
}
DEFAULT_REFINERS: dict[str, Any] = {
    "guided": {"refiner": "guided", "segmenter": None, "params": {}},
    "grabcut": {"refiner": "grabcut"},
}


def _entries(entry: type[Part], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry.build(given, where=name) for name, given in defaults.items()}


class Config(Part):
    """The keys of config.yaml. What stands under `params` is checked against the parameters of the named part."""

    dataset: DatasetOptions = Field(
        default_factory=DatasetOptions, description="whose images are inspected, and where they are"
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
    backbones: dict[Name, Backbone | None] = Field(
        default_factory=lambda: _entries(Backbone, DEFAULT_BACKBONES),
        description="named sources of patch features: family + params (see `zsad backbones`)",
    )
    scoring: ScoringOptions = Field(default_factory=ScoringOptions, description="how distances are computed")
    methods: dict[Name, Method | None] = Field(
        default_factory=lambda: _entries(Method, DEFAULT_METHODS),
        description="named ways to score: scorer + backbone + params (see `zsad methods`); one scorer may stand under "
        "several names",
    )
    image_score: ImageScoring = Field(
        default_factory=ImageScoring, description="from an anomaly map to one score for the image"
    )
    threshold: Threshold = Field(
        default_factory=Threshold,
        description="label-free: what image scores, and what the values of maps, must exceed to be called defective",
    )
    segmenter: Reference = Field(
        "sam-vit-b",
        description="for refiners and `foreground: sam`: an entry of `segmenters`, or a model: see `zsad segmenters`; "
        "a folder; a .pth file",
    )
    segmenters: dict[Name, Model | None] = Field(
        default_factory=dict,
        description="named promptable segmentation models: family + params, as backbones are; only what asks for one "
        "loads it",
    )
    foreground: ForegroundOptions = Field(
        default_factory=ForegroundOptions, description="what the part in an image is, by the segmenter"
    )
    refiners: dict[RefinerName, Refiner | None] = Field(
        default_factory=lambda: _entries(Refiner, DEFAULT_REFINERS),
        description="named ways to turn maps into masks: refiner + params; the plain thresholded map, `none`, is "
        "always measured",
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions, description="how results are measured")
    report: ReportSection = Field(default_factory=ReportSection, description="how the page and its pictures look")

    def plain(self) -> dict[str, Any]:
        """Every key with its value as plain data; of entries and what methods say of their own, what is given."""
        return {name: self._section(name) for name in type(self).model_fields}

    def _section(self, name: str) -> Any:
        value = getattr(self, name)
        if isinstance(value, Part):
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
