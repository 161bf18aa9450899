"""The resolved entries of a configuration: backbones, methods, classifiers and others, and what stages depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from zsad.classification.splits import TEST
from zsad.data.subsets import FeatureSet
from zsad.errors import ModelError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES
from zsad.grids import TokenLayout
from zsad.models.texts.published_files import is_learned
from zsad.names import NO_REFINER
from zsad.scoring.base import Needs
from zsad.segmentation.weights import local_files, weights_megabytes
from zsad.texts.prompt_sets import BUILT_IN, prompt_set, prompts_files

if TYPE_CHECKING:
    from zsad.data.support_source import SupportSource

GROUND_TRUTH: Final = "ground_truth"  # the ground-truth masks, instead of a refiner
Regions = Literal["image", "predicted", "ground truth"]


@dataclass(frozen=True)
class BackboneEntry:
    """A configured backbone: its family (see `BACKBONES`) and all its parameters.

    Attributes:
        members: the backbones whose features are joined; only a joint backbone has any.
    """

    name: str
    family: str
    params: dict[str, Any]
    members: tuple[BackboneEntry, ...] = ()

    def stage_config(self) -> dict[str, Any]:
        """What the extraction of features, or their joining, depends on."""
        texts_alone = self.backbone.for_texts
        return {
            "family": self.family,
            "params": {name: value for name, value in self.params.items() if name not in texts_alone},
        }

    @cached_property
    def backbone(self) -> Backbone:
        """The backbone object with all facts; nothing is loaded."""
        return BACKBONES.build(self.family, self.params)

    def shown(self) -> dict[str, Any]:
        """The whole configuration for users: members by name, since each has its own entry."""
        if not self.members:
            return {"family": self.family, "params": self.params}
        return {"family": self.family, "params": {**self.params, "members": [member.name for member in self.members]}}

    def known_layout(self) -> TokenLayout | None:
        """The layout of its tokens; see `zsad.features.base.Backbone.known_layout`."""
        return self.backbone.known_layout()

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes; None for a model of unknown size, 0 for none."""
        return self.backbone.weights_megabytes()

    def local_files(self) -> list[str]:
        """The files of a model on this machine that its tokens depend on, sorted."""
        return self.backbone.local_files()

    def text_files(self) -> list[str]:
        """The files of a model on this machine that embeddings of texts depend on, sorted."""
        return self.backbone.text_files()

    def text_config(self) -> dict[str, Any]:
        """What text embeddings depend on besides the texts: the other parameters concern only images."""
        return {"family": self.family, "params": self.backbone.text_parameters()}

    def check_files(self) -> None:
        """Check that those files exist.

        Raises:
            ModelError: a file does not exist, or the files cannot be listed.
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
    """A configured promptable segmentation model: its family (see `SEGMENTERS`) and all its parameters."""

    name: str
    family: str
    params: dict[str, Any]

    def stage_config(self) -> dict[str, Any]:
        """What embeddings depend on besides the images, and masks besides embeddings and prompts."""
        return {"family": self.family, "params": self.params}

    def local_files(self) -> list[str]:
        """The files of a model in a local folder, sorted, or its single file."""
        return local_files(self.params["model"])

    def weights_megabytes(self) -> int | None:
        """Size of the weights, 10^6 bytes; None for a model of unknown size."""
        return weights_megabytes(self.params["model"])


@dataclass(frozen=True)
class TextsEntry:
    """The text prompts of a method.

    Attributes:
        name: of the prompts, used in file names.
        prompts: as configured: the name of a prompt set, or a path.
        trained_on: the data set of learned prompts; empty for plain words.
    """

    name: str
    prompts: str
    trained_on: str = ""

    @property
    def is_learned(self) -> bool:
        """Whether they are learned tokens instead of words."""
        return is_learned(self.prompts)

    def local_files(self) -> list[str]:
        """The file of the prompts, if they are a file."""
        return prompts_files(self.prompts)

    def content(self) -> dict[str, Any]:
        """The words of a prompt set of this package, which belongs to its code; empty for a file, which is tracked."""
        return prompt_set(self.prompts).parameters() if self.prompts in BUILT_IN else {}


@dataclass(frozen=True)
class MethodEntry:
    """A resolved method: everything that its scores depend on besides its inputs.

    Attributes:
        backbone: name of its backbone; for a fusion those of its members.
        scoring: further sections that scores from features depend on: image_score, precision. Empty for a method that
            reads scores.
        feature_sets: the features that it reads, by role; empty for a method that reads scores.
        foregrounds: the subsets of images whose object a segmenter must segment, by role; usually empty.
        segmenter: name of that segmenter; empty if none.
        members: the methods whose scores it reads; only for a fusion or a modulation.
        refiner: whose masks modulate the member's maps; only for a modulation.
        group: the entry of the configuration that it comes from, if that has several seeds; else empty.
        description: its description on the page.
        deciding: its threshold rule with all parameters. Empty for a modulation, which uses its method's thresholds.
        needs: the images that it requires; None for a method that reads scores.
        fitted_roles: the features that a model is fitted to first, with which the others are scored; usually empty.
        texts: its text prompts; None for most methods.
        text_role: the features that texts are compared with; empty without texts.
        learned_files: weights files that are given by path and read for scoring, by parameter.
        training_sets: the features of each category of the auxiliary data set for its training, by role; empty for a
            method that does not learn from another data set, or that is given weights.
        trained_on: the data set that it learns from, or that its weights were learned from; empty if none.
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
    deciding: dict[str, Any]
    needs: Needs | None = None
    fitted_roles: tuple[str, ...] = ()
    texts: TextsEntry | None = None
    text_role: str = ""
    learned_files: Mapping[str, str] = field(default_factory=dict)
    training_sets: Mapping[str, FeatureSet] = field(default_factory=dict)
    trained_on: str = ""

    @property
    def is_trained(self) -> bool:
        """Whether weights are trained for it on the auxiliary data set."""
        return bool(self.training_sets)

    @property
    def learns_elsewhere(self) -> bool:
        """Whether it reads weights learned from another data set, whose images must not be under test."""
        return self.is_trained or self.trained_on != ""

    @property
    def where(self) -> str:
        """Its place in the configuration, for messages."""
        return f"methods.{self.group or self.name}"

    @property
    def fits_texts(self) -> bool:
        """Whether its fitted model includes the texts, so that scoring needs none."""
        return self.text_role in self.fitted_roles

    @property
    def shots(self) -> int | None:
        """The number of references that it samples; None if it samples none, or uses all training images."""
        shots = self.params.get("shots")
        return shots if isinstance(shots, int) else None

    def stage_config(self) -> dict[str, Any]:
        """What the scores depend on, besides the features or the members' scores."""
        return {"scorer": self.scorer, "params": self.params, **self.scoring}


