"""What is configured by name, complete: backbones, segmenters, methods and refiners, and what a stage depends on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zsad.data.subsets import FeatureSet
from zsad.errors import ModelError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES
from zsad.grids import TokenLayout
from zsad.scoring.base import Needs
from zsad.segmentation.weights import local_files, weights_megabytes


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
        return local_files(self.params["model"])

    def weights_megabytes(self) -> int | None:
        """Size of the weights, 10^6 bytes; None for a model of unknown size."""
        return weights_megabytes(self.params["model"])


@dataclass(frozen=True)
class MethodEntry:
    """A method as configured, complete: everything that its scores depend on besides what it reads.

    Attributes:
        backbone: name of its backbone; of a fusion those of its members.
        scoring: further sections that scores from features depend on: image_score, precision. Empty for a method that
            reads scores.
        feature_sets: the features that it reads, by role; none for a method that reads scores.
        foregrounds: the subsets of images whose part a segmenter must outline, by role; usually none.
        segmenter: which; empty if none.
        members: the methods whose scores it reads; only a fusion, or a modulation, has any.
        refiner: whose masks modulate the member's maps; empty but for a modulation.
        group: the entry of the configuration that it comes from, where that stands for several seeds; else empty.
        description: what the page says of it.
        deciding: its threshold rule and all parameters of that. Empty for a modulation, whose method's thresholds hold.
        needs: the images that it cannot do without; None for a method that reads scores.
        fitted_roles: the features that a model is made of first, by which the others are scored; usually none.
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
