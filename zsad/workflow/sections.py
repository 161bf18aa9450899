"""The sections of the configuration that belong to no stage, and the entries of sections with names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from zsad.classification.draws import DrawOptions
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.data.bounds import BoundOptions
from zsad.data.demo.plan import DemoOptions
from zsad.data.readings import Policy
from zsad.data.support_source import SupportSource
from zsad.exporting.options import ExportOptions
from zsad.files.user_paths import UserPath
from zsad.registry import Options
from zsad.reporting.options import ReportOptions
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.tokens import Layers
from zsad.workflow.value_types import (
    ALL,
    Categories,
    DrawSeeds,
    Name,
    OptionalName,
    OptionalReference,
    PartNames,
    References,
    Seeds,
    ShotsList,
    SweptValues,
    TextOrNumber,
)


class _Place(Options):
    """Which images, and their folder."""

    layout: str = Field(
        "demo",
        description="the layout of the images: demo (made here), a published data set (see `zsad datasets`), or your "
        "own: mvtec, folder or csv",
    )
    name: OptionalName = Field(None, description="results go to results/<name>/; null for the name of the layout")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="parameters of the layout, e.g. VisA's split, or white: 4095 for 12-bit values in 16-bit files "
        "(see `zsad datasets`)",
    )
    root: UserPath | None = Field(
        None,
        description="folder of existing images (~/ is your home folder), never written to; null to download a "
        "published data set",
    )
    download_to: OptionalReference = Field(
        None,
        description="folder for downloaded data sets; null for data/ in the shared folder if any, else here",
    )
    categories: Categories = Field(ALL, description="all that exist on disk, or a list of names")
    part_names: PartNames | None = Field(
        None,
        description="name of the object in text prompts: one name for all, e.g. object, or {category: name}; null "
        "for the categories' own names",
    )
    unreadable: Policy | None = Field(
        None,
        description="unreadable images: stop the run, or skip (leave out and list); null for skip with "
        "`layout: folder`, else stop",
    )


class DatasetOptions(BoundOptions, _Place):
    """The section ``dataset``, and the section ``auxiliary``."""

    demo: DemoOptions = Field(
        default_factory=DemoOptions, description="the generated demo set; only for `layout: demo`"
    )

    @property
    def data_set_name(self) -> str:
        """Name of the data set: the first folder under ``results/``."""
        return self.name or self.layout


class ConfiguredModel(Options):
    """An entry of ``backbones`` or ``segmenters``."""

    family: str = Field(description="the family of the model")
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the family; the rest keep their defaults"
    )


class ConfiguredBackbone(ConfiguredModel):
    """An entry of ``backbones``."""

    family: str = Field(
        description="embedded; efficientnet_lite, resnet or transformers for networks; joint for several side by side "
        "(params: members, weights)"
    )


class Threshold(Options):
    """The section ``threshold``, and a method's own values."""

    rule: str = Field(
        "suitable",
        description="suitable, which depends on the available images, or one of those that `zsad methods` lists",
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="parameters of the rule; the rest keep their defaults; for fixed: {image: 0.8, pixel: 0.6}, or "
        "one of the two",
    )


class ConfiguredMethod(Options):
    """An entry of ``methods``."""

    scorer: str = Field(description="which scorer")
    backbone: References | None = Field(None, description="which backbone; null for the one above")
    segmenter: UserPath | None = Field(
        None,
        description="which segmentation model segments the object, for `foreground: sam`; null for the one below",
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the scorer; the rest keep their defaults"
    )
    seeds: Seeds | None = Field(
        None,
        description="several seeds, e.g. [0, 1, 2]: one run per seed instead of params.seed, with mean and standard "
        "deviation in the tables",
    )
    image_score: ImageScoring | None = Field(None, description="overrides of `image_score` below")
    threshold: Threshold | None = Field(None, description="overrides of `threshold` below")


class ConfiguredRefiner(Options):
    """An entry of ``refiners``."""

    refiner: str = Field(description="which refiner: guided, grabcut, or sam (needs weights; see config/sam.yaml)")
    segmenter: UserPath | None = Field(
        None, description="which segmentation model it prompts, for sam; null for the one above"
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the refiner; the rest keep their defaults"
    )


class ConfiguredSupport(SupportSource):
    """An entry of ``supports``: labelled examples that are separate from the data set."""