@dataclass(frozen=True)
class RefinerEntry:
    """A configured refiner: its kind (see `REFINERS`) and all its parameters.

    Attributes:
        segmenter: the model that it prompts; empty if it needs none.
        foreground: whether it needs the foreground.
        crops: what its crops depend on besides images, scores and the segmenter; None without crops.
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


@dataclass(frozen=True)
class SupportEntry:
    """Configured labelled examples that are separate from the data set."""

    name: str
    source: SupportSource
    _files: dict[str, list[Path]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def stage_config(self) -> dict[str, Any]:
        """What the list of examples depends on besides their files."""
        return self.source.parameters()

    @property
    def place(self) -> Path:
        """The folder of the examples, or of the table that lists them."""
        return Path(self.source.folder) if self.source.folder is not None else Path(self.source.table or "").parent

    def files(self, category: str) -> list[Path]:
        """The images of a category's examples, and the table of their kinds.

        Snakemake asks for them many times, so that the result is kept.

        Raises:
            DataError: see `SupportSource.files`.
        """
        if category not in self._files:
            self._files[category] = self.source.files(category)
        return self._files[category]

    def digest(self, category: str) -> str:
        """Digest of the folders' or the table's facts about a category's examples.

        Raises:
            DataError: as `files`.
        """
        return self.source.digest(category)


@dataclass(frozen=True)
class ClassifierEntry:
    """A resolved classifier of defect types.

    Attributes:
        classifier, params: see `CLASSIFIERS`.
        backbone: name of the backbone whose tokens it reads.
        embedding: kind and layers, see `EmbeddingOptions`.
        method: whose maps localise a defect; empty if it uses none.
        masks: the source of defect masks: a refiner's name, `GROUND_TRUTH`, or `NO_REFINER`.
        support: the source of its labelled examples: `TEST`, or the name of a `SupportEntry`.
        drawing: how they are sampled, see `DrawOptions`.
        probabilities, conformal: the sections of these names.
    """

    name: str
    classifier: str
    params: dict[str, Any]
    backbone: str
    embedding: dict[str, Any]
    method: str
    masks: str
    support: str
    drawing: dict[str, Any]
    probabilities: dict[str, Any]
    conformal: dict[str, Any]

    @property
    def is_drawn_from_tests(self) -> bool:
        """Whether its examples are test images."""
        return self.support == TEST

    @property
    def refiner(self) -> str:
        """The refiner whose masks it reads; empty if none."""
        return "" if self.masks in (NO_REFINER, GROUND_TRUTH) else self.masks

    @property
    def regions(self) -> Regions:
        """The regions that its embeddings are computed from."""
        if self.embedding["kind"] == "image":
            return "image"
        return "ground truth" if self.masks == GROUND_TRUTH else "predicted"

    @property
    def scores_support(self) -> bool:
        """Whether the examples need their own maps; test images have them already."""
        return bool(self.method) and not self.is_drawn_from_tests

    def stage_config(self) -> dict[str, Any]:
        """What the predictions depend on, besides the sample, the features, maps and masks."""
        return {
            "classifier": self.classifier,
            "params": self.params,
            "embedding": self.embedding,
            "regions": self.regions,
            "shots": self.drawing["shots"],
            "probabilities": self.probabilities,
            "conformal": self.conformal,
        }

    def shown(self) -> dict[str, Any]:
        """The whole configuration, for users."""
        return {
            "classifier": self.classifier,
            "params": self.params,
            "backbone": self.backbone,
            "embedding": self.embedding,
            **({"method": self.method} if self.method else {}),
            **({"masks": self.masks} if self.regions != "image" else {}),
            "support": self.support,
            **self.drawing,
            "probabilities": self.probabilities,
            "conformal": self.conformal,
        }
