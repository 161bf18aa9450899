"""Base class of scorers that compare images with texts: common parameters, and reading of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.files.user_paths import UserPath
from zsad.models.texts.published_files import is_learned
from zsad.names import with_auxiliary
from zsad.scoring.base import Scorer
from zsad.scoring.class_embeddings import Averaging, check_space, class_embeddings
from zsad.scoring.data_set_name import check_name

if TYPE_CHECKING:
    from torch import Tensor

    from zsad.scoring.token_source import Texts, TokenSource

TEXT = "zero-shot-text"


class TextScorer(Scorer):
    """Base class of scorers that compare an image with sentences about its object.

    The sentences come from a prompt set; the backbone's text tower encodes them beforehand.
    """

    text_role: ClassVar[str] = "test"

    text_prompts: Annotated[UserPath, Field(min_length=1)] = Field(
        "winclip",
        description="Prompt set: winclip (22 templates, as the paper), winclip_21 (21, as anomalib and zqhang), "
        "april_gan, a YAML file of your own, or the .pth file of AnomalyCLIP's learned tokens.",
    )
    trained_on: Annotated[str, AfterValidator(check_name)] | None = Field(
        None, description="Data set on which the published learned tokens or layers were trained; null for none."
    )
    averaging: Averaging = Field(
        "raw",
        description="Embeddings of sentences are averaged as they are, raw (zqhang/Accurate-WinCLIP-pytorch, "
        "anomalib), or each scaled to length one, normalised (mala-lab/WinCLIP, APRIL-GAN, AnomalyCLIP).",
    )
    temperature: float = Field(
        0.07, gt=0, description="Temperature of the softmax over the cosines to the normal and the anomalous text."
    )

    @model_validator(mode="after")
    def _says_who_was_trained(self) -> Self:
        learned = self._learned()
        if learned and self.trained_on is None:
            (name, path), *_ = learned.items()
            raise ValueError(
                f"{name}: {path} holds published trained weights; name their training data set in 'trained_on'"
            )
        if self.trained_on is not None and not learned:
            raise ValueError("'trained_on' is only for learned text_prompts or layers; leave it out")
        return self

    def _learned(self) -> dict[str, str]:
        """Files of published trained weights, by their parameters."""
        prompts = {"text_prompts": self.text_prompts} if is_learned(self.text_prompts) else {}
        return {**prompts, **self.learned_files()}

    @property
    def setting(self) -> str:
        """``zero-shot-text``, or ``zero-shot-auxiliary(NAME)`` with weights trained on the data set of that name."""
        return self.with_trained(TEXT)

    @property
    def own_image_scores(self) -> bool:
        """True: it also scores whole images."""
        return True

    def with_trained(self, setting: str) -> str:
        """A setting that also names the training data set of published weights."""
        return with_auxiliary(setting, [self.trained_on] if self.trained_on else [])

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images."""
        return {"test": FeatureSet("test")}

    def backbone_refusal(self, parameters: Mapping[str, Any]) -> str:
        """A sentence on why it cannot read the features of a backbone with such parameters; empty if it can.

        Args:
            parameters: of the backbone, which must be of the family ``image_text``.
        """
        if self.reads_windows and parameters.get("path") != "windows":
            return "it has no windows, which the method needs; set `path: windows`"
        return ""

    def texts_of(self, features: TokenSource) -> Texts:
        """The texts that come with features.

        Raises:
            DataError: there are none, or they come from another model.
        """
        if features.texts is None:
            raise DataError(f"{features.path} comes without texts, which the method needs; encode some and pass them")
        check_space(features, features.texts)
        backbone = features.provenance.get("backbone")
        if isinstance(backbone, Mapping) and "path" in backbone and (reason := self.backbone_refusal(backbone)):
            raise DataError(f"{features.path} is of a backbone that the method cannot read: {reason}")
        return features.texts

    def classes(self, texts: Texts, device: str) -> Tensor:
        """Unit vectors ``[state, channel]`` of a normal and an anomalous object."""
        return class_embeddings(texts, self.averaging, device)