class _Looking(Options):
    """A classifier, its input regions, and the source of its examples."""

    classifier: str = Field(description="which classifier (see `zsad classifiers`)")
    backbone: References | None = Field(None, description="which backbone; null for the one above")
    embedding: Literal["image", "region", "both"] = Field(
        "image",
        description="image: the class token, or the mean of the patches; region: the patches of the defect; both",
    )
    layers: Layers = Field(None, description="which layers of the backbone; null for all that it keeps")
    method: Name | None = Field(
        None, description="whose maps localise the defect, for region and both: a name of `methods`"
    )
    masks: str = Field(
        "none",
        description="masks of the defect: a name of `refiners`, none for the highest patches of the map, or "
        "ground_truth",
    )
    support: Name = Field(
        "test",
        description="the labelled examples: test, which samples them from the test images, or a name of `supports`",
    )


class _Answering(Options):
    """The outputs of a classifier."""

    params: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the classifier; the rest keep their defaults"
    )
    probabilities: ProbabilityOptions = Field(
        default_factory=ProbabilityOptions, description="how scores become probabilities"
    )
    conformal: ConformalOptions = Field(default_factory=ConformalOptions, description="how prediction sets are made")


class ConfiguredClassifier(_Answering, DrawOptions, _Looking):
    """An entry of ``classifiers``."""

    shots: ShotsList = Field(
        [5], description="examples of each kind; a list, e.g. [1, 5, 10], for several; all for as many as there are"
    )
    seeds: DrawSeeds = Field(
        [0, 1, 2, 3, 4],
        description="random seeds of the examples; a result for each, and mean and deviation in the tables",
    )


class PublishedRow(Options):
    """An entry of ``published``: which row of the published figures a method is compared with."""

    method: str = Field(description="the method as in the row, e.g. MuSc")
    backbone: str = Field(description="the backbone as in the row, e.g. CLIP ViT-L/14-336")
    resolution: TextOrNumber = Field(description="the resolution as in the row, e.g. 518, or not stated")
    setting: str | None = Field(None, description="the setting as in the row; null for that of the method")
    source: str | None = Field(
        None, description="a part of the row's source, if several sources report the same; null if only one does"
    )


class _Swept(Options):
    """An entry of ``sweep``: the keys of the entry that it is about, with a list in place of each value."""

    params: dict[str, SweptValues] = Field(default_factory=dict, description="parameters, each with a list of values")
    combine: Literal["grid", "zip"] = Field(
        "grid", description="grid: all combinations; zip: the first values, the second values, and so on"
    )


class SweptBackbone(_Swept):
    """An entry of ``sweep.backbones``."""


class SweptThreshold(Options):
    """What an entry of ``sweep.methods`` says of thresholds."""

    rule: Annotated[list[str], Field(min_length=1)] | None = Field(None, description="a list of rules")
    params: dict[str, SweptValues] = Field(default_factory=dict, description="of the rule, each with a list of values")


class SweptMethod(_Swept):
    """An entry of ``sweep.methods``."""

    backbone: Annotated[list[References], Field(min_length=1)] | None = Field(None, description="a list of backbones")
    segmenter: Annotated[list[UserPath], Field(min_length=1)] | None = Field(
        None, description="a list of segmentation models"
    )
    image_score: dict[str, SweptValues] = Field(
        default_factory=dict, description="keys of `image_score`, each with a list of values"
    )
    threshold: SweptThreshold | None = Field(None, description="keys of `threshold`, likewise")


class SweepSection(Options):
    """The section ``sweep``."""

    methods: dict[Name, SweptMethod | None] = Field(
        default_factory=dict,
        description="by the name of a method, its keys with a list in place of each value, e.g. memory_bank: {params: "
        "{shots: [1, 4]}}",
    )
    backbones: dict[Name, SweptBackbone | None] = Field(
        default_factory=dict,
        description="likewise by the name of a backbone, e.g. embedded: {params: {resolution: [128, 256]}}; each "
        "method that uses it has an entry on each",
    )


class ExportSection(ExportOptions):
    """The section ``exports``."""

    methods: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="whose results: names of `methods`, or null for all"
    )
    refiner: str | None = Field(
        None, description="whose masks: a name of `refiners`, none for the thresholded map, or null for report.refiner"
    )


class _Shown(Options):
    """The results that the page shows."""

    refiner: str = Field("guided", description="whose masks the page shows: a name of `refiners`, or none")


class ReportSection(ReportOptions, _Shown):
    """The section ``report``."""
